import type { AuthzClientError } from '../../src/errors.js';
import type { BidirectionalStreamHandle } from '../../src/runtime/stream-handle.js';
import type { CheckResponse, StreamLifecycleCallbacks } from '../../src/types.js';
import { type Ask, type Ledger, must } from './ledger.js';

/** One handle of the application's, and everything it was told. */
export class HandleWatch implements StreamLifecycleCallbacks {
  handle!: BidirectionalStreamHandle;
  isPaused = false;
  isEnding = false;
  isOver = false;
  refused = 0;
  /** Every ask of it, those of `handle.check` too. */
  readonly asks: Ask[] = [];
  /** Accepted by `send` and not delivered yet, in order. */
  readonly #owed: Ask[] = [];
  /** Refused since it ended: each is told by `onError`. */
  readonly #refusedIds: string[] = [];
  readonly #ledger: Ledger;
  readonly #now: () => number;
  readonly #isOrdered: boolean;
  readonly #log: (line: string) => void;

  constructor(ledger: Ledger, now: () => number, isOrdered: boolean, log: (line: string) => void) {
    this.#ledger = ledger;
    this.#now = now;
    this.#isOrdered = isOrdered;
    this.#log = log;
  }

  get owed(): number {
    return this.#owed.length;
  }

  /** Paused with answers owed. */
  get holds(): boolean {
    return this.isPaused && this.#owed.length > 0;
  }

  onSent(ask: Ask): void {
    this.#owed.push(ask);
    this.asks.push(ask);
  }

  onRefused(requestId: string): void {
    this.refused++;
    if (this.isEnding) this.#refusedIds.push(requestId);
  }

  readonly onResponse = (response: CheckResponse): void => {
    this.#log(`${this.handle.getId()} onResponse ${response.requestId}`);
    const ask = this.#take(response.requestId);
    this.#ledger.answered(ask, response, this.#now(), 'held');
  };

  readonly onError = (error: AuthzClientError | Error): void => {
    const { requestId = '', message } = error as AuthzClientError;
    this.#log(`${this.handle.getId()} onError ${requestId} ${message}`);
    const refused = this.#refusedIds.indexOf(requestId);
    if (refused !== -1) {
      this.#refusedIds.splice(refused, 1);
      return;
    }
    this.#ledger.failed(this.#take(requestId), error as AuthzClientError, this.#now());
  };

  readonly onEnd = (): void => {
    this.#log(`${this.handle.getId()} onEnd`);
    must(!this.isOver, () => `${this.handle.getId()} ended twice`);
    must(
      this.#owed.length === 0,
      () => `invariant 1: ${this.handle.getId()} ended, and owes ${this.#owed.length} answers`,
    );
    this.isOver = true;
    this.isEnding = true;
  };

  #take(requestId: string): Ask {
    const id = this.handle.getId();
    const isHeld = this.isPaused && this.handle.getState() !== 'closed';
    must(!isHeld, () => `${id} is paused, and was told of ${requestId}`);
    must(!this.isOver, () => `${id} has ended, and was told of ${requestId}`);
    const index = this.#owed.findIndex((ask) => ask.requestId === requestId);
    must(index !== -1, () => `invariant 1: ${id} was told of ${requestId}, which it is not owed`);
    must(
      !this.#isOrdered || index === 0,
      () => `invariant 9: ${id} was told of ${requestId} before ${this.#owed[0]?.requestId}`,
    );
    const [ask] = this.#owed.splice(index, 1);
    return ask as Ask;
  }
}

import { messageIn } from '../core/framed-message.js';
import { GrpcCode } from '../errors.js';
import type { UnaryOptions, UnaryResult, WireStatus, WriteResult } from '../transport/port.js';
import { Call, type CallInit } from './call.js';
import type { PendingCheck } from './pending-check.js';

/** Unary calls under way at once on one such call; more wait in the outbox. */
const MAX_CONCURRENT = 100;

/** Checks of one batch at most: the slowest of them holds up the others. */
const MAX_BATCH = 100;

/** What such a call needs of its connection. */
export interface UnaryCarrier {
  readonly maxMessageBytes: number;
  /** The peer allows one more call, and no token is being fetched for it. */
  hasRoom(): boolean;
  /** False once the server said that it has no CheckBatch. */
  hasBatch(): boolean;
  send(rpc: 'Check' | 'CheckBatch', bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult>;
}

/** One unary call that is under way. */
interface Exchange {
  readonly abort: AbortController;
  /** Checks in it that somebody waits for. */
  awaited: number;
}

/**
 * A generation without a stream, for servers without CheckStream: a unary call for each check, or for those that are written in one turn
 * together, where the server has CheckBatch.
 */
export class UnaryCall extends Call {
  readonly #unary: UnaryCarrier;
  readonly #exchanges = new Set<Exchange>();
  readonly #exchangeOf = new Map<PendingCheck, Exchange>();
  /** Written, and about to go out together; never across a turn. */
  #gathered: PendingCheck[] = [];
  #gatheredBytes = 0;
  #wasFull = false;
  #paused = false;

  constructor(init: CallInit, unary: UnaryCarrier) {
    super(init);
    this.#unary = unary;
  }

  override tryWrite(check: PendingCheck, now: number): WriteResult {
    if (this.state !== 'current') return 'closed';
    if (!this.#joins(check)) {
      this.flush();
      if (this.#paused || this.#exchanges.size >= MAX_CONCURRENT || !this.#unary.hasRoom()) {
        this.#wasFull = true;
        return 'full';
      }
    }
    this.take(check, now);
    this.#gathered.push(check);
    this.#gatheredBytes += itemBytes(check);
    return 'accepted';
  }

  override flush(): void {
    const checks = this.#gathered;
    if (checks.length === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    void this.#ask(checks);
  }

  /** Aborted on the wire too, once nobody waits for anything else in the same call. */
  override forget(check: PendingCheck): void {
    const exchange = this.#exchangeOf.get(check);
    this.#exchangeOf.delete(check);
    if (exchange !== undefined && --exchange.awaited === 0) exchange.abort.abort();
    super.forget(check);
  }

  /** Nobody takes the answers: no more is asked. */
  override pause(): void {
    this.#paused = true;
  }

  override resume(): void {
    this.#paused = false;
    this.wake();
  }

  protected override cancel(): void {
    for (const { abort } of this.#exchanges) abort.abort();
  }

  protected override end(): void {
    this.onStatus({ code: 0, message: '', outcome: 'answered' });
  }

  /** Whether it goes out with what is gathered. */
  #joins(check: PendingCheck): boolean {
    const first = this.#gathered[0];
    if (first === undefined || first.alone || check.alone || !this.#unary.hasBatch()) return false;
    return this.#gathered.length < MAX_BATCH && this.#gatheredBytes + itemBytes(check) <= this.#unary.maxMessageBytes;
  }

  async #ask(checks: readonly PendingCheck[]): Promise<void> {
    const exchange: Exchange = { abort: new AbortController(), awaited: checks.length };
    this.#exchanges.add(exchange);
    let deadlineAt = 0;
    for (const check of checks) {
      this.#exchangeOf.set(check, exchange);
      deadlineAt = Math.max(deadlineAt, check.deadlineAt);
    }
    const result = await this.#send(checks, {
      timeoutMs: Math.max(1, deadlineAt - this.now()),
      signal: exchange.abort.signal,
    });
    this.#exchanges.delete(exchange);
    for (const check of checks) this.#exchangeOf.delete(check);
    this.#settle(
      checks.filter((check) => check.place === this),
      checks.length > 1,
      result,
    );
    this.wake();
  }

  #send(checks: readonly PendingCheck[], options: UnaryOptions): Promise<UnaryResult> {
    const [first] = checks;
    if (checks.length === 1 && first !== undefined) return this.#unary.send('Check', messageIn(first.message), options);
    return this.#unary.send('CheckBatch', this.codec.joinBatch(checks.map(({ message }) => message)), options);
  }

  /** Whoever is told of one check may settle others, or end this call. */
  #settle(checks: readonly PendingCheck[], isBatch: boolean, result: UnaryResult): void {
    if (result.ok && isBatch) this.answerBatch(checks, result.bytes);
    const status = result.ok ? undefined : this.carrier.clean(result.status);
    for (const check of checks) {
      if (check.place !== this) continue;
      if (result.ok && !isBatch) this.answerOne(check, result.bytes);
      else if (status !== undefined && (!isBatch || concernsAll(status))) this.failOne(check, status);
      else this.ungroup(check);
    }
  }

  /** There may be room again. */
  wake(): void {
    if (!this.#wasFull || this.#paused || this.state !== 'current') return;
    this.#wasFull = false;
    this.onDrain();
  }
}

/** What it takes in a batch, at most: its tag and length are no longer than the header that it has on a stream, and one byte. */
function itemBytes(check: PendingCheck): number {
  return check.byteLength + 1;
}

/**
 * Whether a batch's status is that of each check in it, as it would be of a call of its own. Otherwise one of them may have brought it upon
 * all (the server calls it invalid, or fails on it), or that they were together (a limit of the server's, no CheckBatch).
 */
function concernsAll({ code, outcome }: WireStatus): boolean {
  switch (code) {
    case GrpcCode.OK:
    case GrpcCode.CANCELLED:
    case GrpcCode.DEADLINE_EXCEEDED:
    case GrpcCode.UNAVAILABLE:
    case GrpcCode.UNAUTHENTICATED:
      return true;
    default:
      // Not the server's own word (it asks for calm by a reset, its answer is too large to read): not to be asked a hundred times instead.
      return outcome !== 'answered';
  }
}

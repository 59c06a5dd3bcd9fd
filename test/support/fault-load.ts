/** Load on a client, with books kept: what was asked, what came of it, who answered, and in which order. */

import type { AuthzClient } from '../../src/client.js';
import { AuthzClientError } from '../../src/errors.js';
import { CLIENT_EVENT_NAMES, type ClientEventName, type ClientEvents } from '../../src/events.js';
import type { BidirectionalStreamHandle } from '../../src/index.js';
import type { CheckResponse } from '../../src/types.js';
import { answererOf, faultOf, question } from './fault-engine.js';
import { eventually } from './recorder.js';

/** Every event of a client, in order. */
export class EventLog {
  readonly entries: { readonly name: ClientEventName; readonly payload: unknown }[] = [];

  constructor(client: AuthzClient) {
    for (const name of CLIENT_EVENT_NAMES) {
      client.on(name, (payload) => {
        this.entries.push({ name, payload });
      });
    }
  }

  of<Name extends ClientEventName>(name: Name): ClientEvents[Name][] {
    return this.entries.filter((entry) => entry.name === name).map(({ payload }) => payload as ClientEvents[Name]);
  }

  count(name: ClientEventName): number {
    return this.of(name).length;
  }

  /** The names of these events, in the order they came. */
  sequence(...names: ClientEventName[]): ClientEventName[] {
    return this.entries.map(({ name }) => name).filter((name) => names.includes(name));
  }

  async until(name: ClientEventName, count = 1): Promise<void> {
    await eventually(() => this.count(name) >= count, `${count} × ${name}; so far ${this.describe()}`);
  }

  describe(): string {
    return this.entries.map(({ name }) => name).join(' ');
  }
}

/** What came of the questions of one source. */
export class Ledger {
  asked = 0;
  right = 0;
  readonly wrong: string[] = [];
  readonly errors: AuthzClientError[] = [];
  /** Who gave the answers, in the order they came. */
  readonly answerers: string[] = [];

  get settled(): number {
    return this.right + this.wrong.length + this.errors.length;
  }

  get last(): string {
    return this.answerers.at(-1) ?? '';
  }

  answered(index: number, response: CheckResponse): void {
    const fault = faultOf(index, response);
    if (fault === undefined) this.right += 1;
    else this.wrong.push(fault);
    this.answerers.push(answererOf(response));
  }

  failed(error: unknown): void {
    if (error instanceof AuthzClientError) this.errors.push(error);
    else this.wrong.push(`an untyped error: ${String(error)}`);
  }

  /** Waits for more answers than there are now. */
  async more(count = 20): Promise<void> {
    const target = this.right + count;
    await eventually(() => this.right >= target, `${count} more answers: ${this.summary()}`);
  }

  /** Waits until this engine answers. */
  async answeredBy(name: string, timeoutMs?: number): Promise<void> {
    await eventually(() => this.last === name, `an answer of ${name}: ${this.summary()}`, timeoutMs);
  }

  summary(): string {
    const errors = new Map<string, number>();
    for (const error of this.errors) {
      const key = `${error.name}: ${error.message}`;
      errors.set(key, (errors.get(key) ?? 0) + 1);
    }
    const counts = [...errors].map(([message, count]) => `${count} × ${message}`).join('; ');
    return `${this.asked} asked, ${this.right} right, ${this.wrong.length} wrong [${this.wrong.slice(0, 3).join(' | ')}], ${this.errors.length} errors [${counts}], last by ${this.last}`;
  }
}

/** Callers that ask one question after another with `check()` (or, every so often, `checkBatch()`), until told to stop. */
export class Callers {
  readonly ledger = new Ledger();
  readonly #client: AuthzClient;
  readonly #running: Promise<void>[];
  #stopped = false;

  constructor(client: AuthzClient, count: number) {
    this.#client = client;
    this.#running = Array.from({ length: count }, () => this.#call());
  }

  /** Each caller's last question settles. */
  async stop(): Promise<Ledger> {
    this.#stopped = true;
    await Promise.all(this.#running);
    return this.ledger;
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const index = this.ledger.asked;
      this.ledger.asked += 1;
      try {
        this.ledger.answered(index, await this.#client.check(question(index)));
      } catch (error) {
        this.ledger.failed(error);
        // Refusals come at once: without this the loop would starve everything else.
        await new Promise(setImmediate);
      }
    }
  }
}

/** One caller of batches. */
export class BatchCaller {
  readonly ledger = new Ledger();
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(client: AuthzClient, size: number) {
    this.#running = this.#call(client, size);
  }

  async stop(): Promise<Ledger> {
    this.#stopped = true;
    await this.#running;
    return this.ledger;
  }

  async #call(client: AuthzClient, size: number): Promise<void> {
    while (!this.#stopped) {
      const first = this.ledger.asked;
      this.ledger.asked += size;
      try {
        const responses = await client.checkBatch(Array.from({ length: size }, (_, item) => question(first + item)));
        for (const [item, response] of responses.entries()) this.ledger.answered(first + item, response);
      } catch (error) {
        for (let item = 0; item < size; item += 1) this.ledger.failed(error);
        await new Promise(setImmediate);
      }
    }
  }
}

/** One handle that is kept `depth` requests ahead of its answers, until told to stop. */
export class HandleLoad {
  readonly ledger = new Ledger();
  readonly handle: BidirectionalStreamHandle;
  /** The requests' numbers, in the order their answers or errors were delivered. */
  readonly delivered: number[] = [];
  readonly reconnects: number[] = [];
  ends = 0;
  refused = 0;
  readonly #depth: number;
  #stopped = false;

  constructor(client: AuthzClient, depth: number) {
    this.#depth = depth;
    this.handle = client.createBidirectionalStream({
      onResponse: (response) => {
        const index = indexOf(response.requestId);
        this.delivered.push(index);
        this.ledger.answered(index, response);
        this.#fill();
      },
      onError: (error) => {
        this.delivered.push(error instanceof AuthzClientError ? indexOf(error.requestId ?? '') : NaN);
        this.ledger.failed(error);
        this.#fill();
      },
      onEnd: () => {
        this.ends += 1;
      },
      onReconnect: (attempt) => {
        this.reconnects.push(attempt);
      },
    });
    this.#fill();
  }

  /** Sends no more, and waits until everything sent has been answered. */
  async stop(): Promise<Ledger> {
    this.#stopped = true;
    await eventually(() => this.ledger.settled >= this.ledger.asked, `the handle's answers: ${this.ledger.summary()}`);
    return this.ledger;
  }

  /** Sends no more than what is out now. */
  hold(): void {
    this.#stopped = true;
  }

  #fill(): void {
    while (!this.#stopped && this.ledger.asked - this.ledger.settled < this.#depth) {
      const index = this.ledger.asked;
      if (!this.handle.send({ requestId: `h-${index}`, ...question(index) })) {
        // It is closing: each refusal is told through onError, which would come back here for ever.
        this.refused += 1;
        this.#stopped = true;
        return;
      }
      this.ledger.asked += 1;
    }
  }
}

const indexOf = (requestId: string): number => Number(requestId.replace('h-', ''));

/** 0, 1, 2, ...: each once, in the order of sending. */
export const inOrder = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Load for minutes, with books that do not grow: what was asked, what came of it, and who answered. */

import { expect } from 'vitest';

import type { AuthzClient } from '../../../src/client.js';
import { AuthzClientError } from '../../../src/errors.js';
import type { BidirectionalStreamHandle } from '../../../src/index.js';
import type { CheckResponse } from '../../../src/types.js';
import { answererOf, faultOf, question } from '../../support/fault-engine.js';
import { eventually } from '../../support/recorder.js';

/** Of each kind of complaint; the rest is only counted. */
const EXAMPLES = 5;
const LIMIT_MS = 30_000;

/** Says what there is when the wait is over, not when it began. */
async function waitFor(condition: () => boolean, what: () => string): Promise<void> {
  await eventually(condition, 'it', LIMIT_MS).catch(() => {
    throw new Error(`waited ${LIMIT_MS} ms in vain for ${what()}`);
  });
}

export class Tally {
  asked = 0;
  right = 0;
  wrong = 0;
  failed = 0;
  readonly examples: string[] = [];
  /** Typed errors, by what they are. */
  readonly errors = new Map<string, number>();
  readonly answers = new Map<string, number>();

  get settled(): number {
    return this.right + this.wrong + this.failed;
  }

  answer(index: number, response: CheckResponse): void {
    const answerer = answererOf(response);
    this.answers.set(answerer, this.answersOf(answerer) + 1);
    const fault = faultOf(index, response);
    if (fault === undefined) this.right += 1;
    else this.#complain(fault);
  }

  fail(error: unknown): void {
    if (!(error instanceof AuthzClientError)) {
      this.#complain(`an untyped error: ${String(error)}`);
      return;
    }
    this.failed += 1;
    const key = `${error.name} ${error.outcome}: ${error.message}`;
    this.errors.set(key, (this.errors.get(key) ?? 0) + 1);
  }

  answersOf(name: string): number {
    return this.answers.get(name) ?? 0;
  }

  /** Waits for more right answers than there are now. */
  async more(count = 200): Promise<void> {
    const goal = this.right + count;
    await waitFor(
      () => this.right >= goal,
      () => `${count} more answers: ${this.summary()}`,
    );
  }

  /** Waits for more answers of this engine than there are now. */
  async answeredBy(name: string, count = 20): Promise<void> {
    const goal = this.answersOf(name) + count;
    await waitFor(
      () => this.answersOf(name) >= goal,
      () => `${count} answers of ${name}: ${this.summary()}`,
    );
  }

  summary(): string {
    const { asked, right, wrong, failed, examples } = this;
    const byName = { errors: Object.fromEntries(this.errors), answers: Object.fromEntries(this.answers) };
    return JSON.stringify({ asked, right, wrong, failed, examples, ...byName });
  }

  /** Everything asked was answered, and rightly. */
  expectSpotless(): void {
    const { asked, right, wrong, failed, examples } = this;
    expect({ right, wrong, failed, errors: Object.fromEntries(this.errors), examples }).toEqual({
      right: asked,
      wrong: 0,
      failed: 0,
      errors: {},
      examples: [],
    });
  }

  /** Everything asked was answered rightly, or failed by one of these errors. */
  expectTyped(...names: string[]): void {
    const { asked, right, wrong, failed, examples } = this;
    expect({ settled: right + failed, wrong, examples }).toEqual({ settled: asked, wrong: 0, examples: [] });
    expect([...this.errors.keys()].filter((key) => !names.some((name) => key.startsWith(`${name} `)))).toEqual([]);
  }

  #complain(what: string): void {
    this.wrong += 1;
    if (this.examples.length < EXAMPLES) this.examples.push(what);
  }
}

export interface Load {
  readonly tally: Tally;
  /** Asks no more, and waits until everything asked is settled. */
  stop(): Promise<Tally>;
}

/** Callers that ask one question after another with `check()`. */
export class Callers implements Load {
  readonly tally = new Tally();
  readonly #client: AuthzClient;
  readonly #running: Promise<void>[];
  #stopped = false;

  constructor(client: AuthzClient, count: number) {
    this.#client = client;
    this.#running = Array.from({ length: count }, () => this.#call());
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    await Promise.all(this.#running);
    return this.tally;
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const index = this.tally.asked;
      this.tally.asked += 1;
      try {
        this.tally.answer(index, await this.#client.check(question(index)));
      } catch (error) {
        this.tally.fail(error);
        // Refusals come at once: without this the loop would starve everything else.
        await new Promise(setImmediate);
      }
    }
  }
}

/**
 * One handle that is kept `depth` requests ahead of its answers. A promise settles once whatever its maker does, a callback does not: here
 * each id is to come once, and in the order of sending.
 */
export class StreamLoad implements Load {
  readonly tally = new Tally();
  readonly handle: BidirectionalStreamHandle;
  readonly #depth: number;
  #stopped = false;

  constructor(client: AuthzClient, depth: number) {
    this.#depth = depth;
    this.handle = client.createBidirectionalStream({
      onResponse: (response) => {
        this.#deliver(response.requestId, (index) => this.tally.answer(index, response));
      },
      onError: (error) => {
        const id = error instanceof AuthzClientError ? error.requestId : undefined;
        this.#deliver(id, () => this.tally.fail(error));
      },
      onEnd: () => undefined,
    });
    this.#fill();
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    const { tally } = this;
    await waitFor(
      () => tally.settled >= tally.asked,
      () => `the handle's answers: ${tally.summary()}`,
    );
    return tally;
  }

  #deliver(requestId: string | undefined, settle: (index: number) => void): void {
    const due = this.tally.settled;
    if (requestId === `h-${due}`) settle(due);
    else this.tally.fail(new Error(`${requestId ?? 'no id'} was delivered where h-${due} was due`));
    this.#fill();
  }

  #fill(): void {
    const { tally } = this;
    while (!this.#stopped && tally.asked - tally.settled < this.#depth) {
      if (!this.handle.send({ requestId: `h-${tally.asked}`, ...question(tally.asked) })) {
        tally.fail(new Error(`the handle took no more: it is ${this.handle.getState()}`));
        this.#stopped = true;
        return;
      }
      tally.asked += 1;
    }
  }
}

/** Asks without end, at a bounded rate: one half by `check()`, the other over a few streams. */

import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { createSeededRandom } from '../../core/random.js';
import { AuthzClientError } from '../../errors.js';
import type { AuthzClient, BidirectionalStreamHandle } from '../../index.js';
import type { EndlessTally } from './endless-tally.js';
import type { KnownQuestion } from './questions.js';

const TICK_MS = 10;
/** After a stall of this process, no more than this much of what was missed is made up for: no bursts. */
const MAX_CATCH_UP_MS = 50;
/** Far beyond what the rate and the deadline of a check leave unsettled: for a client that breaks its promises. */
const MAX_OUTSTANDING = 50_000;
const POLL_MS = 20;

export interface SteadyLoadOptions {
  readonly client: AuthzClient;
  readonly questions: readonly KnownQuestion[];
  readonly tally: EndlessTally;
  readonly streams: number;
  readonly checksPerSecond: number;
}

export class SteadyLoad {
  readonly #options: SteadyLoadOptions;
  readonly #random = createSeededRandom(7);
  /** Undefined where one has ended: after too many attempts to reopen it while no engine was there. */
  readonly #handles: (BidirectionalStreamHandle | undefined)[];
  #timer: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  #allowance = 0;
  #turn = 0;

  constructor(options: SteadyLoadOptions) {
    this.#options = options;
    this.#handles = Array.from({ length: options.streams }, () => undefined);
  }

  start(): void {
    this.#tickedAt = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Asks no more. Resolves when all is settled and the streams have ended, or at `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    clearInterval(this.#timer);
    const giveUpAt = performance.now() + limitMs;
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition() && performance.now() < giveUpAt) await delay(POLL_MS);
    };
    await until(() => this.#options.tally.outstanding === 0);
    // What is settled again would be so until the streams have ended.
    for (const handle of this.#handles) handle?.end();
    await until(() => this.#handles.every((handle) => handle === undefined));
  }

  #tick(): void {
    const now = performance.now();
    const elapsedMs = Math.min(now - this.#tickedAt, MAX_CATCH_UP_MS);
    this.#tickedAt = now;
    this.#allowance += (this.#options.checksPerSecond * elapsedMs) / 1_000;
    for (; this.#allowance >= 1; this.#allowance--) this.#ask(now);
  }

  #ask(nowMs: number): void {
    const { questions, tally } = this.#options;
    if (tally.outstanding >= MAX_OUTSTANDING) return;
    const known = questions[Math.floor(this.#random() * questions.length)];
    if (known === undefined) throw new Error('there are no questions');
    this.#turn++;
    const request = { ...known.question, requestId: tally.nextRequestId };
    if (this.#turn % 2 === 0) {
      tally.onAsked(known, nowMs);
      this.#options.client.check(request).then(
        (response) => tally.onAnswer(response, performance.now()),
        (error: unknown) => tally.onFailure(error, request.requestId),
      );
      return;
    }
    const handle = this.#handle((this.#turn >> 1) % this.#handles.length);
    // A stream that takes no more has its share left out: a load that piles up is no steady one.
    if (handle.isWritable() && handle.send(request)) tally.onAsked(known, nowMs);
  }

  #handle(index: number): BidirectionalStreamHandle {
    const { client, tally } = this.#options;
    return (this.#handles[index] ??= client.createBidirectionalStream({
      onResponse: (response) => tally.onAnswer(response, performance.now()),
      onError: (error) => tally.onFailure(error, error instanceof AuthzClientError ? error.requestId : undefined),
      onEnd: () => (this.#handles[index] = undefined),
    }));
  }
}

/** Sends the checks: over all streams, never more than they take, as fast as the pace allows. */

import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { createSeededRandom } from '../../core/random.js';
import type { BidirectionalStreamHandle } from '../../index.js';
import type { KnownQuestion } from './questions.js';
import { Tally } from './tally.js';

/** Checks a stream may have unanswered: enough to keep it busy, and latencies are the engine's and not our queue's. */
const WINDOW_PER_STREAM = 128;
const TICK_MS = 10;
/** While spread, this much of what is left is sent in that time, and so on: however long the wait, checks keep flowing. */
const SPREAD_MS = 5_000;

/** How fast: flat out, or so that the rest lasts until it is told to go flat out again. */
export class Pace {
  #spreadSince: number | undefined;
  #allowance = 0;
  #toppedUpAt = 0;

  spread(nowMs: number): void {
    this.#spreadSince = nowMs;
    this.#toppedUpAt = nowMs;
    this.#allowance = 0;
  }

  flatOut(): void {
    this.#spreadSince = undefined;
  }

  /** May one more be sent, with `remaining` still to send? */
  take(remaining: number, nowMs: number): boolean {
    if (this.#spreadSince === undefined) return true;
    const elapsedMs = Math.min(nowMs - this.#toppedUpAt, SPREAD_MS / 4);
    this.#toppedUpAt = nowMs;
    // What was not used does not pile up: after a stall there is no burst.
    this.#allowance = Math.min(this.#allowance + (remaining * elapsedMs) / SPREAD_MS, Math.max(1, remaining / 40));
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

export interface WorkloadOptions {
  readonly handles: readonly BidirectionalStreamHandle[];
  readonly questions: readonly KnownQuestion[];
  readonly tally: Tally;
  readonly total: number;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Called once, in the middle of sending: half of the checks are sent, some unanswered. */
  readonly onHalf: () => void;
}

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #window: number;
  readonly #random = createSeededRandom(7);
  #roomWaiters: (() => void)[] = [];
  #isHalfDone = false;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#window = WINDOW_PER_STREAM * options.handles.length;
  }

  /** Resolves when all checks are sent, or the signal has aborted. Rejects when a stream takes no more. */
  async run(): Promise<void> {
    await Promise.all(this.#options.handles.map((handle) => this.#pump(handle)));
  }

  /** To be told of each answer and error. */
  onSettled(): void {
    // In batches: a promise for each answer would cost more than the answer.
    if (this.#roomWaiters.length === 0 || this.#options.tally.inFlight > this.#window / 2) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  async #pump(handle: BidirectionalStreamHandle): Promise<void> {
    const { tally, total, pace, signal } = this.#options;
    while (tally.sent < total && !signal.aborted) {
      if (!handle.isWritable()) await handle.ready();
      else if (tally.inFlight >= this.#window) await this.#room();
      else if (!pace.take(total - tally.sent, performance.now())) await delay(TICK_MS);
      else this.#send(handle);
    }
  }

  #send(handle: BidirectionalStreamHandle): void {
    const { questions, tally, total } = this.#options;
    const index = Math.floor(this.#random() * questions.length);
    const question = questions[index]?.question;
    if (question === undefined) throw new Error('there are no questions');
    if (!handle.send({ ...question, requestId: Tally.requestId(tally.sent) })) {
      throw new Error(`${handle.getId()} refused a check although it was writable`);
    }
    tally.onSent(index, performance.now());
    // Just after an answer few may be in flight; the half is when the window is filling up.
    if (this.#isHalfDone || tally.sent * 2 < total || tally.inFlight < Math.min(this.#window / 2, total / 4)) return;
    this.#isHalfDone = true;
    this.#options.onHalf();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Lets every pump look at the signal. */
  wake(): void {
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}

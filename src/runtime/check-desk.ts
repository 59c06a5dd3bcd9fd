import type { Clock, TimerHandle } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { RingBuffer } from '../core/ring-buffer.js';
import type { CheckBook } from '../data/check-book.js';
import { DedupCache } from '../data/dedup.js';
import { decisionKey } from '../data/decision-key.js';
import { OwnRequest } from '../data/own-request.js';
import type { CheckPlace, CheckSink, PendingCheck } from '../data/pending-check.js';
import type { RetryBudget } from '../data/retry-budget.js';
import { BackpressureError } from '../errors.js';
import type { CheckRequest, CheckResponse, DeduplicationStats } from '../types.js';
import type { CheckStream } from './check-stream.js';
import { Exchange, type SharedAnswer } from './exchange.js';
import type { PoolConnection } from './pool-connection.js';
import { exhaustedError } from './status-error.js';

/** What the desk needs of the client around it. */
export interface DeskHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly retryDelayMs: number;
  readonly acquireTimeoutMs: number;
  pickConnection(suits: (connection: PoolConnection) => boolean): PoolConnection | undefined;
  /** A check waits for a stream. */
  onShort(): void;
  /** Why it waits, though an endpoint is served. */
  whyWaiting(): string | undefined;
  openLane(connection: PoolConnection): CheckStream | undefined;
  /** There is work: connect, if that has not begun. */
  onWork(): void;
}

/**
 * Servers commonly answer one stream strictly in sequence, so a slow check holds up those behind it. A lane is slow once the first of so many
 * unanswered checks has waited so long, or the first of fewer in proportion longer; the next is then used. A server that keeps up is asked on
 * one lane, whose messages share their frames and writes.
 */
const SLOW_DEPTH = 32;
const SLOW_AGE_MS = 5;
const MAX_LANES = 4;

/** Where checks are taken in: dedup, then a connection, then one of its streams; or the queue, while no connection is usable. */
export class CheckDesk implements CheckPlace {
  readonly outcome = 'notSent' as const;
  readonly book: CheckBook;
  dedup: DedupCache<Exchange, SharedAnswer>;
  deduplicating = false;
  readonly #host: DeskHost;
  readonly #budget: RetryBudget;
  readonly #waiting = new RingBuffer<PendingCheck>();
  /** Waiting out a backoff. */
  readonly #delayed = new Map<PendingCheck, TimerHandle>();
  /** Times spent waiting for a connection, for the pool's statistics. */
  acquired = 0;
  acquireSumMs = 0;

  constructor(host: DeskHost, book: CheckBook, budget: RetryBudget, capacity: number, ttlMs: number) {
    this.#host = host;
    this.book = book;
    this.#budget = budget;
    this.dedup = new DedupCache({ capacity, ttlMs, clock: host.clock });
  }

  configureDedup(enabled: boolean, capacity: number, ttlMs: number): void {
    this.deduplicating = enabled;
    this.dedup.clear();
    this.dedup = new DedupCache({ capacity, ttlMs, clock: this.#host.clock });
  }

  dedupStats(): DeduplicationStats {
    return this.dedup.stats();
  }

  /**
   * Takes a request in and sends it by `route` (the client's own streams, or a handle's pipe).
   * @returns what settles through `sink`; undefined when `route` refused: then nothing was accepted
   * @throws BackpressureError, ConfigurationError
   */
  submit(
    request: CheckRequest,
    timeoutMs: number,
    sink: CheckSink,
    route: (check: PendingCheck) => boolean,
  ): PendingCheck | undefined {
    const now = this.#host.clock.now();
    this.#budget.onCheck(now);
    this.#host.onWork();
    if (this.deduplicating) return this.#submitShared(request, now, timeoutMs, sink, route);
    const check = this.book.accept(request, now, timeoutMs, sink);
    if (route(check)) return check;
    this.book.retract(check);
    return undefined;
  }

  /** The answer that is kept for a question asked alike before, at once; undefined where there is none: `submit`. */
  recall(request: CheckRequest): CheckResponse | undefined {
    // An id of the client's own making was never asked before.
    if (!this.deduplicating || request instanceof OwnRequest) return undefined;
    const { requestId } = request;
    const answer = this.dedup.recall(requestId, request);
    if (answer === undefined) return undefined;
    this.book.countRecalled();
    const { results, metadata } = answer;
    return metadata === undefined ? { requestId, results } : { requestId, results, metadata };
  }

  #submitShared(
    request: CheckRequest,
    now: number,
    timeoutMs: number,
    sink: CheckSink,
    route: (check: PendingCheck) => boolean,
  ): PendingCheck | undefined {
    const question = decisionKey(request);
    const known = this.dedup.ask(request.requestId, question);
    const waiter = this.book.acceptWaiter(request, now, timeoutMs, sink);
    if (known.kind === 'hit') {
      const answer = known.value;
      queueMicrotask(() => this.book.answer(waiter, { requestId: request.requestId, ...answer }));
      return waiter;
    }
    if (known.kind === 'join') {
      known.exchange.join(waiter);
      return waiter;
    }
    const exchange = new Exchange(this, request, question);
    try {
      const wire = exchange.begin(request, now, timeoutMs);
      exchange.join(waiter);
      if (route(wire)) return waiter;
    } catch (error) {
      this.book.retract(waiter);
      throw error;
    }
    this.book.retract(waiter);
    return undefined;
  }

  /** Onto one of the client's own streams, or into the queue. */
  readonly dispatch = (check: PendingCheck): boolean => {
    const connection = this.#pick();
    if (connection === undefined || !this.#send(connection, check)) {
      check.place = this;
      check.parkedAt = this.#host.clock.now();
      this.#waiting.push(check);
      this.#host.onShort();
    } else {
      this.acquired++;
    }
    return true;
  };

  /** A check to be asked again: at once the first time, later with full jitter, never past its deadline. */
  redispatch(check: PendingCheck): void {
    if (check.moves <= 1) {
      this.dispatch(check);
      return;
    }
    const { clock, random, retryDelayMs } = this.#host;
    check.place = this;
    const delayMs = Math.min(random() * retryDelayMs * 2 ** (check.moves - 2), check.deadlineAt - clock.now());
    const timer = clock.setTimeout(() => {
      this.#delayed.delete(check);
      this.dispatch(check);
    }, delayMs);
    this.#delayed.set(check, timer);
  }

  get isShort(): boolean {
    return this.#waiting.length > 0;
  }

  /** Unsettled checks that wait for a connection, and those that wait out a backoff. */
  get kept(): { readonly parked: number; readonly delayed: number } {
    let parked = 0;
    for (const check of this.#waiting) if (!check.settled) parked++;
    return { parked, delayed: this.#delayed.size };
  }

  /** A connection became usable: what waits goes out, in order. */
  flushWaiting(): void {
    const now = this.#host.clock.now();
    for (let count = this.#waiting.length; count > 0; count--) {
      const check = this.#waiting.shift();
      if (check === undefined || check.settled) continue;
      const connection = this.#pick();
      if (connection !== undefined && this.#send(connection, check)) {
        this.acquired++;
        this.acquireSumMs += now - check.parkedAt;
      } else {
        this.#waiting.push(check);
      }
    }
  }

  /** Forgets settled ones, and refuses those that waited for a connection longer than a served route should take. */
  sweepWaiting(isServed: boolean): void {
    const { clock, acquireTimeoutMs } = this.#host;
    const whyWaiting = (): string | undefined => this.#host.whyWaiting();
    for (let count = this.#waiting.length; count > 0; count--) {
      const check = this.#waiting.shift();
      if (check === undefined || check.settled) continue;
      if (isServed && clock.now() - check.parkedAt >= acquireTimeoutMs) {
        const { requestId, outcome } = check;
        this.book.fail(check, exhaustedError(acquireTimeoutMs, whyWaiting(), { requestId, outcome }));
      } else {
        this.#waiting.push(check);
      }
    }
  }

  /** In the queue, its entry is passed over when its turn comes. */
  forget(check: PendingCheck): void {
    const timer = this.#delayed.get(check);
    if (timer === undefined) return;
    this.#delayed.delete(check);
    this.#host.clock.clearTimeout(timer);
  }

  #send(connection: PoolConnection, check: PendingCheck): boolean {
    const lane = this.#pickLane(connection, check.acceptedAt);
    if (lane === undefined) return false;
    if (connection.inFlight === 0) {
      const idleMs = this.#host.clock.now() - connection.lastUsedAt;
      if (idleMs > connection.endpoint.keepAliveIntervalMs) connection.verify();
    }
    if (!lane.pipe.offer(check)) {
      this.book.fail(
        check,
        new BackpressureError('the outbox of every stream is full', lane.pipe.outbox.length, {
          requestId: check.requestId,
          outcome: check.outcome,
        }),
      );
      return true;
    }
    lane.wake();
    return true;
  }

  /** Not one on which every stream waits out a backoff, as long as there are others. */
  #pick(): PoolConnection | undefined {
    return this.#host.pickConnection(isAtWork) ?? this.#host.pickConnection(takesChecks);
  }

  #pickLane(connection: PoolConnection, now: number): CheckStream | undefined {
    const { lanes } = connection;
    let least: CheckStream | undefined;
    for (const lane of lanes) {
      if (lane.pipe.writing && !isSlow(lane, now)) return lane;
      if (least === undefined || rank(lane) < rank(least)) least = lane;
    }
    if (least === undefined) return this.#host.openLane(connection);
    // One that is opening will soon be written to, and the last free stream is left to handles, batches and health checks.
    const isFull = lanes.length >= MAX_LANES || !connection.endpoint.hasStreams || connection.freeStreams < 2;
    if (isFull || !isSlow(least, now)) return least;
    return this.#host.openLane(connection) ?? least;
  }
}

const takesChecks = (connection: PoolConnection): boolean => connection.takesChecks;
const isAtWork = (connection: PoolConnection): boolean => connection.takesChecks && !connection.isBackingOff;

function isSlow({ pipe }: CheckStream, now: number): boolean {
  const oldest = pipe.oldest();
  return oldest !== undefined && now - oldest.writtenAt >= SLOW_AGE_MS * Math.max(1, SLOW_DEPTH / pipe.owed);
}

/** A lane that writes, and owes least. */
function rank(lane: CheckStream): number {
  return lane.pipe.owed + (lane.pipe.writing ? 0 : 1_000_000);
}

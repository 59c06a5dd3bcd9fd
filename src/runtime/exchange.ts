import type { CheckBook } from '../data/check-book.js';
import { type PlainQuestion, plainQuestion } from '../data/decision-key.js';
import type { DedupCache } from '../data/dedup.js';
import type { CheckPlace, CheckSink, PendingCheck } from '../data/pending-check.js';
import { type AuthzClientError, StreamClosedError } from '../errors.js';
import type { CheckRequest, CheckResponse } from '../types.js';

/** The answer that is shared between those who asked the same. */
export type SharedAnswer = Pick<CheckResponse, 'results' | 'metadata'>;

/** What an exchange needs of the desk. */
export interface ExchangeDesk {
  readonly book: CheckBook;
  readonly dedup: DedupCache<Exchange, SharedAnswer>;
  /** Puts a check on the client's own streams. */
  dispatch(check: PendingCheck): void;
}

/** One question on the wire and everyone who waits for it. Each waiter keeps its own deadline and signal; it lives until the last has left. */
export class Exchange implements CheckSink, CheckPlace {
  readonly #desk: ExchangeDesk;
  readonly #requestId: string;
  readonly #question: string;
  readonly #plain: PlainQuestion | undefined;
  readonly #waiters = new Set<PendingCheck>();
  #wire: PendingCheck | undefined;

  constructor(desk: ExchangeDesk, request: CheckRequest, question: string) {
    this.#desk = desk;
    this.#requestId = request.requestId;
    this.#question = question;
    this.#plain = plainQuestion(request);
  }

  get outcome(): 'notSent' | 'unknown' {
    return this.#wire?.outcome ?? 'unknown';
  }

  /** Accepts the exchange that goes to the wire. */
  begin(request: CheckRequest, now: number, timeoutMs: number): PendingCheck {
    return this.#begin(this.#desk.book.accept(request, now, timeoutMs, this, false));
  }

  #begin(wire: PendingCheck): PendingCheck {
    this.#wire = wire;
    this.#desk.dedup.begin(this.#requestId, this.#question, this);
    return wire;
  }

  join(waiter: PendingCheck): void {
    waiter.place = this;
    this.#waiters.add(waiter);
    const wire = this.#wire;
    if (wire !== undefined && waiter.deadlineAt > wire.deadlineAt) {
      this.#desk.book.setDeadline(wire, waiter.deadlineAt);
    }
  }

  /** A waiter settles otherwise. */
  forget(waiter: PendingCheck): void {
    this.#waiters.delete(waiter);
    const wire = this.#wire;
    if (wire === undefined) return;
    if (this.#waiters.size > 0) {
      // Not to be written when only those are left whose time is up.
      if (waiter.deadlineAt === wire.deadlineAt)
        this.#desk.book.setDeadline(wire, this.#latestDeadline(wire.deadlineAt));
      return;
    }
    this.#wire = undefined;
    this.#desk.dedup.abandoned(this.#requestId, this);
    this.#desk.book.retract(wire);
  }

  answered(_wire: PendingCheck, response: CheckResponse): void {
    this.#wire = undefined;
    const { results, metadata } = response;
    const shared: SharedAnswer = metadata === undefined ? { results } : { results, metadata };
    this.#desk.dedup.answered(this.#requestId, this.#question, this, shared, this.#plain);
    for (const waiter of this.#takeWaiters())
      this.#desk.book.answer(waiter, { requestId: waiter.requestId, ...shared });
  }

  failed(wire: PendingCheck, error: AuthzClientError): void {
    this.#wire = undefined;
    this.#desk.dedup.abandoned(this.#requestId, this);
    const isOrphaned = error instanceof StreamClosedError && this.#waiters.size > 0;
    if (isOrphaned) {
      // The handle it rode on was closed under it; the others still wait.
      this.#desk.dispatch(this.#begin(this.#desk.book.renew(wire)));
      return;
    }
    for (const waiter of this.#takeWaiters()) {
      waiter.written = wire.written;
      this.#desk.book.fail(waiter, error);
    }
  }

  /** Of the waiters', none of which is beyond `limit`. */
  #latestDeadline(limit: number): number {
    let latest = -Infinity;
    for (const { deadlineAt } of this.#waiters) {
      latest = Math.max(latest, deadlineAt);
      if (latest === limit) break;
    }
    return latest;
  }

  #takeWaiters(): PendingCheck[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.place = null;
    return waiters;
  }
}

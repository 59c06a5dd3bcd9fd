/** Answers a repeated request id from memory, or joins it to its twin in flight, when it asks the very same question. */

import { createRequire } from 'node:module';
import type { LRUMapWithDelete } from 'mnemonist';
import type { Clock } from '../core/clock.js';
import { RenewedMap } from '../core/renewed-map.js';
import type { DeduplicationStats } from '../types.js';
import { isAskedAlike, type PlainQuestion, type Question } from './decision-key.js';

export interface DedupOptions {
  /** Answers kept; the one unused longest makes room. At least 1. */
  readonly capacity: number;
  /** How long an answer is good, milliseconds from when it came. */
  readonly ttlMs: number;
  readonly clock: Clock;
}

/**
 * `hit`: here is the answer · `join`: the same question is in flight as `exchange` · `lead`: go to the wire and `begin` · `conflict`: the id
 * is known for another question; go to the wire and `begin`, nothing will be kept of it.
 */
export type DedupVerdict<X, V> =
  | { readonly kind: 'hit'; readonly value: V }
  | { readonly kind: 'join'; readonly exchange: X }
  | { readonly kind: 'lead' }
  | { readonly kind: 'conflict' };

interface CachedAnswer<V> {
  readonly question: string;
  readonly plain: PlainQuestion | undefined;
  readonly value: V;
  readonly expiresAtMs: number;
}

interface Flight<X> {
  readonly question: string;
  readonly exchange: X;
  /** The cache was cleared this often when the flight began. */
  readonly epoch: number;
}

/** What is in flight under one id. */
interface Flights<X> {
  readonly list: Flight<X>[];
  /** Two questions met under this id: nothing is kept until the last of them has ended. */
  isPoisoned: boolean;
}

const LEAD = { kind: 'lead' } as const;
const CONFLICT = { kind: 'conflict' } as const;

// Only the one structure is loaded, and only when a cache is made: the package's ES entry brings in all of them.
const require = createRequire(import.meta.url);

function createLru<K, V>(capacity: number): LRUMapWithDelete<K, V> {
  const Lru = require('mnemonist/lru-map-with-delete.js') as typeof LRUMapWithDelete;
  return new Lru<K, V>(capacity);
}

/**
 * `X` is the caller's exchange in flight, `V` the answer. A question is its {@link decisionKey}. What is in flight is bounded by the
 * caller's admission, since each `begin` ends in `answered` or `abandoned`.
 */
export class DedupCache<X, V> {
  readonly #capacity: number;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  #answers: LRUMapWithDelete<string, CachedAnswer<V>>;
  readonly #flights = new RenewedMap<string, Flights<X>>();
  /** Ids whose answer a conflict evicted and whose new question has not begun yet. */
  readonly #conflictsToBegin = new Set<string>();
  #epoch = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;
  #joined = 0;
  #conflicts = 0;

  constructor(options: DedupOptions) {
    this.#capacity = options.capacity;
    this.#ttlMs = options.ttlMs;
    this.#clock = options.clock;
    this.#answers = createLru(options.capacity);
  }

  /** What `ask` would give as a hit, for a question that was asked alike before: it needs no key. Undefined says nothing: `ask`. */
  recall(requestId: string, question: Question): V | undefined {
    if (this.#flights.size > 0 && this.#flights.get(requestId) !== undefined) return undefined;
    const cached = this.#answers.get(requestId);
    if (cached?.plain === undefined || !isAskedAlike(cached.plain, question)) return undefined;
    if (cached.expiresAtMs <= this.#clock.now()) return undefined;
    this.#hits += 1;
    return cached.value;
  }

  ask(requestId: string, question: string): DedupVerdict<X, V> {
    const flights = this.#flights.size === 0 ? undefined : this.#flights.get(requestId);
    if (flights !== undefined) return this.#askInFlight(flights, requestId, question);
    const cached = this.#answers.get(requestId);
    if (cached === undefined || cached.expiresAtMs <= this.#clock.now()) {
      this.#conflictsToBegin.delete(requestId);
      this.#misses += 1;
      return LEAD;
    }
    if (cached.question === question) {
      this.#hits += 1;
      return { kind: 'hit', value: cached.value };
    }
    this.#conflicts += 1;
    this.#evict(requestId);
    this.#markConflict(requestId);
    return CONFLICT;
  }

  #askInFlight(flights: Flights<X>, requestId: string, question: string): DedupVerdict<X, V> {
    let isConflict = false;
    for (const flight of flights.list) {
      if (flight.question !== question) {
        isConflict = true;
      } else if (flight.epoch === this.#epoch) {
        this.#joined += 1;
        return { kind: 'join', exchange: flight.exchange };
      }
    }
    if (!isConflict) {
      // Its twin set out before the cache was cleared: that answer may be of the old policies.
      this.#misses += 1;
      return LEAD;
    }
    this.#conflicts += 1;
    this.#poison(flights, requestId);
    return CONFLICT;
  }

  /** The exchange goes to the wire. To be called after `lead` or `conflict`, and not for one that is refused. */
  begin(requestId: string, question: string, exchange: X): void {
    const flight = { question, exchange, epoch: this.#epoch };
    let isConflict = this.#conflictsToBegin.size > 0 && this.#conflictsToBegin.delete(requestId);
    // Things may have changed since `ask`, so what is known now counts too.
    isConflict ||= (this.#answers.peek(requestId)?.question ?? question) !== question;
    let flights = this.#flights.get(requestId);
    if (flights === undefined) {
      flights = { list: [flight], isPoisoned: false };
      this.#flights.set(requestId, flights);
    } else {
      isConflict ||= flights.list.some((other) => other.question !== question);
      flights.list.push(flight);
    }
    if (isConflict) this.#poison(flights, requestId);
  }

  /** The exchange was answered: kept, unless its id is in conflict or the cache was cleared since it began. Errors are `abandoned`. */
  answered(requestId: string, question: string, exchange: X, value: V, plain?: PlainQuestion): void {
    const flights = this.#flights.get(requestId);
    const flight = this.#end(flights, requestId, exchange);
    if (flights === undefined || flight === undefined) return;
    if (flights.isPoisoned || flight.epoch !== this.#epoch || flight.question !== question) return;
    const pushedOut = this.#answers.setpop(requestId, {
      question,
      plain,
      value,
      expiresAtMs: this.#clock.now() + this.#ttlMs,
    });
    if (pushedOut?.evicted === true) this.#evictions += 1;
  }

  /** The exchange ended without an answer to keep: an error, or its last waiter left. */
  abandoned(requestId: string, exchange: X): void {
    this.#end(this.#flights.get(requestId), requestId, exchange);
  }

  /** Whether an answer is kept under this id. */
  has(requestId: string): boolean {
    return this.#fresh(requestId) !== undefined;
  }

  /** The answer kept under this id, without making it more recently used; null when there is none, or the id is in conflict. */
  get(requestId: string): V | null {
    const cached = this.#fresh(requestId);
    return cached === undefined ? null : cached.value;
  }

  /** Forgets every answer; what is in flight will not be kept, nor joined any more. The counters stay. */
  clear(): void {
    // A new one, because the structure's own `clear` would keep its values alive.
    this.#answers = createLru(this.#capacity);
    this.#conflictsToBegin.clear();
    this.#epoch += 1;
  }

  /** Questions that were spared the wire so far: answered from memory, or by joining a twin in flight. */
  get spared(): number {
    return this.#hits + this.#joined;
  }

  /** `evictions` counts answers that made room for others or went in a conflict, not those that were cleared or grew old. */
  stats(): DeduplicationStats {
    const nowMs = this.#clock.now();
    for (const [requestId, cached] of [...this.#answers.entries()]) {
      if (cached.expiresAtMs <= nowMs) this.#answers.delete(requestId);
    }
    return {
      size: this.#answers.size,
      capacity: this.#capacity,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      joined: this.#joined,
      conflicts: this.#conflicts,
    };
  }

  #fresh(requestId: string): CachedAnswer<V> | undefined {
    const cached = this.#answers.peek(requestId);
    return cached === undefined || cached.expiresAtMs <= this.#clock.now() ? undefined : cached;
  }

  #poison(flights: Flights<X>, requestId: string): void {
    flights.isPoisoned = true;
    this.#evict(requestId);
  }

  #evict(requestId: string): void {
    if (this.#answers.delete(requestId)) this.#evictions += 1;
  }

  /** An id that is refused after `ask` never begins; the oldest of these marks makes room. */
  #markConflict(requestId: string): void {
    this.#conflictsToBegin.add(requestId);
    if (this.#conflictsToBegin.size <= this.#capacity) return;
    for (const oldest of this.#conflictsToBegin) {
      this.#conflictsToBegin.delete(oldest);
      break;
    }
  }

  #end(flights: Flights<X> | undefined, requestId: string, exchange: X): Flight<X> | undefined {
    if (flights === undefined) return undefined;
    const index = flights.list.findIndex((flight) => flight.exchange === exchange);
    if (index < 0) return undefined;
    const [flight] = flights.list.splice(index, 1);
    if (flights.list.length === 0) this.#flights.delete(requestId);
    return flight;
  }
}

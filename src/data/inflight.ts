/** Correlates answers with the requests written to one call. */

import type { WireId } from '../codec/wire-id.js';

/** How many ids of settled requests are remembered, to tell a second answer from an unknown one. */
const RECENTLY_SETTLED = 256;

/** As many as may be in flight on one call: all of them may expire at once and be answered late. */
const MIN_TOMBSTONES = 10_000;

/**
 * The requests that were written and are owed an answer, by the id on the wire, in write order. An id whose request was given up
 * stays behind as a tombstone, so that its late answer is known for what it is.
 */
export class InflightTable<T extends { readonly wireId: WireId }> {
  readonly #live = new Map<WireId, T>();
  readonly #minTombstones: number;
  /** Two generations, the older dropped whole: taking the oldest out of one large set, again and again, gets slow. */
  #tombstones = new Set<WireId>();
  #olderTombstones = new Set<WireId>();
  /** A plain ring, searched only for an answer that nobody waits for: settling must stay cheap. */
  readonly #settled = new Array<WireId | undefined>(RECENTLY_SETTLED).fill(undefined);
  #settledNext = 0;

  /** @param minTombstones the youngest that are kept; there are never more than twice that */
  constructor(minTombstones = MIN_TOMBSTONES) {
    this.#minTombstones = minTombstones;
  }

  /** Requests owed an answer. Tombstones do not count. */
  get size(): number {
    return this.#live.size;
  }

  /**
   * False, and the item not entered, when the id is taken: an answer that may be another question's must not settle this one. It is then
   * left to its deadline; ids should be chosen so that this does not happen.
   */
  add(item: T): boolean {
    // An id that is made once cannot be taken.
    if (typeof item.wireId === 'string' && this.#isTaken(item.wireId)) return false;
    this.#live.set(item.wireId, item);
    return true;
  }

  /** The answer came: removes the request and gives it. Undefined when nobody waits under this id; see then {@link isTombstone}. */
  take(wireId: WireId): T | undefined {
    const item = this.#live.get(wireId);
    if (item === undefined) return undefined;
    this.#live.delete(wireId);
    this.#settled[this.#settledNext] = wireId;
    this.#settledNext = (this.#settledNext + 1) % RECENTLY_SETTLED;
    return item;
  }

  /** Whether the id's request was given up. Says so once: the late answer has then come. */
  isTombstone(wireId: WireId): boolean {
    return this.#tombstones.delete(wireId) || this.#olderTombstones.delete(wireId);
  }

  /** The request expired or was cancelled: removes it and leaves a tombstone. False when it is not in the table. */
  abandon(item: T): boolean {
    if (this.#live.get(item.wireId) !== item) return false;
    this.#live.delete(item.wireId);
    if (this.#tombstones.size >= this.#minTombstones) {
      this.#olderTombstones = this.#tombstones;
      this.#tombstones = new Set();
    }
    this.#tombstones.add(item.wireId);
    return true;
  }

  /** Whether a request with this id was settled a short while ago (among the last 256), so that another answer is a duplicate. */
  recentlySettled(wireId: WireId): boolean {
    return this.#settled.includes(wireId);
  }

  /** The request that has waited longest since it was written. */
  oldest(): T | undefined {
    return this.#live.values().next().value;
  }

  /** The call is dead: takes everything out, in write order, and forgets the tombstones. */
  drain(): T[] {
    const items = [...this.#live.values()];
    this.#live.clear();
    this.#tombstones.clear();
    this.#olderTombstones.clear();
    this.#settled.fill(undefined);
    return items;
  }

  /** An answer with this id may still come for an earlier request. */
  #isTaken(wireId: WireId): boolean {
    return this.#live.has(wireId) || this.#tombstones.has(wireId) || this.#olderTombstones.has(wireId);
  }
}

/** Correlates answers with the requests written to one call. */

import type { WireId } from '../codec/wire-id.js';
import { RenewedMap } from '../core/renewed-map.js';

/** How many ids of settled requests are remembered, to tell a second answer from an unknown one. */
const RECENTLY_SETTLED = 256;

/** As many as may be in flight on one call: all of them may expire at once and be answered late. */
const MIN_TOMBSTONES = 10_000;

/** Places for numbers at first, a power of two; doubled while half of them are taken. */
const MIN_PLACES = 64;

/** What is in the table carries its own links, so adding it allocates nothing. Start with null and leave both to the table. */
export interface InflightEntry {
  readonly wireId: WireId;
  inflightNext: InflightEntry | null;
  inflightPrevious: InflightEntry | null;
}

/**
 * The requests that were written and are owed an answer, by the id on the wire, in write order. An id whose request was given up
 * stays behind as a tombstone, so that its late answer is known for what it is.
 */
export class InflightTable<T extends InflightEntry> {
  /** In write order. */
  #oldest: T | null = null;
  #youngest: T | null = null;
  #size = 0;
  /** Those with a number, at the place that its low bits give. Numbers are made one after the other, so they seldom meet. */
  #numbered = new Array<T | undefined>(MIN_PLACES).fill(undefined);
  /** Those with a text, and those whose place a younger one has taken. */
  readonly #others = new RenewedMap<WireId, T>();
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
    return this.#size;
  }

  /**
   * False, and the item not entered, when the id is taken: an answer that may be another question's must not settle this one. It is then
   * left to its deadline; ids should be chosen so that this does not happen.
   */
  add(item: T): boolean {
    const { wireId } = item;
    if (typeof wireId === 'number') {
      this.#enterNumber(wireId, item);
    } else {
      if (this.#isTaken(wireId)) return false;
      this.#others.set(wireId, item);
    }
    this.#link(item);
    return true;
  }

  /** The answer came: removes the request and gives it. Undefined when nobody waits under this id; see then {@link isTombstone}. */
  take(wireId: WireId): T | undefined {
    const item = this.#find(wireId);
    if (item === undefined) return undefined;
    this.#remove(item);
    this.#settled[this.#settledNext] = wireId;
    this.#settledNext = (this.#settledNext + 1) % RECENTLY_SETTLED;
    return item;
  }

  /** The request with this id that is owed an answer. */
  get(wireId: WireId): T | undefined {
    return this.#find(wireId);
  }

  /** Whether the id's request was given up. Says so once: the late answer has then come. */
  isTombstone(wireId: WireId): boolean {
    return this.#tombstones.delete(wireId) || this.#olderTombstones.delete(wireId);
  }

  /** The request expired or was cancelled: removes it and leaves a tombstone. False when it is not in the table. */
  abandon(item: T): boolean {
    if (this.#find(item.wireId) !== item) return false;
    this.#remove(item);
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

  /** The only request that an answer can still come for, late ones included. */
  get sole(): T | undefined {
    const late = this.#tombstones.size + this.#olderTombstones.size;
    return this.#size + late === 1 ? this.oldest() : undefined;
  }

  /** The request that has waited longest since it was written. */
  oldest(): T | undefined {
    return this.#oldest ?? undefined;
  }

  /** The call is dead: takes everything out, in write order, and forgets the tombstones. */
  drain(): T[] {
    const items: T[] = [];
    for (let item = this.#oldest; item !== null; item = this.#oldest) {
      items.push(item);
      this.#remove(item);
    }
    this.#tombstones.clear();
    this.#olderTombstones.clear();
    this.#settled.fill(undefined);
    return items;
  }

  /** An answer with this id may still come for an earlier request. */
  #isTaken(wireId: string): boolean {
    return this.#others.has(wireId) || this.#tombstones.has(wireId) || this.#olderTombstones.has(wireId);
  }

  #find(wireId: WireId): T | undefined {
    if (typeof wireId === 'number') {
      const item = this.#numbered[wireId & (this.#numbered.length - 1)];
      if (item?.wireId === wireId) return item;
    }
    return this.#others.size === 0 ? undefined : this.#others.get(wireId);
  }

  #enterNumber(wireId: number, item: T): void {
    while (this.#size * 2 >= this.#numbered.length) this.#grow();
    const place = wireId & (this.#numbered.length - 1);
    const slow = this.#numbered[place];
    if (slow !== undefined) this.#others.set(slow.wireId, slow);
    this.#numbered[place] = item;
  }

  #grow(): void {
    const settled = this.#numbered;
    this.#numbered = new Array<T | undefined>(settled.length * 2).fill(undefined);
    for (const item of settled) {
      if (item !== undefined) this.#numbered[(item.wireId as number) & (this.#numbered.length - 1)] = item;
    }
  }

  #remove(item: T): void {
    const { wireId } = item;
    const place = typeof wireId === 'number' ? wireId & (this.#numbered.length - 1) : -1;
    if (place !== -1 && this.#numbered[place] === item) this.#numbered[place] = undefined;
    else this.#others.delete(wireId);
    this.#unlink(item);
  }

  #link(item: T): void {
    const previous = this.#youngest;
    item.inflightPrevious = previous;
    if (previous === null) this.#oldest = item;
    else previous.inflightNext = item;
    this.#youngest = item;
    this.#size += 1;
  }

  #unlink(item: T): void {
    // Only entries of this table's own type are ever linked.
    const next = item.inflightNext as T | null;
    const previous = item.inflightPrevious as T | null;
    if (previous === null) this.#oldest = next;
    else previous.inflightNext = next;
    if (next === null) this.#youngest = previous;
    else next.inflightPrevious = previous;
    item.inflightNext = null;
    item.inflightPrevious = null;
    this.#size -= 1;
  }
}

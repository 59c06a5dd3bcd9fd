/** The bounded queue between what was accepted and what the wire has taken. */

import { RingBuffer } from '../core/ring-buffer.js';

export interface OutboxLimits {
  /** Length at which `isHigh` is set. */
  readonly highWaterMark: number;
  /** Length down to which `isHigh` is cleared. Below `highWaterMark`. */
  readonly lowWaterMark: number;
  /** Items held at most. */
  readonly maxBufferSize: number;
  /** Bytes held at most. */
  readonly maxBufferBytes: number;
}

export interface OutboxItem {
  readonly byteLength: number;
  /** Kept by the outbox: true while the item is in it. */
  queued: boolean;
}

/** Called after the change, with the outbox consistent: both may offer and take. */
export interface OutboxEdges {
  onHighWater(): void;
  onLowWater(): void;
}

/** Removed items stay in the ring as holes until there are more of them than of the living, and at least this many. */
const MIN_HOLES = 32;
/** Nor may holes keep more memory alive than the living do, and at least this much. */
const MIN_HOLE_BYTES = 65_536;

export class Outbox<T extends OutboxItem> {
  readonly limits: OutboxLimits;
  readonly #edges: OutboxEdges;
  readonly #ring = new RingBuffer<T>();
  /** Removed items whose slots are still in the ring. */
  readonly #holes = new Set<T>();
  #holeBytes = 0;
  #length = 0;
  #bytes = 0;
  #isHigh = false;
  #peakLength = 0;

  constructor(limits: OutboxLimits, edges: OutboxEdges) {
    this.limits = limits;
    this.#edges = edges;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Set at the high water mark, cleared at the low one. */
  get isHigh(): boolean {
    return this.#isHigh;
  }

  /** The greatest length so far. */
  get peakLength(): number {
    return this.#peakLength;
  }

  /** False, and the item not taken, when it would exceed a bound or is queued already. */
  offer(item: T): boolean {
    if (item.queued || this.#length >= this.limits.maxBufferSize) return false;
    if (this.#bytes + item.byteLength > this.limits.maxBufferBytes) return false;
    // Its old slot would be taken for the new one.
    if (this.#holes.size > 0 && this.#holes.has(item)) this.#compact();
    item.queued = true;
    this.#ring.push(item);
    this.#length += 1;
    this.#bytes += item.byteLength;
    if (this.#length > this.#peakLength) this.#peakLength = this.#length;
    if (!this.#isHigh && this.#length >= this.limits.highWaterMark) {
      this.#isHigh = true;
      this.#edges.onHighWater();
    }
    return true;
  }

  /** The item that `take` would give. */
  peek(): T | undefined {
    if (this.#holes.size > 0) this.#dropLeadingHoles();
    return this.#ring.peek();
  }

  take(): T | undefined {
    if (this.#holes.size > 0) this.#dropLeadingHoles();
    const item = this.#ring.shift();
    if (item !== undefined) this.#release(item);
    return item;
  }

  /** Takes an expired or cancelled item out, wherever it stands. False when it is not queued. */
  remove(item: T): boolean {
    if (!item.queued) return false;
    this.#holes.add(item);
    this.#holeBytes += item.byteLength;
    if (
      this.#holes.size > Math.max(this.#length - 1, MIN_HOLES) ||
      this.#holeBytes > Math.max(this.#bytes - item.byteLength, MIN_HOLE_BYTES)
    ) {
      this.#compact();
    }
    this.#release(item);
    return true;
  }

  /** Takes everything out, first to last. */
  drain(): T[] {
    const items: T[] = [];
    for (const item of this.#ring) {
      if (this.#holes.has(item)) continue;
      item.queued = false;
      items.push(item);
    }
    this.#ring.clear();
    this.#holes.clear();
    this.#holeBytes = 0;
    this.#length = 0;
    this.#bytes = 0;
    this.#checkLowWater();
    return items;
  }

  #release(item: T): void {
    item.queued = false;
    this.#length -= 1;
    this.#bytes -= item.byteLength;
    this.#checkLowWater();
  }

  #checkLowWater(): void {
    if (!this.#isHigh || this.#length > this.limits.lowWaterMark) return;
    this.#isHigh = false;
    this.#edges.onLowWater();
  }

  #dropLeadingHoles(): void {
    for (let item = this.#ring.peek(); item !== undefined && this.#holes.has(item); item = this.#ring.peek()) {
      this.#ring.shift();
      this.#holes.delete(item);
      this.#holeBytes -= item.byteLength;
    }
  }

  #compact(): void {
    for (let left = this.#ring.length; left > 0; left -= 1) {
      const item = this.#ring.shift();
      if (item !== undefined && !this.#holes.has(item)) this.#ring.push(item);
    }
    this.#holes.clear();
    this.#holeBytes = 0;
  }
}

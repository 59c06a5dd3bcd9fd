/** Deadlines for many short-lived entries on one timer: adding and removing cost a few pointer writes. */

import type { Clock, TimerHandle } from './clock.js';

/**
 * What sits on the wheel. The entry carries its own links, so adding it allocates nothing. Start with `wheelSlot: -1` and null links
 * and leave the three to the wheel; `deadlineAt` (on the scale of `Clock.now`, ms) must not change while the entry is on it.
 */
export interface WheelEntry {
  deadlineAt: number;
  wheelNext: WheelEntry | null;
  wheelPrevious: WheelEntry | null;
  wheelSlot: number;
}

export interface DeadlineWheelOptions {
  /** How late an entry may expire, ms. Default 8. */
  readonly resolutionMs?: number;
  /** A power of two. Default 1024, so that one turn of the wheel is 8.2 s. Later deadlines wait several turns in their slot. */
  readonly slots?: number;
}

const ABSENT = -1;
/** Part of a tick by which the clock may miss a tick's time through rounding; else the timer would be set again for no time at all. */
const ROUNDING = 1e-6;

/**
 * A hashed timing wheel. Entries expire at or after `deadlineAt`, never before and never inside `add`. One timer of the clock is set
 * while the wheel holds an entry, to the next slot that holds one.
 */
export class DeadlineWheel<T extends WheelEntry> {
  readonly #clock: Clock;
  readonly #onExpired: (entry: T) => void;
  readonly #resolutionMs: number;
  readonly #slots: number;
  /** One list a slot, and last the list of the entries whose slots have come up. */
  readonly #heads: (T | null)[];
  readonly #tails: (T | null)[];
  readonly #originMs: number;
  /** Ticks are counted from the origin; all up to this one have been looked at. */
  #lastTick = 0;
  #armedTick = Infinity;
  #timer: TimerHandle = undefined;
  #size = 0;
  #isExpiring = false;
  readonly #onTimer = (): void => {
    this.#expire();
  };

  /** Throws a RangeError for a `slots` that is not a power of two or a `resolutionMs` that is not positive. */
  constructor(clock: Clock, onExpired: (entry: T) => void, options: DeadlineWheelOptions = {}) {
    const { resolutionMs = 8, slots = 1024 } = options;
    if (!Number.isInteger(slots) || slots < 2 || (slots & (slots - 1)) !== 0) {
      throw new RangeError(`slots must be a power of two, got ${slots}`);
    }
    if (!(resolutionMs > 0)) throw new RangeError(`resolutionMs must be positive, got ${resolutionMs}`);
    this.#clock = clock;
    this.#onExpired = onExpired;
    this.#resolutionMs = resolutionMs;
    this.#slots = slots;
    this.#heads = new Array<T | null>(slots + 1).fill(null);
    this.#tails = new Array<T | null>(slots + 1).fill(null);
    this.#originMs = clock.now();
  }

  get size(): number {
    return this.#size;
  }

  /** Throws an Error when the entry is on a wheel already. */
  add(entry: T): void {
    if (entry.wheelSlot !== ABSENT) throw new Error('the entry is on a wheel already');
    // An empty wheel has not been ticking.
    if (this.#size === 0 && !this.#isExpiring) this.#lastTick = this.#currentTick();
    this.#size += 1;
    const tick = this.#place(entry);
    if (tick < this.#armedTick && !this.#isExpiring) this.#arm(tick);
  }

  /** Does nothing when the entry is not on the wheel (any more). */
  remove(entry: T): void {
    if (entry.wheelSlot === ABSENT) return;
    this.#unlink(entry);
    this.#size -= 1;
    if (this.#size === 0 && !this.#isExpiring) this.#disarm();
  }

  /** What is on it, in no promised order. */
  entries(): T[] {
    const entries: T[] = [];
    if (this.#size === 0) return entries;
    for (const head of this.#heads) {
      for (let entry = head; entry !== null; entry = entry.wheelNext as T | null) entries.push(entry);
    }
    return entries;
  }

  /** Takes every entry off without expiring it, and clears the timer. The wheel can be used again. */
  stop(): void {
    this.#disarm();
    for (let slot = 0; slot <= this.#slots; slot += 1) {
      for (let entry = this.#heads[slot] ?? null; entry !== null; entry = this.#heads[slot] ?? null)
        this.#unlink(entry);
    }
    this.#size = 0;
  }

  #currentTick(): number {
    return Math.floor((this.#clock.now() - this.#originMs) / this.#resolutionMs + ROUNDING);
  }

  /** Gives the tick at which the slot will be looked at first. */
  #place(entry: T): number {
    const wanted = Math.ceil((entry.deadlineAt - this.#originMs) / this.#resolutionMs);
    // Past deadlines go to the next tick; an endless (or not a number) one is looked at once a turn or at once.
    const tick = wanted > this.#lastTick ? Math.min(wanted, Number.MAX_SAFE_INTEGER) : this.#lastTick + 1;
    this.#append(entry, tick & (this.#slots - 1));
    return tick;
  }

  #arm(tick: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#armedTick = tick;
    const inMs = this.#originMs + tick * this.#resolutionMs - this.#clock.now();
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.max(inMs, 0));
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedTick = Infinity;
  }

  #expire(): void {
    this.#timer = undefined;
    this.#armedTick = Infinity;
    const nowMs = this.#clock.now();
    this.#gather(this.#currentTick());
    this.#isExpiring = true;
    let thrown: { readonly error: unknown } | undefined;
    const dueList = this.#slots;
    // Callbacks may add and remove any entry, so the list is taken from its head until nothing is left.
    for (let entry = this.#heads[dueList] ?? null; entry !== null; entry = this.#heads[dueList] ?? null) {
      this.#unlink(entry);
      if (entry.deadlineAt > nowMs) {
        this.#place(entry);
        continue;
      }
      this.#size -= 1;
      try {
        this.#onExpired(entry);
      } catch (error) {
        // One callback's fault must not leave the others waiting for ever.
        thrown ??= { error };
      }
    }
    this.#isExpiring = false;
    this.#armNext();
    if (thrown !== undefined) throw thrown.error;
  }

  /** Moves the entries of all slots up to `tick` onto the due list. */
  #gather(tick: number): void {
    const steps = Math.min(tick - this.#lastTick, this.#slots);
    for (let step = 1; step <= steps; step += 1) {
      const slot = (this.#lastTick + step) & (this.#slots - 1);
      for (let entry = this.#heads[slot] ?? null; entry !== null; entry = this.#heads[slot] ?? null) {
        this.#unlink(entry);
        this.#append(entry, this.#slots);
      }
    }
    if (tick > this.#lastTick) this.#lastTick = tick;
  }

  #armNext(): void {
    if (this.#size === 0) return;
    for (let tick = this.#lastTick + 1; tick <= this.#lastTick + this.#slots; tick += 1) {
      if (this.#heads[tick & (this.#slots - 1)] !== null) {
        this.#arm(tick);
        return;
      }
    }
  }

  #append(entry: T, slot: number): void {
    const tail = this.#tails[slot] ?? null;
    entry.wheelSlot = slot;
    entry.wheelPrevious = tail;
    entry.wheelNext = null;
    if (tail === null) this.#heads[slot] = entry;
    else tail.wheelNext = entry;
    this.#tails[slot] = entry;
  }

  #unlink(entry: T): void {
    // Only entries of this wheel's own type are ever linked.
    const next = entry.wheelNext as T | null;
    const previous = entry.wheelPrevious as T | null;
    if (previous === null) this.#heads[entry.wheelSlot] = next;
    else previous.wheelNext = next;
    if (next === null) this.#tails[entry.wheelSlot] = previous;
    else next.wheelPrevious = previous;
    entry.wheelSlot = ABSENT;
    entry.wheelNext = null;
    entry.wheelPrevious = null;
  }
}

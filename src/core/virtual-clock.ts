/**
 * Time that moves only when told. It steps from deadline to deadline, so a timer that a timer sets fires at its own time within one
 * `advance`, as often as it falls due.
 */

import type { Clock, TimerHandle } from './clock.js';
import { RingBuffer } from './ring-buffer.js';

/** More callbacks than this at one instant are a loop that time cannot get past. */
const MAX_CALLBACKS_PER_INSTANT = 1_000_000;

class VirtualTimer {
  readonly deadlineMs: number;
  readonly sequence: number;
  fn: (() => void) | undefined;

  constructor(deadlineMs: number, sequence: number, fn: () => void) {
    this.deadlineMs = deadlineMs;
    this.sequence = sequence;
    this.fn = fn;
  }
}

function isBefore(a: VirtualTimer, b: VirtualTimer): boolean {
  return a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.sequence < b.sequence);
}

export class VirtualClock implements Clock {
  #nowMs: number;
  #sequence = 0;
  /** A binary heap; cancelled timers stay in it, without their function, until they come to the top. */
  readonly #heap: VirtualTimer[] = [];
  #pending = 0;
  readonly #soon = new RingBuffer<() => void>();
  #advancing = false;
  #callbacksThisInstant = 0;

  /** `startMs`: what `now()` says at first. Default 0. */
  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  readonly now = (): number => this.#nowMs;

  /** Timers set and neither fired nor cleared. */
  get pendingTimers(): number {
    return this.#pending;
  }

  /** `soon` callbacks that have not run. */
  get pendingSoon(): number {
    return this.#soon.length;
  }

  /** `timeoutMs` below 0 or NaN counts as 0; `Infinity` never fires. */
  readonly setTimeout = (fn: () => void, timeoutMs: number): TimerHandle => {
    if (timeoutMs === Infinity) return undefined;
    const timer = new VirtualTimer(this.#nowMs + (timeoutMs > 0 ? timeoutMs : 0), this.#sequence, fn);
    this.#sequence += 1;
    this.#pending += 1;
    this.#insert(timer);
    return timer;
  };

  readonly clearTimeout = (handle: TimerHandle): void => {
    if (!(handle instanceof VirtualTimer) || handle.fn === undefined) return;
    handle.fn = undefined;
    this.#pending -= 1;
  };

  readonly soon = (fn: () => void): void => {
    this.#soon.push(fn);
  };

  /** When the next timer falls due, on the scale of `now()`. */
  nextDeadline(): number | undefined {
    return this.#top()?.deadlineMs;
  }

  /** Runs the `soon` callbacks, and those that they add, in order. Time stands still. */
  runSoon(): void {
    for (let fn = this.#soon.shift(); fn !== undefined; fn = this.#soon.shift()) {
      this.#countCallback();
      fn();
    }
  }

  /** Moves time on by `ms`. Throws what a callback throws, at the time it had come to. */
  advance(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  /** Moves time on to `targetMs`, firing what falls due on the way. A time in the past moves nothing back. */
  advanceTo(targetMs: number): void {
    this.#begin();
    try {
      this.runSoon();
      while (this.#fireNext(targetMs)) this.runSoon();
      this.#moveTo(targetMs);
    } finally {
      this.#advancing = false;
    }
  }

  /** As {@link advance}, and lets every promise reaction run to its end after each callback. */
  async advanceAsync(ms: number): Promise<void> {
    const targetMs = this.#nowMs + ms;
    this.#begin();
    try {
      await this.#settle();
      while (this.#fireNext(targetMs)) await this.#settle();
      this.#moveTo(targetMs);
    } finally {
      this.#advancing = false;
    }
  }

  /**
   * As when the event loop stands still: `ms` pass and nothing fires. What fell due meanwhile fires late, in its order, with the next
   * `advance`, even one by 0.
   */
  stall(ms: number): void {
    this.#moveTo(this.#nowMs + ms);
  }

  #begin(): void {
    if (this.#advancing) throw new Error('the virtual clock is being advanced already');
    this.#advancing = true;
    this.#callbacksThisInstant = 0;
  }

  /** A real turn of the loop is the one point at which no microtask is left. */
  async #settle(): Promise<void> {
    do {
      this.runSoon();
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    } while (this.#soon.length > 0);
  }

  #fireNext(targetMs: number): boolean {
    const timer = this.#top();
    if (timer === undefined || timer.deadlineMs > targetMs) return false;
    this.#removeTop();
    this.#moveTo(timer.deadlineMs);
    this.#countCallback();
    this.#pending -= 1;
    const fn = timer.fn;
    timer.fn = undefined;
    fn?.();
    return true;
  }

  #moveTo(targetMs: number): void {
    if (targetMs <= this.#nowMs) return;
    this.#nowMs = targetMs;
    this.#callbacksThisInstant = 0;
  }

  #countCallback(): void {
    this.#callbacksThisInstant += 1;
    if (this.#callbacksThisInstant > MAX_CALLBACKS_PER_INSTANT) {
      this.#callbacksThisInstant = 0;
      throw new Error(`virtual time stands still at ${this.#nowMs} ms: callbacks keep adding callbacks`);
    }
  }

  /** The next live timer; drops cancelled ones on its way to it. */
  #top(): VirtualTimer | undefined {
    let top = this.#heap[0];
    while (top !== undefined && top.fn === undefined) {
      this.#removeTop();
      top = this.#heap[0];
    }
    return top;
  }

  #insert(timer: VirtualTimer): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = timer;
  }

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const leftIndex = 2 * index + 1;
      const left = heap[leftIndex];
      if (left === undefined) break;
      const right = heap[leftIndex + 1];
      const rightIsFirst = right !== undefined && isBefore(right, left);
      const child = rightIsFirst ? right : left;
      if (!isBefore(child, last)) break;
      heap[index] = child;
      index = rightIsFirst ? leftIndex + 1 : leftIndex;
    }
    heap[index] = last;
  }
}

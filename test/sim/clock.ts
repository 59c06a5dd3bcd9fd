import type { Clock, TimerHandle } from '../../src/core/clock.js';
import type { VirtualClock } from '../../src/core/virtual-clock.js';

/** The client's view of a clock that it shares with the network, so that its own timers can be counted. */
export class CountedClock implements Clock {
  readonly #clock: VirtualClock;
  readonly #timers = new Set<object>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  readonly now = (): number => this.#clock.now();

  readonly setTimeout = (fn: () => void, timeoutMs: number): TimerHandle => {
    const timer: { handle: TimerHandle } = { handle: undefined };
    timer.handle = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, timeoutMs);
    if (timer.handle !== undefined) this.#timers.add(timer);
    return timer;
  };

  readonly clearTimeout = (timer: TimerHandle): void => {
    if (timer === undefined) return;
    this.#timers.delete(timer as object);
    this.#clock.clearTimeout((timer as { handle: TimerHandle }).handle);
  };

  readonly soon = (fn: () => void): void => this.#clock.soon(fn);
}

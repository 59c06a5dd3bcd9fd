import { systemClock, type Clock } from '../../src/core/clock.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';

/** A clock that stands still until told, for a client on real sockets. */
export class HeldClock implements Clock {
  readonly #timers = new VirtualClock(1_000);
  readonly now = this.#timers.now;
  readonly setTimeout = this.#timers.setTimeout;
  readonly clearTimeout = this.#timers.clearTimeout;

  soon(fn: () => void): void {
    systemClock.soon(fn);
  }

  /** Timers fall due one after the other, as they would. */
  advance(ms: number): void {
    this.#timers.advance(ms);
  }
}

/** Bounds retries by the traffic that they come on top of, so that a struggling server is not finished off by them. */

import type { Clock } from '../core/clock.js';

export interface RetryBudgetOptions {
  readonly clock: Clock;
  /** Retries per check of the last ten seconds. Default 0.2. */
  readonly ratio?: number;
  /** Retries a second beyond those, for clients with little traffic. At most one second's worth is saved up. Default 10. */
  readonly perSecond?: number;
}

const SLICE_MS = 1000;
const SLICES = 10;

/** Each check of the last ten seconds pays for `ratio` retries, once; unspent credit is forgotten after that. */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #checksPerRetry: number;
  readonly #perSecond: number;
  readonly #maxSaved: number;
  /** Checks not yet spent, by the second they were made in. Whole checks are counted, so that no rounding adds up. */
  readonly #credit = new Array<number>(SLICES).fill(0);
  #slice: number;
  #saved: number;
  #savedAtMs: number;

  constructor(options: RetryBudgetOptions) {
    const { clock, ratio = 0.2, perSecond = 10 } = options;
    this.#clock = clock;
    this.#checksPerRetry = 1 / ratio;
    this.#perSecond = perSecond;
    // A rate below one a second must still save up for a whole retry.
    this.#maxSaved = perSecond > 0 ? Math.max(perSecond, 1) : 0;
    this.#saved = this.#maxSaved;
    this.#savedAtMs = clock.now();
    this.#slice = Math.floor(this.#savedAtMs / SLICE_MS);
  }

  /** A check was accepted. A caller that has just read the clock may pass the time on. */
  onCheck(nowMs: number = this.#clock.now()): void {
    this.#turn(nowMs);
    const index = this.#slice % SLICES;
    this.#credit[index] = (this.#credit[index] ?? 0) + 1;
  }

  /** Pays for one retry; false when there is nothing left to pay with, and the retry must not be made. */
  tryTake(): boolean {
    const nowMs = this.#clock.now();
    this.#turn(nowMs);
    return this.#takeFromChecks() || this.#takeSaved(nowMs);
  }

  #turn(nowMs: number): void {
    const slice = Math.floor(nowMs / SLICE_MS);
    if (slice <= this.#slice) return;
    const steps = Math.min(slice - this.#slice, SLICES);
    for (let step = 0; step < steps; step += 1) this.#credit[(slice - step) % SLICES] = 0;
    this.#slice = slice;
  }

  #takeFromChecks(): boolean {
    let credit = 0;
    for (const checks of this.#credit) credit += checks;
    if (credit < this.#checksPerRetry) return false;
    let owed = this.#checksPerRetry;
    // The oldest credit first: it is the next to be forgotten.
    for (let age = SLICES - 1; age >= 0 && owed > 0; age -= 1) {
      const index = (this.#slice + SLICES - age) % SLICES;
      const checks = this.#credit[index] ?? 0;
      const paid = Math.min(checks, owed);
      this.#credit[index] = checks - paid;
      owed -= paid;
    }
    return true;
  }

  #takeSaved(nowMs: number): boolean {
    const gained = ((nowMs - this.#savedAtMs) * this.#perSecond) / 1000;
    this.#saved = Math.min(this.#saved + gained, this.#maxSaved);
    this.#savedAtMs = nowMs;
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}

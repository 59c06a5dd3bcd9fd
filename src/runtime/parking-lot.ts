import type { Clock, TimerHandle } from '../core/clock.js';
import type { Call, CallCarrier, CallOwner } from '../data/call.js';

/** Parked calls at most; one more is half-closed instead. */
const MAX_PARKED = 100;

/** Calls whose handle has ended, kept open for the next handle on the same connection, then half-closed. */
export class ParkingLot implements CallOwner {
  readonly #clock: Clock;
  readonly #timeoutMs: () => number;
  readonly #parked = new Map<Call, TimerHandle>();

  constructor(clock: Clock, timeoutMs: () => number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#parked.size;
  }

  park(call: Call): boolean {
    if (this.#parked.size >= MAX_PARKED) return false;
    call.transfer(this, 0);
    const timer = this.#clock.setTimeout(() => this.#release(call), this.#timeoutMs());
    this.#parked.set(call, timer);
    return true;
  }

  take(carrier: CallCarrier): Call | undefined {
    for (const [call, timer] of this.#parked) {
      if (call.carrier !== carrier) continue;
      this.#clock.clearTimeout(timer);
      this.#parked.delete(call);
      return call;
    }
    return undefined;
  }

  /** Half-closes the calls of a connection that takes no more, or of all. */
  clear(carrier?: CallCarrier): void {
    for (const call of [...this.#parked.keys()]) {
      if (carrier === undefined || call.carrier === carrier) this.#release(call);
    }
  }

  #release(call: Call): void {
    this.#clock.clearTimeout(this.#parked.get(call));
    this.#parked.delete(call);
    call.retire();
  }

  onDead(call: Call): void {
    this.#clock.clearTimeout(this.#parked.get(call));
    this.#parked.delete(call);
  }

  onFirstAnswer(): void {
    // Nothing is asked on a parked call; a late answer finds its tombstone.
  }

  onSettled(): void {
    // As above.
  }

  onDrain(): void {
    // Nothing waits to be written.
  }

  onCheckFailed(): void {
    // Nothing is asked on a parked call.
  }
}

import type { Clock, TimerHandle } from '../core/clock.js';
import type { Call, CallOwner } from '../data/call.js';
import type { PoolConnection } from './pool-connection.js';

/** Parked calls at most; one more is half-closed instead. */
const MAX_PARKED = 100;

interface Parked {
  readonly connection: PoolConnection;
  readonly timer: TimerHandle;
}

/** Calls whose handle has ended, kept open for the next handle on the same connection, then half-closed. */
export class ParkingLot implements CallOwner {
  readonly #clock: Clock;
  readonly #timeoutMs: () => number;
  readonly #parked = new Map<Call, Parked>();

  constructor(clock: Clock, timeoutMs: () => number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  holds(connection: PoolConnection): boolean {
    for (const parked of this.#parked.values()) if (parked.connection === connection) return true;
    return false;
  }

  park(call: Call, connection: PoolConnection): boolean {
    if (this.#parked.size >= MAX_PARKED) return false;
    call.transfer(this, 0);
    const timer = this.#clock.setTimeout(() => this.#release(call), this.#timeoutMs());
    this.#parked.set(call, { connection, timer });
    return true;
  }

  take(connection: PoolConnection): Call | undefined {
    for (const [call, parked] of this.#parked) {
      if (parked.connection !== connection) continue;
      this.#forget(call);
      return call;
    }
    return undefined;
  }

  /**
   * Half-closes the calls of the connections that are meant, or of all.
   * @returns whether there were any
   */
  clear(isMeant: (connection: PoolConnection) => boolean = () => true): boolean {
    const meant = [...this.#parked].filter(([, { connection }]) => isMeant(connection));
    for (const [call] of meant) this.#release(call);
    return meant.length > 0;
  }

  #release(call: Call): void {
    this.#forget(call);
    call.retire();
  }

  #forget(call: Call): void {
    this.#clock.clearTimeout(this.#parked.get(call)?.timer);
    this.#parked.delete(call);
  }

  onDead(call: Call): void {
    this.#forget(call);
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

  onUngrouped(): void {
    // As above.
  }
}

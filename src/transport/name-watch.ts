/** Whether a name still leads where a connection to it went. */

import type { Clock, TimerHandle } from '../core/clock.js';
import type { Lookup } from './resolve.js';

/** As often as gRPC's own clients ask, at most. */
const LOOKUP_INTERVAL_MS = 30_000;

export interface NameWatchOptions {
  readonly name: string;
  /** Where the connection went, as it was looked up. */
  readonly ip: string;
  readonly lookup: Lookup;
  readonly clock: Clock;
  /** The name has addresses, and that is none of them. Told after each look-up that says so. */
  readonly onMoved: () => void;
}

/** Looks the name of an open connection up again, now and then, from its making until `stop()`. */
export class NameWatch {
  readonly #options: NameWatchOptions;
  #timer: TimerHandle;
  #isStopped = false;

  constructor(options: NameWatchOptions) {
    this.#options = options;
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimeout(() => void this.#look(), LOOKUP_INTERVAL_MS);
  }

  async #look(): Promise<void> {
    const { name, ip, lookup, onMoved } = this.#options;
    // A name that cannot be looked up has not moved: what is open is better than nothing.
    const found = await lookup(name).catch((): readonly string[] => []);
    if (this.#isStopped) return;
    if (found.length > 0 && !found.includes(ip)) onMoved();
    this.#arm();
  }
}

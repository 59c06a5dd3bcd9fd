import type { Clock, TimerHandle } from '../core/clock.js';

export interface MonitorHost {
  readonly clock: Clock;
  /** Whether anything is outstanding. */
  isBusy(): boolean;
  /** One look at everything that is known by waiting. */
  inspect(now: number): void;
}

/** While something is outstanding, how often it is looked at; that often when nothing is. */
const BUSY_MS = 50;
const IDLE_MS = 1_000;
/** A tick later than this means that our own loop stood still: what seemed silent meanwhile may have spoken. */
const STALL_MS = 100;

/** The one housekeeping timer: ages of answers, keepalive, idle streams and connections. It also notices when our own event loop stalls. */
export class Monitor {
  readonly #host: MonitorHost;
  #timer: TimerHandle;
  #running = false;
  #dueAt = 0;
  #stalledAt = -Infinity;

  constructor(host: MonitorHost) {
    this.#host = host;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#arm();
  }

  /** Work began: look soon, not in a second. */
  hurry(): void {
    if (!this.#running || this.#dueAt - this.#host.clock.now() <= BUSY_MS) return;
    this.#host.clock.clearTimeout(this.#timer);
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#host.clock.clearTimeout(this.#timer);
  }

  /** When our loop last went on after it had stood still, on the clock; -Infinity: it never did. Silence counts from then on. */
  get listeningSince(): number {
    return this.#stalledAt;
  }

  stalledSince(startedAt: number): boolean {
    return this.#stalledAt >= startedAt || this.#host.clock.now() - this.#dueAt > STALL_MS;
  }

  #arm(): void {
    const delayMs = this.#host.isBusy() ? BUSY_MS : IDLE_MS;
    this.#dueAt = this.#host.clock.now() + delayMs;
    this.#timer = this.#host.clock.setTimeout(() => this.#tick(), delayMs);
  }

  #tick(): void {
    const now = this.#host.clock.now();
    const isLate = now - this.#dueAt > STALL_MS;
    if (isLate) this.#stalledAt = now;
    this.#arm();
    // What arrived while we stood still is read before anything is judged by its silence.
    if (!isLate) this.#host.inspect(now);
  }
}

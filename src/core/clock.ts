/** Time, injected: machines, data plane and transports ask this and nothing else, so that a simulated client can run on virtual time. */

export type TimerHandle = unknown;

/** Structurally also XState's clock. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  setTimeout(fn: () => void, timeoutMs: number): TimerHandle;
  clearTimeout(handle: TimerHandle): void;
  /** Runs `fn` at the end of this turn of the loop, where writes are flushed. */
  soon(fn: () => void): void;
}

/** Node's timers overflow past this and fire at once, so longer waits are split. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

class SystemTimer {
  #node: NodeJS.Timeout | undefined;
  readonly #fn: () => void;

  constructor(fn: () => void, timeoutMs: number) {
    this.#fn = fn;
    this.#arm(timeoutMs);
  }

  #arm(timeoutMs: number): void {
    const stepMs = Math.min(timeoutMs, MAX_TIMEOUT_MS);
    const restMs = timeoutMs - stepMs;
    // Timers never hold the process open: outstanding work holds one referenced handle of its own.
    this.#node = setTimeout(() => {
      if (restMs > 0) this.#arm(restMs);
      else this.#fn();
    }, stepMs).unref();
  }

  clear(): void {
    clearTimeout(this.#node);
  }
}

/** The real clock: `performance.now`, unreferenced timers, `process.nextTick`, which runs after the promise continuations of a callback. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (fn, timeoutMs) => (timeoutMs === Infinity ? undefined : new SystemTimer(fn, timeoutMs)),
  clearTimeout: (handle) => {
    if (handle instanceof SystemTimer) handle.clear();
  },
  soon: (fn) => {
    process.nextTick(fn);
  },
};

/** What happened when, in the demo. */

export type Moment =
  | 'engines_started'
  | 'connected'
  | 'primary_killed'
  | 'failover_started'
  | 'failover_completed'
  | 'failover_failed'
  | 'primary_restarted'
  | 'failback_scheduled'
  | 'failback_completed'
  | 'all_sent'
  | 'all_settled';

export interface TimelineEntry {
  readonly event: Moment;
  /** Milliseconds since the demo began. */
  readonly atMs: number;
  /** Milliseconds since the primary was killed; absent before. */
  readonly sinceKillMs?: number;
  readonly detail: string;
}

/** Entries in the order of their happening, and promises of those to come. */
export class Timeline {
  readonly #startedAt = performance.now();
  readonly #entries: TimelineEntry[] = [];
  readonly #waiters: { readonly event: Moment; readonly resolve: () => void }[] = [];
  #killedAt: number | undefined;

  get entries(): readonly TimelineEntry[] {
    return this.#entries;
  }

  elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  add(event: Moment, detail: string): void {
    const now = performance.now();
    if (event === 'primary_killed') this.#killedAt ??= now;
    this.#entries.push({
      event,
      atMs: now - this.#startedAt,
      ...(this.#killedAt === undefined ? {} : { sinceKillMs: now - this.#killedAt }),
      detail,
    });
    for (const waiter of this.#waiters) if (waiter.event === event) waiter.resolve();
  }

  first(event: Moment): TimelineEntry | undefined {
    return this.#entries.find((entry) => entry.event === event);
  }

  /** Resolves when it has happened, `false` when it has not within `limitMs` or before the signal aborts. */
  async happened(event: Moment, limitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.first(event) !== undefined) return true;
    if (signal.aborted) return false;
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(limit);
        signal.removeEventListener('abort', settle);
        resolve(this.first(event) !== undefined);
      };
      const limit = setTimeout(settle, limitMs);
      signal.addEventListener('abort', settle, { once: true });
      this.#waiters.push({ event, resolve: settle });
    });
  }
}

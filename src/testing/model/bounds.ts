import type { ResolvedOptions } from '../../options.js';

/** How late a deadline may be noticed: the resolution of the client's timing wheel, milliseconds. */
export const DEADLINE_SLACK_MS = 8;
/** Between two probes of an endpoint in doubt, and the longest wait for one there, milliseconds. */
const PROBE_MS = 250;
/** What else takes a little: routes that move, timers that are looked at once a second. */
const MARGIN_MS = 3_000;

/** How long a client with these options may take, milliseconds. */
export interface Bounds {
  /** From the end of all faults of a server until traffic can go there. */
  readonly recoveryMs: number;
  /** From the end of all faults until the primary carries traffic. */
  readonly failbackMs: number;
}

export function boundsOf({ connectTimeoutMs, failover, healthCheck, reconnect }: ResolvedOptions): Bounds {
  // A dial that hung since before, a backoff that had just begun, and then the probes of an endpoint on probation, or a look at one that had
  // been taken out, which has a backoff of its own.
  const recoveryMs =
    connectTimeoutMs +
    2 * reconnect.maxDelay +
    healthCheck.timeout +
    healthCheck.healthyThreshold * 2 * PROBE_MS +
    MARGIN_MS;
  return { recoveryMs, failbackMs: failover.enabled ? failover.failbackDelay + 2 * recoveryMs : recoveryMs };
}

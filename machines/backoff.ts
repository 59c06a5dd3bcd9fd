/** How long to wait before trying again. Pure: chance is a seed that goes in and comes out, so that a replay waits as long as the original. */

export interface BackoffPolicy {
  /** Ceiling of the first wait, milliseconds. */
  readonly initialDelay: number;
  /** Ceiling of every wait, milliseconds. */
  readonly maxDelay: number;
  readonly multiplier: number;
  /** Spread each wait over the upper half of its ceiling, so that clients that failed together do not return together. */
  readonly jitter: boolean;
}

export interface Draw {
  /** In [0, 1). */
  readonly value: number;
  readonly seed: number;
}

/** The next number of a small generator (mulberry32) and the seed after it. */
export function draw(seed: number): Draw {
  const next = (seed + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296, seed: next };
}

/** A child's seed, made from its parent's and its name, so that siblings do not wait in step. */
export function deriveSeed(seed: number, name: string): number {
  let hash = seed >>> 0;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}

export interface Backoff {
  /** Milliseconds: in [ceiling / 2, ceiling] with jitter, the ceiling without. */
  readonly delayMs: number;
  readonly seed: number;
}

/** The wait before attempt `attempt` (1 is the first). The ceiling is `initialDelay × multiplier^(attempt − 1)`, at most `maxDelay`. */
export function nextBackoff(policy: BackoffPolicy, attempt: number, seed: number): Backoff {
  // Held finite: an overflow times an initial delay of 0 would be no number.
  const growth = Math.min(policy.multiplier ** Math.max(0, attempt - 1), Number.MAX_VALUE);
  const ceilingMs = Math.min(policy.maxDelay, policy.initialDelay * growth);
  if (!policy.jitter) return { delayMs: ceilingMs, seed };
  const { value, seed: nextSeed } = draw(seed);
  return { delayMs: ceilingMs / 2 + (ceilingMs / 2) * value, seed: nextSeed };
}

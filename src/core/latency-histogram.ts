/** How long answers took of late, for quantiles: counted in buckets of at most a sixteenth of what they hold. */

/** A bucket is named by the position of the highest bit of the microseconds, and by the four bits below it. */
const LOWER_BITS = 4;
const STEPS = 1 << LOWER_BITS;
const MAX_US = 2 ** 30;
const BUCKETS = (31 - LOWER_BITS + 1) * STEPS;

/**
 * Counts over a window that moves on in slices: each `turn` begins a slice, and drops the one that falls out of the window. Adding costs an
 * increment, and nothing is allocated.
 */
export class LatencyHistogram {
  readonly #slices: number;
  /** Slice by slice. */
  readonly #counts: Uint32Array;
  /** Where the slice of now begins. */
  #offset = 0;

  /** @param slices of the window, at least 1 */
  constructor(slices: number) {
    this.#slices = slices;
    this.#counts = new Uint32Array(slices * BUCKETS);
  }

  /** @param latencyMs milliseconds; above 2 ** 30 microseconds, which are 17 minutes, all are alike */
  add(latencyMs: number, count = 1): void {
    const index = this.#offset + bucketOf(latencyMs);
    this.#counts[index] = (this.#counts[index] ?? 0) + count;
  }

  turn(): void {
    this.#offset = (this.#offset + BUCKETS) % this.#counts.length;
    this.#counts.fill(0, this.#offset, this.#offset + BUCKETS);
  }

  /**
   * What such shares of the answers stayed within, milliseconds; undefined without answers.
   * @param shares ascending, above 0 and at most 1
   */
  quantiles(shares: readonly number[]): number[] | undefined {
    const sums: number[] = [];
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      let sum = 0;
      for (let slice = 0; slice < this.#slices; slice++) sum += this.#counts[slice * BUCKETS + bucket] ?? 0;
      sums.push(sum);
      total += sum;
    }
    if (total === 0) return undefined;
    let bucket = -1;
    let seen = 0;
    return shares.map((share) => {
      while (seen < total * share && bucket < BUCKETS - 1) seen += sums[++bucket] ?? 0;
      return middleMs(bucket);
    });
  }
}

function bucketOf(latencyMs: number): number {
  const us = Math.min(MAX_US, Math.max(0, latencyMs * 1_000)) | 0;
  if (us < STEPS) return us;
  const shift = 31 - LOWER_BITS - Math.clz32(us);
  return shift * STEPS + (us >> shift);
}

/** Half-way through the bucket. */
function middleMs(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / STEPS) - 1);
  const fromUs = (bucket - shift * STEPS) * 2 ** shift;
  return (fromUs + 2 ** shift / 2) / 1_000;
}

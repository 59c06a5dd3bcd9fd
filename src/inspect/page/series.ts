/** A figure over the last minutes: one bucket a second, in a ring, whatever the rate of the samples. */

export type Aggregate = 'mean' | 'max';

/** Kept beyond what is shown, for time travel. */
const KEPT_SECONDS = 1_200;

export class Series {
  readonly seconds: number;
  readonly #capacity: number;
  readonly #aggregate: Aggregate;
  readonly #second: Float64Array;
  readonly #value: Float64Array;
  readonly #samples: Uint32Array;

  /** `seconds` is how far back its points reach. */
  constructor(seconds: number, aggregate: Aggregate) {
    this.seconds = seconds;
    this.#aggregate = aggregate;
    this.#capacity = Math.max(seconds, KEPT_SECONDS);
    this.#second = new Float64Array(this.#capacity).fill(-1);
    this.#value = new Float64Array(this.#capacity);
    this.#samples = new Uint32Array(this.#capacity);
  }

  /** A null sample is none. */
  add(at: number, value: number | null): void {
    if (value === null || !Number.isFinite(value)) return;
    const second = Math.floor(at / 1_000);
    const slot = this.#slotOf(second);
    if (this.#second[slot] !== second) {
      this.#second[slot] = second;
      this.#value[slot] = value;
      this.#samples[slot] = 1;
      return;
    }
    const before = this.#value[slot] ?? 0;
    const samples = (this.#samples[slot] ?? 0) + 1;
    this.#samples[slot] = samples;
    this.#value[slot] = this.#aggregate === 'max' ? Math.max(before, value) : before + (value - before) / samples;
  }

  /** Of the second that `at` is in. */
  valueAt(at: number): number | null {
    const second = Math.floor(at / 1_000);
    const slot = this.#slotOf(second);
    return this.#second[slot] === second ? (this.#value[slot] ?? null) : null;
  }

  /** Oldest first, one a second up to the one that `at` is in; null where there is none. */
  points(at: number): (number | null)[] {
    return Array.from({ length: this.seconds }, (_, index) => this.valueAt(at - (this.seconds - 1 - index) * 1_000));
  }

  clear(): void {
    this.#second.fill(-1);
  }

  #slotOf(second: number): number {
    return ((second % this.#capacity) + this.#capacity) % this.#capacity;
  }
}

/** The largest; 0 of none. */
export const peakOf = (points: readonly (number | null)[]): number =>
  points.reduce<number>((peak, point) => Math.max(peak, point ?? 0), 0);

/** What sparklines are drawn in; stretched to where they stand. */
export const SPARK_BOX = { width: 300, height: 40 } as const;

interface Run {
  readonly first: number;
  readonly values: readonly number[];
}

/** Points without a gap between them. */
function runsOf(points: readonly (number | null)[]): Run[] {
  const runs: { first: number; values: number[] }[] = [];
  let isOpen = false;
  for (const [index, value] of points.entries()) {
    if (value === null) isOpen = false;
    else if (isOpen) runs.at(-1)?.values.push(value);
    else {
      runs.push({ first: index, values: [value] });
      isOpen = true;
    }
  }
  return runs;
}

function lineOf({ first, values }: Run, count: number, peak: number): string {
  const step = SPARK_BOX.width / Math.max(1, count - 1);
  const steps = values.map((value, index) => {
    const y = SPARK_BOX.height * (1 - (peak <= 0 ? 0 : value / peak));
    return `${((first + index) * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  // A lone point is as long as the way to its neighbour would be.
  return steps.length === 1 ? `${steps.join('')}h${(-step).toFixed(1)}` : steps.join('L');
}

/** The points as polylines, broken where one is missing; `peak` is at the top. */
export function sparkPath(points: readonly (number | null)[], peak: number): string {
  return runsOf(points)
    .map((run) => `M${lineOf(run, points.length, peak)}`)
    .join('');
}

/** What is below the same lines. */
export function sparkArea(points: readonly (number | null)[], peak: number): string {
  const step = SPARK_BOX.width / Math.max(1, points.length - 1);
  const at = (index: number): string => (index * step).toFixed(1);
  return runsOf(points)
    .filter(({ values }) => values.length > 1)
    .map((run) => {
      const last = run.first + run.values.length - 1;
      return `M${at(run.first)} ${SPARK_BOX.height}L${lineOf(run, points.length, peak)}L${at(last)} ${SPARK_BOX.height}Z`;
    })
    .join('');
}

/** Gauges of the past, for time travel: bounded by how much they hold together, so that a thousand streams do not cost a thousand times as much. */

import type { Gauges } from '../protocol.js';

const MIN_INTERVAL_MS = 450;
const NEAR_MS = 2_000;
/** Of endpoints, connections and streams, summed over all samples. */
const MAX_FIGURES = 40_000;
const MAX_SAMPLES = 1_200;

interface Sample {
  readonly at: number;
  readonly gauges: Gauges;
}

const sizeOf = ({ gauges }: Sample): number =>
  1 + gauges.endpoints.length + gauges.connections.length + gauges.streams.length;

export class GaugeHistory {
  #samples: Sample[] = [];
  #figures = 0;

  add(at: number, gauges: Gauges): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && at - last.at < MIN_INTERVAL_MS) return;
    const sample = { at, gauges };
    this.#samples.push(sample);
    this.#figures += sizeOf(sample);
    while (this.#samples.length > 1 && (this.#figures > MAX_FIGURES || this.#samples.length > MAX_SAMPLES)) {
      const gone = this.#samples.shift();
      if (gone !== undefined) this.#figures -= sizeOf(gone);
    }
  }

  /** The first sample after `at`, which tells of what began then; else the last one before. Null where neither is near. */
  at(at: number): Gauges | null {
    let low = 0;
    let high = this.#samples.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#samples[middle]?.at ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    const next = this.#samples[low];
    if (next !== undefined && next.at - at <= NEAR_MS) return next.gauges;
    const last = this.#samples[low - 1];
    return last !== undefined && at - last.at <= NEAR_MS ? last.gauges : null;
  }

  clear(): void {
    this.#samples = [];
    this.#figures = 0;
  }
}

/** How long all answers took, in bounded memory. */

import { build, type Histogram } from 'hdr-histogram-js';

/** Microseconds; far beyond the deadline of a check. */
const HIGHEST_LATENCY_US = 600_000_000;

/** Milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class LatencyBook {
  readonly #histogram: Histogram = build({
    highestTrackableValue: HIGHEST_LATENCY_US,
    numberOfSignificantValueDigits: 3,
  });

  record(latencyMs: number): void {
    this.#histogram.recordValue(Math.min(HIGHEST_LATENCY_US, Math.max(1, Math.round(latencyMs * 1_000))));
  }

  latencies(): Latencies {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1_000;
    return { p50: at(50), p90: at(90), p99: at(99), max: this.#histogram.maxValue / 1_000 };
  }
}

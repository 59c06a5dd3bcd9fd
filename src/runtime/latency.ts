/**
 * Latency at a glance: a moving average for balancing, a moving 99th percentile to tell late from lost, a moving median to look at. Three
 * numbers, no samples.
 */
export class LatencyEstimate {
  averageMs = 0;
  p50Ms = 0;
  p99Ms = 0;
  #samples = 0;

  add(latencyMs: number): void {
    this.#samples++;
    if (this.#samples === 1) {
      this.averageMs = latencyMs;
      this.p50Ms = latencyMs;
      this.p99Ms = latencyMs;
      return;
    }
    this.averageMs += (latencyMs - this.averageMs) * 0.1;
    // A stochastic quantile: up by 99 steps for each answer above, down by one for each below, balances where 1 % are above.
    const step = Math.max(0.001, this.p99Ms * 0.002);
    this.p99Ms =
      latencyMs > this.p99Ms ? Math.min(latencyMs, this.p99Ms + 99 * step) : Math.max(latencyMs, this.p99Ms - step);
    const half = Math.max(0.001, this.p50Ms * 0.01);
    this.p50Ms =
      latencyMs > this.p50Ms ? Math.min(latencyMs, this.p50Ms + half) : Math.max(latencyMs, this.p50Ms - half);
  }
}

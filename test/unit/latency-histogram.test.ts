import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../src/core/latency-histogram.js';

describe('a histogram of latencies', () => {
  it('empty: has no quantiles', () => {
    expect(new LatencyHistogram(4).quantiles([0.5])).toBeUndefined();
  });

  it('more turns than it has slices: forgets what was added before them, and not before that', () => {
    const histogram = new LatencyHistogram(3);
    histogram.add(5);
    for (let turn = 0; turn < 2; turn++) {
      histogram.turn();
      expect(histogram.quantiles([1])?.[0]).toBeCloseTo(5, 0);
    }
    histogram.turn();
    expect(histogram.quantiles([1])).toBeUndefined();
  });

  it('many counted at once: weigh as many', () => {
    const histogram = new LatencyHistogram(1);
    histogram.add(1, 98);
    histogram.add(100, 2);
    const [p50 = 0, p98 = 0, p99 = 0] = histogram.quantiles([0.5, 0.98, 0.99]) ?? [];
    expect(p50).toBe(p98);
    expect(p98).toBeCloseTo(1, 1);
    expect(p99).toBeGreaterThan(96);
  });

  it.each([-1, NaN, 0])('%d ms: counts as none', (latencyMs) => {
    const histogram = new LatencyHistogram(1);
    histogram.add(latencyMs);
    expect(histogram.quantiles([1])?.[0]).toBeLessThan(0.001);
  });

  it.each([2 ** 31, Infinity])('%d ms: counts as the most that it tells apart', (latencyMs) => {
    const histogram = new LatencyHistogram(1);
    histogram.add(latencyMs);
    expect(histogram.quantiles([1])?.[0]).toBeGreaterThan(1_000_000);
  });

  property.prop([
    fc.array(fc.double({ min: 0, max: 1_000_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
    fc.double({ min: 0.001, max: 1, noNaN: true }),
  ])('any latencies, any share: the quantile is off by no more than a 16th, or a microsecond', (latencies, share) => {
    const histogram = new LatencyHistogram(2);
    latencies.forEach((latencyMs, index) => {
      if (index === latencies.length >> 1) histogram.turn();
      histogram.add(latencyMs);
    });
    const sorted = [...latencies].sort((a, b) => a - b);
    const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
    const [told = NaN] = histogram.quantiles([share]) ?? [];
    expect(Math.abs(told - exact)).toBeLessThanOrEqual(Math.max(exact / 16, 0.001));
  });
});

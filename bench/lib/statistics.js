/**
 * @param {readonly number[]} values
 * @returns {number} `NaN` of none
 */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

/**
 * One figure over all runs of a workload.
 * @typedef {object} Figure
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/**
 * @param {readonly import('./meter.js').Measured[]} runs
 * @returns {Record<string, Figure>} every figure that the runs report
 */
export function summarize(runs) {
  /** @type {Map<string, number[]>} */
  const series = new Map();
  for (const run of runs) {
    for (const [name, value] of Object.entries(run)) series.set(name, [...(series.get(name) ?? []), value]);
  }
  return Object.fromEntries(
    [...series].map(([name, values]) => [
      name,
      { median: median(values), min: Math.min(...values), max: Math.max(...values) },
    ]),
  );
}

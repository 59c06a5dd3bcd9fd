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
 * The smallest value that so many percent do not exceed: of few values, the 99th is the largest.
 * @param {readonly number[]} values
 * @param {number} percent
 * @returns {number} `NaN` of none
 */
export function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

/**
 * One figure over all rounds.
 * @typedef {object} Figure
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/**
 * @param {readonly number[]} values
 * @returns {Figure}
 */
export function figure(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * @param {readonly import('./worker.js').Measured[]} runs
 * @returns {Record<string, Figure>} every figure that the runs report
 */
export function summarize(runs) {
  /** @type {Map<string, number[]>} */
  const series = new Map();
  for (const run of runs) {
    for (const [name, value] of Object.entries(run)) series.set(name, [...(series.get(name) ?? []), value]);
  }
  return Object.fromEntries([...series].map(([name, values]) => [name, figure(values)]));
}

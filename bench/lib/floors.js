/** What the product promises, held against what was measured. A floor whose figures are missing because of a failure is a failed floor. */
import { median } from './statistics.js';

/**
 * @typedef {object} Result
 * @property {import('./meter.js').Measured[]} runs one a round; fewer when a run failed
 * @property {Record<string, import('./statistics.js').Figure>} figures
 * @property {string[]} errors
 */

/** @typedef {ReadonlyMap<string, Result>} Results by workload */

/**
 * @typedef {object} Verdict
 * @property {string} floor in words
 * @property {string} measured in words
 * @property {number | null} value
 * @property {'pass' | 'fail' | 'skipped'} verdict skipped: its workloads were not asked for
 */

/**
 * Taken round by round, because absolute figures drift with the machine and ratios of one round drift less.
 * @param {Results} results
 * @param {string} ours
 * @param {string} rival
 * @param {string} figure
 * @returns {number} `NaN` when either was not measured
 */
export function ratio(results, ours, rival, figure = 'checksPerSecond') {
  const rivalRuns = results.get(rival)?.runs ?? [];
  const ratios = (results.get(ours)?.runs ?? []).map((run, round) => {
    return (run[figure] ?? NaN) / (rivalRuns[round]?.[figure] ?? NaN);
  });
  return median(ratios.filter((each) => Number.isFinite(each)));
}

/** @type {readonly { floor: string, needs: readonly string[], judge: (results: Results) => { value: number, measured: string, passes: boolean } }[]} */
const floors = [
  {
    floor: 'check() ≥ 5 × grpc-js unary',
    needs: ['check', 'grpc-js-unary'],
    judge: (results) => {
      const value = ratio(results, 'check', 'grpc-js-unary');
      return { value, measured: `${value.toFixed(1)} ×`, passes: value >= 5 };
    },
  },
  { floor: 'one stream ≥ 10,000 checks/s', needs: ['one-stream'], judge: atLeast('one-stream', 10_000) },
  { floor: 'eight streams ≥ 50,000 checks/s', needs: ['eight-streams'], judge: atLeast('eight-streams', 50_000) },
  {
    floor: 'stream creation to first answer < 10 ms (p99)',
    needs: ['stream-creation'],
    judge: (results) => {
      const value = figureOf(results, 'stream-creation', 'firstAnswerP99Ms').median;
      return { value, measured: `${value.toFixed(2)} ms`, passes: value < 10 };
    },
  },
  {
    floor: 'failover after SIGKILL < 500 ms, nothing lost or settled twice',
    needs: ['failover'],
    judge: (results) => {
      // The promise is of every failover, not of a typical one: the worst of all rounds counts.
      const value = figureOf(results, 'failover', 'longestSilenceMs').max;
      const lost = figureOf(results, 'failover', 'lost').max;
      const twice = figureOf(results, 'failover', 'settledTwice').max;
      return {
        value,
        measured: `${value.toFixed(0)} ms at worst, ${lost} lost, ${twice} settled twice`,
        passes: value < 500 && lost === 0 && twice === 0,
      };
    },
  },
];

/**
 * @param {string} workload
 * @param {number} least checks per second
 */
function atLeast(workload, least) {
  return (/** @type {Results} */ results) => {
    const value = figureOf(results, workload, 'checksPerSecond').median;
    return { value, measured: `${Math.round(value).toLocaleString('en')} checks/s`, passes: value >= least };
  };
}

/**
 * @param {Results} results
 * @param {string} workload
 * @param {string} figure
 */
function figureOf(results, workload, figure) {
  return results.get(workload)?.figures[figure] ?? { median: NaN, min: NaN, max: NaN };
}

/**
 * @param {Results} results
 * @returns {Verdict[]}
 */
export function judgeFloors(results) {
  return floors.map(({ floor, needs, judge }) => {
    if (needs.some((name) => !results.has(name))) {
      return { floor, measured: 'not asked for', value: null, verdict: 'skipped' };
    }
    const failed = needs.filter((name) => results.get(name)?.errors.length !== 0);
    if (failed.length > 0) {
      return { floor, measured: `${failed.join(' and ')} failed`, value: null, verdict: 'fail' };
    }
    const { value, measured, passes } = judge(results);
    return { floor, measured, value, verdict: passes ? 'pass' : 'fail' };
  });
}

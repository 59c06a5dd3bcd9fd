/**
 * What the product promises (floors) and what it strives for (goals), held against what was measured. Ratios are taken round by round,
 * because absolute figures drift with the machine and those of one round drift less. A row whose figures are missing because something failed is a
 * missed floor; one that was not asked for is skipped.
 */
import { figure, percentile } from './statistics.js';

/**
 * @typedef {object} Result
 * @property {string} name of the workload or scenario
 * @property {string} title
 * @property {'rival' | 'ours' | 'limit'} kind
 * @property {string} [transport] of ours, where one was named
 * @property {string} [heat] where it took turns with others
 * @property {import('./workloads.js').Load} [load] of a workload
 * @property {string} [client] of a workload
 * @property {import('./worker.js').Measured[]} runs one a round or trial; fewer when one failed
 * @property {Record<string, import('./statistics.js').Figure>} figures
 * @property {import('./profile.js').FunctionShare[]} [functions]
 * @property {string[]} errors
 */

/** @typedef {ReadonlyMap<string, Result>} Results by key */

/**
 * @typedef {object} Aim
 * @property {string} id for `--only`
 * @property {string} aim in words
 * @property {string} unit
 * @property {readonly string[]} needs workloads and scenarios
 * @property {'atLeast' | 'atMost'} want
 * @property {number} [floor]
 * @property {number} [goal]
 * @property {(view: View) => number[]} values of the rounds, whose median is judged; or the one that is
 */

/**
 * @typedef {object} Verdict
 * @property {string} id
 * @property {string} aim
 * @property {string} [transport]
 * @property {string} unit
 * @property {'atLeast' | 'atMost'} want
 * @property {number | null} value
 * @property {number | null} min of the rounds
 * @property {number | null} max
 * @property {number | null} floor
 * @property {number | null} goal
 * @property {'pass' | 'fail' | 'none' | 'skipped'} verdict of the floor; none: there is no floor
 * @property {boolean | null} goalMet
 * @property {string} [reason] why there is no value
 */

/**
 * The key of a result: ours are told apart by their transport, where one was named.
 * @param {string} name
 * @param {'rival' | 'ours' | 'limit'} kind
 * @param {string | undefined} transport
 */
export function keyOf(name, kind, transport) {
  return kind === 'ours' && transport !== undefined ? `${name}@${transport}` : name;
}

/** The results as an aim sees them: by name, with ours over one transport. */
class View {
  #results;
  #transport;

  /**
   * @param {Results} results
   * @param {string | undefined} transport
   */
  constructor(results, transport) {
    this.#results = results;
    this.#transport = transport;
  }

  /** @param {string} name */
  find(name) {
    return this.#results.get(keyOf(name, 'ours', this.#transport)) ?? this.#results.get(name);
  }

  /**
   * @param {string} name
   * @param {string} of
   * @returns {number[]}
   */
  all(name, of) {
    return (this.find(name)?.runs ?? []).map((run) => run[of] ?? NaN);
  }

  /**
   * @param {string} ours
   * @param {string} rival
   * @param {string} [of]
   * @returns {number[]} a ratio for each round that has both
   */
  ratios(ours, rival, of = 'checksPerSecond') {
    const rivals = this.all(rival, of);
    return this.all(ours, of).flatMap((value, round) => {
      const ratio = value / (rivals[round] ?? NaN);
      return Number.isFinite(ratio) ? [ratio] : [];
    });
  }

  /** @param {readonly string[]} names */
  fastest(...names) {
    const speed = (/** @type {string} */ name) => this.find(name)?.figures['checksPerSecond']?.median ?? 0;
    return names.reduce((best, name) => (speed(name) > speed(best) ? name : best));
  }

  /**
   * @param {readonly string[]} names
   * @param {string} of
   * @returns {number[]} one number: the sum over all runs
   */
  total(names, of) {
    return [names.flatMap((name) => this.all(name, of)).reduce((sum, value) => sum + value, 0)];
  }
}

/** @type {readonly Aim[]} */
export const aims = [
  {
    id: 'check-vs-unary',
    aim: 'check() against grpc-js unary, 64 in flight',
    unit: '×',
    needs: ['check-f64', 'grpc-js-unary-f64'],
    want: 'atLeast',
    floor: 35,
    goal: 60,
    values: (view) => view.ratios('check-f64', 'grpc-js-unary-f64'),
  },
  {
    id: 'check-vs-unary-cpu',
    aim: 'the same by client CPU per check',
    unit: '×',
    needs: ['check-f64', 'grpc-js-unary-f64'],
    want: 'atLeast',
    values: (view) => view.ratios('check-f64', 'grpc-js-unary-f64', 'clientCpuUsPerCheck').map((ratio) => 1 / ratio),
  },
  {
    id: 'check-vs-unary-512',
    aim: 'check() against grpc-js unary, 512 in flight',
    unit: '×',
    needs: ['check-f512', 'grpc-js-unary-f512'],
    want: 'atLeast',
    floor: 35,
    goal: 60,
    values: (view) => view.ratios('check-f512', 'grpc-js-unary-f512'),
  },
  {
    id: 'check-vs-stream',
    aim: 'check() against the faster of grpc-js with 1 and 8 streams, 512 in flight',
    unit: '×',
    needs: ['check-f512', 'grpc-js-stream-s1-f512', 'grpc-js-stream-s8-f512'],
    want: 'atLeast',
    floor: 3,
    goal: 6,
    values: (view) => view.ratios('check-f512', view.fastest('grpc-js-stream-s1-f512', 'grpc-js-stream-s8-f512')),
  },
  {
    id: 'check-vs-stream-cpu',
    aim: 'the same by client CPU per check',
    unit: '×',
    needs: ['check-f512', 'grpc-js-stream-s1-f512', 'grpc-js-stream-s8-f512'],
    want: 'atLeast',
    values: (view) =>
      view
        .ratios('check-f512', view.fastest('grpc-js-stream-s1-f512', 'grpc-js-stream-s8-f512'), 'clientCpuUsPerCheck')
        .map((ratio) => 1 / ratio),
  },
  {
    id: 'check-vs-http2',
    aim: 'check() against the faster of node:http2 + protobufjs with 1 and 8 streams, 512 in flight',
    unit: '×',
    needs: ['check-f512', 'http2-s1-f512', 'http2-s8-f512'],
    want: 'atLeast',
    floor: 0.8,
    goal: 1.5,
    values: (view) => view.ratios('check-f512', view.fastest('http2-s1-f512', 'http2-s8-f512')),
  },
  {
    id: 'check-vs-http2-cpu',
    aim: 'the same by client CPU per check',
    unit: '×',
    needs: ['check-f512', 'http2-s1-f512', 'http2-s8-f512'],
    want: 'atLeast',
    values: (view) =>
      view
        .ratios('check-f512', view.fastest('http2-s1-f512', 'http2-s8-f512'), 'clientCpuUsPerCheck')
        .map((ratio) => 1 / ratio),
  },
  {
    id: 'one-stream',
    aim: 'send() and onResponse, one stream',
    unit: 'checks/s',
    needs: ['send-s1-f512'],
    want: 'atLeast',
    floor: 10_000,
    values: (view) => view.all('send-s1-f512', 'checksPerSecond'),
  },
  {
    id: 'one-stream-vs-http2',
    aim: 'the same against node:http2 + protobufjs, one stream',
    unit: '×',
    needs: ['send-s1-f512', 'http2-s1-f512'],
    want: 'atLeast',
    goal: 1.5,
    values: (view) => view.ratios('send-s1-f512', 'http2-s1-f512'),
  },
  {
    id: 'eight-streams',
    aim: 'send() and onResponse, a pool of eight streams',
    unit: 'checks/s',
    needs: ['send-s8-f512'],
    want: 'atLeast',
    floor: 50_000,
    goal: 400_000,
    values: (view) => view.all('send-s8-f512', 'checksPerSecond'),
  },
  {
    id: 'serial-p50',
    aim: 'one check at a time, p50 against grpc-js unary',
    unit: '×',
    needs: ['check-f1', 'grpc-js-unary-f1'],
    want: 'atMost',
    floor: 1,
    goal: 0.4,
    values: (view) => view.ratios('check-f1', 'grpc-js-unary-f1', 'p50Ms'),
  },
  {
    id: 'transitions',
    aim: 'state-machine transitions per 100,000 check()s',
    unit: '',
    needs: ['transitions'],
    want: 'atMost',
    goal: 100,
    values: (view) => view.all('transitions', 'transitions'),
  },
  {
    id: 'dedup-hit',
    aim: 'deduplication hit, awaited by itself',
    unit: 'µs',
    needs: ['dedup'],
    want: 'atMost',
    goal: 1,
    values: (view) => view.all('dedup', 'hitUs'),
  },
  {
    id: 'inspector',
    aim: 'client CPU per check with an inspector attached, against without',
    unit: '×',
    needs: ['check-f64', 'check-f64-inspected'],
    want: 'atMost',
    goal: 1.1,
    values: (view) => view.ratios('check-f64-inspected', 'check-f64', 'clientCpuUsPerCheck'),
  },
  {
    id: 'inspector-page',
    aim: "the same with the inspector's page open",
    unit: '×',
    needs: ['check-f64', 'check-f64-page-open'],
    want: 'atMost',
    goal: 1.1,
    values: (view) => view.ratios('check-f64-page-open', 'check-f64', 'clientCpuUsPerCheck'),
  },
  {
    id: 'inspector-page-closed',
    aim: 'the same after the page and its inspector were closed',
    unit: '×',
    needs: ['check-f64', 'check-f64-page-closed'],
    want: 'atMost',
    goal: 1.03,
    values: (view) => view.ratios('check-f64-page-closed', 'check-f64', 'clientCpuUsPerCheck'),
  },
  {
    id: 'stream-heap',
    aim: 'heap per open idle stream',
    unit: 'KB',
    needs: ['memory'],
    want: 'atMost',
    floor: 1024,
    goal: 30,
    values: (view) => view.all('memory', 'streamKb'),
  },
  {
    id: 'connection-heap',
    aim: 'heap per open idle connection',
    unit: 'KB',
    needs: ['memory'],
    want: 'atMost',
    floor: 1024,
    goal: 300,
    values: (view) => view.all('memory', 'connectionKb'),
  },
  {
    id: 'ten-streams-heap',
    aim: 'heap of ten streams',
    unit: 'MB',
    needs: ['memory'],
    want: 'atMost',
    floor: 10,
    values: (view) => view.all('memory', 'tenStreamsMb'),
  },
  {
    id: 'dedup-heap',
    aim: 'heap of a deduplication cache of 500 entries',
    unit: 'MB',
    needs: ['memory'],
    want: 'atMost',
    floor: 5,
    values: (view) => view.all('memory', 'cacheMb'),
  },
  {
    id: 'stalled-peer',
    aim: 'heap held after 200,000 sends of 1 KiB to a peer that reads nothing',
    unit: 'MB',
    needs: ['stalled-send'],
    want: 'atMost',
    floor: 64,
    values: (view) => view.all('stalled-send', 'heldMb'),
  },
  {
    id: 'stream-creation',
    aim: 'stream creation to first answer, p99',
    unit: 'ms',
    needs: ['stream-creation'],
    want: 'atMost',
    floor: 10,
    values: (view) => view.all('stream-creation', 'firstAnswerP99Ms'),
  },
  {
    id: 'send',
    aim: 'send() without backpressure, p99',
    unit: 'ms',
    needs: ['stream-creation'],
    want: 'atMost',
    floor: 1,
    values: (view) => view.all('stream-creation', 'sendP99Ms'),
  },
  {
    id: 'cold-import',
    aim: 'cold import of the package',
    unit: 'ms',
    needs: ['cold-import'],
    want: 'atMost',
    goal: 120,
    values: (view) => view.all('cold-import', 'importMs'),
  },
  ...faultAims('kill', 'primary SIGKILLed under load', 500, 100),
  ...faultAims('cut', 'connection cut, server alive, no backup', 100, 30),
  // The floor is the keepalive's: interval and timeout.
  ...faultAims('freeze', 'primary frozen by SIGSTOP under load', 35_000, 2_000),
  ...faultAims('blackhole', 'primary blackholed under load', 35_000, 2_000),
  ...faultAims('failover-SIGKILL', 'SIGKILL', 500, 100),
  ...faultAims('failover-SIGSTOP', 'SIGSTOP', 35_000, 2_000),
  ...faultAims('failover-blackhole', 'blackhole', 35_000, 2_000),
  ...faultAims('failover-RST', 'RST', 500, 100),
  ...faultAims('failover-GOAWAY', 'GOAWAY', 500, 100),
  ...faultAims('failover-restart', 'restart', 500, 100),
];

/**
 * @param {string} scenario
 * @param {string} title
 * @param {number} floor
 * @param {number} goal
 * @returns {Aim[]}
 */
function faultAims(scenario, title, floor, goal) {
  const needs = [scenario];
  return [
    {
      id: `${scenario}-silence`,
      aim: `${title}: longest silence, p99`,
      unit: 'ms',
      needs,
      want: 'atMost',
      floor,
      goal,
      // The promise is of every fault, not of a typical one.
      values: (view) => [percentile(view.all(scenario, 'longestSilenceMs'), 99)],
    },
    {
      id: `${scenario}-lost`,
      aim: `${title}: checks lost`,
      unit: '',
      needs,
      want: 'atMost',
      floor: 0,
      values: (view) => view.total(needs, 'lost'),
    },
    {
      id: `${scenario}-twice`,
      aim: `${title}: checks settled twice`,
      unit: '',
      needs,
      want: 'atMost',
      floor: 0,
      values: (view) => view.total(needs, 'settledTwice'),
    },
  ];
}

/**
 * @param {Results} results
 * @param {readonly (string | undefined)[]} transports
 * @returns {Verdict[]}
 */
export function judgeAims(results, transports) {
  return transports.flatMap((transport) => aims.map((aim) => judge(aim, new View(results, transport), transport)));
}

/**
 * @param {Aim} aim
 * @param {View} view
 * @param {string | undefined} transport
 * @returns {Verdict}
 */
function judge({ id, aim, unit, needs, want, floor, goal, values }, view, transport) {
  /** @type {Verdict} */
  const verdict = {
    id,
    aim,
    ...(transport !== undefined && { transport }),
    unit,
    want,
    value: null,
    min: null,
    max: null,
    floor: floor ?? null,
    goal: goal ?? null,
    verdict: 'skipped',
    goalMet: null,
  };
  if (needs.some((name) => view.find(name) === undefined)) return { ...verdict, reason: 'not asked for' };
  const failed = needs.filter((name) => view.find(name)?.errors.length !== 0);
  if (failed.length > 0) {
    return { ...verdict, verdict: 'fail', goalMet: false, reason: `${failed.join(' and ')} failed` };
  }
  if (needs.some((name) => view.find(name)?.runs.length === 0)) return { ...verdict, reason: 'no time was left' };
  const { median: value, min, max } = figure(values(view));
  const reaches = (/** @type {number} */ limit) => (want === 'atLeast' ? value >= limit : value <= limit);
  return {
    ...verdict,
    value,
    min,
    max,
    verdict: floor === undefined ? 'none' : reaches(floor) ? 'pass' : 'fail',
    goalMet: goal === undefined ? null : reaches(goal),
  };
}

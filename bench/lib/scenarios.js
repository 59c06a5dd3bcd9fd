/** What is measured otherwise than by a window of time: faults, memory, single events. */
import { existsSync } from 'node:fs';
import { CHROMIUM } from '../../scripts/chromium.js';
import { faultTitles } from '../scenarios/faults.js';

/**
 * @typedef {object} Scenario
 * @property {string} name for `--only`
 * @property {'rival' | 'ours'} kind
 * @property {string} title
 * @property {string} script relative to `bench/`
 * @property {string[]} [server] script relative to `bench/`, and its arguments; none: it starts its own
 * @property {{ fault?: string, subject?: string }} [settings]
 * @property {readonly string[]} [execArgv]
 * @property {number} trials
 * @property {number} quickTrials 0: not in `--quick`
 * @property {boolean} [ignoresTransport] nothing in it depends on one
 */

const FAST_SERVER = ['servers/fast-server.js'];
const STALLED_SERVER = ['servers/fast-server.js', 'stalled'];

/**
 * @param {string} name
 * @param {keyof typeof faultTitles} fault
 * @param {number} trials
 * @param {number} quickTrials
 * @returns {Scenario}
 */
function faultScenario(name, fault, trials, quickTrials) {
  return {
    name,
    kind: 'ours',
    title: faultTitles[fault],
    script: 'scenarios/fault.js',
    settings: { fault },
    trials,
    quickTrials,
  };
}

/** @type {readonly Scenario[]} */
export const scenarios = [
  {
    name: 'transitions',
    kind: 'ours',
    title: 'steps of the statecharts during 100,000 checks',
    script: 'scenarios/transitions.js',
    server: FAST_SERVER,
    trials: 1,
    quickTrials: 1,
  },
  faultScenario('kill', 'SIGKILL', 20, 2),
  faultScenario('cut', 'cut', 20, 2),
  faultScenario('freeze', 'SIGSTOP', 5, 1),
  faultScenario('blackhole', 'blackhole', 5, 0),
  {
    name: 'dedup',
    kind: 'ours',
    title: 'deduplication hits',
    script: 'scenarios/dedup-hit.js',
    server: FAST_SERVER,
    trials: 5,
    quickTrials: 3,
  },
  {
    name: 'stream-creation',
    kind: 'ours',
    title: 'stream creation',
    script: 'scenarios/stream-creation.js',
    server: FAST_SERVER,
    trials: 3_000,
    quickTrials: 300,
  },
  {
    name: 'cold-import',
    kind: 'ours',
    title: 'cold import',
    script: 'scenarios/cold-import.js',
    trials: 15,
    quickTrials: 3,
    ignoresTransport: true,
  },
  ...['send', 'check', 'grpc-js'].map((subject) => {
    /** @type {Scenario} */
    const scenario = {
      name: `stalled-${subject}`,
      kind: subject === 'grpc-js' ? 'rival' : 'ours',
      title: `a peer that reads nothing, ${subject}`,
      script: 'scenarios/stalled-peer.js',
      server: STALLED_SERVER,
      settings: { subject },
      execArgv: ['--expose-gc'],
      trials: 1,
      quickTrials: subject === 'check' ? 0 : 1,
      ignoresTransport: subject === 'grpc-js',
    };
    return scenario;
  }),
  {
    name: 'memory',
    kind: 'ours',
    title: 'idle streams and connections',
    script: 'scenarios/idle-memory.js',
    server: FAST_SERVER,
    execArgv: ['--expose-gc'],
    trials: 1,
    quickTrials: 1,
  },
  ...(existsSync(CHROMIUM)
    ? [
        /** @type {Scenario} */ ({
          name: 'page',
          kind: 'ours',
          title: 'the page of the inspector, with a thousand actors',
          script: 'scenarios/page-frames.js',
          server: FAST_SERVER,
          trials: 1,
          quickTrials: 0,
        }),
      ]
    : []),
];

/**
 * `npm run bench -- failover`: each fault by itself, over and over.
 * @param {number} repeat
 * @returns {Scenario[]}
 */
export function failoverScenarios(repeat) {
  return /** @type {const} */ (['SIGKILL', 'SIGSTOP', 'blackhole', 'RST', 'GOAWAY', 'restart']).map((fault) =>
    faultScenario(`failover-${fault}`, fault, repeat, repeat),
  );
}

/** Everything a run found out, as it is written to `latest.json` and printed by `--json`. */
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { loadMessages } from '../rivals/messages.js';
import { toMessage } from '../rivals/struct.js';
import { createRequests } from './work.js';

/**
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {number} cores
 * @property {number} memoryGb
 * @property {string} platform
 * @property {string} node
 * @property {number} loadBefore runnable processes, on average over the minute before the first run
 */

/** @returns {Machine} */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    platform: `${platform()} ${release()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? NaN,
  };
}

/** @returns {Promise<Record<import('./work.js').Size, number>>} bytes of a request on the wire, on average, its frame header left out */
async function measureRequests() {
  const messages = await loadMessages();
  const CheckRequest = messages.lookupType('authz.v1.CheckRequest');
  /** @param {import('./work.js').Size} size */
  const measure = (size) => {
    const requests = Array.from({ length: 64 }, createRequests(size));
    const bytes = requests.map((request) => CheckRequest.encode(toMessage(request)).finish().length);
    return Math.round(bytes.reduce((sum, each) => sum + each, 0) / bytes.length);
  };
  return { small: measure('small'), large: measure('large') };
}

/**
 * @typedef {object} Document
 * @property {string} takenAt
 * @property {string} mode
 * @property {number} tookSeconds
 * @property {Machine} machine
 * @property {number} rounds
 * @property {number} seconds of each window
 * @property {(string | null)[]} transports null: the client's default
 * @property {Record<import('./work.js').Size, number>} requestBytes
 * @property {import('./aims.js').Verdict[]} aims
 * @property {Record<string, import('./aims.js').Result>} results
 */

/**
 * @param {object} run
 * @param {import('./options.js').Options} run.options
 * @param {Machine} run.machine
 * @param {number} run.tookMs
 * @param {import('./aims.js').Verdict[]} run.verdicts
 * @param {import('./aims.js').Results} run.results
 * @returns {Promise<Document>}
 */
export async function makeDocument({ options, machine, tookMs, verdicts, results }) {
  const { command, quick, only, rounds, seconds, transports } = options;
  return {
    takenAt: new Date().toISOString(),
    mode: command ?? (only === undefined ? (quick ? 'quick' : 'full') : `only ${only.join(', ')}`),
    tookSeconds: Math.round(tookMs / 1000),
    machine,
    rounds,
    seconds,
    transports: transports.map((transport) => transport ?? null),
    requestBytes: await measureRequests(),
    aims: verdicts,
    results: Object.fromEntries(results),
  };
}

/**
 * @param {Document} document
 * @returns {string} figures to five digits, for no measurement has more
 */
export function toJson(document) {
  const round = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
  return `${JSON.stringify(document, round, 2)}\n`;
}

/**
 * @param {Document} document
 * @returns {boolean} a floor was missed, or something could not be measured
 */
export function hasFailed({ aims, results }) {
  return (
    aims.some(({ verdict }) => verdict === 'fail') || Object.values(results).some(({ errors }) => errors.length > 0)
  );
}

/** Where the CPU time of a window goes, by function: V8's sampling profiler, started and stopped around the window alone. */
import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';

const SAMPLE_US = 200;
const TOP = 40;
const PACKAGE_URL = new URL('../../', import.meta.url).href;

/** @typedef {{ name: string, where: string, sharePercent: number }} FunctionShare */

/** @returns {Promise<() => Promise<FunctionShare[]>>} stops it and tells the functions by their own time, idle time left out */
export async function profileCpu() {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  await session.post('Profiler.start');
  return async () => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    return summarizeProfile(profile);
  };
}

/**
 * @param {import('node:inspector').Profiler.Profile} profile
 * @returns {FunctionShare[]}
 */
function summarizeProfile({ nodes, samples = [], timeDeltas = [] }) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  /** @type {Map<string, { name: string, where: string, us: number }>} */
  const byFunction = new Map();
  let busyUs = 0;
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === '(idle)' || isProfiler(frame)) continue;
    const us = timeDeltas[index] ?? 0;
    busyUs += us;
    const name = frame.functionName || '(anonymous)';
    const where = frame.url === '' ? '' : `${shortUrl(frame.url)}:${frame.lineNumber + 1}`;
    const key = `${name} ${where}`;
    const sum = byFunction.get(key) ?? { name, where, us: 0 };
    sum.us += us;
    byFunction.set(key, sum);
  }
  return [...byFunction.values()]
    .sort((a, b) => b.us - a.us)
    .slice(0, TOP)
    .map(({ name, where, us }) => ({ name, where, sharePercent: (us / busyUs) * 100 }));
}

/**
 * The inspector's own work.
 * @param {{ functionName: string, url: string }} frame
 */
function isProfiler({ functionName, url }) {
  return functionName === 'dispatch' && url === '';
}

/** @param {string} url */
function shortUrl(url) {
  if (url.startsWith(PACKAGE_URL)) return url.slice(PACKAGE_URL.length);
  return url.startsWith('file:') ? fileURLToPath(url) : url;
}

/** Servers and clients as separate processes, none of which outlives this one. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER_START_TIMEOUT_MS = 15_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

// Their stdin closes with us too, but a busy process reads that late.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/**
 * @param {string} script relative to `bench/`
 * @param {string[]} args
 */
function start(script, args) {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  // Writing to a process that has just died is not an error here: its exit tells.
  child.stdin.on('error', () => undefined);
  children.add(child);
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    complaints = (complaints + text).slice(-4096);
  });
  /** @type {Promise<Error>} */
  const ended = new Promise((resolve) => {
    child.on('error', resolve);
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve(new Error(`${script} ended with ${signal ?? code ?? 'nothing'}\n${complaints}`.trimEnd()));
    });
  });
  return { child, lines: createInterface({ input: child.stdout }), ended };
}

/**
 * @param {unknown} line
 * @returns {Record<string, number>}
 */
function parseFigures(line) {
  /** @type {unknown} */
  const figures = JSON.parse(String(line));
  return /** @type {Record<string, number>} */ (figures);
}

/**
 * @typedef {object} Server
 * @property {string} address `host:port`
 * @property {() => Promise<number>} cpuUs CPU time since its start
 * @property {() => void} kill with SIGKILL
 * @property {() => Promise<void>} stop
 */

/**
 * @param {string} script relative to `bench/`
 * @returns {Promise<Server>}
 */
export async function startServer(script) {
  const { child, lines, ended } = start(script, []);
  const nextLine = () =>
    withTimeout(
      SERVER_START_TIMEOUT_MS,
      `${script} said nothing`,
      Promise.race([
        new Promise((resolve) => lines.once('line', resolve)),
        ended.then((error) => {
          throw error;
        }),
      ]),
    ).then(parseFigures);
  const { port = NaN } = await nextLine();
  return {
    address: `127.0.0.1:${port}`,
    cpuUs: async () => {
      const line = nextLine();
      child.stdin.write('usage\n');
      return (await line)['cpuUs'] ?? NaN;
    },
    kill: () => child.kill('SIGKILL'),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/**
 * Runs one workload to its end.
 * @param {string} script relative to `bench/`
 * @param {object} settings
 * @param {{ timeoutMs: number, onMeasuring?: () => void, onMeasured?: () => void }} watch
 * @returns {Promise<import('./meter.js').Measured>}
 * @throws when it fails, or takes longer than `timeoutMs`
 */
export async function runClient(script, settings, { timeoutMs, onMeasuring, onMeasured }) {
  const { child, lines, ended } = start(script, [JSON.stringify(settings)]);
  /** @type {import('./meter.js').Measured | undefined} */
  let measured;
  lines.on('line', (line) => {
    const said = parseFigures(line);
    if (said['measuring'] === 1) return onMeasuring?.();
    measured = said;
    onMeasured?.();
  });
  try {
    const end = await withTimeout(timeoutMs, `${script} did not end within ${timeoutMs} ms`, ended);
    if (measured === undefined) throw end;
    return measured;
  } finally {
    child.kill('SIGKILL');
  }
}

/**
 * @template T
 * @param {number} timeoutMs
 * @param {string} reason
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function withTimeout(timeoutMs, reason, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(reason)), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

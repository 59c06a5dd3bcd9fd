/** Servers, clients and scenarios as separate processes, none of which outlives this one. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Many start at once, on a machine that may be busy with other things. */
const START_TIMEOUT_MS = 60_000;
/** Beyond ramp and window: the last answers. */
const WINDOW_GRACE_MS = 15_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

// Their stdin closes with us too, but a busy process reads that late.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** @typedef {Record<string, unknown>} Line what a process says, one JSON object a line */

/**
 * @param {string} text
 * @returns {Line}
 */
function parseLine(text) {
  /** @type {unknown} */
  const line = JSON.parse(text);
  return /** @type {Line} */ (line);
}

class Process {
  #script;
  #child;
  #ended;
  /** @type {Line[]} */
  #said = [];
  /** @type {((line: Line) => void) | undefined} */
  #listener;

  /**
   * @param {string} script relative to `bench/`
   * @param {string[]} args
   * @param {string[]} execArgv
   */
  constructor(script, args = [], execArgv = []) {
    this.#script = script;
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    const child = spawn(process.execPath, [...execArgv, path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    // Writing to a process that has just died is not an error here: its exit tells.
    child.stdin.on('error', () => undefined);
    children.add(child);
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      complaints = (complaints + text).slice(-4096);
    });
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parseLine(text);
      const listener = this.#listener;
      this.#listener = undefined;
      if (listener === undefined) this.#said.push(line);
      else listener(line);
    });
    /** @type {Promise<Error>} */
    this.#ended = new Promise((resolve) => {
      child.on('error', resolve);
      child.on('close', (code, signal) => {
        children.delete(child);
        resolve(new Error(`${script} ended with ${signal ?? code ?? 'nothing'}\n${complaints}`.trimEnd()));
      });
    });
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#child.kill(signal);
  }

  /** @param {string} line */
  tell(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /**
   * @param {number} timeoutMs
   * @returns {Promise<Line>} the next line it says
   * @throws when it ends before, or says nothing in time
   */
  hear(timeoutMs) {
    const said = this.#said.shift();
    if (said !== undefined) return Promise.resolve(said);
    /** @type {Promise<Line>} */
    const next = new Promise((resolve) => {
      this.#listener = resolve;
    });
    const died = this.#ended.then((error) => {
      throw error;
    });
    return withTimeout(timeoutMs, `${this.#script} said nothing for ${timeoutMs} ms`, Promise.race([next, died]));
  }

  /** It leaves when its stdin closes; one that is stopped cannot, and is killed. */
  async stop() {
    this.#child.stdin.end();
    const limit = setTimeout(() => this.kill('SIGKILL'), 2_000);
    await this.#ended;
    clearTimeout(limit);
  }
}

/**
 * A server process: it says `{"port":n}` when it listens, `{"cpuUs":n}` when told `usage`, and `{"done":1}` when told anything else that it
 * knows.
 */
export class Server {
  #process;
  #port = NaN;

  /** @param {Process} process */
  constructor(process) {
    this.#process = process;
  }

  /**
   * @param {string} script relative to `bench/`
   * @param {string[]} args
   */
  static async start(script, args = []) {
    const server = new Server(new Process(script, args));
    const { port } = await server.#process.hear(START_TIMEOUT_MS);
    server.#port = Number(port);
    return server;
  }

  get port() {
    return this.#port;
  }

  get address() {
    return `127.0.0.1:${this.#port}`;
  }

  /** @returns {Promise<number>} CPU time since its start, in microseconds */
  async cpuUs() {
    this.#process.tell('usage');
    return Number((await this.#process.hear(START_TIMEOUT_MS))['cpuUs']);
  }

  /** @param {string} command */
  async command(command) {
    this.#process.tell(command);
    await this.#process.hear(START_TIMEOUT_MS);
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#process.kill(signal);
  }

  stop() {
    return this.#process.stop();
  }
}

/**
 * @typedef {object} Sample of one window
 * @property {import('./worker.js').Measured} figures
 * @property {import('./profile.js').FunctionShare[]} [functions] where asked for
 */

/** A client process and the server it alone uses: none inherits the garbage of another's. */
export class Pair {
  #server;
  #client;

  /**
   * @param {Server} server
   * @param {Process} client
   */
  constructor(server, client) {
    this.#server = server;
    this.#client = client;
  }

  /**
   * @param {string} serverScript relative to `bench/`
   * @param {string} clientScript relative to `bench/`
   * @param {object} settings for the client, but for the address
   */
  static async start(serverScript, clientScript, settings) {
    const server = await Server.start(serverScript);
    const client = new Process(clientScript, [JSON.stringify({ ...settings, address: server.address })]);
    const pair = new Pair(server, client);
    try {
      await client.hear(START_TIMEOUT_MS);
      return pair;
    } catch (error) {
      await pair.stop();
      throw error;
    }
  }

  /**
   * @param {import('./worker.js').Window} window
   * @returns {Promise<Sample>}
   * @throws when the client fails or does not finish
   */
  async measure(window) {
    const limitMs = window.rampMs + window.measureMs + WINDOW_GRACE_MS;
    this.#client.tell(JSON.stringify(window));
    await this.#client.hear(limitMs);
    const before = await this.#server.cpuUs();
    await this.#client.hear(limitMs);
    const after = await this.#server.cpuUs();
    const sample = /** @type {Sample} */ (/** @type {unknown} */ (await this.#client.hear(limitMs)));
    const { elapsedMs = NaN, checks = NaN } = sample.figures;
    const serverBusyPercent = (after - before) / (elapsedMs * 10);
    return {
      ...sample,
      figures: { ...sample.figures, serverBusyPercent, serverCpuUsPerCheck: (after - before) / checks },
    };
  }

  async stop() {
    await Promise.all([this.#client.stop(), this.#server.stop()]);
  }
}

/**
 * Runs one scenario to its end.
 * @param {string} script relative to `bench/`
 * @param {object} settings
 * @param {object} watch
 * @param {number} watch.timeoutMs between two reports
 * @param {readonly string[]} watch.execArgv
 * @param {(figures: import('./worker.js').Measured) => void} watch.onReport
 * @throws when it fails, or reports nothing for longer than `timeoutMs`
 */
export async function runScenario(script, settings, { timeoutMs, execArgv, onReport }) {
  const scenario = new Process(script, [JSON.stringify(settings)], [...execArgv]);
  try {
    for (;;) {
      const line = await scenario.hear(timeoutMs);
      if (line['end'] === 1) return;
      onReport(/** @type {Sample} */ (/** @type {unknown} */ (line)).figures);
    }
  } finally {
    await scenario.stop();
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

/**
 * What runs inside each client process: warm up, say so, measure a window of the same length as everyone's, report one line of JSON
 * on stdout. Counting is one integer, so that measuring does not become the measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'hdr-histogram-js';

/**
 * Given to a workload as its only argument, in JSON.
 * @typedef {object} Settings
 * @property {string} address `host:port` of the server
 * @property {number} warmUpMs
 * @property {number} measureMs
 * @property {number} inFlight checks unanswered at a time, over all streams together
 * @property {number} streams
 * @property {'protobufjs' | 'none'} codec for workloads on the bare wire
 * @property {number} trials for workloads that repeat one event instead of filling a window
 */

/**
 * @typedef {Record<string, number>} Measured
 */

/** @returns {Settings} */
export function readSettings() {
  /** @type {Settings} */
  const defaults = {
    address: '',
    warmUpMs: 1000,
    measureMs: 3000,
    inFlight: 64,
    streams: 1,
    codec: 'protobufjs',
    trials: 10,
  };
  /** @type {unknown} */
  const given = JSON.parse(process.argv[2] ?? '{}');
  return { ...defaults, .../** @type {Partial<Settings>} */ (given) };
}

/** Latencies in microseconds, kept to three digits. */
export class Latencies {
  #histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });

  /** @param {number} startedMs by `performance.now()` */
  since(startedMs) {
    this.#histogram.recordValue(Math.min(60_000_000, Math.max(1, Math.round((performance.now() - startedMs) * 1000))));
  }

  clear() {
    this.#histogram.reset();
  }

  get isEmpty() {
    return this.#histogram.totalCount === 0;
  }

  /** @returns {{ p50Ms: number, p99Ms: number }} */
  summary() {
    return {
      p50Ms: this.#histogram.getValueAtPercentile(50) / 1000,
      p99Ms: this.#histogram.getValueAtPercentile(99) / 1000,
    };
  }
}

/** Counts settled checks while a load runs and turns one window of them into figures. */
export class Meter {
  /** The load goes on while this is true. */
  running = true;
  latencies = new Latencies();
  #settled = 0;

  /**
   * Every answer is looked at: a fast client with wrong answers is not fast.
   * @param {boolean} allowed whether the answer allows all that was asked, as the server's always do
   */
  settle(allowed) {
    if (!allowed) fail(new Error('the server allows everything, and a check was not allowed'));
    this.#settled++;
  }

  /**
   * @param {Settings} settings
   * @returns {Promise<Measured>}
   */
  async measure({ warmUpMs, measureMs }) {
    await sleep(warmUpMs);
    process.stdout.write('{"measuring":1}\n');
    this.latencies.clear();
    const settledBefore = this.#settled;
    const cpuBefore = process.cpuUsage();
    const startedMs = performance.now();
    await sleep(measureMs);
    const elapsedMs = performance.now() - startedMs;
    const cpu = process.cpuUsage(cpuBefore);
    const checks = this.#settled - settledBefore;
    this.running = false;
    if (checks === 0) throw new Error(`no check was answered within ${measureMs} ms`);
    return {
      checks,
      elapsedMs,
      checksPerSecond: (checks / elapsedMs) * 1000,
      clientCpuUsPerCheck: (cpu.user + cpu.system) / checks,
      rssMb: process.memoryUsage.rss() / (1024 * 1024),
      ...(this.latencies.isEmpty ? {} : this.latencies.summary()),
    };
  }
}

/**
 * The last thing a workload does. It exits by itself: what a client leaves open is for the tests to find, not for the benchmark.
 * @param {Measured} measured
 */
export function report(measured) {
  process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0));
}

/**
 * @param {unknown} error
 * @returns {never}
 */
export function fail(error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
  process.exit(1);
}

// The runner's death closes this pipe: no client outlives it.
process.stdin.on('end', () => process.exit(1)).resume();
process.stdin.on('error', () => undefined);

/**
 * What runs inside each client process. It connects once, says so, and then, whenever it is told to, loads the server for a window of the
 * same length as everyone's and reports one line of JSON. Between its windows it rests, so that all clients can take turns and a machine that
 * slows down slows them alike. Counting is one integer, so that measuring does not become the measured.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'hdr-histogram-js';
import { profileCpu } from './profile.js';

/**
 * Given to a workload as its only argument, in JSON.
 * @typedef {object} Settings
 * @property {string} address `host:port` of the server
 * @property {number} inFlight checks unanswered at a time, over all streams together
 * @property {number} streams
 * @property {number} connections
 * @property {import('./work.js').Size} size of a request
 * @property {'protobufjs' | 'none'} codec for workloads on the bare wire
 * @property {boolean} inspected with an inspector attached to the statecharts
 * @property {'open' | 'closed'} [page] with the page of our own inspector open, or after it was
 * @property {string} [transport] of our client; its default where absent
 * @property {number} trials for scenarios, which repeat one event instead of filling a window
 * @property {string} fault for the scenario `fault`
 * @property {string} subject whose turn it is, in scenarios that rivals run too
 */

/** @typedef {{ rampMs: number, measureMs: number, profile?: boolean }} Window */

/** @typedef {Record<string, number>} Measured */

/** Longer than any check's own deadline: what is unanswered then never comes. */
const DRAIN_LIMIT_MS = 10_000;

/** @returns {Settings} */
export function readSettings() {
  /** @type {Settings} */
  const defaults = {
    address: '',
    inFlight: 64,
    streams: 1,
    connections: 1,
    size: 'small',
    codec: 'protobufjs',
    inspected: false,
    trials: 1,
    fault: '',
    subject: '',
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
    this.record(performance.now() - startedMs);
  }

  /** @param {number} ms */
  record(ms) {
    this.#histogram.recordValue(Math.min(60_000_000, Math.max(1, Math.round(ms * 1000))));
  }

  clear() {
    this.#histogram.reset();
  }

  get isEmpty() {
    return this.#histogram.totalCount === 0;
  }

  /** @returns {{ p50Ms: number, p99Ms: number, maxMs: number }} */
  summary() {
    return {
      p50Ms: this.#histogram.getValueAtPercentile(50) / 1000,
      p99Ms: this.#histogram.getValueAtPercentile(99) / 1000,
      maxMs: this.#histogram.maxValue / 1000,
    };
  }
}

/** Counts checks sent and settled, and times a sample of them: timing each one would cost more than it tells. */
export class Meter {
  /** The load goes on while this is true. */
  running = false;
  settled = 0;
  latencies = new Latencies();
  #unanswered = 0;
  /** @type {(() => void) | undefined} */
  #onDrained;

  /**
   * Every answer is looked at: a fast client with wrong answers is not fast.
   * @param {boolean} allowed whether the answer allows all that was asked, as the server's always do
   */
  settle(allowed) {
    if (!allowed) fail(new Error('the server allows everything, and a check was not allowed'));
    this.settled++;
  }

  /** A load with callbacks tells of each request... */
  ask() {
    this.#unanswered++;
  }

  /**
   * ...and of each answer.
   * @param {boolean} allowed
   */
  answer(allowed) {
    this.#unanswered--;
    this.settle(allowed);
    if (!this.running && this.#unanswered === 0) this.#onDrained?.();
  }

  get unanswered() {
    return this.#unanswered;
  }

  /** @returns {Promise<void>} when the load has stopped and every request told by `ask` is answered */
  drained() {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      if (!this.running && this.#unanswered === 0) resolve();
    });
  }
}

/**
 * Serves the runner's commands until it closes our stdin.
 * @param {Meter} meter
 * @param {() => Promise<unknown>} load keeps its number of checks in flight while `meter.running`, and resolves when all are answered
 */
export function serve(meter, load) {
  let gcMs = 0;
  let startedMs = Infinity;
  let endedMs = Infinity;
  // Entries come late: those of before the window while it runs, those of its end after it.
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      if (startTime >= startedMs && startTime < endedMs) gcMs += duration;
    }
  }).observe({ entryTypes: ['gc'] });

  /** @param {Window} window */
  const measure = async ({ rampMs, measureMs, profile = false }) => {
    meter.running = true;
    const drained = load();
    drained.catch(fail);
    await sleep(rampMs);
    const stopProfile = profile ? await profileCpu() : undefined;
    say({ measuring: 1 });
    meter.latencies.clear();
    gcMs = 0;
    const settledBefore = meter.settled;
    const cpuBefore = process.cpuUsage();
    endedMs = Infinity;
    startedMs = performance.now();
    await sleep(measureMs);
    endedMs = performance.now();
    const elapsedMs = endedMs - startedMs;
    const cpu = process.cpuUsage(cpuBefore);
    const checks = meter.settled - settledBefore;
    say({ measured: 1 });
    const functions = await stopProfile?.();
    const latencies = meter.latencies.isEmpty ? {} : meter.latencies.summary();
    meter.running = false;
    const limit = setTimeout(
      () => fail(new Error(`checks were unanswered ${DRAIN_LIMIT_MS} ms after the last`)),
      DRAIN_LIMIT_MS,
    );
    await drained;
    clearTimeout(limit);
    if (checks === 0) fail(new Error(`no check was answered within ${measureMs} ms`));
    say({
      figures: {
        checks,
        elapsedMs,
        checksPerSecond: (checks / elapsedMs) * 1000,
        clientCpuUsPerCheck: (cpu.user + cpu.system) / checks,
        clientBusyPercent: (cpu.user + cpu.system) / (elapsedMs * 10),
        gcSharePercent: (gcMs / elapsedMs) * 100,
        rssMb: process.memoryUsage.rss() / (1024 * 1024),
        ...latencies,
      },
      functions,
    });
  };

  createInterface({ input: process.stdin })
    .on('line', (line) => {
      /** @type {unknown} */
      const window = JSON.parse(line);
      measure(/** @type {Window} */ (window)).catch(fail);
    })
    // The runner's death closes this pipe too: no client outlives it.
    .on('close', () => process.exit(0));
  say({ ready: 1 });
}

/** @param {object} line */
function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * What came of one trial of a scenario, or of all of them.
 * @param {Measured} figures
 */
export function report(figures) {
  say({ figures });
}

/** The last thing a scenario does. It exits by itself: what a client leaves open is for the tests to find, not for the benchmark. */
export function finish() {
  process.stdout.write('{"end":1}\n', () => process.exit(0));
}

/**
 * @param {unknown} error
 * @returns {never}
 */
export function fail(error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
  process.exit(1);
}

process.stdin.on('error', () => undefined);

/** The demo's plot: two engines, one client, many checks; the primary dies half-way and comes back. */

import { setTimeout as delay } from 'node:timers/promises';
import type { PolicySet } from '../../engine/index.js';
import { type AuthzClient, type BidirectionalStreamHandle, createClient } from '../../index.js';
import { CliError } from '../failure.js';
import { type EngineProcess, Engines } from './engines.js';
import type { Latencies } from './latency-book.js';
import { createQuestions } from './questions.js';
import { Tally, type TallyResult } from './tally.js';
import { Timeline, type TimelineEntry } from './timeline.js';
import { Pace, Workload } from './workload.js';

/** How long the backup serves alone before the primary is started again. */
const OUTAGE_MS = 4_000;
/** Of unbroken health before traffic moves back; the default of a minute would be a long demo. */
const FAILBACK_DELAY_MS = 1_000;
const FAILOVER_LIMIT_MS = 10_000;
const FAILBACK_LIMIT_MS = 30_000;
/** Every check settles at its deadline at the latest; this is for a client that breaks that promise. */
const SETTLE_LIMIT_MS = 10_000;
const POLL_MS = 20;

export interface ScenarioOptions {
  readonly checks: number;
  readonly streams: number;
  /** What every answer is held against. */
  readonly policies: PolicySet;
  /** Where the engines read the same ones. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly progress: ScenarioProgress;
}

export interface ScenarioProgress {
  start(total: number): void;
  update(answered: number, phase: string): void;
  stop(): void;
}

export interface ScenarioResult {
  /** Their addresses. */
  readonly engines: { readonly primary: string; readonly backup: string };
  readonly checks: number;
  readonly streams: number;
  readonly tally: TallyResult;
  readonly timeline: readonly TimelineEntry[];
  readonly latencyMs: Latencies;
  /** The longest time without an answer: what the failover cost whoever was waiting. */
  readonly longestPauseMs: number;
  readonly durationMs: number;
  /** Answers a second, from the first check to the last answer. */
  readonly checksPerSecond: number;
  /** The same for the first half, which is sent flat out; the second is spread over outage and return. */
  readonly flatOutChecksPerSecond: number;
  /** Unanswered at the moment of the kill. */
  readonly inFlightAtKill: number;
  readonly answeredWhileFailedOver: number;
  /** Streams that ended properly. */
  readonly streamsEnded: number;
}

/** Runs it to the end, or to the signal: then it rejects with the signal's reason. Engines and client are gone either way. */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const broken = new AbortController();
  const signal = AbortSignal.any([options.signal, broken.signal]);
  const engines = new Engines(options.directory, (error) => broken.abort(error));
  const timeline = new Timeline();
  try {
    const [primary, backup] = await Promise.all([engines.start('primary'), engines.start('backup')]);
    signal.throwIfAborted();
    timeline.add('engines_started', `${primary.address} and ${backup.address}`);
    await using client = createDemoClient(primary, backup, options.streams);
    // Disposal waits for what is owed; after an abort nobody wants it.
    signal.addEventListener('abort', () => void client.disconnect({ force: true }), { once: true });
    record(client, timeline, [primary, backup]);
    const run = new DemoRun(options, createQuestions(options.policies), {
      client,
      engines,
      primary,
      backup,
      timeline,
      signal,
    });
    const result = await run.play();
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await engines.stop();
  }
}

function createDemoClient(primary: EngineProcess, backup: EngineProcess, streams: number): AuthzClient {
  return createClient({
    address: primary.address,
    failover: { enabled: true, fallbackAddresses: [backup.address], failbackDelay: FAILBACK_DELAY_MS },
    // For an audience: the dead primary is tried often enough that its return is seen soon.
    reconnect: { initialDelay: 100, maxDelay: 500 },
    healthCheck: { interval: 500, timeout: 500 },
    streamPool: { maxConcurrentStreams: Math.max(10, streams) },
  });
}

function record(
  client: AuthzClient,
  timeline: Timeline,
  [primary, backup]: readonly [EngineProcess, EngineProcess],
): void {
  const names = new Map([primary, backup].map(({ address, name }) => [address, name]));
  const nameOf = (address: string): string => names.get(address) ?? address;
  client
    .on('connected', ({ address }) => {
      if (timeline.first('connected') === undefined) timeline.add('connected', `to the ${nameOf(address)}`);
    })
    .on('failover_started', ({ from, to, reason }) => {
      timeline.add('failover_started', `${nameOf(from)} → ${nameOf(to)}: ${reason}`);
    })
    .on('failover_completed', ({ address }) => timeline.add('failover_completed', `served by the ${nameOf(address)}`))
    .on('failover_failed', ({ address, error }) => {
      timeline.add('failover_failed', `${nameOf(address)}: ${error.message}`);
    })
    .on('failback_scheduled', ({ address, delayMs }) => {
      timeline.add('failback_scheduled', `the ${nameOf(address)} serves; back after ${delayMs} ms of it`);
    })
    .on('failback_completed', ({ address }) => timeline.add('failback_completed', `served by the ${nameOf(address)}`));
}

interface Stage {
  readonly client: AuthzClient;
  readonly engines: Engines;
  readonly primary: EngineProcess;
  readonly backup: EngineProcess;
  readonly timeline: Timeline;
  readonly signal: AbortSignal;
}

class DemoRun {
  readonly #options: ScenarioOptions;
  readonly #stage: Stage;
  readonly #tally: Tally;
  readonly #pace = new Pace();
  readonly #handles: readonly BidirectionalStreamHandle[];
  readonly #workload: Workload;
  #phase = 'on the primary';
  #startedAt = 0;
  #streamsEnded = 0;
  #outage: Promise<void> | undefined;
  #atKill = { inFlight: 0, answered: 0, afterMs: 0 };
  #answeredAtFailover = 0;
  #answeredWhileFailedOver = 0;

  constructor(options: ScenarioOptions, questions: ReturnType<typeof createQuestions>, stage: Stage) {
    const { checks: total, streams } = options;
    this.#options = options;
    this.#stage = stage;
    this.#tally = new Tally(questions, total);
    this.#handles = stage.client.createStreamPool(streams, {
      onResponse: (response) => {
        this.#tally.onAnswer(response, performance.now());
        this.#workload.onSettled();
      },
      onError: (error) => {
        this.#tally.onError(error);
        this.#workload.onSettled();
      },
      onEnd: () => {
        this.#streamsEnded++;
      },
    });
    this.#workload = new Workload({
      handles: this.#handles,
      questions,
      tally: this.#tally,
      total,
      pace: this.#pace,
      signal: stage.signal,
      onHalf: () => this.#kill(),
    });
  }

  async play(): Promise<ScenarioResult> {
    const { client, timeline, signal } = this.#stage;
    const { progress, checks } = this.#options;
    await client.connect();
    signal.addEventListener('abort', () => this.#workload.wake(), { once: true });
    client.on('failover_completed', () => (this.#answeredAtFailover = this.#tally.answered));
    client.on(
      'failback_completed',
      () => (this.#answeredWhileFailedOver = this.#tally.answered - this.#answeredAtFailover),
    );
    progress.start(checks);
    const reporting = setInterval(() => progress.update(this.#tally.answered, this.#phase), 100);
    try {
      this.#startedAt = performance.now();
      await this.#workload.run();
      timeline.add('all_sent', '');
      await this.#outage;
      await this.#until(() => this.#tally.inFlight === 0);
      const busyMs = performance.now() - this.#startedAt;
      timeline.add('all_settled', '');
      progress.update(this.#tally.answered, this.#phase);
      // Answers that should not come would come until the streams have ended.
      for (const handle of this.#handles) handle.end();
      await this.#until(() => this.#streamsEnded >= this.#handles.length);
      return this.#result(busyMs);
    } finally {
      clearInterval(reporting);
      progress.stop();
    }
  }

  /** In the middle of sending, so that checks are in flight. */
  #kill(): void {
    const { primary, timeline } = this.#stage;
    const { inFlight, answered } = this.#tally;
    const dead = primary.kill();
    timeline.add('primary_killed', `SIGKILL, with ${inFlight} checks in flight`);
    this.#atKill = { inFlight, answered, afterMs: performance.now() - this.#startedAt };
    this.#pace.spread(performance.now());
    this.#phase = 'primary killed, failing over';
    this.#outage = dead.then(() => this.#restoreLater());
    // Awaited later; until then a rejection must not count as unhandled.
    this.#outage.catch(() => undefined);
  }

  /** Failover, outage, restart, failback. What does not happen within its limit is left to the report. */
  async #restoreLater(): Promise<void> {
    const { engines, primary, timeline, signal } = this.#stage;
    try {
      if (await timeline.happened('failover_completed', FAILOVER_LIMIT_MS, signal)) this.#phase = 'on the backup';
      await delay(OUTAGE_MS, undefined, { signal });
      const restarted = await engines.start('primary', primary.port);
      timeline.add('primary_restarted', `on the same port, ${restarted.port}`);
      this.#phase = 'primary restarted, failing back';
      if (await timeline.happened('failback_completed', FAILBACK_LIMIT_MS, signal)) this.#phase = 'back on the primary';
    } finally {
      this.#pace.flatOut();
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + SETTLE_LIMIT_MS;
    while (!condition() && performance.now() < giveUpAt && !this.#stage.signal.aborted) await delay(POLL_MS);
  }

  #result(busyMs: number): ScenarioResult {
    const { checks, streams } = this.#options;
    const { answered, inFlight, afterMs } = this.#atKill;
    if (this.#outage === undefined) throw new CliError('the demo ended before its half: the primary was never killed');
    const { primary, backup, timeline } = this.#stage;
    return {
      engines: { primary: primary.address, backup: backup.address },
      checks,
      streams,
      tally: this.#tally.result(),
      timeline: timeline.entries,
      latencyMs: this.#tally.latencies(),
      longestPauseMs: this.#tally.longestPauseMs,
      durationMs: timeline.elapsedMs(),
      checksPerSecond: (this.#tally.answered / busyMs) * 1_000,
      flatOutChecksPerSecond: afterMs === 0 ? 0 : (answered / afterMs) * 1_000,
      inFlightAtKill: inFlight,
      answeredWhileFailedOver: this.#answeredWhileFailedOver,
      streamsEnded: this.#streamsEnded,
    };
  }
}

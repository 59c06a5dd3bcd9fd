/** The demo that goes on: two engines, one client under a steady load, and a page that shows it and plays with the engines. */

import type { PolicySet } from '../../engine/index.js';
import { type AuthzClient, createClient } from '../../index.js';
import { type Inspector, serveClient } from '../../inspect/server.js';
import { untilAborted } from '../watching.js';
import { EndlessTally, type EndlessTallyResult } from './endless-tally.js';
import { type EngineState, EngineSwitchboard } from './engine-switchboard.js';
import { type EngineProcess, Engines } from './engines.js';
import type { Latencies } from './latency-book.js';
import { createQuestions } from './questions.js';
import { SteadyLoad } from './steady-load.js';

/** Enough to see traffic flow, and little work for a laptop that runs two engines and a browser beside it. */
export const CHECKS_PER_SECOND = 2_000;
/** Long enough to be seen coming, and short enough to be waited for; the default is a minute. */
const FAILBACK_DELAY_MS = 5_000;
/** Every check settles at its deadline at the latest; this is for a client that breaks that promise. */
const SETTLE_LIMIT_MS = 10_000;

export interface LiveOptions {
  readonly streams: number;
  /** Of the page; 0: any free one. */
  readonly port: number;
  /** What every answer is held against. */
  readonly policies: PolicySet;
  /** Where the engines read the same ones. */
  readonly directory: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly observer: LiveObserver;
}

export type LiveMoment =
  | 'engine_running'
  | 'engine_frozen'
  | 'engine_dead'
  | 'failover_started'
  | 'failover_completed'
  | 'failover_failed'
  | 'failback_scheduled'
  | 'failback_completed'
  | 'error';

export interface LiveStage {
  /** Of the page, its token included. */
  readonly url: string;
  /** Their addresses. */
  readonly engines: { readonly primary: string; readonly backup: string };
}

export interface LiveObserver {
  onListening(stage: LiveStage): void;
  onMoment(moment: LiveMoment, detail: string): void;
  /** Nothing is asked any more; that many checks are waited for. */
  onEnding(outstanding: number): void;
}

export interface LiveResult extends LiveStage {
  readonly checksPerSecond: number;
  readonly streams: number;
  /** From the first check until it was told to end. */
  readonly durationMs: number;
  readonly tally: EndlessTallyResult;
  readonly latencyMs: Latencies;
  readonly failovers: number;
  readonly failbacks: number;
}

/** Runs it until the signal. Rejects with the signal's reason if that comes before the page is there. Nothing is left running either way. */
export async function runLive(options: LiveOptions): Promise<LiveResult> {
  const { signal, observer } = options;
  const engines = new Engines(options.directory, (error) => report('error', error.message));
  const counts = { failovers: 0, failbacks: 0 };
  let isPlaying = false;
  const report = (moment: LiveMoment, detail: string): void => {
    // What comes about by starting and ending is no event of the demo.
    if (!isPlaying || signal.aborted) return;
    if (moment === 'failover_completed') counts.failovers++;
    if (moment === 'failback_completed') counts.failbacks++;
    observer.onMoment(moment, detail);
  };
  try {
    const [primary, backup] = await Promise.all([engines.start('primary'), engines.start('backup')]);
    signal.throwIfAborted();
    await using client = createLiveClient(primary, backup, options.streams);
    record(client, [primary, backup], report);
    const controls = new EngineSwitchboard(engines, [primary, backup], (engine, state) => {
      report(`engine_${state}`, describe(engine, state));
    });
    await using inspector = await serveClient(client, { port: options.port, controls });
    await client.connect();
    signal.throwIfAborted();
    isPlaying = true;
    return { ...(await play(options, client, inspector, [primary, backup])), ...counts };
  } finally {
    isPlaying = false;
    await engines.stop();
  }
}

type EnginePair = readonly [EngineProcess, EngineProcess];

function createLiveClient(primary: EngineProcess, backup: EngineProcess, streams: number): AuthzClient {
  return createClient({
    address: primary.address,
    failover: { enabled: true, fallbackAddresses: [backup.address], failbackDelay: FAILBACK_DELAY_MS },
    // For an audience: a dead engine is tried often enough that its return is seen soon.
    reconnect: { initialDelay: 100, maxDelay: 500 },
    healthCheck: { interval: 500, timeout: 500 },
    streamPool: { maxConcurrentStreams: Math.max(10, streams) },
  });
}

async function play(
  { streams, policies, signal, observer }: LiveOptions,
  client: AuthzClient,
  inspector: Inspector,
  [primary, backup]: EnginePair,
): Promise<Omit<LiveResult, 'failovers' | 'failbacks'>> {
  const tally = new EndlessTally();
  const questions = createQuestions(policies);
  const load = new SteadyLoad({ client, questions, tally, streams, checksPerSecond: CHECKS_PER_SECOND });
  const stage = { url: inspector.url, engines: { primary: primary.address, backup: backup.address } };
  const startedAt = performance.now();
  load.start();
  observer.onListening(stage);
  await untilAborted(signal);
  const durationMs = performance.now() - startedAt;
  const ended = load.stop(SETTLE_LIMIT_MS);
  observer.onEnding(tally.outstanding);
  await ended;
  return {
    ...stage,
    checksPerSecond: CHECKS_PER_SECOND,
    streams,
    durationMs,
    tally: tally.result(),
    latencyMs: tally.latencies(),
  };
}

const STATES: Readonly<Record<EngineState, string>> = {
  running: 'takes connections and answers',
  frozen: 'SIGSTOP: keeps its connections, and answers nothing',
  dead: 'gone, without a word',
};

function describe({ name }: EngineProcess, state: EngineState): string {
  return `the ${name}: ${STATES[state]}`;
}

function record(client: AuthzClient, engines: EnginePair, report: (moment: LiveMoment, detail: string) => void): void {
  const names = new Map(engines.map(({ address, name }) => [address, name]));
  const nameOf = (address: string): string => names.get(address) ?? address;
  client
    .on('failover_started', ({ from, to, reason }) => {
      report('failover_started', `${nameOf(from)} → ${nameOf(to)}: ${reason}`);
    })
    .on('failover_completed', ({ address }) => report('failover_completed', `served by the ${nameOf(address)}`))
    .on('failover_failed', ({ address, error }) => report('failover_failed', `${nameOf(address)}: ${error.message}`))
    .on('failback_scheduled', ({ address, delayMs }) => {
      report('failback_scheduled', `the ${nameOf(address)} serves; back after ${delayMs} ms of it`);
    })
    .on('failback_completed', ({ address }) => report('failback_completed', `served by the ${nameOf(address)}`))
    .on('error', (error) => report('error', error.message));
}

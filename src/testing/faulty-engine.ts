import type { CheckFaults } from '../engine/checks.js';
import type { Engine, EngineOptions, EngineStats, ServingStatus, StopOptions } from '../engine/index.js';
import { launchEngine, type RunningEngine } from '../engine/server.js';
import type { WireCheckResponse } from '../engine/wire.js';
import { ConfigurationError, GrpcCode } from '../errors.js';

/**
 * What may be wrong with an answer: it never comes · it comes twice, the second time to the contrary · it bears an id that nobody asked
 * under · it decides an action that nobody asked for, and none that somebody did.
 */
export type AnswerFault = 'missing' | 'duplicate' | 'foreignId' | 'foreignActions';

const ANSWER_FAULTS: readonly string[] = [
  'missing',
  'duplicate',
  'foreignId',
  'foreignActions',
] satisfies AnswerFault[];
const MAX_LATENCY_MS = 3_600_000;

/** How many checks a switch is for. Default: all, until it is told otherwise. */
export interface FaultCount {
  readonly count?: number;
}

/** A switch that is on for so many checks. */
class Switch<Setting> {
  #setting: Setting | undefined;
  #left = 0;

  set(setting: Setting, count = Infinity): void {
    this.#setting = setting;
    this.#left = count;
  }

  clear(): void {
    this.#setting = undefined;
  }

  take(): Setting | undefined {
    const setting = this.#setting;
    if (setting !== undefined && --this.#left <= 0) this.#setting = undefined;
    return setting;
  }
}

class Faults implements CheckFaults {
  readonly failures = new Switch<{ readonly code: GrpcCode; readonly details: string }>();
  readonly answers = new Switch<AnswerFault>();

  failure(): { readonly code: GrpcCode; readonly details: string } | undefined {
    return this.failures.take();
  }

  alter(response: WireCheckResponse): readonly WireCheckResponse[] {
    switch (this.answers.take()) {
      case 'missing':
        return [];
      case 'duplicate':
        return [response, toContrary(response)];
      case 'foreignId':
        return [{ ...response, requestId: `not-${response.requestId}` }];
      case 'foreignActions':
        return [{ ...response, results: new Map([['never-asked', ALLOWED]]) }];
      case undefined:
        return [response];
    }
  }
}

const ALLOWED = { effect: 1, policy: 'faulty-engine', rule: 'foreign-action', matched: true } as const;

function toContrary(response: WireCheckResponse): WireCheckResponse {
  const results = [...response.results].map(
    ([action, decision]) => [action, { ...decision, effect: decision.effect === 1 ? 2 : 1 }] as const,
  );
  return { ...response, results: new Map(results) };
}

/**
 * The embedded engine, a real one on a real port, with switches for what goes wrong with engines and with the way to them. A switch takes
 * effect at once, for what is asked from then on, and none while the engine does not run; `heal()` sets all of them back. It is started by
 * {@link startFaultyEngine}.
 */
export class FaultyEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #faults: Faults;
  #engine: RunningEngine;
  #isRunning = true;

  constructor(options: EngineOptions, faults: Faults, engine: RunningEngine) {
    this.#options = options;
    this.#faults = faults;
    this.#engine = engine;
  }

  get address(): string {
    return this.#engine.address;
  }

  get port(): number {
    return this.#engine.port;
  }

  get policyCount(): number {
    return this.#engine.policyCount;
  }

  /** Since it was last started. */
  get stats(): EngineStats {
    return this.#engine.stats;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  // --- answers ------------------------------------------------------------------------------------------------------------------

  /**
   * Holds each answer back for so long. What is under way keeps its own.
   * @param latencyMs 0 to 3,600,000
   * @throws ConfigurationError
   */
  setLatency(latencyMs: number): void {
    requireWhole('latencyMs', latencyMs, 0, MAX_LATENCY_MS);
    this.#engine.pace.latencyMs = latencyMs;
  }

  /**
   * No check is answered until `release()`. With `health`, health is not answered either: as a frozen engine looks to its clients, but for
   * their pings, which are answered.
   */
  hold({ health = false }: { readonly health?: boolean } = {}): void {
    this.#engine.pace.hold();
    if (health) this.#engine.health.fallSilent();
  }

  /** What was held is answered now, in the order it was asked, unless its caller gave up. */
  release(): void {
    this.#engine.pace.release();
    this.#engine.health.speak();
  }

  /**
   * Ends calls with an error instead of answering. On a stream that ends the whole call, and its client asks again what was unanswered on it.
   * @param code any of `GrpcCode` but OK
   * @throws ConfigurationError
   */
  failChecks(
    code: GrpcCode,
    { count, message = 'the engine was told to fail' }: FaultCount & { message?: string } = {},
  ): void {
    const isError = code !== GrpcCode.OK && Object.values(GrpcCode).includes(code);
    if (!isError) throw new ConfigurationError('code', `must be a GrpcCode other than OK, got ${String(code)}`);
    this.#faults.failures.set({ code, details: message }, requireCount(count));
  }

  /**
   * Answers wrongly. A unary call takes one answer at most: of `duplicate` it gets the first.
   * @throws ConfigurationError
   */
  spoilAnswers(fault: AnswerFault, { count }: FaultCount = {}): void {
    if (!ANSWER_FAULTS.includes(fault))
      throw new ConfigurationError('fault', `must be one of ${ANSWER_FAULTS.join(', ')}, got ${fault}`);
    this.#faults.answers.set(fault, requireCount(count));
  }

  /** What health says. Checks are answered either way. */
  setHealth(status: ServingStatus): void {
    this.#engine.setHealth(status);
  }

  // --- connections --------------------------------------------------------------------------------------------------------------

  /** Nobody listens on the port until `acceptConnections()`: dials are refused. Connections that are open stay. */
  refuseConnections(): void {
    this.#engine.refuseConnections();
  }

  /** @throws ConfigurationError when somebody else has taken the port */
  async acceptConnections(): Promise<void> {
    await this.#engine.acceptConnections();
  }

  /** Resets every connection (TCP RST). New ones are taken. */
  dropConnections(): void {
    this.#engine.resetConnections();
  }

  // --- life ---------------------------------------------------------------------------------------------------------------------

  /** As SIGKILL: its connections are reset and dials refused, without a word before. Resolves when its port is free. */
  async kill(): Promise<void> {
    this.#isRunning = false;
    this.#engine.health.fallSilent();
    this.#engine.refuseConnections();
    this.#engine.resetConnections();
    await this.#engine.stop({ graceMs: 0 });
  }

  /** As a deployment does: NOT_SERVING, GOAWAY, and `graceMs` for what is under way. What was held is answered first. */
  async stop(options?: StopOptions): Promise<void> {
    this.#isRunning = false;
    this.release();
    await this.#engine.stop(options);
  }

  /**
   * Starts it again on the port it had, with all switches as at first. Stops it before, if it runs, as `kill()` does.
   * @throws ConfigurationError when somebody else has taken the port, or the policies are broken by now
   */
  async restart(): Promise<void> {
    if (this.#isRunning) await this.kill();
    this.#clearSwitches();
    this.#engine = await launchEngine({ ...this.#options, port: this.port }, this.#faults);
    this.#isRunning = true;
  }

  /** Sets every switch as at first, and starts the engine again if it does not run. */
  async heal(): Promise<void> {
    if (!this.#isRunning) {
      await this.restart();
      return;
    }
    this.#clearSwitches();
    const { latencyMs = 0, healthy = true } = this.#options;
    this.#engine.pace.latencyMs = latencyMs;
    this.#engine.setHealth(healthy ? 'SERVING' : 'NOT_SERVING');
    this.release();
    await this.acceptConnections();
  }

  #clearSwitches(): void {
    this.#faults.failures.clear();
    this.#faults.answers.clear();
  }
}

/**
 * Starts an embedded engine with fault switches, for tests over real sockets.
 * @throws ConfigurationError as `startEngine` does
 */
export async function startFaultyEngine(options: EngineOptions): Promise<FaultyEngine> {
  const faults = new Faults();
  return new FaultyEngine(options, faults, await launchEngine(options, faults));
}

function requireCount(count: number | undefined): number | undefined {
  if (count !== undefined) requireWhole('count', count, 1, Number.MAX_SAFE_INTEGER);
  return count;
}

function requireWhole(path: string, value: number, minimum: number, maximum: number): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw new ConfigurationError(path, `must be a whole number from ${minimum} to ${maximum}, got ${value}`);
}

import type { AuthzClient } from '../../client.js';
import { createSeededRandom } from '../../core/random.js';
import { VirtualClock } from '../../core/virtual-clock.js';
import { CLIENT_EVENT_NAMES, type ClientEventName } from '../../events.js';
import type { PooledClientOptions, ResolvedOptions } from '../../options.js';
import type { SimulatedEvent } from '../sim-frames.js';
import { SimulatedNetwork } from '../sim-network.js';
import { Asker } from './asker.js';
import type { Bounds } from './bounds.js';
import { createSimulatedClient } from './client.js';
import { type FailoverCommand, tellCommand } from './commands.js';
import { ExpectationWatch, type FailoverExpectations } from './expectations.js';
import { type Check, Ledger, must, Violation } from './ledger.js';
import type { FailoverObservation, ObservedServer, RouteMove } from './observation.js';
import { ModelServer, type SentAnswer } from './servers.js';
import { FailoverShadow } from './shadow.js';
import { tellEvent, Transcript } from './transcript.js';

export interface SimulationSetup {
  readonly addresses: readonly string[];
  readonly options: PooledClientOptions;
  readonly resolved: ResolvedOptions;
  readonly bounds: Bounds;
  readonly expectations: FailoverExpectations;
  /** It returns nothing, unless it is async, which is refused. */
  readonly invariant: ((observation: FailoverObservation) => unknown) | undefined;
  readonly latencyMs: number;
  readonly serviceMs: number;
  /** Between two checks of the background load; undefined: there is none. */
  readonly checkEveryMs: number | undefined;
  /** Deadlines that a run may pass until it is taken for endless. */
  readonly maxSteps: number;
}

/** Away from 0, which might be taken for "never". */
const START_MS = 1_000_000;
/** What a state of the client says of the level that carries traffic. */
const CARRIES: Readonly<Record<string, (level: number) => boolean>> = {
  open: (level) => level === 0,
  failedOver: (level) => level > 0,
  reconnecting: (level) => level === -1,
};

/** A client, its servers and the network between them, on virtual time: the ground that a run happens on. */
export class Simulation implements FailoverObservation {
  readonly client: AuthzClient;
  readonly servers: readonly ModelServer[];
  readonly transcript: Transcript;
  readonly ledger: Ledger;
  readonly asker: Asker;
  readonly network: SimulatedNetwork;
  readonly clock = new VirtualClock(START_MS);
  command: FailoverCommand | undefined;
  isHealed = false;
  readonly #setup: SimulationSetup;
  readonly #shadow: FailoverShadow;
  readonly #watch: ExpectationWatch;
  /** Levels that were written to since the last look. */
  readonly #writtenTo = new Set<number>();
  #stalledUntilMs = 0;
  #loadTimer: unknown;
  #tags = 0;
  #steps = 0;
  /** Found where it could not be thrown: told at the next look. */
  #failure: unknown;
  #isGone = false;

  constructor(setup: SimulationSetup, seed: number) {
    this.#setup = setup;
    const now = (): number => this.nowMs;
    const random = createSeededRandom(seed);
    const ofSeed = (): number => Math.floor(random() * 2 ** 31);
    this.transcript = new Transcript(now);
    this.#watch = new ExpectationWatch(setup.expectations);
    this.network = new SimulatedNetwork({
      clock: this.clock,
      seed: ofSeed(),
      maxLatencyMs: setup.latencyMs,
      observer: (event) => this.#onNetwork(event),
    });
    this.servers = setup.resolved.levels.flatMap((addresses, level) =>
      addresses.map(({ text }) => new ModelServer(text, level, this.network, now)),
    );
    const decisions = createSeededRandom(ofSeed());
    for (const server of this.servers) server.answerBy(decisions, () => `answer-${++this.#tags}`, setup.serviceMs);
    this.ledger = new Ledger(setup.resolved.timeoutMs, { covers: (askedAtMs) => this.#covers(askedAtMs) });
    this.#shadow = new FailoverShadow(
      now,
      (move) => this.#onMove(move),
      (violation) => this.#fail(violation),
    );
    this.client = createSimulatedClient(setup.addresses, setup.options, {
      transport: this.network,
      clock: this.clock,
      random: createSeededRandom(ofSeed()),
      inspect: this.#shadow.inspect,
    });
    for (const name of CLIENT_EVENT_NAMES) this.client.on(name, (payload) => this.#onClientEvent(name, payload));
    this.asker = new Asker({
      client: this.client,
      ledger: this.ledger,
      ensureOrdering: setup.resolved.streams.ensureOrdering,
      nowMs: now,
      guard: (fn) => this.#guard(fn),
      onSettled: (check) => this.#onSettled(check),
    });
  }

  get nowMs(): number {
    return this.clock.now() - START_MS;
  }

  get state(): string {
    return this.client.getState();
  }

  get level(): number {
    return this.#shadow.level;
  }

  get checks(): readonly Check[] {
    return this.ledger.checks;
  }

  get moves(): readonly RouteMove[] {
    return this.#shadow.moves;
  }

  // --- time ---------------------------------------------------------------------------------------------------------------------

  /** Moves on, deadline by deadline, and looks at everything after each. */
  async advance(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** The same, no further than to where `condition` holds. @returns whether it does */
  async until(condition: () => boolean, withinMs: number): Promise<boolean> {
    const { clock } = this;
    const endAt = clock.now() + withinMs;
    await clock.advanceAsync(0);
    this.#look();
    while (!condition()) {
      const next = Math.min(clock.nextDeadline() ?? Infinity, endAt);
      if (next === endAt && clock.now() >= endAt) return false;
      await clock.advanceAsync(Math.max(0, next - clock.now()));
      this.#countStep();
      this.#look();
    }
    return true;
  }

  /** Virtual time alone ends no run: a timer may be set again for a moment later, and a scenario may wait for days under load. */
  #countStep(): void {
    this.#steps++;
    const { maxSteps } = this.#setup;
    must(
      this.#steps <= maxSteps,
      () =>
        `the run has not ended after ${maxSteps} steps: it goes round in circles, or waits too long for as often as it asks`,
    );
  }

  startLoad(): void {
    const { checkEveryMs } = this.#setup;
    if (checkEveryMs === undefined) return;
    this.#loadTimer = this.clock.setTimeout(() => {
      this.asker.check();
      this.startLoad();
    }, checkEveryMs);
  }

  stopLoad(): void {
    this.clock.clearTimeout(this.#loadTimer);
  }

  // --- commands -----------------------------------------------------------------------------------------------------------------

  async run(command: FailoverCommand): Promise<void> {
    this.command = command;
    const what = tellCommand(command);
    if ('server' in command) {
      const server = this.servers.find(({ address }) => address === command.server);
      must(server !== undefined, () => `there is no server ${command.server} in this model`);
      const idle = server.obey(command);
      if (idle === undefined) this.transcript.command(what);
      else this.transcript.command(`${what}: nothing to do, ${idle}`);
    } else {
      this.transcript.command(what);
      switch (command.do) {
        case 'check':
          for (let count = 0; count < command.count; count++) this.asker.check();
          break;
        case 'batch':
          this.asker.batch(command.count);
          break;
        case 'send':
          this.asker.send(command.count);
          break;
        case 'stall':
          this.clock.stall(command.ms);
          this.#stalledUntilMs = this.nowMs;
          break;
        case 'wait':
          await this.advance(command.ms);
      }
    }
    await this.advance(0);
  }

  /** Faults stop, for good. */
  heal(): void {
    this.isHealed = true;
    this.command = undefined;
    this.transcript.command('all faults stop');
    for (const server of this.servers) server.heal();
  }

  /** After `disconnect()` there is nothing to look at but what is left. */
  leave(): void {
    this.#isGone = true;
  }

  /** Of the whole run. */
  holdEnd(): void {
    this.#watch.onEnd(this.checks);
  }

  // --- looking ------------------------------------------------------------------------------------------------------------------

  #look(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
    this.ledger.holdDeadlines(this.nowMs, this.#stalledUntilMs);
    this.#shadow.look();
    if (this.#isGone) return;
    this.#holdWrites();
    this.#holdState();
    this.#watch.look({
      nowMs: this.nowMs,
      level: this.level,
      servers: this.servers,
      ledger: this.ledger,
      stalledUntilMs: this.#stalledUntilMs,
      isDependable: (server, sinceMs) => this.#isDependable(server, sinceMs),
    });
    this.#holdInvariant();
  }

  /** One route at a time: checks go to servers of the level that carries traffic. */
  #holdWrites(): void {
    const levels = this.#shadow.takeRecent();
    for (const level of this.#writtenTo) {
      must(
        levels.has(level),
        () => `a check was written to a server of level ${level}, while level ${this.level} carries traffic`,
      );
    }
    this.#writtenTo.clear();
  }

  /** What the client says of itself is what its failover controller says. */
  #holdState(): void {
    const { state, level } = this;
    const agrees = CARRIES[state]?.(level) ?? true;
    must(agrees, () => `the client says that it is ${state}, and level ${level} carries traffic`);
  }

  #holdInvariant(): void {
    const { invariant } = this.#setup;
    if (invariant === undefined) return;
    let result: unknown;
    try {
      result = invariant(this);
    } catch (cause) {
      throw new Violation(`invariant: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    // Nobody would wait for it, nor see it reject.
    must(!(result instanceof Promise), () => 'invariant: must not be async');
  }

  #isDependable({ wellSinceMs }: ObservedServer, sinceMs: number): boolean {
    if (wellSinceMs === undefined) return false;
    return wellSinceMs === 0 || wellSinceMs + this.#setup.bounds.recoveryMs <= sinceMs;
  }

  #covers(askedAtMs: number): boolean {
    return askedAtMs >= this.#stalledUntilMs && this.servers.some((server) => this.#isDependable(server, askedAtMs));
  }

  // --- hearing ------------------------------------------------------------------------------------------------------------------

  #onNetwork(event: SimulatedEvent): void {
    this.transcript.trace(event);
    if (event.kind === 'write' && event.detail.startsWith('/authz.v1.')) {
      const server = this.servers.find(({ address }) => address === event.address);
      if (server !== undefined) this.#writtenTo.add(server.level);
    }
    if (event.kind !== 'receive' || event.note === undefined) return;
    const answers = (Array.isArray(event.note) ? event.note : [event.note]) as SentAnswer[];
    for (const answer of answers) this.ledger.noteArrival(answer);
  }

  #onClientEvent(name: ClientEventName, payload: unknown): void {
    if (name === 'error')
      this.#fail(new Violation(`the client reported an error: ${String(payload)}`, { cause: payload }));
    const told = tellEvent(name, payload);
    if (told !== undefined) this.transcript.note(told);
  }

  #onMove(move: RouteMove): void {
    const { to, epoch } = move;
    const names = this.servers.filter(({ level }) => level === to).map(({ address }) => address);
    const told =
      to === -1 ? 'no level carries traffic' : `traffic goes to level ${to}, ${names.join(' and ')} (epoch ${epoch})`;
    // After what led to it, which the client tells from a microtask.
    queueMicrotask(() => this.transcript.note(told));
    this.#watch.onMove(move);
  }

  #onSettled(check: Check): void {
    this.transcript.settled(check);
    this.#watch.onSettled(check, this.#stalledUntilMs);
  }

  #guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(violation: unknown): void {
    this.#failure ??= violation;
  }
}

/** A client as the inspector would tell of it, made up: what the page is tested and looked at with, whatever is to happen in it. */

import type {
  ActorView,
  ClientEventView,
  ConnectionGauges,
  EndpointGauges,
  EngineView,
  Frame,
  Gauges,
  Hello,
  StreamGauges,
  TransitionView,
} from '../../src/inspect/protocol.js';

export interface WorldOptions {
  /** Addresses per level, the preferred first. Default: one and a fallback. */
  readonly levels?: readonly (readonly string[])[];
  readonly connectionsPerEndpoint?: number;
  readonly streamsPerConnection?: number;
  readonly checksPerSecond?: number;
  /** Unix epoch, ms. Default: now. */
  readonly startedAt?: number;
  readonly mode?: Hello['mode'];
  readonly controlsToken?: string;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };
type Actor = Mutable<ActorView> & { context: Record<string, unknown> };
type Gauge = number;

const LOW_WATER_MARK = 64;
const HIGH_WATER_MARK = 256;

export class InspectedWorld {
  now: number;
  /** Asked of the client; what it can carry is another thing. */
  load: number;
  readonly startedAt: number;
  readonly #options: Required<Omit<WorldOptions, 'startedAt' | 'controlsToken'>> & {
    controlsToken: string | undefined;
  };
  readonly #actors = new Map<string, Actor>();
  readonly #transitions: TransitionView[] = [];
  readonly #events: ClientEventView[] = [];
  readonly #engines = new Map<string, EngineView['state']>();
  readonly #later: { at: number; run: () => void }[] = [];
  readonly #queues = new Map<string, Gauge>();
  #told = { transitions: 0, events: 0 };
  #changed = new Set<string>();
  #gone: string[] = [];
  #sequence = 0;
  #eventSequence = 0;
  #activeLevel = -1;
  #seed = 7;
  #failing = 0;
  #nextConnection = 1;
  #nextStream = 1;

  constructor(options: WorldOptions = {}) {
    const { startedAt = Date.now(), controlsToken, ...rest } = options;
    this.#options = {
      levels: [['127.0.0.1:50051'], ['127.0.0.1:50052']],
      connectionsPerEndpoint: 2,
      streamsPerConnection: 4,
      checksPerSecond: 6_000,
      mode: 'live',
      ...rest,
      controlsToken,
    };
    this.startedAt = startedAt;
    this.now = startedAt;
    this.load = this.#options.checksPerSecond;
    this.#begin('client', 'client', 'idle', {});
    for (const address of this.#options.levels.flat()) this.#engines.set(address, 'running');
  }

  get engines(): EngineView[] {
    return [...this.#engines].map(([address, state]) => ({ address, state }));
  }

  hello(): Hello {
    const { mode, controlsToken: token } = this.#options;
    return {
      type: 'hello',
      mode,
      version: '0.1.0',
      startedAt: this.startedAt,
      actors: [...this.#actors.values()].map((actor) => ({ ...actor })),
      transitions: this.#transitions.slice(-256),
      events: this.#events.slice(-256),
      controls: token === undefined ? null : { token, engines: this.engines },
    };
  }

  /** Time passes, what is due happens, and this is what is told of it. */
  tick(elapsedMs: number): Frame {
    const until = this.now + elapsedMs;
    for (;;) {
      const next = this.#later.filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#later.splice(this.#later.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
    const frame: Frame = {
      type: 'frame',
      at: Math.round(this.now),
      actors: [...this.#changed].flatMap((id) => {
        const actor = this.#actors.get(id);
        return actor === undefined ? [] : [{ ...actor }];
      }),
      gone: this.#gone,
      transitions: this.#transitions.slice(this.#told.transitions),
      events: this.#events.slice(this.#told.events),
      gauges: this.#gauges(),
      engines: this.#options.controlsToken === undefined ? [] : this.engines,
    };
    this.#told = { transitions: this.#transitions.length, events: this.#events.length };
    this.#changed = new Set();
    this.#gone = [];
    return frame;
  }

  /** Many frames nobody looks at. */
  skip(ms: number, stepMs = 125): Frame[] {
    return Array.from({ length: Math.ceil(ms / stepMs) }, () => this.tick(stepMs));
  }

  after(delayMs: number, run: () => void): void {
    this.#later.push({ at: this.now + delayMs, run });
  }

  connect(): void {
    const { levels } = this.#options;
    this.#move('client', 'connecting', 'CONNECT');
    this.#begin('failover', 'failover', 'connecting.preferring', { active: -1, target: -1, epoch: 0 });
    for (const [level, addresses] of levels.entries()) {
      for (const address of addresses) this.#addEndpoint(address, level);
    }
    this.after(60, () => {
      this.#activeLevel = 0;
      this.#route(0, 'open', 'LEVEL_SERVED');
      this.#tell('connected', { address: levels[0]?.[0] ?? '' });
      for (const stream of this.#of('stream')) this.#openStream(stream.id);
    });
  }

  /** As by SIGKILL. */
  kill(address: string): void {
    this.#engines.set(address, 'dead');
    const endpoint = `endpoint:${address}`;
    for (const { id } of this.#connectionsOf(address)) {
      this.#move(id, 'reconnecting', 'TRANSPORT_LOST', 'read ECONNRESET');
      this.after(40, () => this.#move(id, 'connecting', 'xstate.after.backoff.connection.reconnecting'));
      this.after(46, () => this.#move(id, 'reconnecting', 'TRANSPORT_LOST', 'connect ECONNREFUSED'));
    }
    this.after(46, () => this.#loseEndpoint(endpoint, 'no connection', 'DIAL_FAILED'));
  }

  /** As by SIGSTOP: noticed by what is not answered. */
  freeze(address: string): void {
    this.#engines.set(address, 'frozen');
    const endpoint = `endpoint:${address}`;
    this.after(400, () => this.#move(endpoint, 'suspect.checked', 'ANSWERS_OVERDUE'));
    for (const { id } of this.#connectionsOf(address)) {
      this.after(401, () => this.#move(id, 'paused', 'CORDON', 'suspect'));
    }
    this.after(1_000, () => this.#loseEndpoint(endpoint, 'answers overdue and probes missed', 'PROBE_MISSED'));
  }

  revive(address: string): void {
    this.#engines.set(address, 'running');
    const endpoint = `endpoint:${address}`;
    for (const { id } of this.#connectionsOf(address)) {
      this.after(300, () => this.#move(id, 'connecting', 'xstate.after.backoff.connection.reconnecting'));
      this.after(310, () => this.#move(id, 'failedOver', 'TRANSPORT_UP'));
    }
    this.after(311, () => this.#move(endpoint, 'probing.checked', 'CONNECTION_OPENED'));
    this.after(900, () => {
      this.#move(endpoint, 'serving.watched', 'PROBE_ANSWERED');
      this.#tell('health_status_change', { status: 'SERVING', previous: 'NOT_SERVING', address });
      this.#considerFailback();
    });
  }

  /** Each of so many streams is paused and resumed, over and over: something happens all the time. */
  churn(): void {
    const streams = this.#of('stream');
    const stream = streams[Math.floor(this.#random() * streams.length)];
    if (stream === undefined) return;
    const isPaused = stream.active[0] === 'paused';
    this.#move(
      stream.id,
      isPaused ? 'open.steady' : 'paused',
      isPaused ? 'RESUME' : 'PAUSE',
      isPaused ? null : 'high-water mark',
    );
  }

  close(): void {
    this.#move('client', 'closed', 'CLOSE');
    for (const { id } of [...this.#actors.values()].filter(({ machine }) => machine !== 'client')) this.#end(id);
    this.#activeLevel = -1;
  }

  #addEndpoint(address: string, level: number): void {
    const endpoint = `endpoint:${address}`;
    this.#begin(endpoint, 'endpoint', 'unknown', { address, level, connections: 0, failures: 0, reason: '' });
    for (let index = 0; index < this.#options.connectionsPerEndpoint; index += 1) {
      const id = `connection-${this.#nextConnection}`;
      this.#nextConnection += 1;
      this.#begin(id, 'connection', 'idle', { id, address, attempt: 0, demoted: level > 0, cordons: [], reason: '' });
      this.#move(id, 'connecting', 'CONNECT');
      this.after(20, () => this.#move(id, level === 0 ? 'open.steady' : 'failedOver', 'TRANSPORT_UP'));
      for (let each = 0; each < this.#options.streamsPerConnection && level === 0; each += 1) {
        const stream = `stream-${this.#nextStream}`;
        this.#nextStream += 1;
        const context = {
          id: stream,
          kind: 'handle',
          generation: 0,
          connectionId: id,
          attempt: 0,
          pauses: [],
          reason: '',
        };
        this.#begin(stream, 'stream', 'idle', context);
        this.#queues.set(stream, 0);
      }
    }
    this.after(25, () => this.#move(endpoint, 'serving.watched', 'CONNECTION_OPENED'));
  }

  #openStream(id: string): void {
    const stream = this.#actors.get(id);
    if (stream === undefined) return;
    this.#move(id, 'connecting', stream.active[0] === 'idle' ? 'CONNECT' : 'ROUTE_READY');
    this.after(8, () => this.#move(id, 'open.steady', 'CALL_OPENED'));
  }

  #loseEndpoint(endpoint: string, reason: string, event: string): void {
    this.#move(endpoint, 'notServing.waiting', event, reason);
    const address = endpoint.replace('endpoint:', '');
    this.#tell('health_status_change', { status: 'NOT_SERVING', previous: 'SERVING', address });
    const levels = this.#options.levels;
    if (this.#activeLevel < 0 || this.#isServed(this.#activeLevel)) return;
    const next = levels.findIndex((_, level) => this.#isServed(level));
    this.#failing = 0.35;
    if (next === -1) {
      this.#suspend(reason);
      return;
    }
    this.#move('failover', 'failingOver', 'LEVEL_LOST', reason);
    this.#tell('failover_started', { from: address, to: levels[next]?.[0] ?? '', reason });
    for (const { id } of this.#of('stream')) this.#move(id, 'failedOver', 'ROUTE_MOVING');
    this.after(12, () => this.#arrive(next, address));
  }

  #isServed(level: number): boolean {
    const states = (this.#options.levels[level] ?? []).map(
      (each) => this.#actors.get(`endpoint:${each}`)?.active[0] ?? '',
    );
    return states.some((state) => state.startsWith('serving'));
  }

  #suspend(reason: string): void {
    this.#activeLevel = -1;
    this.#route(-1, 'reconnecting', 'LEVEL_LOST', reason);
    this.#tell('failover_failed', { address: '', error: 'no endpoint is served' });
    for (const { id } of this.#of('stream')) this.#move(id, 'reconnecting', 'CALL_LOST', 'read ECONNRESET');
  }

  #arrive(level: number, from: string): void {
    if (!this.#isServed(level)) {
      this.#suspend('no connection');
      return;
    }
    const [address = ''] = this.#options.levels[level] ?? [];
    this.#activeLevel = level;
    this.#failing = 0;
    for (const { id, context } of this.#of('connection')) {
      const isOfLevel = this.#levelOf(String(context['address'])) === level;
      if (isOfLevel) this.#move(id, 'open.steady', 'PROMOTE');
      else if (this.#actors.get(id)?.active[0]?.startsWith('open') === true) this.#move(id, 'failedOver', 'DEMOTE');
    }
    this.#route(level, level === 0 ? 'open' : 'failedOver', 'ROUTE_READY');
    if (level === 0) this.#tell('failback_completed', { address });
    else this.#tell('failover_completed', { from, address, durationMs: 12.4 });
    const connections = this.#of('connection').filter(
      ({ context }) => this.#levelOf(String(context['address'])) === level,
    );
    for (const [index, stream] of this.#of('stream').entries()) {
      const connection = connections[index % Math.max(1, connections.length)];
      stream.context = { ...stream.context, connectionId: connection?.id ?? '' };
      this.#openStream(stream.id);
    }
  }

  #considerFailback(): void {
    const best = this.#options.levels.findIndex((_, level) => this.#isServed(level));
    if (best === -1 || (this.#activeLevel !== -1 && best >= this.#activeLevel)) return;
    const address = this.#options.levels[best]?.[0] ?? '';
    if (this.#activeLevel === -1) {
      this.#arrive(best, '');
      return;
    }
    this.#move('failover', 'failedOver.waiting', '', null);
    this.#tell('failback_scheduled', { address, delayMs: 3_000 });
    this.after(3_000, () => this.#move('failover', 'failingBack', 'xstate.after.failback.failover.failedOver.waiting'));
    this.after(3_000, () => {
      for (const { id } of this.#of('stream')) this.#move(id, 'failedOver', 'ROUTE_MOVING');
    });
    this.after(3_010, () => this.#arrive(best, ''));
  }

  #route(level: number, state: string, event: string, cause: string | null = null): void {
    const failover = this.#actors.get('failover');
    if (failover !== undefined)
      failover.context = { ...failover.context, active: level, epoch: Number(failover.context['epoch']) + 1 };
    this.#move('failover', state === 'failedOver' ? 'failedOver.steady' : state, event, cause);
    this.#move('client', state, 'ROUTE_CHANGED', cause);
    this.#tell('connection_state_change', { state, previous: '' });
  }

  #levelOf(address: string): number {
    return this.#options.levels.findIndex((addresses) => addresses.includes(address));
  }

  #of(machine: ActorView['machine']): Actor[] {
    return [...this.#actors.values()].filter((actor) => actor.machine === machine);
  }

  #connectionsOf(address: string): Actor[] {
    return this.#of('connection').filter(({ context }) => context['address'] === address);
  }

  #begin(id: string, machine: ActorView['machine'], state: string, context: Record<string, unknown>): void {
    const parent = id === 'client' ? null : 'client';
    this.#actors.set(id, { id, machine, parent, active: [state], context, status: 'active' });
    this.#changed.add(id);
    this.#record(id, machine, [], [state], 'xstate.init', null);
  }

  #move(id: string, state: string, event: string, cause: string | null = null): void {
    const actor = this.#actors.get(id);
    if (actor === undefined) return;
    const from = actor.active;
    actor.active = [state];
    if (cause !== null) actor.context = { ...actor.context, reason: cause };
    this.#changed.add(id);
    this.#record(id, actor.machine, from, [state], event, cause);
  }

  #end(id: string): void {
    this.#actors.delete(id);
    this.#gone.push(id);
  }

  #record(
    actor: string,
    machine: ActorView['machine'],
    from: readonly string[],
    to: readonly string[],
    event: string,
    cause: string | null,
  ): void {
    this.#sequence += 1;
    this.#transitions.push({
      sequence: this.#sequence,
      at: Math.round(this.now),
      actor,
      machine,
      from,
      to,
      event,
      cause,
    });
  }

  #tell(name: string, detail: Record<string, unknown>): void {
    this.#eventSequence += 1;
    this.#events.push({ sequence: this.#eventSequence, at: Math.round(this.now), name, detail });
  }

  /** In [0, 1); the same ones in every run. */
  #random(): number {
    this.#seed = (this.#seed * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return this.#seed / 4_294_967_296;
  }

  #gauges(): Gauges {
    const carries = this.#activeLevel === -1 ? 0 : 1;
    const wave = 1 + 0.12 * Math.sin(this.now / 9_000) + 0.05 * (this.#random() - 0.5);
    const total = this.load * wave * carries * (1 - this.#failing);
    const open = this.#of('stream').filter(({ active }) => active[0]?.startsWith('open') === true);
    const streams: StreamGauges[] = this.#of('stream').map((stream) => this.#streamGauges(stream, open, total));
    const connections: ConnectionGauges[] = this.#of('connection').map(({ id, context }) => {
      const checksPerSecond = sum(
        streams.filter(({ connection }) => connection === id).map((each) => each.checksPerSecond),
      );
      const inFlight = Math.round(checksPerSecond * 0.002);
      return { id, endpoint: `endpoint:${String(context['address'])}`, inFlight, checksPerSecond };
    });
    const endpoints: EndpointGauges[] = this.#of('endpoint').map(({ id, active, context }) => ({
      id,
      address: String(context['address']),
      level: Number(context['level']),
      active: context['level'] === this.#activeLevel,
      served: active[0]?.startsWith('serving') === true,
    }));
    const checksPerSecond = sum(streams.map((each) => each.checksPerSecond));
    const isIdle = checksPerSecond === 0;
    return {
      checksPerSecond,
      failedPerSecond: this.#failing * 40 + (carries === 0 && this.#of('endpoint').length > 0 ? this.load * 0.02 : 0),
      inFlight: sum(connections.map((each) => each.inFlight)) + (isIdle ? 0 : Math.round(this.#random() * 4)),
      dedupHitsPerSecond: 0,
      p50Ms: isIdle ? null : 0.42 + 0.06 * this.#random(),
      p99Ms: isIdle ? null : 1.9 + 0.9 * this.#random() + this.#failing * 60,
      endpoints,
      connections,
      streams,
    };
  }

  #streamGauges({ id, active, context }: Actor, open: readonly Actor[], total: number): StreamGauges {
    const isOpen = active[0]?.startsWith('open') === true;
    const isPaused = active[0] === 'paused';
    const before = this.#queues.get(id) ?? 0;
    // A queue fills while its stream does not write, and is soon empty again.
    const queued = Math.round(
      isOpen ? before * 0.55 + this.#random() * 22 : Math.min(HIGH_WATER_MARK * 1.1, before + 30),
    );
    this.#queues.set(id, isPaused ? Math.min(HIGH_WATER_MARK + 12, before + 40) : queued);
    return {
      id,
      connection: context['connectionId'] === '' ? null : String(context['connectionId']),
      queued: this.#queues.get(id) ?? 0,
      lowWaterMark: LOW_WATER_MARK,
      highWaterMark: HIGH_WATER_MARK,
      checksPerSecond: isOpen ? (total / Math.max(1, open.length)) * (0.92 + 0.16 * this.#random()) : 0,
    };
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

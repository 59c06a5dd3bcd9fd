import { type ClientInput, deriveSeed } from '../../machines/index.js';
import { createCodec } from '../codec/codec.js';
import { OwnIds } from '../codec/wire-id.js';
import { invariant } from '../core/assert.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import { CheckBook } from '../data/check-book.js';
import type { PendingCheck } from '../data/pending-check.js';
import { RetryBudget } from '../data/retry-budget.js';
import { type AuthzClientError, CancelledError } from '../errors.js';
import { EventHub } from '../events.js';
import { SafeLogger } from '../observe/logger.js';
import { Redactor } from '../observe/redact.js';
import type { ResolvedOptions } from '../options.js';
import type { Transport } from '../transport/port.js';
import type { ConnectionState, HealthCheckResult } from '../types.js';
import { Actors, EffectScope } from './actors.js';
import { CheckDesk } from './check-desk.js';
import { encodeRequest } from './encode-request.js';
import type { Environment } from './environment.js';
import { FlightRecorder } from './flight-recorder.js';
import { Lifecycle } from './lifecycle.js';
import { Monitor } from './monitor.js';
import type { PoolConnection } from './pool-connection.js';
import { Pool } from './pool.js';
import { ProcessHold } from './process-hold.js';
import { Route } from './route.js';
import { ServedEndpoint } from './served-endpoint.js';
import { createRedress } from './status-error.js';
import { Streams } from './streams.js';
import { TokenSource } from './token-source.js';
import { UnaryDesk } from './unary-desk.js';
import { wire } from './wiring.js';

const USER_AGENT = 'authz-engine-grpc-client/0.1.0';
/** A dial pending this long starts the next endpoint's beside it. */
const PREFERENCE_MS = 250;
/** Between two probes of an endpoint in doubt; the slower rounds of housekeeping keep the same pace. */
const PROBE_INTERVAL_MS = 250;
/** As many transitions as a flight recorder holds by default. */
const LENT_RECORDER_SIZE = 256;

/** Everything between the public face and the wire: makes the parts of one client and joins them. */
export class ClientRuntime {
  readonly env: Environment;
  readonly book: CheckBook;
  readonly desk: CheckDesk;
  readonly unary: UnaryDesk;
  readonly route: Route;
  readonly pool: Pool;
  readonly streams: Streams;
  readonly lifecycle: Lifecycle;
  readonly actors: Actors;
  readonly endpoints: readonly ServedEndpoint[];
  onHealth: (endpoint: ServedEndpoint, result: HealthCheckResult) => void = () => undefined;
  readonly #logger: SafeLogger;
  readonly #tokens: TokenSource;
  readonly #budget: RetryBudget;
  readonly #monitor: Monitor;
  readonly #machine: ReturnType<typeof wire>;
  readonly #scope = new EffectScope((cause) => this.#onEffectError(cause));
  #dialAheadTimer: TimerHandle;
  #sweptAt = 0;
  /** Works of several exchanges under way. */
  #compound = 0;
  #shortDue = false;

  constructor(options: ResolvedOptions, transport: Transport) {
    const { clock, random } = options;
    const redactor = new Redactor();
    const startedAtMs = clock.now();
    const { flightRecorderSize: size } = options;
    const ownIds = new OwnIds(`${Math.floor(random() * 2 ** 48).toString(36)}-`);
    this.#logger = new SafeLogger(options.logger, redactor);
    this.env = {
      options,
      clock,
      startedAtMs,
      random,
      seed: Math.floor(random() * 2 ** 32),
      transport,
      userAgent: USER_AGENT,
      codec: createCodec(ownIds),
      ownIds,
      counters: { duplicateAnswers: 0, unknownAnswers: 0, foreignResults: 0, malformedAnswers: 0 },
      redactor,
      hub: new EventHub(this.#logger),
      hold: new ProcessHold(),
      flight: size === 0 ? undefined : new FlightRecorder({ size, clock, startedAtMs, redactor }),
    };
    this.#budget = new RetryBudget({ clock });
    this.#tokens = this.#createTokens(redactor);
    this.book = this.#createBook();
    this.desk = this.#createDesk();
    this.unary = this.#createUnary();
    this.endpoints = options.levels.flatMap((addresses, level) =>
      addresses.map((address) => new ServedEndpoint(address, level, this.#endpointHost())),
    );
    this.#monitor = new Monitor({
      clock,
      isBusy: () => this.book.size + this.unary.size > 0,
      inspect: (now) => this.#inspect(now),
    });
    this.route = this.#createRoute();
    // The parts below speak to one another through the actors, so they ask for them when they need them.
    this.lifecycle = new Lifecycle(this.env, {
      actors: () => this.actors,
      servedAddress: () => this.primaryEndpoint.address.text,
      isIdle: () => this.book.size + this.unary.size + this.#compound === 0 && this.streams.handles.size === 0,
      isServed: () => this.route.isServed,
      whyUnserved: () => this.whyUnserved(),
      clearFailures: () => {
        for (const endpoint of this.endpoints) if (!endpoint.served) endpoint.lastDialError = undefined;
      },
      failures: () =>
        this.endpoints.map(({ address, lastDialError = '' }) => ({ address: address.text, reason: lastDialError })),
      isHopeless: () => this.endpoints.every(({ lastDialError, served }) => lastDialError !== undefined && !served),
    });
    this.pool = this.#createPool();
    this.streams = this.#createStreams();
    this.#machine = this.#wireMachine();
    this.actors = this.#createActors();
  }

  get clock(): Clock {
    return this.env.clock;
  }

  connectionState(): ConnectionState {
    return this.lifecycle.connectionState;
  }

  /** The endpoint whose health speaks for the client. */
  get primaryEndpoint(): ServedEndpoint {
    const active = this.endpoints.find((endpoint) => endpoint.level === this.route.level && endpoint.served);
    const endpoint = active ?? this.endpoints[0];
    invariant(endpoint !== undefined, 'a client has at least one endpoint');
    return endpoint;
  }

  /** Why no connection is usable, or undefined while one is. */
  whyUnserved(): string | undefined {
    if (this.#tokens.lastError !== undefined) return this.#tokens.lastError.message;
    if ([...this.pool].some((connection) => this.route.carries(connection))) return undefined;
    return this.endpoints
      .map(
        ({ address, lastDialError, lastLoss }) =>
          `${address.text} (${lastDialError ?? lastLoss ?? 'not connected yet'})`,
      )
      .join(', ');
  }

  /** Why what is queued is not written, though connections are open; undefined for the usual reason, that the server is slow. */
  whyWaiting(): string | undefined {
    const connections = [...this.pool].filter((connection) => this.route.carries(connection));
    if (connections.length === 0 || connections.some(({ hasRoom }) => hasRoom)) return undefined;
    const limits = connections.map(({ id, address, maxStreams }) => `${id} to ${address.text} allows ${maxStreams}`);
    return `every connection is at its server's limit of concurrent streams (${limits.join(', ')})`;
  }

  /** Does what takes several exchanges, one after the other: between them the client owes it still, and does not end. */
  async whole<T>(work: () => Promise<T>): Promise<T> {
    this.#compound++;
    try {
      return await work();
    } finally {
      this.#compound--;
      this.lifecycle.checkDrainedSoon();
    }
  }

  /** The flight recorder. Where that is off: one that records until `stop`; there may be one at a time. */
  lendRecorder(): { readonly recorder: FlightRecorder; readonly stop: () => void } {
    const { clock, flight, redactor, startedAtMs } = this.env;
    if (flight !== undefined) return { recorder: flight, stop: () => undefined };
    const recorder = new FlightRecorder({ size: LENT_RECORDER_SIZE, clock, startedAtMs, redactor });
    recorder.watch(this.#machine);
    return { recorder, stop: () => recorder.unwatch() };
  }

  /** Settles a check otherwise than by its answer. */
  readonly cancel = (check: PendingCheck, error: AuthzClientError): void => this.book.fail(check, error);

  // --- making the parts -----------------------------------------------------------------------------------------------------------

  #createTokens(redactor: Redactor): TokenSource {
    const { clock, hub, options } = this.env;
    return new TokenSource({
      clock,
      credentials: options.credentials,
      metadata: options.metadata,
      timeoutMs: options.timeoutMs,
      redactor,
      onReady: (rotated) => this.#onToken(rotated),
      onError: (error) => {
        this.env.flight?.attach(error);
        hub.emit('error', error);
      },
    });
  }

  #createBook(): CheckBook {
    const { clock, codec, options } = this.env;
    return new CheckBook({
      clock,
      ownIds: this.env.ownIds,
      maxPendingChecks: options.maxPendingChecks,
      maxPendingBytes: options.maxPendingBytes,
      maxMessageBytes: options.maxMessageBytes,
      encode: (request, wireId) => encodeRequest(codec, request, wireId),
      onBusy: (busy) => this.#onBusy(busy),
      whyUnserved: () => this.whyUnserved(),
      whyWaiting: () => this.whyWaiting(),
      onFailed: (error) => this.env.flight?.attach(error),
    });
  }

  #createDesk(): CheckDesk {
    const { clock, random, options } = this.env;
    const desk = new CheckDesk(
      {
        clock,
        random,
        retryDelayMs: options.retryDelayMs,
        acquireTimeoutMs: options.connectionPool.acquireTimeout,
        pickConnection: (suits) => this.route.pick(suits),
        onShort: () => this.#onShort(),
        whyWaiting: () => this.whyWaiting(),
        openLane: (connection) => this.streams.openLane(connection),
        onWork: () => this.#onWork(),
      },
      this.book,
      this.#budget,
      options.streams.deduplicationCacheSize,
      options.deduplicationTtlMs,
    );
    desk.deduplicating = options.streams.deduplication;
    return desk;
  }

  #createUnary(): UnaryDesk {
    const { clock, random, options } = this.env;
    return new UnaryDesk(
      {
        clock,
        random,
        maxPending: options.maxPendingChecks,
        maxRetries: options.maxRetries,
        retryDelayMs: options.retryDelayMs,
        pickConnection: () => this.route.pick(({ hasRoom, opensCalls }) => hasRoom && opensCalls),
        acquireTimeoutMs: options.connectionPool.acquireTimeout,
        isServed: () => this.route.isServed,
        onShort: () => this.#onShort(),
        whyUnserved: () => this.whyUnserved(),
        whyWaiting: () => this.whyWaiting(),
        onWork: () => this.#onWork(),
        onBusy: (busy) => this.#onBusy(busy),
        mayRefreshToken: (sentAt) => this.#tokens.refresh(sentAt),
        onFailed: (error) => this.env.flight?.attach(error),
      },
      this.#budget,
    );
  }

  #endpointHost(): ConstructorParameters<typeof ServedEndpoint>[2] {
    const { clock, codec, hub, options } = this.env;
    return {
      clock,
      codec,
      options,
      tellEndpoint: ({ id }, event) => this.actors.tell(id, event),
      connectionState: () => this.connectionState(),
      isSole: (endpoint) => this.#isSole(endpoint),
      stalledSince: (startedAt) => this.#monitor.stalledSince(startedAt),
      listeningSince: () => this.#monitor.listeningSince,
      onServedChange: (endpoint, reason) => this.#onServedChange(endpoint, reason),
      onHealthCheck: (endpoint, result) => this.onHealth(endpoint, result),
      onHealthChange: ({ address }, status, previous) =>
        hub.emit('health_status_change', { status, previous, address: address.text }),
    };
  }

  #createRoute(): Route {
    const { clock, hub, options } = this.env;
    return new Route({
      clock,
      hub,
      flight: this.env.flight,
      options,
      connections: () => this.pool,
      streams: () => this.streams,
      tellFailover: (event) => this.actors.tell('failover', event),
      tellRoute: (route) => this.actors.tellRoot({ type: 'ROUTE_CHANGED', route }),
      warm: (level, standby) => this.pool.warm(level, standby),
      onRouteReady: () => this.#onRoom(),
      retireLanes: (connection) => this.streams.retireLanes(connection),
    });
  }

  #createPool(): Pool {
    return new Pool(this.env, {
      actors: () => this.actors,
      isClosing: () => this.lifecycle.isClosing,
      level: () => this.route.level,
      endpoints: this.endpoints,
      connectionHost: {
        book: this.book,
        headers: () => this.#tokens.current(),
        stalledSince: (startedAt) => this.#monitor.stalledSince(startedAt),
        onUsableChange: () => this.route.refresh(),
        onRoom: () => this.#onRoom(),
        onDial: () => this.#tokens.reread(),
        onSocket: (delta) => this.lifecycle.onSocket(delta),
      },
      onDialFailed: ({ level }) => {
        this.#dialAhead(level);
        this.lifecycle.onDialFailed();
      },
      onLeaving: (connection) => this.streams.retireFrom(connection),
      onLost: (connection) => {
        this.route.refresh();
        this.streams.retireLanes(connection);
        this.lifecycle.checkDrainedSoon();
      },
      onClosed: (connection, reason) => {
        for (const lane of [...connection.lanes]) lane.tell({ type: 'CLOSE', reason });
        this.route.refresh();
      },
      carriesHandle: (connection) => this.streams.carriesHandle(connection),
    });
  }

  #createStreams(): Streams {
    const { clock, options } = this.env;
    return new Streams(this.env, {
      actors: () => this.actors,
      isClosing: () => this.lifecycle.isClosing,
      book: this.book,
      redress: createRedress({
        maxRetries: options.maxRetries,
        tryTake: () => this.#budget.tryTake(),
        now: () => clock.now(),
        mayRefreshToken: (sentAt) => this.#tokens.refresh(sentAt),
      }),
      isUsable: (connection) => this.route.isUsable(connection),
      carries: (connection) => this.route.carries(connection),
      pickConnection: (suits) => this.route.pick(suits),
      onShort: () => this.#onShort(),
      dispatch: (check) => this.desk.dispatch(check),
      redispatch: (check) => this.desk.redispatch(check),
      onStreamClosed: () => this.lifecycle.checkDrainedSoon(),
    });
  }

  #wireMachine(): ReturnType<typeof wire> {
    const endpoints = new Map(this.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const machine = wire({
      route: this.route,
      connection: (id) => this.pool.get(id),
      stream: (id) => this.streams.get(id),
      endpoint: (id) => {
        const endpoint = endpoints.get(id);
        invariant(endpoint !== undefined, `no endpoint ${id}`);
        return endpoint;
      },
      scope: this.#scope,
      start: () => this.#start(),
      drain: () => this.#drain(),
      teardown: () => this.#teardown(),
      onState: () => this.lifecycle.onState(),
    });
    return this.env.flight?.watch(machine) ?? machine;
  }

  #createActors(): Actors {
    const { clock, options } = this.env;
    return new Actors({
      machine: this.#machine,
      input: this.#rootInput(),
      clock,
      inspect: options.inspect,
      effects: this.#scope,
      onError: (cause) => this.#onEffectError(cause),
    });
  }

  #rootInput(): ClientInput {
    const { options, seed } = this.env;
    const { connectionPool, healthCheck, failover } = options;
    return {
      seed,
      endpoints: this.endpoints.map(({ id, address, level }) => ({
        id,
        address: address.text,
        level,
        seed: deriveSeed(seed, id),
        config: {
          unhealthyThreshold: healthCheck.unhealthyThreshold,
          healthyThreshold: healthCheck.healthyThreshold,
          failoverThreshold: failover.failoverThreshold,
          probeIntervalMs: PROBE_INTERVAL_MS,
          healthIntervalMs: Math.min(healthCheck.interval, connectionPool.healthCheckInterval),
          healthEnabled: healthCheck.enabled,
          recheck: options.reconnect,
        },
      })),
      failover: {
        levels: options.levels.length,
        config: {
          failbackDelayMs: failover.failbackDelay,
          preferenceMs: PREFERENCE_MS,
          moveTimeoutMs: options.connectTimeoutMs,
        },
      },
    };
  }

  // --- effects of the root --------------------------------------------------------------------------------------------------------

  #start(): void {
    this.#monitor.start();
    this.pool.warm(0, false);
    this.#dialAheadTimer = this.clock.setTimeout(() => this.#dialAhead(0), PREFERENCE_MS);
  }

  #drain(): void {
    this.actors.tell('failover', { type: 'DRAIN' });
    for (const handle of this.streams.handles) handle.end();
    this.lifecycle.checkDrainedSoon();
  }

  #teardown(): void {
    this.clock.clearTimeout(this.#dialAheadTimer);
    // First of all: it would take what is closed below for a loss, and dial another level.
    this.actors.tell('failover', { type: 'CLOSE' });
    const { isFinal } = this.lifecycle;
    if (isFinal) {
      this.book.failAll(
        ({ requestId, outcome }) => new CancelledError('the client was disconnected', { requestId, outcome }),
      );
      this.unary.cancelAll();
    }
    this.streams.closeAll('disconnected', isFinal);
    for (const endpoint of this.endpoints) endpoint.reset();
    this.pool.closeAll('disconnected', isFinal);
    this.route.reset();
    this.#monitor.stop();
    if (!isFinal) return;
    this.pool.cancelScaling();
    this.#tokens.stop();
    this.book.stop();
    this.desk.dedup.clear();
    this.lifecycle.onTornDown();
  }

  #onEffectError(cause: unknown): void {
    this.#logger.error({ cause }, 'an effect failed');
    this.env.hub.emit('error', cause instanceof Error ? cause : new Error(String(cause)));
  }

  // --- facts ----------------------------------------------------------------------------------------------------------------------

  #onWork(): void {
    this.#monitor.hurry();
    this.lifecycle.wake();
  }

  #onBusy(busy: boolean): void {
    if (busy) {
      this.env.hold.acquire();
      this.#monitor.hurry();
    } else {
      this.env.hold.release();
      this.lifecycle.checkDrainedSoon();
    }
  }

  /** Handles and calls of their own first: checks can share what streams there are. */
  #onRoom(): void {
    this.streams.wake();
    this.unary.wake();
    this.desk.flushWaiting();
  }

  /** Somebody waits for a call, and perhaps because every connection is at its peer's stream limit. */
  #onShort(): void {
    if (this.#shortDue) return;
    this.#shortDue = true;
    queueMicrotask(() => {
      this.#shortDue = false;
      this.#makeRoom();
    });
  }

  #makeRoom(): void {
    const isShort = this.desk.isShort || this.unary.isShort || this.streams.isShort;
    if (!isShort || !this.route.isServed) return;
    if (this.streams.yieldCalls(false) || this.pool.growWhenFull()) return;
    this.streams.yieldCalls(true);
  }

  #onToken(rotated: boolean): void {
    this.route.refresh();
    this.streams.wake();
    for (const connection of this.pool) connection.wakeCalls();
    if (!rotated) return;
    // Another token may be another identity: what the last one was told is not told to this one.
    this.desk.dedup.clear();
    this.streams.renewCalls();
  }

  /** The next level is dialled beside one that is slow or refused. */
  #dialAhead(level: number): void {
    if (this.route.level === -1 && level + 1 < this.env.options.levels.length) this.pool.warm(level + 1, true);
  }

  /** No other endpoint could take over. */
  #isSole(endpoint: ServedEndpoint): boolean {
    return !this.endpoints.some((other) => other !== endpoint && other.served && other.connectedCount > 0);
  }

  #onServedChange(endpoint: ServedEndpoint, reason: string): void {
    const { level, served } = endpoint;
    // One that is still being dialled for the first time may yet carry its level.
    const hasPeer = this.endpoints.some(
      (other) => other !== endpoint && other.level === level && (other.served || (!served && other.isUntried)),
    );
    if (!hasPeer) {
      this.actors.tell('failover', served ? { type: 'LEVEL_SERVED', level } : { type: 'LEVEL_LOST', level, reason });
    }
    this.route.refresh();
    if (!served) this.#vacate(endpoint, reason);
  }

  /** An ejected endpoint keeps nothing: what it still answers (NOT_SERVING) drains, what it does not (silence) is asked elsewhere. */
  #vacate(endpoint: ServedEndpoint, reason: string): void {
    for (const connection of [...endpoint.connections]) {
      if (!connection.connected) continue;
      if (endpoint.isAnswering) this.streams.retireFrom(connection);
      else this.#giveUp(connection, reason);
    }
  }

  #giveUp(connection: PoolConnection, reason: string): void {
    this.actors.tell(connection.id, { type: 'TRANSPORT_LOST', reason });
    connection.destroyTransport();
  }

  // --- what is known by waiting ---------------------------------------------------------------------------------------------------

  #inspect(now: number): void {
    for (const connection of this.pool) if (connection.connected) this.#inspectConnection(connection, now);
    for (const endpoint of this.endpoints) endpoint.inspectChecks(now);
    this.lifecycle.checkDrained();
    if (now - this.#sweptAt < PROBE_INTERVAL_MS) return;
    this.#sweptAt = now;
    const { isServed } = this.route;
    this.desk.sweepWaiting(isServed);
    this.streams.closeIdle(now);
    this.pool.closeIdle(now);
    this.pool.growWhenSaturated(this.route.usable);
    this.#makeRoom();
  }

  #inspectConnection(connection: PoolConnection, now: number): void {
    const since = connection.owedSince();
    if (since === undefined) return;
    const silentSince = Math.max(since, connection.lastReceivedAt, this.#monitor.listeningSince);
    const silentMs = now - silentSince;
    const { endpoint } = connection;
    if (silentMs > endpoint.keepAliveIntervalMs) connection.verify();
    if (silentMs <= connection.overdueMs) return;
    connection.examine(silentSince);
    if (!endpoint.served) this.#giveUpOn(connection, silentMs);
    if (endpoint.suspect || !endpoint.served) return;
    endpoint.suspect = true;
    this.actors.tell(endpoint.id, { type: 'ANSWERS_OVERDUE', sole: this.#isSole(endpoint) });
  }

  /** A server that said NOT_SERVING is waited for, as it answers what it has. When it does not, half of a check's time is left to ask elsewhere. */
  #giveUpOn(connection: PoolConnection, silentMs: number): void {
    if (this.route.isServed && silentMs > this.env.options.timeoutMs / 2) this.#giveUp(connection, 'answers overdue');
  }
}

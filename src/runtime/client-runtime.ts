import { createActor, type ActorRefFrom, type AnyActorRef } from 'xstate';
import {
  type clientMachine,
  deriveSeed,
  type ClientEvent,
  type ConnectionConfig,
  type ConnectionEvent,
  type EndpointEvent,
  type FailoverEvent,
  type RouteState,
  type StreamConfig,
  type StreamEvent,
} from '../../machines/index.js';
import { createCodec, type Codec } from '../codec/codec.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import { invariant } from '../core/assert.js';
import type { Random } from '../core/random.js';
import type { Call, CallOwner, ProtocolCounters } from '../data/call.js';
import { CheckBook } from '../data/check-book.js';
import type { CheckSink, PendingCheck } from '../data/pending-check.js';
import { RetryBudget } from '../data/retry-budget.js';
import {
  type AuthzClientError,
  CancelledError,
  ConfigurationError,
  ConnectionError,
  StreamClosedError,
  TimeoutError,
} from '../errors.js';
import { EventHub } from '../events.js';
import type { AdvancedStreamOptions, BackpressureConfig, StreamPoolConfig } from '../options-types.js';
import type { ResolvedOptions } from '../options.js';
import { SafeLogger } from '../observe/logger.js';
import { Redactor } from '../observe/redact.js';
import type { Transport, WireMetadata } from '../transport/port.js';
import { ConnectionState, type HealthCheckResult, type HealthStatus } from '../types.js';
import { CheckDesk } from './check-desk.js';
import { CheckStream } from './check-stream.js';
import { Monitor } from './monitor.js';
import { ParkingLot } from './parking-lot.js';
import { PoolConnection } from './pool-connection.js';
import { ProcessHold } from './process-hold.js';
import { Route } from './route.js';
import { ServedEndpoint } from './served-endpoint.js';
import { createRedress } from './status-error.js';
import type { StreamHandle } from './stream-handle.js';
import { TokenSource } from './token-source.js';
import { UnaryDesk } from './unary-desk.js';
import { wire } from './wiring.js';

type RootActor = ActorRefFrom<typeof clientMachine>;

/** Written and unanswered on one stream at most. */
const MAX_IN_FLIGHT = 10_000;
/** A connection is replaced at this age (±10 %), so that load spreads over servers that came later. */
const MAX_CONNECTION_AGE_MS = 30 * 60_000;
/** A dial pending this long starts the next endpoint's beside it. */
const PREFERENCE_MS = 250;
const PROBE_INTERVAL_MS = 250;
/** An answer is overdue past this, or four times the usual 99th percentile. */
const OVERDUE_MS = 250;
const OVERDUE_FACTOR = 4;
/** Unwritten on one stream before its connection counts as saturated. */
const SATURATED = 1_000;
const USER_AGENT = 'authz-engine-grpc-client/0.1.0';

const STATES: Readonly<Record<string, ConnectionState>> = {
  idle: ConnectionState.IDLE,
  connecting: ConnectionState.CONNECTING,
  open: ConnectionState.READY,
  failedOver: ConnectionState.READY,
  reconnecting: ConnectionState.TRANSIENT_FAILURE,
  draining: ConnectionState.SHUTDOWN,
  closed: ConnectionState.SHUTDOWN,
};

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function createDeferred(): Deferred {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Everything that lives between the public face and the wire: the actors, and the objects whose effects they run. */
export class ClientRuntime {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly userAgent = USER_AGENT;
  readonly codec: Codec = createCodec();
  readonly logger: SafeLogger;
  readonly hub: EventHub;
  readonly redactor = new Redactor();
  readonly hold = new ProcessHold();
  readonly counters: ProtocolCounters = {
    duplicateAnswers: 0,
    unknownAnswers: 0,
    foreignResults: 0,
    malformedAnswers: 0,
  };
  readonly book: CheckBook;
  readonly desk: CheckDesk;
  readonly unary: UnaryDesk;
  readonly route: Route;
  readonly endpoints: readonly ServedEndpoint[];
  readonly handles = new Set<StreamHandle>();
  readonly tokens: TokenSource;
  readonly actor: RootActor;
  streamPool: Readonly<StreamPoolConfig>;
  streamOptions: Readonly<AdvancedStreamOptions>;
  /** What `scalePool` asked for. */
  poolTarget: number;
  failedConnections = 0;
  /** Told of every handle that closed, for totals that survive it. */
  onHandleGone: (handle: StreamHandle) => void = () => undefined;
  onHealth: (endpoint: ServedEndpoint, result: HealthCheckResult) => void = () => undefined;
  readonly #connections = new Map<string, PoolConnection>();
  readonly #streams = new Map<string, CheckStream>();
  readonly #parking: ParkingLot;
  readonly #budget: RetryBudget;
  readonly #monitor: Monitor;
  readonly #redress: ReturnType<typeof createRedress>;
  readonly #seed: number;
  /** Events for actors whose spawning is still under way. */
  readonly #early = new Map<string, { type: string }[]>();
  #connectionCount = 0;
  #streamCount = 0;
  #sockets = 0;
  #state: ConnectionState = ConnectionState.IDLE;
  #connecting: Deferred | undefined;
  #connectTimer: TimerHandle;
  #dialAheadTimer: TimerHandle;
  #drained: Deferred | undefined;
  #socketsGone: Deferred | undefined;
  #disconnecting: Promise<void> | undefined;
  #disconnectTimer: TimerHandle;
  #sweptAt = 0;
  #wasReady = false;

  constructor(options: ResolvedOptions, transport: Transport) {
    this.options = options;
    this.clock = options.clock;
    this.random = options.random;
    this.transport = transport;
    this.streamPool = options.streamPool;
    this.streamOptions = options.streams;
    this.poolTarget = options.connectionPool.minConnections;
    this.logger = new SafeLogger(options.logger, this.redactor);
    this.hub = new EventHub(this.logger);
    this.#seed = Math.floor(options.random() * 2 ** 32);
    this.#budget = new RetryBudget({ clock: this.clock });
    this.tokens = new TokenSource({
      clock: this.clock,
      credentials: options.credentials,
      metadata: options.metadata,
      redactor: this.redactor,
      onReady: (rotated) => this.#onToken(rotated),
      onError: (error) => this.hub.emit('error', error),
    });
    this.book = new CheckBook({
      clock: this.clock,
      maxPendingChecks: options.maxPendingChecks,
      maxPendingBytes: options.maxPendingBytes,
      maxMessageBytes: options.maxMessageBytes,
      encode: (request, wireId) => this.codec.encodeCheckRequest(request, wireId),
      onBusy: (busy) => this.#onBusy(busy),
      whyUnserved: () => this.#whyUnserved(),
    });
    this.#redress = createRedress({
      maxRetries: options.maxRetries,
      tryTake: () => this.#budget.tryTake(),
      now: () => this.clock.now(),
      mayRefreshToken: () => this.tokens.refresh(),
    });
    this.desk = new CheckDesk(
      {
        clock: this.clock,
        random: this.random,
        retryDelayMs: options.retryDelayMs,
        acquireTimeoutMs: options.connectionPool.acquireTimeout,
        keepAliveIntervalMs: options.keepAliveIntervalMs,
        pickConnection: () => this.route.pick(),
        openLane: (connection) => this.#openLane(connection),
        onWork: () => this.#onWork(),
      },
      this.book,
      this.#budget,
      options.streams.deduplicationCacheSize,
      options.deduplicationTtlMs,
    );
    this.unary = new UnaryDesk(
      {
        clock: this.clock,
        random: this.random,
        maxPending: options.maxPendingChecks,
        maxRetries: options.maxRetries,
        retryDelayMs: options.retryDelayMs,
        pickConnection: () => this.route.pick(),
        whyUnserved: () => this.#whyUnserved(),
        onWork: () => this.#onWork(),
        onBusy: (busy) => this.#onBusy(busy),
        mayRefreshToken: () => this.tokens.refresh(),
      },
      this.#budget,
    );
    this.desk.deduplicating = options.streams.deduplication;
    this.endpoints = options.levels.flatMap((addresses, level) =>
      addresses.map((address) => new ServedEndpoint(address, level, this)),
    );
    this.route = new Route(this);
    this.#parking = new ParkingLot(this.clock, () => this.streamPool.streamReuseTimeout);
    this.#monitor = new Monitor({
      clock: this.clock,
      isBusy: () => this.book.size + this.unary.size > 0,
      inspect: (now) => this.#inspect(now),
    });
    this.actor = this.#createRoot();
  }

  #createRoot(): RootActor {
    const { options } = this;
    const { healthCheck, failover, reconnect } = options;
    const machine = wire({
      route: this.route,
      connection: (id) => lookUp(this.#connections, id),
      stream: (id) => lookUp(this.#streams, id),
      endpoint: (id) => lookUp(new Map(this.endpoints.map((endpoint) => [endpoint.id, endpoint])), id),
      onEffectError: (cause) => this.#onEffectError(cause),
      start: () => this.#start(),
      drain: () => this.#drain(),
      teardown: () => this.#teardown(),
      onState: () => queueMicrotask(() => this.#onState()),
    });
    const actor = createActor(machine, {
      id: 'client',
      clock: this.clock,
      ...(options.inspect === undefined ? {} : { inspect: options.inspect }),
      input: {
        seed: this.#seed,
        endpoints: this.endpoints.map((endpoint) => ({
          id: endpoint.id,
          address: endpoint.address.text,
          level: endpoint.level,
          seed: deriveSeed(this.#seed, endpoint.id),
          config: {
            unhealthyThreshold: healthCheck.unhealthyThreshold,
            healthyThreshold: healthCheck.healthyThreshold,
            failoverThreshold: failover.failoverThreshold,
            probeIntervalMs: PROBE_INTERVAL_MS,
            healthIntervalMs: healthCheck.interval,
            healthEnabled: healthCheck.enabled,
            recheck: reconnect,
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
      },
    });
    // Observed at all times: an unobserved actor error would be an uncaught exception.
    actor.subscribe({ next: () => this.#flushEarly(), error: (cause) => this.#onEffectError(cause) });
    actor.start();
    return actor;
  }

  // --- telling the actors ---------------------------------------------------------------------------------------------------------

  tell(connection: PoolConnection, event: ConnectionEvent): void {
    this.#tell(connection.id, event);
  }

  tellStream(id: string, event: StreamEvent): void {
    this.#tell(id, event);
  }

  tellEndpoint(endpoint: ServedEndpoint, event: EndpointEvent): void {
    this.#tell(endpoint.id, event);
  }

  tellFailover(event: FailoverEvent): void {
    this.#tell('failover', event);
  }

  tellRoute(route: RouteState): void {
    this.#tellRoot({ type: 'ROUTE_CHANGED', route });
  }

  #tellRoot(event: ClientEvent): void {
    this.actor.send(event);
  }

  #tell(id: string, event: { type: string }): void {
    const child = this.#childOf(id);
    if (child !== undefined) child.send(event);
    else if (this.#connections.has(id) || this.#streams.has(id)) {
      const queue = this.#early.get(id);
      if (queue === undefined) this.#early.set(id, [event]);
      else queue.push(event);
    }
  }

  #childOf(id: string): AnyActorRef | undefined {
    return (this.actor.getSnapshot().children as Record<string, AnyActorRef | undefined>)[id];
  }

  #flushEarly(): void {
    if (this.#early.size === 0) return;
    for (const [id, events] of [...this.#early]) {
      const child = this.#childOf(id);
      if (child === undefined) continue;
      this.#early.delete(id);
      for (const event of events) child.send(event);
    }
  }

  /** The state value of an actor, as dotted text. */
  stateOf(id: string): string {
    const snapshot: unknown = this.#childOf(id)?.getSnapshot();
    return dotted((snapshot as { value?: unknown } | undefined)?.value ?? 'closed');
  }

  #onEffectError(cause: unknown): void {
    this.logger.error({ cause }, 'an effect failed');
    this.hub.emit('error', cause instanceof Error ? cause : new Error(String(cause)));
  }

  // --- state ----------------------------------------------------------------------------------------------------------------------

  get state(): string {
    return dotted(this.actor.getSnapshot().value);
  }

  connectionState(): ConnectionState {
    return STATES[this.state] ?? ConnectionState.IDLE;
  }

  get isClosing(): boolean {
    return this.connectionState() === ConnectionState.SHUTDOWN;
  }

  connections(): IterableIterator<PoolConnection> {
    return this.#connections.values();
  }

  streams(): IterableIterator<CheckStream> {
    return this.#streams.values();
  }

  headers(): WireMetadata | undefined {
    return this.tokens.current();
  }

  stalledSince(startedAt: number): boolean {
    return this.#monitor.stalledSince(startedAt);
  }

  isSole(endpoint: ServedEndpoint): boolean {
    return !this.endpoints.some((other) => other !== endpoint && other.served && other.connectedCount > 0);
  }

  /** The endpoint whose health speaks for the client. */
  get primaryEndpoint(): ServedEndpoint {
    const active = this.endpoints.find((endpoint) => endpoint.level === this.route.level && endpoint.served);
    const endpoint = active ?? this.endpoints[0];
    invariant(endpoint !== undefined, 'a client has at least one endpoint');
    return endpoint;
  }

  #onState(): void {
    const state = this.connectionState();
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.hub.emit('connection_state_change', { state, previous });
    const isReady = state === ConnectionState.READY;
    if (isReady && !this.#wasReady) this.hub.emit('connected', { address: this.primaryEndpoint.address.text });
    if (!isReady && this.#wasReady) {
      this.hub.emit('disconnected', {
        reason: this.isClosing ? 'disconnect() was called' : (this.#whyUnserved() ?? 'lost'),
      });
    }
    this.#wasReady = isReady;
  }

  #whyUnserved(): string | undefined {
    if (this.route.usable.length > 0) return undefined;
    if (this.tokens.lastError !== undefined) return this.tokens.lastError.message;
    const reasons = this.endpoints.map(
      ({ address, lastDialError }) => `${address.text} (${lastDialError ?? 'not connected yet'})`,
    );
    return reasons.join(', ');
  }

  // --- connect and disconnect -----------------------------------------------------------------------------------------------------

  connect(): Promise<void> {
    if (this.isClosing) {
      return Promise.reject(
        new StreamClosedError('connect after disconnect(): the client is closed for good; make another'),
      );
    }
    if (this.connectionState() === ConnectionState.READY) return Promise.resolve();
    if (this.#connecting !== undefined) return this.#connecting.promise;
    const connecting = createDeferred();
    this.#connecting = connecting;
    this.hold.acquire();
    const { timeoutMs } = this.options;
    this.#connectTimer = this.clock.setTimeout(() => {
      this.#settleConnect(
        new TimeoutError(
          `timeout: no connection within ${timeoutMs} ms: ${this.#whyUnserved() ?? 'no route'}`,
          timeoutMs,
          {
            grpcCode: 14,
          },
        ),
      );
    }, timeoutMs);
    for (const endpoint of this.endpoints) if (!endpoint.served) endpoint.lastDialError = undefined;
    this.#tellRoot({ type: 'CONNECT' });
    return connecting.promise;
  }

  #settleConnect(error?: Error): void {
    const connecting = this.#connecting;
    if (connecting === undefined) return;
    this.#connecting = undefined;
    this.clock.clearTimeout(this.#connectTimer);
    this.hold.release();
    if (error === undefined) {
      connecting.resolve();
      return;
    }
    connecting.reject(error);
    // What was accepted meanwhile waits to its deadline; only an idle client goes back to rest.
    if (this.book.size + this.unary.size === 0 && this.handles.size === 0)
      this.#tellRoot({ type: 'CONNECT_ABANDONED' });
  }

  #onBusy(busy: boolean): void {
    if (busy) {
      this.hold.acquire();
      this.#monitor.hurry();
    } else {
      this.hold.release();
      if (this.state === 'draining') queueMicrotask(() => this.#checkDrained());
    }
  }

  #onWork(): void {
    this.#monitor.hurry();
    if (this.state === 'idle') this.#tellRoot({ type: 'CONNECT' });
  }

  #start(): void {
    this.#monitor.start();
    this.warm(0, false);
    this.#dialAheadTimer = this.clock.setTimeout(() => this.#dialAhead(0), PREFERENCE_MS);
  }

  /** The next level is dialled beside one that is slow or refused. */
  #dialAhead(level: number): void {
    if (this.route.level === -1 && level + 1 < this.options.levels.length) this.warm(level + 1, true);
  }

  disconnect(force: boolean, timeoutMs: number): Promise<void> {
    if (this.#disconnecting === undefined) {
      this.hold.acquire();
      this.#disconnecting = this.#disconnect(force, timeoutMs).finally(() => this.hold.release());
    } else if (force) {
      this.#tellRoot({ type: 'CLOSE' });
    }
    return this.#disconnecting;
  }

  async #disconnect(force: boolean, timeoutMs: number): Promise<void> {
    const drained = createDeferred();
    this.#drained = drained;
    this.#settleConnect(new CancelledError('connect() was cut short by disconnect()'));
    if (force) {
      this.#tellRoot({ type: 'CLOSE' });
    } else {
      this.#disconnectTimer = this.clock.setTimeout(() => this.#tellRoot({ type: 'CLOSE' }), timeoutMs);
      this.#tellRoot({ type: 'DISCONNECT' });
    }
    await drained.promise;
    this.clock.clearTimeout(this.#disconnectTimer);
    if (this.#sockets > 0) {
      this.#socketsGone = createDeferred();
      await this.#socketsGone.promise;
    }
    this.actor.stop();
  }

  #drain(): void {
    this.tellFailover({ type: 'DRAIN' });
    for (const handle of this.handles) handle.end();
    // After the transition this effect belongs to.
    queueMicrotask(() => this.#checkDrained());
  }

  /** Draining ends when nothing is owed, or at once when there is nobody to answer. */
  #checkDrained(): void {
    if (this.state !== 'draining') return;
    const isDone =
      (this.book.size + this.unary.size === 0 && this.handles.size === 0) || this.route.usable.length === 0;
    if (isDone) this.#tellRoot({ type: 'DRAINED' });
  }

  #teardown(): void {
    this.clock.clearTimeout(this.#dialAheadTimer);
    const isFinal = this.#drained !== undefined;
    if (isFinal) {
      this.book.failAll(
        (check) =>
          new CancelledError('the client was disconnected', {
            requestId: check.requestId,
            outcome: check.written ? 'unknown' : 'notSent',
          }),
      );
    }
    if (isFinal) this.unary.cancelAll();
    for (const stream of [...this.#streams.values()]) stream.tell({ type: 'CLOSE', reason: 'disconnected' });
    for (const endpoint of this.endpoints) endpoint.reset();
    this.#parking.clear();
    for (const connection of [...this.#connections.values()])
      this.tell(connection, { type: 'CLOSE', reason: 'disconnected' });
    this.route.level = -1;
    this.route.refresh();
    this.#monitor.stop();
    if (!isFinal) return;
    this.tokens.stop();
    this.book.stop();
    this.desk.dedup.clear();
    this.#drained?.resolve();
  }

  onSocket(delta: 1 | -1): void {
    this.#sockets += delta;
    if (this.#sockets === 0) this.#socketsGone?.resolve();
  }

  // --- connections ----------------------------------------------------------------------------------------------------------------

  warm(level: number, standby: boolean): void {
    for (const endpoint of this.endpoints) {
      if (endpoint.level === level && endpoint.connections.size === 0) this.#addConnection(endpoint, standby);
    }
    if (level === 0 && !standby) this.#growTo(Math.max(this.poolTarget, this.options.connectionPool.minConnections));
  }

  #addConnection(endpoint: ServedEndpoint, standby: boolean): PoolConnection {
    this.#connectionCount++;
    const id = `connection-${this.#connectionCount}`;
    const connection = new PoolConnection(id, endpoint, this);
    this.#connections.set(id, connection);
    endpoint.connections.add(connection);
    const config: ConnectionConfig = {
      connectTimeoutMs: this.options.connectTimeoutMs,
      drainTimeoutMs: this.options.timeoutMs,
      maxAgeMs: MAX_CONNECTION_AGE_MS,
      reconnect: this.options.reconnect,
    };
    this.#tellRoot({
      type: 'ADD_CONNECTION',
      input: { id, address: endpoint.address.text, seed: deriveSeed(this.#seed, id), standby, config },
    });
    this.tell(connection, { type: 'CONNECT' });
    return connection;
  }

  /** Connections of the routed level (level 0 before there is one) that are not on their way out. */
  routedConnections(): PoolConnection[] {
    const level = Math.max(0, this.route.level);
    return [...this.#connections.values()].filter(
      (connection) => connection.endpoint.level === level && !connection.closed && !connection.leaving,
    );
  }

  #growTo(count: number): void {
    const level = Math.max(0, this.route.level);
    const candidates = this.endpoints.filter((endpoint) => endpoint.level === level);
    for (let size = this.routedConnections().length; size < count; size++) {
      const endpoint = candidates.reduce((least, other) =>
        other.connections.size < least.connections.size ? other : least,
      );
      this.#addConnection(endpoint, false);
    }
  }

  /** Resolves when `count` connections of the routed level are open. */
  async scale(count: number): Promise<void> {
    this.poolTarget = count;
    this.#growTo(count);
    const connections = this.routedConnections();
    // The youngest go first: the oldest have proven themselves.
    for (const connection of connections.slice(count).reverse())
      this.tell(connection, { type: 'DRAIN', reason: 'scaled down' });
    const isThere = (): boolean => this.routedConnections().filter(({ connected }) => connected).length >= count;
    if (isThere()) return;
    const { timeoutMs } = this.options;
    this.hold.acquire();
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (settled: () => void): void => {
          this.clock.clearTimeout(timer);
          this.hub.off('pool_connection_created', onCreated);
          settled();
        };
        const onCreated = (): void => {
          if (isThere()) settle(resolve);
        };
        const timer = this.clock.setTimeout(() => {
          settle(() =>
            reject(
              new TimeoutError(
                `timeout: the pool did not reach ${count} connections within ${timeoutMs} ms`,
                timeoutMs,
              ),
            ),
          );
        }, timeoutMs);
        this.hub.on('pool_connection_created', onCreated);
      });
    } finally {
      this.hold.release();
    }
  }

  onUsableChange(): void {
    this.route.refresh();
  }

  onOpened(connection: PoolConnection): void {
    const { endpoint, id } = connection;
    const address = endpoint.address.text;
    this.hub.emit(connection.proven ? 'pool_reconnected' : 'pool_connection_created', { id, address });
    this.tellEndpoint(endpoint, { type: 'CONNECTION_OPENED' });
    if (endpoint.served) endpoint.openWatch();
  }

  onLost(connection: PoolConnection, reason: string): void {
    this.failedConnections++;
    const { endpoint, id } = connection;
    this.hub.emit('pool_connection_failed', {
      id,
      address: endpoint.address.text,
      error: new ConnectionError(`${endpoint.address.text}: ${reason}`),
    });
    this.tellEndpoint(endpoint, { type: 'CONNECTION_LOST', remaining: endpoint.connectedCount });
    this.route.refresh();
    this.retireLanes(connection);
    this.#checkDrained();
  }

  onDialFailed(connection: PoolConnection, reason: string): void {
    this.failedConnections++;
    const { endpoint, id } = connection;
    endpoint.lastDialError = reason;
    this.hub.emit('pool_connection_failed', {
      id,
      address: endpoint.address.text,
      error: new ConnectionError(`${endpoint.address.text}: ${reason}`),
    });
    this.#dialAhead(endpoint.level);
    this.tellEndpoint(endpoint, { type: 'DIAL_FAILED', remaining: endpoint.connectedCount });
    if (this.#connecting === undefined) return;
    const isHopeless = this.endpoints.every(({ lastDialError, served }) => lastDialError !== undefined && !served);
    if (isHopeless)
      this.#settleConnect(new ConnectionError(`no endpoint could be reached: ${this.#whyUnserved() ?? reason}`));
  }

  onDraining(connection: PoolConnection, reason: string): void {
    connection.leaving = true;
    const { endpoint } = connection;
    this.tellEndpoint(endpoint, { type: 'CONNECTION_LOST', remaining: endpoint.connectedCount });
    // Its replacement is dialled before the streams move: make before break.
    if (reason !== 'scaled down' && reason !== 'idle' && !this.isClosing) {
      this.#addConnection(endpoint, this.route.level !== -1 && endpoint.level !== this.route.level);
    }
    this.retireLanes(connection);
    for (const stream of this.#streams.values()) {
      const call = stream.pipe.current;
      if (stream.kind === 'handle' && stream.connection === connection && call !== undefined) {
        stream.tell({ type: 'CALL_RETIRING', generation: call.generation });
      }
    }
  }

  onClosed(connection: PoolConnection, reason: string): void {
    this.#connections.delete(connection.id);
    connection.endpoint.connections.delete(connection);
    this.#early.delete(connection.id);
    for (const lane of [...connection.lanes]) lane.tell({ type: 'CLOSE', reason });
    this.hub.emit('pool_connection_removed', { id: connection.id, reason });
    this.tellEndpoint(connection.endpoint, { type: 'CONNECTION_LOST', remaining: connection.endpoint.connectedCount });
    this.#tellRoot({ type: 'CONNECTION_CLOSED', id: connection.id });
    this.route.refresh();
  }

  // --- endpoints ------------------------------------------------------------------------------------------------------------------

  onServedChange(endpoint: ServedEndpoint, reason: string): void {
    const { level } = endpoint;
    const others = this.endpoints.some((other) => other !== endpoint && other.level === level && other.served);
    if (endpoint.served) {
      if (others) this.route.refresh();
      else this.tellFailover({ type: 'LEVEL_SERVED', level });
      return;
    }
    if (!others) this.tellFailover({ type: 'LEVEL_LOST', level, reason });
    this.route.refresh();
    this.#vacate(endpoint, reason);
  }

  /** An ejected endpoint keeps nothing: what it still answers (NOT_SERVING) drains, what it does not (silence) is asked elsewhere. */
  #vacate(endpoint: ServedEndpoint, reason: string): void {
    const drains = reason.includes('NOT_SERVING');
    for (const connection of [...endpoint.connections]) {
      if (!connection.connected) continue;
      this.retireLanes(connection);
      if (drains) {
        for (const stream of this.#streams.values()) {
          const call = stream.pipe.current;
          if (stream.kind === 'handle' && stream.connection === connection && call !== undefined) {
            stream.tell({ type: 'CALL_RETIRING', generation: call.generation });
          }
        }
      } else {
        this.tell(connection, { type: 'TRANSPORT_LOST', reason });
        connection.destroyTransport();
      }
    }
  }

  onHealthCheck(endpoint: ServedEndpoint, result: HealthCheckResult): void {
    this.onHealth(endpoint, result);
  }

  onHealthChange(endpoint: ServedEndpoint, status: HealthStatus, previous: HealthStatus): void {
    this.hub.emit('health_status_change', { status, previous, address: endpoint.address.text });
  }

  // --- streams --------------------------------------------------------------------------------------------------------------------

  connectionFor(stream: CheckStream): PoolConnection | undefined {
    if (stream.pinnedTo !== undefined) return stream.pinnedTo.connected ? stream.pinnedTo : undefined;
    const { connection } = stream;
    return connection !== undefined && this.route.isUsable(connection) ? connection : this.route.pick();
  }

  takeParked(connection: PoolConnection): Call | undefined {
    return this.#parking.take(connection);
  }

  park(call: Call): boolean {
    return this.streamPool.enableStreamReuse && !this.isClosing && this.#parking.park(call);
  }

  /** Connections have become usable: whoever waits for one is woken. */
  onRouteReady(): void {
    this.#settleConnectIfReady();
    for (const stream of this.#streams.values()) {
      if (stream.kind === 'check') continue;
      const isElsewhere = stream.connection !== undefined && !this.route.isUsable(stream.connection);
      if (stream.waiting || isElsewhere) stream.tell({ type: 'ROUTE_READY' });
    }
    this.desk.flushWaiting();
    this.unary.wake();
  }

  #settleConnectIfReady(): void {
    if (this.#connecting !== undefined) this.#settleConnect();
  }

  openHandle(handle: StreamHandle, limits: BackpressureConfig): CheckStream {
    const stream = this.#addStream('handle', handle, {
      clock: this.clock,
      book: this.book,
      limits: { ...limits, maxBufferBytes: this.options.maxPendingBytes },
      maxInFlight: this.streamOptions.multiplexing ? MAX_IN_FLIGHT : 1,
      maxRequestsPerCall: this.streamOptions.maxRequestsPerStream,
      redress: this.#redress,
    });
    handle.attach(stream);
    this.handles.add(handle);
    this.#onWork();
    return stream;
  }

  #openLane(connection: PoolConnection): CheckStream | undefined {
    if (connection.closed) return undefined;
    const lane = this.#addStream(
      'check',
      {
        onHighWater: () => undefined,
        onLowWater: () => undefined,
        onReconnecting: () => undefined,
        onReconnected: () => undefined,
        onPauses: () => undefined,
        onClosed: () => this.#dropLane(connection, lane),
      },
      {
        clock: this.clock,
        book: this.book,
        limits: {
          highWaterMark: Math.min(SATURATED, this.options.maxPendingChecks),
          lowWaterMark: Math.min(SATURATED, this.options.maxPendingChecks) >> 1,
          maxBufferSize: this.options.maxPendingChecks,
          maxBufferBytes: this.options.maxPendingBytes,
        },
        maxInFlight: MAX_IN_FLIGHT,
        maxRequestsPerCall: Infinity,
        redress: this.#redress,
        reroute: (check) => this.desk.redispatch(check),
      },
      connection,
    );
    connection.lanes.push(lane);
    return lane;
  }

  #addStream(
    kind: 'handle' | 'check',
    owner: ConstructorParameters<typeof CheckStream>[0]['owner'],
    pipe: ConstructorParameters<typeof CheckStream>[0]['pipe'],
    pinnedTo?: PoolConnection,
  ): CheckStream {
    this.#streamCount++;
    const id = `stream-${this.#streamCount}`;
    const stream = new CheckStream({
      id,
      kind,
      host: this,
      owner,
      pipe,
      ...(pinnedTo === undefined ? {} : { pinnedTo }),
    });
    this.#streams.set(id, stream);
    const config: StreamConfig = {
      connectTimeoutMs: this.options.connectTimeoutMs,
      drainTimeoutMs: this.options.timeoutMs,
      reconnect: this.options.reconnect,
    };
    this.#tellRoot({ type: 'ADD_STREAM', input: { id, kind, seed: deriveSeed(this.#seed, id), config } });
    return stream;
  }

  /** The client's own streams leave a connection: what is unwritten goes elsewhere, what is written is answered. */
  retireLanes(connection: PoolConnection): void {
    for (const lane of [...connection.lanes]) this.#dropLane(connection, lane);
  }

  #dropLane(connection: PoolConnection, lane: CheckStream): void {
    const index = connection.lanes.indexOf(lane);
    if (index !== -1) connection.lanes.splice(index, 1);
    const unwritten = lane.pipe.takeUnwritten();
    if (!lane.closed) lane.tell({ type: 'END' });
    for (const check of unwritten) this.desk.dispatch(check);
  }

  onStreamClosed(stream: CheckStream): void {
    this.#streams.delete(stream.id);
    this.#early.delete(stream.id);
    this.#tellRoot({ type: 'STREAM_CLOSED', id: stream.id });
    this.#checkDrained();
  }

  onHandleClosed(handle: StreamHandle): void {
    this.handles.delete(handle);
    this.onHandleGone(handle);
  }

  failOwn(sink: CheckSink, toError: (check: PendingCheck) => AuthzClientError): void {
    for (const check of [...this.book]) if (check.sink === sink) this.book.fail(check, toError(check));
  }

  readonly cancel = (check: PendingCheck, error: AuthzClientError): void => this.book.fail(check, error);

  refuseWhenClosing(what: string, requestId?: string): void {
    if (this.isClosing) {
      throw new StreamClosedError(
        `${what} after disconnect(): the client takes no more requests`,
        requestId === undefined ? {} : { requestId },
      );
    }
  }

  #onToken(rotated: boolean): void {
    this.route.refresh();
    for (const stream of this.#streams.values()) {
      const call = stream.pipe.current;
      if (stream.waiting) stream.tell({ type: 'ROUTE_READY' });
      else if (rotated && call !== undefined) stream.tell({ type: 'CALL_RETIRING', generation: call.generation });
    }
  }

  // --- what is known by waiting ---------------------------------------------------------------------------------------------------

  #inspect(now: number): void {
    for (const connection of this.#connections.values())
      if (connection.connected) this.#inspectConnection(connection, now);
    this.#checkDrained();
    if (now - this.#sweptAt < PROBE_INTERVAL_MS) return;
    this.#sweptAt = now;
    this.desk.sweepWaiting(this.route.usable.length > 0);
    this.#closeIdle(now);
    this.#growWhenSaturated();
  }

  #inspectConnection(connection: PoolConnection, now: number): void {
    const writtenAt = connection.oldestWrittenAt();
    if (writtenAt === undefined) return;
    const silentSince = Math.max(writtenAt, connection.lastReceivedAt);
    const silentMs = now - silentSince;
    if (silentMs > this.options.keepAliveIntervalMs) connection.verify();
    const { endpoint } = connection;
    const overdueMs = Math.max(OVERDUE_MS, OVERDUE_FACTOR * connection.p99LatencyMs);
    if (silentMs <= overdueMs || endpoint.suspect || !endpoint.served || this.stalledSince(silentSince)) return;
    endpoint.suspect = true;
    this.tellEndpoint(endpoint, { type: 'ANSWERS_OVERDUE', sole: this.isSole(endpoint) });
  }

  #closeIdle(now: number): void {
    const { streamIdleTimeout } = this.streamPool;
    for (const stream of this.#streams.values()) {
      if (stream.idle || stream.pipe.owed > 0 || now - stream.pipe.lastActiveAt < streamIdleTimeout) continue;
      stream.tell({ type: 'IDLE_TIMEOUT' });
    }
    const { idleTimeout, minConnections } = this.options.connectionPool;
    const connections = this.routedConnections();
    let size = connections.length;
    for (const connection of connections.reverse()) {
      if (size <= Math.max(minConnections, 1)) return;
      const isUsed =
        connection.inFlight > 0 ||
        [...this.#streams.values()].some((stream) => stream.kind === 'handle' && stream.connection === connection);
      if (isUsed || now - connection.lastUsedAt < idleTimeout) continue;
      size--;
      this.poolTarget = Math.min(this.poolTarget, size);
      this.tell(connection, { type: 'DRAIN', reason: 'idle' });
    }
  }

  #growWhenSaturated(): void {
    const { usable } = this.route;
    if (usable.length === 0) return;
    const isSaturated = usable.every((connection) => connection.lanes.some((lane) => lane.pipe.outbox.isHigh));
    const size = this.routedConnections().length;
    if (isSaturated && size < this.options.connectionPool.maxConnections) this.#growTo(size + 1);
  }

  /** For `scalePool`: refuses what is outside the limits. */
  checkScale(count: number): void {
    const { minConnections, maxConnections } = this.options.connectionPool;
    if (!Number.isInteger(count) || count < minConnections || count > maxConnections) {
      throw new ConfigurationError(
        'size',
        `must be a whole number from minConnections (${minConnections}) to maxConnections (${maxConnections})`,
      );
    }
  }
}

function lookUp<T>(map: ReadonlyMap<string, T>, id: string): T {
  const found = map.get(id);
  invariant(found !== undefined, `no actor ${id}`);
  return found;
}

/** `{draining: 'flushing'}` as `draining.flushing`. */
function dotted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, inner]) => `${name}.${dotted(inner)}`)
    .join(',');
}

export type { CallOwner };

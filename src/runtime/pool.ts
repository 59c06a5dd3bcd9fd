import { type ConnectionConfig, deriveSeed, nextBackoff } from '../../machines/index.js';
import { invariant } from '../core/assert.js';
import { CancelledError, ConfigurationError, ConnectionError, TimeoutError } from '../errors.js';
import type { Actors } from './actors.js';
import type { Environment } from './environment.js';
import { type ConnectionHost, PoolConnection } from './pool-connection.js';
import type { ServedEndpoint } from './served-endpoint.js';

/** A connection is replaced at this age (±10 %), so that load spreads over servers that came later. */
const MAX_CONNECTION_AGE_MS = 30 * 60_000;

/** Why one is drained whose name leads elsewhere, once there is one in its place. */
const MOVED = 'its name leads elsewhere';
/** Why others are drained that nothing comes in the place of. */
const LEFT_OUT: readonly string[] = ['scaled down', 'idle', MOVED];

/** What the pool needs of the client around it. */
export interface PoolHost {
  actors(): Actors;
  readonly endpoints: readonly ServedEndpoint[];
  isClosing(): boolean;
  /** The level that carries traffic, or -1. */
  level(): number;
  /** What every connection needs beside the pool. */
  readonly connectionHost: Pick<
    ConnectionHost,
    'book' | 'headers' | 'stalledSince' | 'onUsableChange' | 'onRoom' | 'onDial' | 'onSocket'
  >;
  onDialFailed(endpoint: ServedEndpoint): void;
  /** A connection takes no more: its streams go elsewhere. */
  onLeaving(connection: PoolConnection): void;
  onLost(connection: PoolConnection): void;
  onClosed(connection: PoolConnection, reason: string): void;
  /** A handle rides on it. */
  carriesHandle(connection: PoolConnection): boolean;
}

/** The pooled connections: how many there are, and to which endpoint. */
export class Pool {
  /** Losses and failed dials since the client was made. */
  failed = 0;
  readonly #env: Environment;
  readonly #host: PoolHost;
  readonly #connectionHost: ConnectionHost;
  readonly #connections = new Map<string, PoolConnection>();
  /** By the id of one that is being dialled, what it takes the place of once it is open. */
  readonly #replaced = new Map<string, PoolConnection>();
  /** Ends the wait of each `scalePool` under way. */
  readonly #scaling = new Set<(error: Error) => void>();
  #count = 0;
  /** What `scalePool` asked for. */
  #target: number;

  constructor(env: Environment, host: PoolHost) {
    this.#env = env;
    this.#host = host;
    this.#target = env.options.connectionPool.minConnections;
    this.#connectionHost = {
      ...env,
      ...host.connectionHost,
      tell: (connection, event) => host.actors().tell(connection.id, event),
      onOpened: (connection) => this.#onOpened(connection),
      onLost: (connection, reason) => this.#onLost(connection, reason),
      onDialFailed: (connection, reason) => this.#onDialFailed(connection, reason),
      onDraining: (connection, reason) => this.#onDraining(connection, reason),
      onMoved: (connection) => this.#onMoved(connection),
      onClosed: (connection, reason) => this.#onClosed(connection, reason),
    };
  }

  [Symbol.iterator](): IterableIterator<PoolConnection> {
    return this.#connections.values();
  }

  get(id: string): PoolConnection {
    const connection = this.#connections.get(id);
    invariant(connection !== undefined, `no connection ${id}`);
    return connection;
  }

  /** At least one connection dialled to each endpoint of a level; as many as asked for to the first. */
  warm(level: number, standby: boolean): void {
    for (const endpoint of this.#host.endpoints) {
      if (endpoint.level === level && endpoint.connections.size === 0) this.#add(endpoint, standby);
    }
    if (level === 0 && !standby) this.#growTo(this.#target);
  }

  /**
   * Resolves when `size` connections of the routed level are open.
   * @throws ConfigurationError outside the limits; TimeoutError at the client's timeout; CancelledError at `disconnect()`
   */
  async scale(size: number): Promise<void> {
    this.checkSize(size);
    this.#target = size;
    this.#growTo(size);
    // The youngest go first: the oldest have proven themselves.
    const connections = this.#routed();
    let surplus = connections.length - size;
    for (const connection of connections.reverse()) {
      if (surplus <= 0) break;
      if (this.#isLast(connection)) continue;
      surplus--;
      this.#drain(connection, 'scaled down');
    }
    const { hold } = this.#env;
    hold.acquire();
    try {
      await this.#untilOpen(size);
    } finally {
      hold.release();
    }
  }

  checkSize(size: number): void {
    const { minConnections, maxConnections } = this.#env.options.connectionPool;
    if (Number.isInteger(size) && size >= minConnections && size <= maxConnections) return;
    throw new ConfigurationError(
      'size',
      `must be a whole number from minConnections (${minConnections}) to maxConnections (${maxConnections})`,
    );
  }

  /** One more, when every usable connection has a stream whose outbox stands above its high-water mark. */
  growWhenSaturated(usable: readonly PoolConnection[]): void {
    if (usable.length === 0) return;
    const isSaturated = usable.every(({ lanes }) => lanes.some((lane) => lane.pipe.outbox.isHigh));
    const size = this.#routed().length;
    if (isSaturated && size < this.#env.options.connectionPool.maxConnections) this.#growTo(size + 1);
  }

  /**
   * One more, when every connection is at its peer's stream limit.
   * @returns whether there is one on its way
   */
  growWhenFull(): boolean {
    const connections = this.#routed();
    if (connections.some(({ untried }) => untried)) return true;
    const isFull =
      connections.some(({ connected }) => connected) && connections.every((one) => !one.connected || !one.hasRoom);
    if (!isFull || connections.length >= this.#env.options.connectionPool.maxConnections) return false;
    this.#growTo(connections.length + 1);
    return true;
  }

  /** Lets go of what is above the minimum and was not used for `idleTimeout`, the youngest first. */
  closeIdle(now: number): void {
    const { idleTimeout, minConnections } = this.#env.options.connectionPool;
    const connections = this.#routed();
    let size = connections.length;
    for (const connection of connections.reverse()) {
      if (size <= Math.max(minConnections, 1)) return;
      const isUsed = connection.inFlight > 0 || this.#host.carriesHandle(connection);
      if (isUsed || this.#isLast(connection) || now - connection.lastUsedAt < idleTimeout) continue;
      size--;
      this.#target = Math.min(this.#target, size);
      this.#drain(connection, 'idle');
    }
  }

  /** There will be no more connections. */
  cancelScaling(): void {
    for (const fail of [...this.#scaling]) fail(new CancelledError('scalePool() was cut short by disconnect()'));
  }

  /** @param isFinal as that of `Streams.closeAll` */
  closeAll(reason: string, isFinal: boolean): void {
    const actors = this.#host.actors();
    for (const connection of [...this]) {
      if (isFinal && actors.isAwaited(connection.id)) connection.reportClosed({ reason });
      else actors.tell(connection.id, { type: 'CLOSE', reason });
    }
  }

  /** Its endpoint's only one: without it nobody would redial the endpoint, nor hear of its loss. */
  #isLast({ endpoint }: PoolConnection): boolean {
    let staying = 0;
    for (const { closed, leaving } of endpoint.connections) if (!closed && !leaving) staying++;
    return staying <= 1;
  }

  #drain({ id }: PoolConnection, reason: string): void {
    this.#host.actors().tell(id, { type: 'DRAIN', reason });
  }

  #add(endpoint: ServedEndpoint, standby: boolean, delayMs = 0): PoolConnection {
    this.#count++;
    const id = `connection-${this.#count}`;
    const connection = new PoolConnection(id, endpoint, this.#connectionHost);
    this.#connections.set(id, connection);
    endpoint.connections.add(connection);
    const { options, seed } = this.#env;
    const config: ConnectionConfig = {
      connectTimeoutMs: options.connectTimeoutMs,
      drainTimeoutMs: options.timeoutMs,
      maxAgeMs: MAX_CONNECTION_AGE_MS,
      reconnect: options.reconnect,
    };
    const input = { id, address: endpoint.address.text, seed: deriveSeed(seed, id), standby, config };
    this.#host.actors().spawn(id, { type: 'ADD_CONNECTION', input });
    if (delayMs === 0) this.#host.actors().tell(id, { type: 'CONNECT' });
    else connection.connectLater(delayMs);
    return connection;
  }

  /** Its level does not carry traffic. */
  #isStandby({ level }: ServedEndpoint): boolean {
    return this.#host.level() !== -1 && level !== this.#host.level();
  }

  /** Connections of the routed level (level 0 before there is one) that are not on their way out. */
  #routed(): PoolConnection[] {
    const level = Math.max(0, this.#host.level());
    return [...this].filter(({ endpoint, closed, leaving }) => endpoint.level === level && !closed && !leaving);
  }

  #growTo(size: number): void {
    const level = Math.max(0, this.#host.level());
    const ofLevel = this.#host.endpoints.filter((endpoint) => endpoint.level === level);
    const served = ofLevel.filter((endpoint) => endpoint.served);
    const candidates = served.length > 0 ? served : ofLevel;
    for (let count = this.#routed().length; count < size; count++) {
      const least = candidates.reduce((one, other) => (other.connections.size < one.connections.size ? other : one));
      this.#add(least, false);
    }
  }

  async #untilOpen(size: number): Promise<void> {
    const isThere = (): boolean => this.#routed().filter(({ connected }) => connected).length >= size;
    if (isThere()) return;
    const { clock, hub, options } = this.#env;
    const { timeoutMs } = options;
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        clock.clearTimeout(timer);
        hub.off('pool_connection_created', onCreated);
        this.#scaling.delete(fail);
      };
      const fail = (error: Error): void => {
        leave();
        reject(error);
      };
      const onCreated = (): void => {
        if (!isThere()) return;
        leave();
        resolve();
      };
      const timer = clock.setTimeout(() => {
        fail(new TimeoutError(`timeout: the pool did not reach ${size} connections within ${timeoutMs} ms`, timeoutMs));
      }, timeoutMs);
      hub.on('pool_connection_created', onCreated);
      this.#scaling.add(fail);
    });
  }

  // --- facts from the connections -----------------------------------------------------------------------------------------------

  #onOpened({ id, endpoint, proven }: PoolConnection): void {
    const address = endpoint.address.text;
    this.#env.hub.emit(proven ? 'pool_reconnected' : 'pool_connection_created', { id, address });
    this.#host.actors().tell(endpoint.id, { type: 'CONNECTION_OPENED' });
    if (endpoint.served) endpoint.openWatch();
    // Once it takes what the other is relieved of.
    queueMicrotask(() => this.#replace(id));
  }

  /** Where its name leads now may be nobody yet: it goes on until another is open there. */
  #onMoved(connection: PoolConnection): void {
    const { endpoint, leaving, closed } = connection;
    if (leaving || closed || this.#host.isClosing()) return;
    for (const old of this.#replaced.values()) if (old === connection) return;
    const { id } = this.#add(endpoint, this.#isStandby(endpoint));
    this.#replaced.set(id, connection);
  }

  #replace(id: string): void {
    const old = this.#replaced.get(id);
    this.#replaced.delete(id);
    if (old !== undefined && !old.leaving && !old.closed) this.#drain(old, MOVED);
  }

  #onLost(connection: PoolConnection, reason: string): void {
    connection.endpoint.lastLoss = reason;
    this.#noteFailure(connection, reason);
    this.#tellRemaining(connection.endpoint);
    this.#host.onLost(connection);
  }

  #onDialFailed(connection: PoolConnection, reason: string): void {
    const { endpoint } = connection;
    this.#noteFailure(connection, reason);
    endpoint.lastDialError = reason;
    this.#host.actors().tell(endpoint.id, { type: 'DIAL_FAILED', remaining: endpoint.connectedCount });
    this.#host.onDialFailed(endpoint);
  }

  #onDraining(connection: PoolConnection, reason: string): void {
    const { endpoint } = connection;
    connection.leaving = true;
    endpoint.lastLoss = reason;
    this.#tellRemaining(endpoint);
    // Its replacement is dialled before the streams move: make before break.
    if (!LEFT_OUT.includes(reason) && !this.#host.isClosing()) {
      this.#add(endpoint, this.#isStandby(endpoint), this.#replacementDelayMs(connection));
    }
    this.#host.onLeaving(connection);
  }

  /** At once for one that stood; by backoff where the endpoint turns away every connection it is given. */
  #replacementDelayMs({ endpoint, openedAt }: PoolConnection): number {
    const { clock, options, seed } = this.#env;
    const stood = clock.now() - openedAt >= options.reconnect.initialDelay;
    endpoint.quickDrains = stood ? 0 : endpoint.quickDrains + 1;
    // The first may be a server that happened to restart.
    if (endpoint.quickDrains <= 1) return 0;
    return nextBackoff(options.reconnect, endpoint.quickDrains - 1, deriveSeed(seed, `${endpoint.id}#${this.#count}`))
      .delayMs;
  }

  #onClosed(connection: PoolConnection, reason: string): void {
    const { id, endpoint } = connection;
    this.#connections.delete(id);
    this.#replaced.delete(id);
    endpoint.connections.delete(connection);
    this.#host.actors().forget(id);
    this.#env.hub.emit('pool_connection_removed', { id, reason });
    this.#tellRemaining(endpoint);
    this.#host.actors().tellRoot({ type: 'CONNECTION_CLOSED', id });
    this.#host.onClosed(connection, reason);
  }

  #noteFailure({ id, endpoint }: PoolConnection, reason: string): void {
    this.failed++;
    const address = endpoint.address.text;
    const error = new ConnectionError(`${address}: ${reason}`);
    this.#env.flight?.attach(error);
    this.#env.hub.emit('pool_connection_failed', { id, address, error });
  }

  #tellRemaining(endpoint: ServedEndpoint): void {
    this.#host.actors().tell(endpoint.id, { type: 'CONNECTION_LOST', remaining: endpoint.connectedCount });
  }
}

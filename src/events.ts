/** The client's events: what there is, and how it reaches listeners. */

import { nearestName } from './core/nearest.js';
import { isError } from './core/is-error.js';
import { AuthzClientError, ConfigurationError } from './errors.js';
import type { SafeLogger } from './observe/logger.js';
import type { ConnectionState, HealthCheckResult, HealthStatus } from './types.js';

/** Every event and its payload. Listeners get exactly one argument. */
export interface ClientEvents {
  /** The client serves; `address` is the endpoint that carries traffic. */
  connected: { address: string };
  /** The client no longer serves: a loss, or `disconnect()`. */
  disconnected: { reason: string };
  connection_state_change: { state: ConnectionState; previous: ConnectionState };
  pool_connection_created: { id: string; address: string };
  pool_connection_failed: { id: string; address: string; error: Error };
  pool_reconnected: { id: string; address: string };
  pool_connection_removed: { id: string; reason: string };
  health_status_change: { status: HealthStatus; previous: HealthStatus; address: string };
  failover_started: { from: string; to: string; reason: string };
  failover_completed: { from: string; address: string; durationMs: number };
  failover_failed: { address: string; error: Error };
  failback_scheduled: { address: string; delayMs: number };
  failback_completed: { address: string };
  backpressure_start: { streamId: string };
  backpressure_end: { streamId: string };
  stream_reconnecting: { streamId: string; attempt: number; delayMs: number };
  stream_reconnected: { streamId: string; attempt: number };
  stream_pool_creation_error: { index: number; error: Error };
  health_stream_check: HealthCheckResult;
  health_stream_error: Error;
  message_dropped: { streamId: string; requestId: string };
  /** What has no caller to be thrown at: a callback or a listener that threw, above all. Never throws when nobody listens. */
  error: Error;
}

export type ClientEventName = keyof ClientEvents;

/** A listener may be async: what its promise rejects with becomes an `error` event. */
export type ClientEventListener<Name extends ClientEventName> = (payload: ClientEvents[Name]) => unknown;

/** The listening side, after Node's `EventEmitter`. */
export interface TypedEmitter {
  on<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this;
  once<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this;
  off<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this;
}

const NAMES: Readonly<Record<ClientEventName, true>> = {
  connected: true,
  disconnected: true,
  connection_state_change: true,
  pool_connection_created: true,
  pool_connection_failed: true,
  pool_reconnected: true,
  pool_connection_removed: true,
  health_status_change: true,
  failover_started: true,
  failover_completed: true,
  failover_failed: true,
  failback_scheduled: true,
  failback_completed: true,
  backpressure_start: true,
  backpressure_end: true,
  stream_reconnecting: true,
  stream_reconnected: true,
  stream_pool_creation_error: true,
  health_stream_check: true,
  health_stream_error: true,
  message_dropped: true,
  error: true,
};

/** Every event name. */
export const CLIENT_EVENT_NAMES = Object.freeze(Object.keys(NAMES) as ClientEventName[]);

/** More listeners on one event than this look like a leak and are warned of, once per event. */
export const MAX_LISTENERS_PER_EVENT = 64;

interface Registration {
  /** What the user gave. The registry guarantees that its payload fits the name it stands under. */
  readonly listener: (payload: never) => unknown;
  readonly once: boolean;
  active: boolean;
}

interface Delivery {
  readonly name: ClientEventName;
  readonly payload: unknown;
  readonly registrations: readonly Registration[];
}

/**
 * Holds the listeners and delivers to them. `emit` only queues; a microtask delivers, in order. So no code of the user's runs inside a
 * statechart's transition or half-way through a write, where it could call back into what has not settled yet.
 */
export class EventHub implements TypedEmitter {
  // Each list is replaced, never changed: a queued delivery keeps the one of its moment without a copy.
  readonly #registrations = new Map<ClientEventName, readonly Registration[]>();
  readonly #warned = new Set<ClientEventName>();
  readonly #logger: SafeLogger;
  /**
   * Where somebody looks on: told of every event as it is emitted. It is no listener: an `error` that only it sees is one that nobody listens for.
   * It does not throw, nor call back.
   */
  onlooker: ((name: ClientEventName, payload: ClientEvents[ClientEventName]) => void) | undefined;
  #queue: Delivery[] = [];
  #scheduled = false;

  constructor(logger: SafeLogger) {
    this.#logger = logger;
  }

  /** @throws ConfigurationError for an unknown event or a listener that is no function */
  on<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    return this.#add(name, listener, false);
  }

  /** Like {@link on}, for the next event only. */
  once<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    return this.#add(name, listener, true);
  }

  /**
   * Removes the listener that was added last, if it is there. Nothing is delivered to it afterwards, not even what was emitted before.
   * @throws ConfigurationError for an unknown event or a listener that is no function
   */
  off<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    assertEventName(name);
    assertListener(listener);
    const registration = this.#registrations.get(name)?.findLast((candidate) => candidate.listener === listener);
    if (registration !== undefined) this.#remove(name, registration);
    return this;
  }

  listenerCount(name: ClientEventName): number {
    return this.#registrations.get(name)?.length ?? 0;
  }

  removeAllListeners(): void {
    for (const registrations of this.#registrations.values()) {
      for (const registration of registrations) registration.active = false;
    }
    this.#registrations.clear();
  }

  /** Queues the event for whoever listens now. Never throws, and runs no listener itself. False when nobody listens. */
  emit<Name extends ClientEventName>(name: Name, payload: ClientEvents[Name]): boolean {
    this.onlooker?.(name, payload);
    const registrations = this.#registrations.get(name);
    if (registrations === undefined) {
      if (name === 'error') this.#logger.error({ error: payload }, 'an error that nobody listens for');
      return false;
    }
    this.#queue.push({ name, payload, registrations });
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#drain());
    }
    return true;
  }

  /** Reports what has no caller to be thrown at, whatever was thrown. */
  reportError(thrown: unknown): void {
    this.emit('error', toError(thrown));
  }

  #add(name: ClientEventName, listener: Registration['listener'], once: boolean): this {
    assertEventName(name);
    assertListener(listener);
    const registrations = [...(this.#registrations.get(name) ?? []), { listener, once, active: true }];
    this.#registrations.set(name, registrations);
    if (registrations.length > MAX_LISTENERS_PER_EVENT && !this.#warned.has(name)) {
      this.#warned.add(name);
      process.emitWarning(
        `${registrations.length} listeners of '${name}' on one client: a listener may be added over and over (off() removes it)`,
        { type: 'MaxListenersExceededWarning', code: 'AUTHZ_MAX_LISTENERS' },
      );
    }
    return this;
  }

  #remove(name: ClientEventName, registration: Registration): void {
    registration.active = false;
    const rest = (this.#registrations.get(name) ?? []).filter((candidate) => candidate !== registration);
    if (rest.length === 0) this.#registrations.delete(name);
    else this.#registrations.set(name, rest);
  }

  #drain(): void {
    // What listeners cause in their turn waits for the next microtask: promises settled meanwhile get theirs in between.
    const batch = this.#queue;
    this.#queue = [];
    this.#scheduled = false;
    for (const { name, payload, registrations } of batch) {
      for (const registration of registrations) this.#deliver(name, payload, registration);
    }
  }

  #deliver(name: ClientEventName, payload: unknown, registration: Registration): void {
    if (!registration.active) return;
    if (registration.once) this.#remove(name, registration);
    const { listener } = registration;
    try {
      const result = listener(payload as never);
      if (isThenable(result)) {
        Promise.resolve(result).catch((reason: unknown) => this.#listenerFailed(name, reason));
      }
    } catch (thrown) {
      this.#listenerFailed(name, thrown);
    }
  }

  #listenerFailed(name: ClientEventName, thrown: unknown): void {
    // An `error` listener that fails must not be told of it by an `error` event: that could go on for ever.
    if (name === 'error') this.#logger.error({ error: toError(thrown) }, `a listener of 'error' threw`);
    else this.reportError(thrown);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** The thrown error itself; what is no error is wrapped in one. */
export function toError(thrown: unknown): Error {
  if (isError(thrown)) return thrown;
  return new AuthzClientError(
    `a callback threw a value that is not an error (${typeof thrown})`,
    'ERR_AUTHZ_CALLBACK',
    {
      cause: thrown,
    },
  );
}

function assertEventName(name: unknown): asserts name is ClientEventName {
  if (typeof name === 'string' && Object.hasOwn(NAMES, name)) return;
  if (typeof name !== 'string')
    throw new ConfigurationError('event', `must be the name of an event, got ${typeof name}`);
  const near = nearestName(name, CLIENT_EVENT_NAMES);
  const hint = near === undefined ? '' : `; did you mean '${near}'?`;
  throw new ConfigurationError('event', `there is no event ${JSON.stringify(name.slice(0, 64))}${hint}`);
}

function assertListener(listener: unknown): void {
  if (typeof listener !== 'function') {
    throw new ConfigurationError('listener', `must be a function, got ${listener === null ? 'null' : typeof listener}`);
  }
}

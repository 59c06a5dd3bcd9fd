/** The public option types and their defaults. Times are milliseconds unless said otherwise. */

import type { InspectionEvent, Observer } from 'xstate';
import type { Clock } from './core/clock.js';
import { withinHeap } from './core/heap.js';
import type { Random } from './core/random.js';
import type { Logger } from './observe/logger.js';
import type { Transport } from './transport/port.js';
import { LoadBalancingStrategy } from './types.js';

/** The pool of connections, per client. `minConnections` and `maxConnections` are raised to one per level-0 address. */
export interface ConnectionPoolOptions {
  /** Kept open. 0 to 1,000. Default 1. */
  minConnections: number;
  /** 1 to 1,000, at least `minConnections`. Default 10. */
  maxConnections: number;
  /** An unused connection above the minimum is closed after this. Default 60000. */
  idleTimeout: number;
  /** Default `round_robin`. */
  loadBalancingStrategy: LoadBalancingStrategy;
  /** Between two probes of an endpoint, by turns over its connections; the shorter of this and `healthCheck.interval` holds. Default 30000. */
  healthCheckInterval: number;
  /** The longest wait for a usable connection. Default 5000. */
  acquireTimeout: number;
}

/** Messages accepted and not yet written, per stream: `lowWaterMark < highWaterMark ≤ maxBufferSize`. */
export interface BackpressureConfig {
  /** At this many, `isWritable()` is false and `onBackpressure(true)` is called. Default 100. */
  highWaterMark: number;
  /** Down to this many, it is true again and `onBackpressure(false)` is called. Default 50. */
  lowWaterMark: number;
  /** At this many, `send` refuses. At most 1,000,000. Default 1000. */
  maxBufferSize: number;
}

/** Periodic health probes. */
export interface HealthCheckConfig {
  /** Default true. */
  enabled: boolean;
  /** Between probes. Default 30000. */
  interval: number;
  /** Of one probe. Default 5000. */
  timeout: number;
  /** Failed probes in a row that make an endpoint unhealthy. Default 3. */
  unhealthyThreshold: number;
  /** Good probes in a row that make it healthy again. Default 2. */
  healthyThreshold: number;
  /** The service asked for; empty asks for the server as a whole. Default ''. */
  serviceName: string;
}

/** Backoff of redials and of a handle's reopenings. The first retry of a connection that had worked is immediate. */
export interface ReconnectConfig {
  /** At most `maxDelay`. Default 1000. */
  initialDelay: number;
  /** Default 30000. */
  maxDelay: number;
  /** Growth per attempt, 1 to 10. Default 2. */
  multiplier: number;
  /** Each delay is drawn from the upper half of its bound, so that clients that failed together do not return together. Default true. */
  jitter: boolean;
  /** A handle's consecutive failed reopenings until it closes; endpoints are redialled for ever. Default 10. */
  maxAttempts: number;
}

/** Failing over to backup addresses, and back. */
export interface FailoverConfig {
  /** Default false. */
  enabled: boolean;
  /** In order of preference, each a level of its own. At most 64. Default none. */
  fallbackAddresses: readonly string[];
  /** Which address of a pooled client is the primary when its addresses are the priority list. Default 0. */
  primaryIndex: number;
  /** Missed probes in a row of a suspect endpoint until traffic moves; also failed calls in a row, whatever its health says. Default 3. */
  failoverThreshold: number;
  /** Unbroken health of the primary until traffic moves back. Default 60000. */
  failbackDelay: number;
}

/** The streams of `createBidirectionalStream`, per client. */
export interface StreamPoolConfig {
  /** Beyond it a stream is refused with `PoolExhaustedError`. 1 to 10,000. Default 10. */
  maxConcurrentStreams: number;
  /** An idle stream's call is closed after this; the next send reopens it. Default 300000. */
  streamIdleTimeout: number;
  /** Park the call of an ended handle for the next one. Default true. */
  enableStreamReuse: boolean;
  /** How long it stays parked. Default 60000. */
  streamReuseTimeout: number;
}

/** How streams carry requests. */
export interface AdvancedStreamOptions {
  /** False: one request in flight per stream. Default true. */
  multiplexing: boolean;
  /** After this many the handle's call is replaced, make before break. Default 1000. */
  maxRequestsPerStream: number;
  /** Answer a repeated request id, for the very same question, from the cache. Default false. */
  deduplication: boolean;
  /** Answers kept, the least recently used evicted. 1 to 1,000,000. Default 100. */
  deduplicationCacheSize: number;
  /** Deliver a handle's responses in the order of `send`. Default true. */
  ensureOrdering: boolean;
}

/** The size and age limit of the deduplication cache. */
export interface DeduplicationOptions {
  /** Default 100. */
  cacheSize?: number;
  /** An answer older than this is not reused. Default 30000. */
  ttlMs?: number;
}

/** A token and, where known, its end: a `Date` or milliseconds since 1970. */
export interface ExpiringToken {
  token: string;
  expiresAt?: Date | number;
}

/** A bearer token, or an async function giving one: read at each opening and before the token expires. */
export type Credentials = string | (() => Promise<string | ExpiringToken>);

/** A transport by name, or one of your own. */
export type TransportOption = 'http2' | 'grpc-js' | Transport;

/**
 * XState's inspection observer: sees every actor, event and snapshot. Payloads and secrets never pass through the machines. What it throws or
 * rejects with is ignored.
 */
export type InspectOption = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** Everything but the address. Times are milliseconds, whole numbers up to 2,147,483,647. */
export interface PooledClientOptions {
  /** Bounds `connect()`, each check and each `send`, from acceptance to answer. Default 5000. */
  timeout?: number;
  /** Bounds one dial, TLS and SETTINGS included. Default: half of `timeout`, at most 2000. */
  connectTimeout?: number;
  /** HTTP/2 ping when an answer is owed and nothing came for this long. Default 30000. */
  keepAliveInterval?: number;
  /** A ping unanswered for this long ends the connection. Default 5000. */
  keepAliveTimeout?: number;
  /** Checks accepted and unsettled; beyond it `BackpressureError`. Default 100000, or one for each 8 KiB of a heap below 800 MiB. */
  maxPendingChecks?: number;
  /** Bytes of accepted and unsettled requests; beyond it `BackpressureError`. Default 268435456 (256 MiB), or half of a heap below 512 MiB. */
  maxPendingBytes?: number;
  /** The largest message sent or accepted, bytes. Default 4194304 (4 MiB). */
  maxMessageBytes?: number;
  /** Moves and retries of one check, 0 to 100. Default 3. */
  maxRetries?: number;
  /** Base backoff between retries, never past the check's deadline. Default 1000. */
  retryDelay?: number;
  /** TLS. Default false; any of the four options below turns it on. Say `false` to silence the plaintext warning. */
  tls?: boolean;
  /** PEM file of the client's certificate chain, for mutual TLS; together with `keyPath`. */
  certPath?: string;
  /** PEM file of the client's unencrypted private key; together with `certPath`. */
  keyPath?: string;
  /** PEM file of the certificate authorities that are trusted instead of the system's. */
  caPath?: string;
  /** The name the server's certificate is verified against, instead of the address's host. */
  serverName?: string;
  /** Headers of every call. Default none. */
  metadata?: Readonly<Record<string, string>>;
  /** Never sent over plaintext but to loopback and unix sockets. Default none. */
  credentials?: Credentials;
  connectionPool?: Partial<ConnectionPoolOptions>;
  backpressure?: Partial<BackpressureConfig>;
  healthCheck?: Partial<HealthCheckConfig>;
  reconnect?: Partial<ReconnectConfig>;
  failover?: Partial<FailoverConfig>;
  /** What `configureStreamPool` changes later. */
  streamPool?: Partial<StreamPoolConfig>;
  /** What `configureAdvancedStreamOptions` changes later. */
  streams?: Partial<AdvancedStreamOptions>;
  /** Shorthand for `streams.deduplication` and its cache; must not contradict them. Default false. */
  deduplication?: boolean | DeduplicationOptions;
  /** Default 'http2'. */
  transport?: TransportOption;
  inspect?: InspectOption;
  /** A pino-like logger: hears of connections, health and failover. What it throws is ignored; secrets are removed first. Default none. */
  logger?: Logger;
  /** Transitions of the statecharts that are kept for `dump()` and for the errors of an outage. 0 to 65,536; 0 is off. Default 256. */
  flightRecorderSize?: number;
  /** Time, for tests and simulations. Default: the system's monotonic clock. */
  clock?: Clock;
  /** Chance, in [0, 1), for tests and simulations. Default `Math.random`. */
  random?: Random;
}

/** Options of `createClient`. */
export interface AuthzClientOptions extends PooledClientOptions {
  /** `host:port`, `dns:///name:port` or `unix:path`; IPv6 in brackets. */
  address: string;
}

/** Defaults are shared by every client of the process: one that could be changed would change them all. */
export function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) deepFreeze(item as object);
  return Object.freeze(value);
}

export const DEFAULT_POOL_OPTIONS: Readonly<ConnectionPoolOptions> = deepFreeze({
  minConnections: 1,
  maxConnections: 10,
  idleTimeout: 60_000,
  loadBalancingStrategy: LoadBalancingStrategy.ROUND_ROBIN,
  healthCheckInterval: 30_000,
  acquireTimeout: 5_000,
});

export const DEFAULT_BACKPRESSURE_CONFIG: Readonly<BackpressureConfig> = deepFreeze({
  highWaterMark: 100,
  lowWaterMark: 50,
  maxBufferSize: 1_000,
});

export const DEFAULT_HEALTH_CHECK_CONFIG: Readonly<HealthCheckConfig> = deepFreeze({
  enabled: true,
  interval: 30_000,
  timeout: 5_000,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  serviceName: '',
});

export const DEFAULT_RECONNECT_CONFIG: Readonly<ReconnectConfig> = deepFreeze({
  initialDelay: 1_000,
  maxDelay: 30_000,
  multiplier: 2,
  jitter: true,
  maxAttempts: 10,
});

export const DEFAULT_FAILOVER_CONFIG: Readonly<FailoverConfig> = deepFreeze({
  enabled: false,
  fallbackAddresses: [],
  primaryIndex: 0,
  failoverThreshold: 3,
  failbackDelay: 60_000,
});

export const DEFAULT_STREAM_POOL_CONFIG: Readonly<StreamPoolConfig> = deepFreeze({
  maxConcurrentStreams: 10,
  streamIdleTimeout: 300_000,
  enableStreamReuse: true,
  streamReuseTimeout: 60_000,
});

export const DEFAULT_STREAM_OPTIONS: Readonly<AdvancedStreamOptions> = deepFreeze({
  multiplexing: true,
  maxRequestsPerStream: 1_000,
  deduplication: false,
  deduplicationCacheSize: 100,
  ensureOrdering: true,
});

/** Default age limit of a deduplicated answer, milliseconds. */
export const DEFAULT_DEDUPLICATION_TTL_MS = 30_000;

/** A check that waits holds about 1 KiB of the heap, with its promise and the caller behind it; most of the heap is the application's. */
const HEAP_BYTES_PER_CHECK = 8 * 1024;
/** Encoded requests lie outside of the heap, but a process whose heap is small has little memory there, too. */
const HEAP_BYTES_PER_BYTE = 2;

/** What a client gets that is told nothing but its address. */
export const DEFAULT_OPTIONS = deepFreeze({
  timeout: 5_000,
  connectTimeout: 2_000,
  keepAliveInterval: 30_000,
  keepAliveTimeout: 5_000,
  maxPendingChecks: withinHeap(100_000, HEAP_BYTES_PER_CHECK),
  maxPendingBytes: withinHeap(256 * 1024 * 1024, HEAP_BYTES_PER_BYTE),
  maxMessageBytes: 4 * 1024 * 1024,
  maxRetries: 3,
  retryDelay: 1_000,
  flightRecorderSize: 256,
  tls: false,
  connectionPool: DEFAULT_POOL_OPTIONS,
  backpressure: DEFAULT_BACKPRESSURE_CONFIG,
  healthCheck: DEFAULT_HEALTH_CHECK_CONFIG,
  reconnect: DEFAULT_RECONNECT_CONFIG,
  failover: DEFAULT_FAILOVER_CONFIG,
  streamPool: DEFAULT_STREAM_POOL_CONFIG,
  streams: DEFAULT_STREAM_OPTIONS,
}) satisfies PooledClientOptions;

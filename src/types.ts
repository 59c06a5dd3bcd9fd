/** The public data types of the client. Shapes follow the wire contract `authz.v1`, in camelCase. */

import { ConfigurationError } from './errors.js';

/** The decision for one action. Only an explicit `ALLOW` is an allow. */
export const Effect = { UNSPECIFIED: 0, ALLOW: 1, DENY: 2 } as const;
export type Effect = (typeof Effect)[keyof typeof Effect];

/** The client's connectivity, after gRPC's channel states. */
export const ConnectionState = {
  IDLE: 'idle',
  CONNECTING: 'connecting',
  READY: 'ready',
  TRANSIENT_FAILURE: 'transient_failure',
  SHUTDOWN: 'shutdown',
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** What the server says of itself (grpc.health.v1), or UNKNOWN when nobody asked or nobody answered. */
export const HealthStatus = {
  UNKNOWN: 'unknown',
  SERVING: 'serving',
  NOT_SERVING: 'not_serving',
  SERVICE_UNKNOWN: 'service_unknown',
} as const;
export type HealthStatus = (typeof HealthStatus)[keyof typeof HealthStatus];

/** How work is spread over the usable connections. Plain strings are accepted too. */
export const LoadBalancingStrategy = {
  ROUND_ROBIN: 'round_robin',
  LEAST_CONNECTIONS: 'least_connections',
  RANDOM: 'random',
  WEIGHTED: 'weighted',
  /** Power of two choices on in-flight × EWMA latency. */
  P2C: 'p2c',
} as const;
export type LoadBalancingStrategy = (typeof LoadBalancingStrategy)[keyof typeof LoadBalancingStrategy];

/** JSON values, carried as `google.protobuf.Struct`. */
export type Attributes = Record<string, unknown>;

/** Who asks. */
export interface Principal {
  id: string;
  roles: readonly string[];
  attributes?: Attributes;
  /** A kind of principal ("user", "service"); sent as the attribute `type` when no such attribute is given. */
  type?: string;
}

/** What is asked for. */
export interface Resource {
  kind: string;
  id: string;
  attributes?: Attributes;
}

/** May this principal do these actions on this resource? */
export interface CheckRequest {
  /** Correlates the answer and is audited by the server. The client makes one where it may be left out. */
  requestId: string;
  principal: Principal;
  resource: Resource;
  /** At least one. */
  actions: readonly string[];
  context?: Attributes;
  /** Ask the server for {@link CheckResponse.metadata}. */
  includeMetadata?: boolean;
}

/** A {@link CheckRequest} whose `requestId` may be left out. */
export type CheckInput = Omit<CheckRequest, 'requestId'> & { requestId?: string };

/** The decision for one action. Frozen: equal results are shared between answers. */
export interface ActionResult {
  readonly effect: Effect;
  readonly policy?: string;
  readonly rule?: string;
  /** True when a rule decided; false when the default did, or the server did not answer for this action. */
  readonly matched: boolean;
  readonly meta?: Readonly<Record<string, string>>;
}

/** How the server came to its answer. */
export interface ResponseMetadata {
  /** Microseconds. */
  readonly evaluationDurationUs: number;
  readonly policiesEvaluated: number;
  readonly matchedPolicies: readonly string[];
  readonly cacheHit: boolean;
}

/** The answer to one {@link CheckRequest}. */
export interface CheckResponse {
  requestId: string;
  /** Exactly the asked actions. A `Map` whose mutators throw. */
  results: ReadonlyMap<string, ActionResult>;
  metadata?: ResponseMetadata;
  /** Set where an error stands in for an answer (a batch item, the stream iterator). Every result is then UNSPECIFIED. */
  error?: Error;
}

/** Options of one check. */
export interface CheckOptions {
  /** Milliseconds from now, or the `Date` by which the answer must be in. Default: the client's `timeout`. */
  deadline?: number | Date;
  /** Aborting it rejects the check with `CancelledError`. */
  signal?: AbortSignal;
  /** Headers of this call alone; makes it a unary call. */
  metadata?: Readonly<Record<string, string>>;
}

/** Where `loadPolicies` reads from: exactly one of them. */
export type PolicySource =
  | { path: string; url?: never; inline?: never }
  | { url: string; path?: never; inline?: never }
  | { inline: readonly string[]; path?: never; url?: never };

/** Outcome of `loadPolicies`. With errors, nothing was loaded and the old set stays in force. */
export interface LoadPoliciesResult {
  count: number;
  errors: { source: string; line: number; reason: string }[];
}

/** Outcome of `reloadPolicies`. */
export interface ReloadPoliciesResult {
  success: boolean;
  count: number;
  durationMs: number;
}

/** Callbacks of one stream handle. One that throws is reported as the client's `error` event and stops nothing. */
export interface StreamLifecycleCallbacks {
  onResponse(response: CheckResponse): void;
  onError(error: Error): void;
  onEnd(): void;
  onBackpressure?(paused: boolean): void;
  onReconnect?(attempt: number): void;
}

/** Statistics of one stream handle. */
export interface StreamStats {
  messagesSent: number;
  messagesReceived: number;
  messagesDropped: number;
  bufferSize: number;
  uptimeMs: number;
  avgLatencyMs: number;
}

/** Totals over all stream handles, the closed ones included. */
export interface StreamMonitoringMetrics {
  activeStreams: number;
  totalMessagesSent: number;
  totalMessagesReceived: number;
  avgLatencyMs: number;
  peakBufferSize: number;
  backpressureEvents: number;
}

/** Totals of the client. */
export interface ClientStats {
  totalRequests: number;
  successfulRequests: number;
  failedRequests: number;
  avgLatencyMs: number;
  /** Dedup hits and joins over all look-ups, 0 to 1. */
  cacheHitRate: number;
}

/** Totals of the connection pool. */
export interface PoolStats {
  totalConnections: number;
  activeConnections: number;
  idleConnections: number;
  failedConnections: number;
  totalRequests: number;
  avgAcquireTimeMs: number;
}

/** One connection of the pool. */
export interface PooledConnection {
  id: string;
  address: string;
  /** The state of its statechart: `connecting`, `open`, `open.probing`, `paused`, ... */
  state: string;
  activeRequests: number;
  weight: number;
  lastUsed: Date;
  createdAt: Date;
  healthCheckFailures: number;
}

/** Outcome of one health probe. */
export interface HealthCheckResult {
  status: HealthStatus;
  timestamp: Date;
  latencyMs: number;
  error?: Error;
  details?: Readonly<Record<string, unknown>>;
  connectionState: ConnectionState;
  consecutiveFailures: number;
}

/** What is known of the served endpoint's health. */
export interface ConnectionHealth {
  status: HealthStatus;
  connectionState: ConnectionState;
  lastSuccessfulCheck?: Date;
  consecutiveFailures: number;
  consecutiveSuccesses: number;
  /** The last 100 probes, oldest first. */
  history: readonly HealthCheckResult[];
}

/** Callbacks of `subscribeToHealthStream`. */
export interface HealthStreamCallbacks {
  onStatusChange(status: HealthStatus, previous: HealthStatus): void;
  onHealthCheck(result: HealthCheckResult): void;
  onError(error: Error): void;
}

/** Statistics of the dedup cache. */
export interface DeduplicationStats {
  size: number;
  capacity: number;
  hits: number;
  misses: number;
  evictions: number;
  /** Requests that joined a twin in flight. */
  joined: number;
  /** Requests whose id was known for another question. */
  conflicts: number;
}

/**
 * Is every asked action (or the one named) explicitly allowed? False for anything else: fail closed.
 * @throws ConfigurationError for what is no response: the promise of one, when an `await` was forgotten
 */
export function isAllowed(response: CheckResponse, action?: string): boolean {
  const given: unknown = response;
  if (typeof given !== 'object' || given === null || !('results' in given)) {
    throw new ConfigurationError('response', 'must be the response of a check; was it awaited?');
  }
  if (response.error !== undefined) return false;
  if (action !== undefined) return response.results.get(action)?.effect === Effect.ALLOW;
  if (response.results.size === 0) return false;
  for (const result of response.results.values()) {
    if (result.effect !== Effect.ALLOW) return false;
  }
  return true;
}

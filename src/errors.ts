/** The client's typed errors. Every one says what is known of the request (`outcome`) and whether asking again may help. */

import type { FlightRecord, FlightSource } from './flight.js';

/** gRPC status codes (grpc/doc/statuscodes.md). */
export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode];

/**
 * What is known of a request that failed:
 * `notSent` never left this process · `refused` the server did not process it · `unknown` it was written and nothing came back ·
 * `answered` the server answered with an error.
 */
export type Outcome = 'notSent' | 'refused' | 'unknown' | 'answered';

export interface AuthzErrorOptions {
  grpcCode?: GrpcCode | undefined;
  retryable?: boolean | undefined;
  outcome?: Outcome | undefined;
  requestId?: string | undefined;
  details?: Readonly<Record<string, unknown>> | undefined;
  cause?: unknown;
}

/** Gives an error the record of its outage; the package's own. */
export let attachFlightRecord: (error: AuthzClientError, source: FlightSource) => void;

/** Base of every error this package throws or reports. */
export class AuthzClientError extends Error {
  static {
    attachFlightRecord = (error, source) => {
      error.#flight ??= source;
    };
  }

  // Private, and read through the prototype: whatever prints, logs, copies or compares errors does not come upon it.
  #flight: FlightSource | undefined;
  /** A stable word for programs: `ERR_AUTHZ_...`. */
  readonly code: string;
  declare readonly grpcCode?: GrpcCode;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  /** The request this error is about, where it is about one. */
  declare readonly requestId?: string;
  declare readonly details?: Readonly<Record<string, unknown>>;

  constructor(message: string, code: string, options: AuthzErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.outcome = options.outcome ?? 'notSent';
    if (options.grpcCode !== undefined) this.grpcCode = options.grpcCode;
    if (options.requestId !== undefined) this.requestId = options.requestId;
    if (options.details !== undefined) this.details = options.details;
  }

  /**
   * What the statecharts did before and during the outage, of a `ConnectionError` or `FailoverError` of a client with a flight recorder. All
   * errors of one outage share one frozen object, made when the first of them is asked. Not enumerable: no log or JSON has it by accident.
   */
  get flightRecord(): FlightRecord | undefined {
    return this.#flight?.record;
  }
}

/** An option or a request that breaks a rule. `path` names the field; the message names the rule. */
export class ConfigurationError extends AuthzClientError {
  readonly path: string;

  constructor(path: string, reason: string, options: AuthzErrorOptions = {}) {
    super(`${path}: ${reason}`, 'ERR_AUTHZ_CONFIGURATION', { grpcCode: GrpcCode.INVALID_ARGUMENT, ...options });
    this.path = path;
  }
}

/** No connection could be made, or the one in use was lost. */
export class ConnectionError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_CONNECTION', { grpcCode: GrpcCode.UNAVAILABLE, retryable: true, ...options });
  }
}

/** The deadline passed. `timeoutMs` is how long was waited. */
export class TimeoutError extends AuthzClientError {
  readonly timeoutMs: number;

  constructor(message: string, timeoutMs: number, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_TIMEOUT', { grpcCode: GrpcCode.DEADLINE_EXCEEDED, retryable: true, ...options });
    this.timeoutMs = timeoutMs;
  }
}

/** A bound was reached and the request refused, unsent. `bufferSize` is how much was held at that moment. */
export class BackpressureError extends AuthzClientError {
  readonly bufferSize: number;

  constructor(message: string, bufferSize: number, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_BACKPRESSURE', { grpcCode: GrpcCode.RESOURCE_EXHAUSTED, retryable: true, ...options });
    this.bufferSize = bufferSize;
  }
}

/** No pooled connection or stream could be had within the limits. */
export class PoolExhaustedError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_POOL_EXHAUSTED', { grpcCode: GrpcCode.RESOURCE_EXHAUSTED, retryable: true, ...options });
  }
}

/** The stream handle, or the client, is closed or closing. */
export class StreamClosedError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_STREAM_CLOSED', { grpcCode: GrpcCode.FAILED_PRECONDITION, ...options });
  }
}

/** A health probe failed. */
export class HealthCheckError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_HEALTH_CHECK', { grpcCode: GrpcCode.UNAVAILABLE, retryable: true, ...options });
  }
}

/** A failover could not find a served endpoint. */
export class FailoverError extends AuthzClientError {
  readonly fromAddress: string;
  readonly toAddress: string;

  constructor(message: string, fromAddress: string, toAddress: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_FAILOVER', { grpcCode: GrpcCode.UNAVAILABLE, retryable: true, ...options });
    this.fromAddress = fromAddress;
    this.toAddress = toAddress;
  }
}

/** The server answered something the protocol does not allow, or with an error status of its own. */
export class ProtocolError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_PROTOCOL', { grpcCode: GrpcCode.INTERNAL, outcome: 'answered', ...options });
  }
}

/** The caller gave up: an aborted signal, or `disconnect()`. */
export class CancelledError extends AuthzClientError {
  constructor(message: string, options: AuthzErrorOptions = {}) {
    super(message, 'ERR_AUTHZ_CANCELLED', { grpcCode: GrpcCode.CANCELLED, ...options });
  }
}

import {
  type AuthzClientError,
  CancelledError,
  ConnectionError,
  GrpcCode,
  type AuthzErrorOptions,
  PoolExhaustedError,
  ProtocolError,
  TimeoutError,
} from '../errors.js';
import type { PendingCheck } from '../data/pending-check.js';
import type { WireStatus } from '../transport/port.js';

/** The error a request ends with when its exchange ended with this status. */
export function errorFromStatus(status: WireStatus, requestId?: string, timeoutMs = 0): AuthzClientError {
  const options = { requestId, outcome: status.outcome, grpcCode: status.code };
  switch (status.code) {
    case GrpcCode.UNAVAILABLE:
      return new ConnectionError(`the server is unavailable: ${status.message}`, options);
    case GrpcCode.DEADLINE_EXCEEDED:
      return new TimeoutError(`no answer in time: ${status.message}`, timeoutMs, options);
    case GrpcCode.CANCELLED:
      return new CancelledError(`the call was cancelled: ${status.message}`, options);
    default:
      return new ProtocolError(`the server answered ${nameOf(status.code)}: ${status.message}`, {
        ...options,
        retryable: status.code === GrpcCode.RESOURCE_EXHAUSTED || status.code === GrpcCode.ABORTED,
      });
  }
}

/**
 * What a statechart is told of how a call ended. Of a server's own text nothing: it may repeat whom and what it was asked about, and contexts
 * are shown, dumped and handed on. Errors of requests have it, for they are the caller's own.
 */
export const reasonOfStatus = ({ outcome, code, message }: WireStatus): string =>
  outcome === 'answered' ? nameOf(code) : message || 'the call was lost';

function nameOf(code: GrpcCode): string {
  for (const [name, value] of Object.entries(GrpcCode)) if (value === code) return name;
  return String(code);
}

/** The error of a request that no connection took in time. */
export function exhaustedError(
  acquireTimeoutMs: number,
  whyWaiting: string | undefined,
  options: AuthzErrorOptions,
): PoolExhaustedError {
  const why =
    whyWaiting === undefined ? '' : `: ${whyWaiting}; raise connectionPool.maxConnections or the server's limit`;
  const message = `connectionPool.acquireTimeout: no connection took the request within ${acquireTimeoutMs} ms${why}`;
  return new PoolExhaustedError(message, options);
}

export interface RedressOptions {
  readonly maxRetries: number;
  /** Whether the retry budget has room; not asked for a first move that is free. */
  readonly tryTake: () => boolean;
  readonly now: () => number;
  /** A fresh token may mend it: told once per token. */
  readonly mayRefreshToken: (sentAt: number) => boolean;
}

const ENDED_UNANSWERED: WireStatus = {
  code: GrpcCode.INTERNAL,
  message: 'it ended the stream without an answer',
  outcome: 'unknown',
};

/**
 * What becomes of a check whose call ended: asked again, or failed. A check is an idempotent read, so it may be asked again whatever the server
 * did with it (fault contract, "Y"). The first move is immediate, and free where the call was lost; what a server turned away, and later moves, draw
 * on the retry budget; all count towards `maxRetries`.
 */
export function createRedress(
  options: RedressOptions,
): (check: PendingCheck, status: WireStatus) => AuthzClientError | undefined {
  return (check, status) => {
    const isUnprocessed = isProven(status);
    // That the last attempt was not processed says nothing of those before it.
    const outcome = isUnprocessed && check.inDoubt ? 'unknown' : status.outcome;
    const ended = status.code === GrpcCode.OK ? ENDED_UNANSWERED : { ...status, outcome };
    const error = (): AuthzClientError => errorFromStatus(ended, check.requestId, check.timeoutMs);
    check.inDoubt ||= !isUnprocessed;
    check.written = check.inDoubt;
    if (options.now() >= check.deadlineAt) {
      return new TimeoutError(`no answer within ${Math.round(check.timeoutMs)} ms`, check.timeoutMs, {
        requestId: check.requestId,
        outcome: 'unknown',
      });
    }
    if (!isMovable(status) && !mayAuthenticate(check, status, options)) return error();
    if (check.moves >= options.maxRetries) return error();
    const isFree = check.moves === 0 && !isTurnedAway(status);
    if (!isFree && !options.tryTake()) return error();
    check.moves++;
    return undefined;
  };
}

/** UNAUTHENTICATED is mended by a fresh token, once per check. */
function mayAuthenticate(check: PendingCheck, status: WireStatus, options: RedressOptions): boolean {
  if (status.code !== GrpcCode.UNAUTHENTICATED || check.authenticatedAnew) return false;
  check.authenticatedAnew = options.mayRefreshToken(check.writtenAt);
  return check.authenticatedAnew;
}

/** The stream broke before an answer came: no verdict on what was asked. */
export function isBroken({ code, outcome }: WireStatus): boolean {
  return code === GrpcCode.INTERNAL && outcome !== 'answered';
}

/** Not processed, for certain. */
export function isProven({ outcome }: WireStatus): boolean {
  return outcome === 'refused' || outcome === 'notSent';
}

/** By the word of the server or a proxy: it is overloaded, or about to be. Many clients that ask again at once would keep it so. */
export function isTurnedAway({ code, outcome }: WireStatus): boolean {
  return code === GrpcCode.UNAVAILABLE && outcome === 'answered';
}

/** OK ends a stream without an answer; UNIMPLEMENTED is answered by asking without a stream. */
function isMovable(status: WireStatus): boolean {
  switch (status.code) {
    case GrpcCode.OK:
    case GrpcCode.UNAVAILABLE:
    case GrpcCode.UNIMPLEMENTED:
      return true;
    default:
      return isBroken(status) || status.outcome === 'refused';
  }
}

/** Validates what single calls are given: callbacks, check options, tokens, deduplication. */

import { ConfigurationError } from './errors.js';
import type { DeduplicationOptions } from './options-types.js';
import { DEFAULT_DEDUPLICATION_TTL_MS, DEFAULT_STREAM_OPTIONS } from './options-types.js';
import {
  deduplicationTtlSchema,
  describe,
  MAX_DEDUPLICATION_CACHE_SIZE,
  MAX_TIME_MS,
  parse,
  requireWholeNumber,
  unknownKeyReason,
} from './options-schema.js';
import { validateMetadata } from './transport/metadata.js';
import type { WireMetadata } from './transport/port.js';
import type { CheckOptions, StreamLifecycleCallbacks } from './types.js';

const REQUIRED_CALLBACKS = ['onResponse', 'onError', 'onEnd'] as const;
const OPTIONAL_CALLBACKS = ['onBackpressure', 'onReconnect'] as const;
const CALLBACKS: readonly string[] = [...REQUIRED_CALLBACKS, ...OPTIONAL_CALLBACKS];

/** Headers that carry credentials. */
const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'proxy-authorization', 'cookie'];

/** Longer than any real token, shorter than common servers' header limits. */
const MAX_TOKEN_LENGTH = 8_192;

/** @throws ConfigurationError naming the callback that is missing or no function */
export function validateCallbacks(callbacks: unknown): asserts callbacks is StreamLifecycleCallbacks {
  if (typeof callbacks !== 'object' || callbacks === null) {
    throw new ConfigurationError('callbacks', `must be an object, got ${describe(callbacks)}`);
  }
  const given = callbacks as Record<string, unknown>;
  for (const name of REQUIRED_CALLBACKS) {
    const value = given[name];
    if (typeof value !== 'function')
      throw new ConfigurationError(`callbacks.${name}`, `must be a function, got ${describe(value)}`);
  }
  for (const name of OPTIONAL_CALLBACKS) {
    const value = given[name];
    if (value !== undefined && typeof value !== 'function') {
      throw new ConfigurationError(`callbacks.${name}`, `must be a function, got ${describe(value)}`);
    }
  }
  refuseMiswritten(given);
}

/** An object with callbacks may hold whatever else it likes, but `onBackPressure` would never be called, and nobody would know. */
function refuseMiswritten(callbacks: object): void {
  for (const key of Object.keys(callbacks)) {
    const meant = CALLBACKS.find((name) => name !== key && name.toLowerCase() === key.toLowerCase());
    if (meant !== undefined)
      throw new ConfigurationError(`callbacks.${key}`, `is not a callback; did you mean "${meant}"?`);
  }
}

/**
 * An object with none but these keys, for the options of single methods.
 * @throws ConfigurationError naming `path`, or the key below it
 */
export function requireOptions(path: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigurationError(path, `must be an object, got ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw new ConfigurationError(`${path}.${key.slice(0, 64)}`, unknownKeyReason(key, known));
  }
}

/** {@link CheckOptions}, resolved. */
export interface ResolvedCheckOptions {
  /** How long the answer may take, milliseconds; 0 when its time has passed already. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** A frozen copy; undefined when none, or none but an empty one, was given. */
  readonly metadata: WireMetadata | undefined;
}

export interface CheckOptionsContext {
  /** Milliseconds since 1970, against which a `Date` is read. Default: now. */
  readonly wallNowMs?: number;
  /** Whether headers that carry credentials may go out; not over plaintext to another machine. Default true. */
  readonly allowCredentials?: boolean;
}

const CHECK_OPTIONS: readonly string[] = ['deadline', 'signal', 'metadata'] satisfies (keyof CheckOptions)[];

/**
 * Resolves the options of one check.
 * @param timeoutMs the client's `timeout`, where no deadline is given
 * @throws ConfigurationError for an unknown option, a deadline that is no time, a signal that is none, a header that may not be sent
 */
export function validateCheckOptions(
  options: unknown,
  timeoutMs: number,
  context: CheckOptionsContext = {},
): ResolvedCheckOptions {
  if (options === undefined) return { timeoutMs, signal: undefined, metadata: undefined };
  requireOptions('options', options, CHECK_OPTIONS);
  const given = options as Record<string, unknown>;
  const remainingMs = remainingUntil(given['deadline'], timeoutMs, context.wallNowMs);
  return {
    timeoutMs: Math.max(0, remainingMs),
    signal: requireSignal(given['signal']),
    metadata: callMetadata(given['metadata'], context.allowCredentials ?? true),
  };
}

function remainingUntil(deadline: unknown, timeoutMs: number, wallNowMs: number | undefined): number {
  if (deadline === undefined) return timeoutMs;
  const isDate = deadline instanceof Date;
  if (!isDate && typeof deadline !== 'number') {
    throw new ConfigurationError(
      'options.deadline',
      `must be milliseconds from now or a Date, got ${describe(deadline)}`,
    );
  }
  // A deadline in the past is no mistake of the caller's configuration: it is a check that has timed out.
  const remainingMs = isDate ? deadline.getTime() - (wallNowMs ?? Date.now()) : deadline;
  if (!Number.isFinite(remainingMs)) {
    throw new ConfigurationError(
      'options.deadline',
      isDate ? 'is an invalid Date' : `must be finite, got ${describe(deadline)}`,
    );
  }
  if (remainingMs > MAX_TIME_MS) {
    const hint = isDate ? '' : '; for a point in time pass a Date';
    throw new ConfigurationError('options.deadline', `must be at most ${MAX_TIME_MS} ms from now${hint}`);
  }
  return remainingMs;
}

function requireSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  // By its shape: signals of polyfills and other realms work as well.
  if (
    typeof signal === 'object' &&
    signal !== null &&
    'aborted' in signal &&
    typeof signal.aborted === 'boolean' &&
    'addEventListener' in signal &&
    typeof signal.addEventListener === 'function'
  ) {
    return signal as AbortSignal;
  }
  throw new ConfigurationError('options.signal', `must be an AbortSignal, got ${describe(signal)}`);
}

function callMetadata(metadata: unknown, allowCredentials: boolean): WireMetadata | undefined {
  if (metadata === undefined) return undefined;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    // Not shown: it may well be a token.
    throw new ConfigurationError(
      'options.metadata',
      `must be an object, got ${metadata === null ? 'null' : `a ${typeof metadata}`}`,
    );
  }
  const copy = validateMetadata(metadata as Record<string, unknown>, 'options.metadata');
  if (!allowCredentials) refuseCredentialHeaders(copy, 'options.metadata');
  return Object.keys(copy).length === 0 ? undefined : copy;
}

/** @throws ConfigurationError when a header carries credentials; for plaintext to another machine */
export function refuseCredentialHeaders(metadata: WireMetadata, path: string): void {
  const name = CREDENTIAL_HEADERS.find((header) => header in metadata);
  if (name !== undefined) {
    throw new ConfigurationError(
      `${path}.${name}`,
      'credentials are never sent over plaintext to another machine; use tls',
    );
  }
}

/** A token and its end, milliseconds since 1970. */
export interface ResolvedToken {
  readonly token: string;
  readonly expiresAtMs: number | undefined;
}

/**
 * Checks what `credentials` is or gave. Errors never show it.
 * @throws ConfigurationError
 */
export function resolveToken(given: unknown): ResolvedToken {
  if (typeof given === 'string') return { token: requireToken('credentials', given), expiresAtMs: undefined };
  if (typeof given !== 'object' || given === null) {
    throw new ConfigurationError(
      'credentials',
      `must give a token or {token, expiresAt}, gave ${given === null ? 'null' : typeof given}`,
    );
  }
  const { token, expiresAt } = given as { token?: unknown; expiresAt?: unknown };
  const expiresAtMs = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt;
  if (expiresAtMs !== undefined && (typeof expiresAtMs !== 'number' || !Number.isFinite(expiresAtMs))) {
    throw new ConfigurationError('credentials.expiresAt', 'must be a Date or milliseconds since 1970');
  }
  return { token: requireToken('credentials.token', token), expiresAtMs };
}

function requireToken(path: string, token: unknown): string {
  if (typeof token !== 'string' || token === '') throw new ConfigurationError(path, 'must be a non-empty string');
  if (/^bearer\s/i.test(token)) throw new ConfigurationError(path, 'must be the token alone, without "Bearer "');
  if (token.length > MAX_TOKEN_LENGTH)
    throw new ConfigurationError(path, `must have at most ${MAX_TOKEN_LENGTH} characters`);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new ConfigurationError(path, 'must be visible ASCII characters without spaces');
  return token;
}

/**
 * Resolves the arguments of `enableDeduplication`.
 * @throws ConfigurationError naming `deduplication.cacheSize` or `deduplication.ttlMs`
 */
export function resolveDeduplication(cacheSize: unknown, options: unknown = {}): Required<DeduplicationOptions> {
  const { ttlMs = DEFAULT_DEDUPLICATION_TTL_MS } = parse(deduplicationTtlSchema, options, 'deduplication');
  const size = cacheSize === undefined ? DEFAULT_STREAM_OPTIONS.deduplicationCacheSize : cacheSize;
  return {
    cacheSize: requireWholeNumber('deduplication.cacheSize', size, 1, MAX_DEDUPLICATION_CACHE_SIZE),
    ttlMs,
  };
}

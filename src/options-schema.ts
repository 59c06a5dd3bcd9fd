/** The rules of every option, one schema a group. Relations between options are held by `options.ts`. */

import * as v from 'valibot';
import { nearestName } from './core/nearest.js';
import { ConfigurationError } from './errors.js';
import { redactText } from './observe/redact.js';
import type {
  AdvancedStreamOptions,
  BackpressureConfig,
  ConnectionPoolOptions,
  Credentials,
  DeduplicationOptions,
  FailoverConfig,
  HealthCheckConfig,
  InspectOption,
  ReconnectConfig,
  StreamPoolConfig,
  TransportOption,
} from './options-types.js';
import {
  DEFAULT_BACKPRESSURE_CONFIG,
  DEFAULT_FAILOVER_CONFIG,
  DEFAULT_HEALTH_CHECK_CONFIG,
  DEFAULT_OPTIONS,
  DEFAULT_POOL_OPTIONS,
  DEFAULT_RECONNECT_CONFIG,
  DEFAULT_STREAM_POOL_CONFIG,
} from './options-types.js';
import type { Clock } from './core/clock.js';
import type { Random } from './core/random.js';
import type { Logger } from './observe/logger.js';
import { LoadBalancingStrategy } from './types.js';

/** The longest time: what one Node timer can wait, 24.8 days. */
export const MAX_TIME_MS = 2 ** 31 - 1;

/** The most addresses of one client, and of its fallbacks. */
export const MAX_ADDRESSES = 1_024;
/** The most answers kept for deduplication. */
export const MAX_DEDUPLICATION_CACHE_SIZE = 1_000_000;

/** The most transitions that the flight recorder holds. */
const MAX_FLIGHT_RECORDER_SIZE = 65_536;
const MAX_FALLBACK_ADDRESSES = 64;

const MAX_NAME_LENGTH = 1_024;
const MAX_PATH_LENGTH = 4_096;
const MAX_SHOWN_LENGTH = 60;

/** A value and its type in words: `"x" (string)`. Long values are cut, and what looks like a secret is not shown. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  switch (typeof value) {
    case 'string': {
      const text = redactText(value);
      return `${JSON.stringify(text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text)} (string)`;
    }
    case 'number':
    case 'boolean':
    case 'bigint':
      return `${String(value)} (${typeof value})`;
    case 'object':
      return 'an object';
    default:
      return `a ${typeof value}`;
  }
}

/** Of a secret value, only the type is told. */
function describeType(value: unknown): string {
  return typeof value === 'string' ? 'a string' : describe(value);
}

function leaf<T>(rule: string, test: (value: unknown) => boolean): v.GenericSchema<T> {
  return v.custom<T>(test, (issue) => `${rule}, got ${describe(issue.input)}`);
}

function wholeRule(min: number, max: number): string {
  return `must be a whole number ≥ ${min} and ≤ ${max}`;
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

const whole = (min: number, max: number) => leaf<number>(wholeRule(min, max), (value) => isWhole(value, min, max));
const time = whole(1, MAX_TIME_MS);
const delay = whole(0, MAX_TIME_MS);
const flag = leaf<boolean>('must be true or false', (value) => typeof value === 'boolean');

function text(rule: string, minLength: number, maxLength: number) {
  return leaf<string>(
    `${rule} of at most ${maxLength} characters, without control characters`,
    (value) =>
      typeof value === 'string' &&
      value.length >= minLength &&
      value.length <= maxLength &&
      !/[\u0000-\u001f\u007f]/.test(value),
  );
}

const address = text('must be a non-empty string', 1, MAX_NAME_LENGTH);
const filePath = text('must be the path of a file,', 1, MAX_PATH_LENGTH);

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Is it an object or function with all of these methods? */
function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/** More names than this are a list to look up and not to read in an error. */
const MAX_NAMES_TOLD = 6;

/** What is wrong with an option that is not among the known ones. */
export function unknownKeyReason(key: string, known: readonly string[]): string {
  const near = nearestName(key, known);
  if (near !== undefined) return `is not a known option; did you mean "${near}"?`;
  return known.length > MAX_NAMES_TOLD
    ? 'is not a known option'
    : `is not a known option; there are only ${known.join(', ')}`;
}

type Fields<Entries extends v.ObjectEntries> = v.InferOutput<v.StrictObjectSchema<Entries, undefined>>;

/**
 * A group of options. Only its own keys count: what a polluted `Object.prototype` holds is nobody's option, and `__proto__` out of
 * `JSON.parse` is an unknown key like any other.
 */
function group<Entries extends v.ObjectEntries>(entries: Entries): v.GenericSchema<unknown, Fields<Entries>> {
  const fields = v.strictObject(entries, (issue) => unknownKeyReason(String(issue.input), Object.keys(entries)));
  // Absent fields become own and undefined in the result, so that reading one never reaches a prototype either.
  const absent = Object.fromEntries(Object.keys(entries).map((key) => [key, undefined]));
  return v.pipe(
    leaf<object>('must be an object', isPlainObject),
    v.transform((input): unknown => Object.assign(Object.create(null) as object, absent, input)),
    fields as v.GenericSchema<unknown, Fields<Entries>>,
  );
}

export const backpressureSchema = (base: Readonly<BackpressureConfig>) =>
  group({
    highWaterMark: v.optional(whole(1, 1_000_000), base.highWaterMark),
    lowWaterMark: v.optional(whole(0, 1_000_000), base.lowWaterMark),
    maxBufferSize: v.optional(whole(1, 1_000_000), base.maxBufferSize),
  });

export const streamPoolSchema = (base: Readonly<StreamPoolConfig>) =>
  group({
    maxConcurrentStreams: v.optional(whole(1, 10_000), base.maxConcurrentStreams),
    streamIdleTimeout: v.optional(time, base.streamIdleTimeout),
    enableStreamReuse: v.optional(flag, base.enableStreamReuse),
    streamReuseTimeout: v.optional(time, base.streamReuseTimeout),
  });

export const streamOptionsSchema = (base: Readonly<AdvancedStreamOptions>) =>
  group({
    multiplexing: v.optional(flag, base.multiplexing),
    maxRequestsPerStream: v.optional(whole(1, 1_000_000_000), base.maxRequestsPerStream),
    deduplication: v.optional(flag, base.deduplication),
    deduplicationCacheSize: v.optional(whole(1, MAX_DEDUPLICATION_CACHE_SIZE), base.deduplicationCacheSize),
    ensureOrdering: v.optional(flag, base.ensureOrdering),
  });

export const deduplicationTtlSchema = group({ ttlMs: v.optional(time) });
export const deduplicationSchema = group({
  cacheSize: v.optional(whole(1, MAX_DEDUPLICATION_CACHE_SIZE)),
  ttlMs: v.optional(time),
});

const STRATEGIES: readonly unknown[] = Object.values(LoadBalancingStrategy);

const connectionPoolSchema = (base: Readonly<ConnectionPoolOptions>) =>
  group({
    minConnections: v.optional(whole(0, 1_000), base.minConnections),
    maxConnections: v.optional(whole(1, 1_000), base.maxConnections),
    idleTimeout: v.optional(time, base.idleTimeout),
    loadBalancingStrategy: v.optional(
      leaf<LoadBalancingStrategy>(`must be one of ${STRATEGIES.join(', ')}`, (value) => STRATEGIES.includes(value)),
      base.loadBalancingStrategy,
    ),
    healthCheckInterval: v.optional(time, base.healthCheckInterval),
    acquireTimeout: v.optional(time, base.acquireTimeout),
  });

const healthCheckSchema = (base: Readonly<HealthCheckConfig>) =>
  group({
    enabled: v.optional(flag, base.enabled),
    interval: v.optional(time, base.interval),
    timeout: v.optional(time, base.timeout),
    unhealthyThreshold: v.optional(whole(1, 1_000), base.unhealthyThreshold),
    healthyThreshold: v.optional(whole(1, 1_000), base.healthyThreshold),
    serviceName: v.optional(text('must be a string', 0, MAX_NAME_LENGTH), base.serviceName),
  });

const reconnectSchema = (base: Readonly<ReconnectConfig>) =>
  group({
    initialDelay: v.optional(time, base.initialDelay),
    maxDelay: v.optional(time, base.maxDelay),
    multiplier: v.optional(
      leaf<number>('must be a number ≥ 1 and ≤ 10', (value) => typeof value === 'number' && value >= 1 && value <= 10),
      base.multiplier,
    ),
    jitter: v.optional(flag, base.jitter),
    maxAttempts: v.optional(whole(0, 1_000_000), base.maxAttempts),
  });

const failoverSchema = (base: Readonly<FailoverConfig>) =>
  group({
    enabled: v.optional(flag, base.enabled),
    fallbackAddresses: v.optional(
      v.pipe(
        v.array(address, (issue) => `must be an array of addresses, got ${describe(issue.input)}`),
        v.maxLength(MAX_FALLBACK_ADDRESSES, `must hold at most ${MAX_FALLBACK_ADDRESSES} addresses`),
      ),
      [...base.fallbackAddresses],
    ),
    primaryIndex: v.optional(whole(0, MAX_ADDRESSES - 1), base.primaryIndex),
    failoverThreshold: v.optional(whole(1, 1_000), base.failoverThreshold),
    failbackDelay: v.optional(delay, base.failbackDelay),
  });

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'];

function isLogger(value: unknown): boolean {
  if (!hasMethods(value, [])) return false;
  return LOG_LEVELS.every((level) => {
    const method = (value as Record<string, unknown>)[level];
    return method === undefined || typeof method === 'function';
  });
}

const pooledEntries = {
  timeout: v.optional(time, DEFAULT_OPTIONS.timeout),
  // No default here: it follows `timeout`.
  connectTimeout: v.optional(time),
  keepAliveInterval: v.optional(time, DEFAULT_OPTIONS.keepAliveInterval),
  keepAliveTimeout: v.optional(time, DEFAULT_OPTIONS.keepAliveTimeout),
  maxPendingChecks: v.optional(whole(1, 10_000_000), DEFAULT_OPTIONS.maxPendingChecks),
  maxPendingBytes: v.optional(whole(1, 2 ** 36), DEFAULT_OPTIONS.maxPendingBytes),
  maxMessageBytes: v.optional(whole(1, 2 ** 28), DEFAULT_OPTIONS.maxMessageBytes),
  maxRetries: v.optional(whole(0, 100), DEFAULT_OPTIONS.maxRetries),
  retryDelay: v.optional(delay, DEFAULT_OPTIONS.retryDelay),
  // No default here: an explicit `false` silences the plaintext warning, and only that.
  tls: v.optional(flag),
  certPath: v.optional(filePath),
  keyPath: v.optional(filePath),
  caPath: v.optional(filePath),
  serverName: v.optional(
    leaf<string>(
      'must be a host name of at most 253 characters',
      (value) => typeof value === 'string' && /^[\w.:-]{1,253}$/.test(value),
    ),
  ),
  // What it holds is checked by the transport's own rules for headers.
  metadata: v.optional(
    v.custom<Readonly<Record<string, string>>>(
      isPlainObject,
      (issue) => `must be an object, got ${describeType(issue.input)}`,
    ),
  ),
  credentials: v.optional(
    v.custom<Credentials>(
      (value) => typeof value === 'function' || typeof value === 'string',
      (issue) => `must be a token or an async function giving one, got ${describeType(issue.input)}`,
    ),
  ),
  connectionPool: v.optional(connectionPoolSchema(DEFAULT_POOL_OPTIONS), {}),
  backpressure: v.optional(backpressureSchema(DEFAULT_BACKPRESSURE_CONFIG), {}),
  healthCheck: v.optional(healthCheckSchema(DEFAULT_HEALTH_CHECK_CONFIG), {}),
  reconnect: v.optional(reconnectSchema(DEFAULT_RECONNECT_CONFIG), {}),
  failover: v.optional(failoverSchema(DEFAULT_FAILOVER_CONFIG), {}),
  streamPool: v.optional(streamPoolSchema(DEFAULT_STREAM_POOL_CONFIG), {}),
  // Not resolved here: whether it was said or defaulted matters beside `deduplication`.
  streams: v.optional(leaf<Partial<AdvancedStreamOptions>>('must be an object', isPlainObject), {}),
  deduplication: v.optional(
    leaf<boolean | DeduplicationOptions>(
      'must be true, false or an object',
      (value) => typeof value === 'boolean' || isPlainObject(value),
    ),
  ),
  transport: v.optional(
    leaf<TransportOption>(
      `must be 'http2', 'grpc-js' or a transport with a name and connect()`,
      (value) =>
        value === 'http2' ||
        value === 'grpc-js' ||
        (hasMethods(value, ['connect']) && typeof (value as { name?: unknown }).name === 'string'),
    ),
    'http2' as const,
  ),
  inspect: v.optional(
    leaf<InspectOption>(
      'must be a function or an observer with next()',
      (value) => typeof value === 'function' || hasMethods(value, ['next']),
    ),
  ),
  logger: v.optional(
    leaf<Logger>(`must be an object whose ${LOG_LEVELS.join(', ')} are functions or absent`, isLogger),
  ),
  flightRecorderSize: v.optional(whole(0, MAX_FLIGHT_RECORDER_SIZE), DEFAULT_OPTIONS.flightRecorderSize),
  clock: v.optional(
    leaf<Clock>('must be an object with now(), setTimeout(), clearTimeout() and soon()', (value) =>
      hasMethods(value, ['now', 'setTimeout', 'clearTimeout', 'soon']),
    ),
  ),
  random: v.optional(leaf<Random>('must be a function', (value) => typeof value === 'function')),
};

export const pooledOptionsSchema = group(pooledEntries);
export const clientOptionsSchema = group({ address: v.optional(address), ...pooledEntries });
export const addressesSchema = v.pipe(
  v.array(address, (issue) => `must be an array of addresses, got ${describe(issue.input)}`),
  v.minLength(1, 'must hold at least one address'),
  v.maxLength(MAX_ADDRESSES, `must hold at most ${MAX_ADDRESSES} addresses`),
);

function pathOf(root: string, issue: v.BaseIssue<unknown>): string {
  let path = root;
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += `${path === '' ? '' : '.'}${String(key).slice(0, 64)}`;
  }
  // The options as a whole have no name of their own in a path.
  return path === '' ? 'options' : path;
}

/**
 * Parses `input`, whose place is `root` ('' for the options themselves).
 * @throws ConfigurationError of the first broken rule
 */
export function parse<Output>(schema: v.GenericSchema<unknown, Output>, input: unknown, root: string): Output {
  const result = safely(root, () => v.safeParse(schema, input, { abortEarly: true }));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ConfigurationError(pathOf(root, issue), issue.message);
}

function safely<T>(root: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // A getter or a proxy of the caller's threw.
    throw new ConfigurationError(root === '' ? 'options' : root, 'could not be read', { cause });
  }
}

/**
 * A whole number from `min` to `max`, for the arguments of single methods.
 * @throws ConfigurationError naming `path`
 */
export function requireWholeNumber(path: string, value: unknown, min: number, max: number): number {
  if (isWhole(value, min, max)) return value;
  throw new ConfigurationError(path, `${wholeRule(min, max)}, got ${describe(value)}`);
}

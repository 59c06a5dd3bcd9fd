/** Resolves what the user said into what the client does: every default filled in, every rule and relation held. */

import type { ParsedAddress } from './core/address.js';
import { parseAddress } from './core/address.js';
import type { Clock } from './core/clock.js';
import { systemClock } from './core/clock.js';
import type { Random } from './core/random.js';
import { ConfigurationError } from './errors.js';
import type { Logger } from './observe/logger.js';
import { refuseCredentialHeaders, resolveToken } from './options-call.js';
import {
  addressesSchema,
  backpressureSchema,
  clientOptionsSchema,
  deduplicationSchema,
  parse,
  pooledOptionsSchema,
  streamOptionsSchema,
  streamPoolSchema,
} from './options-schema.js';
import { createTlsReader, readTlsFiles } from './options-tls.js';
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
import { DEFAULT_DEDUPLICATION_TTL_MS, DEFAULT_OPTIONS, DEFAULT_STREAM_OPTIONS } from './options-types.js';
import { validateMetadata } from './transport/metadata.js';
import type { TlsFiles, WireMetadata } from './transport/port.js';

export * from './options-types.js';
export * from './options-call.js';
export { requireWholeNumber } from './options-schema.js';

type ParsedOptions = ReturnType<typeof parseGiven>['given'];

/**
 * Everything the client runs on. It holds secrets (`credentials`, `metadata`, `tls.key`): never put it into a machine's context, an
 * event, an error or a log.
 */
export interface ResolvedOptions {
  /** Priority levels, the most preferred first; traffic is balanced within one. */
  readonly levels: readonly (readonly ParsedAddress[])[];
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly keepAliveIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxPendingChecks: number;
  readonly maxPendingBytes: number;
  readonly maxMessageBytes: number;
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  /** Absent: plaintext. As the files were when the client was made. */
  readonly tls: TlsFiles | undefined;
  /** The files as they are now, for new connections; the last good set where they cannot be read. Absent: plaintext. */
  readonly readTls: (() => TlsFiles) | undefined;
  /** Plaintext to another machine: nothing that carries credentials may be sent. */
  readonly isExposed: boolean;
  readonly metadata: WireMetadata;
  readonly credentials: Credentials | undefined;
  /** `minConnections` and `maxConnections` are raised to one per level-0 address. */
  readonly connectionPool: Readonly<ConnectionPoolOptions>;
  readonly backpressure: Readonly<BackpressureConfig>;
  readonly healthCheck: Readonly<HealthCheckConfig>;
  readonly reconnect: Readonly<ReconnectConfig>;
  readonly failover: Readonly<FailoverConfig>;
  readonly streamPool: Readonly<StreamPoolConfig>;
  readonly streams: Readonly<AdvancedStreamOptions>;
  readonly deduplicationTtlMs: number;
  readonly transport: TransportOption;
  readonly clock: Clock;
  readonly random: Random;
  readonly inspect: InspectOption | undefined;
  readonly logger: Logger | undefined;
  /** Transitions kept; 0: none. */
  readonly flightRecorderSize: number;
}

/**
 * Resolves the options of a client, reading the TLS files. Warns once per process of plaintext to another machine.
 * @param addresses those of a pooled client; undefined for a client of one address, which `options.address` gives
 * @throws ConfigurationError naming the path and the reason
 */
export function resolveOptions(addresses: readonly string[] | undefined, options: unknown): ResolvedOptions {
  const { given, texts, isPooled } = parseGiven(addresses, options);
  checkRelations(given, texts.length);
  const levels = resolveLevels(texts, isPooled, given.failover);
  const { streams, deduplicationTtlMs } = resolveStreams(given.streams, given.deduplication);
  const security = resolveSecurity(given, levels);
  const endpoints = levels[0]?.length ?? 0;
  return Object.freeze({
    ...security,
    levels,
    timeoutMs: given.timeout,
    // A whole number of milliseconds, and never none.
    connectTimeoutMs:
      given.connectTimeout ?? Math.max(1, Math.min(Math.floor(given.timeout / 2), DEFAULT_OPTIONS.connectTimeout)),
    keepAliveIntervalMs: given.keepAliveInterval,
    keepAliveTimeoutMs: given.keepAliveTimeout,
    maxPendingChecks: given.maxPendingChecks,
    maxPendingBytes: given.maxPendingBytes,
    maxMessageBytes: given.maxMessageBytes,
    maxRetries: given.maxRetries,
    retryDelayMs: given.retryDelay,
    connectionPool: Object.freeze({
      ...given.connectionPool,
      minConnections: Math.max(given.connectionPool.minConnections, endpoints),
      maxConnections: Math.max(given.connectionPool.maxConnections, endpoints),
    }),
    backpressure: Object.freeze(given.backpressure),
    healthCheck: Object.freeze(given.healthCheck),
    reconnect: Object.freeze(given.reconnect),
    failover: Object.freeze({ ...given.failover, fallbackAddresses: Object.freeze(given.failover.fallbackAddresses) }),
    streamPool: Object.freeze(given.streamPool),
    streams,
    deduplicationTtlMs,
    transport: given.transport,
    clock: given.clock ?? systemClock,
    random: given.random ?? Math.random,
    inspect: given.inspect,
    logger: given.logger,
    flightRecorderSize: given.flightRecorderSize,
  });
}

function parseGiven(addresses: readonly string[] | undefined, options: unknown) {
  if (addresses !== undefined) {
    const texts = parse(addressesSchema, addresses, 'addresses');
    return { given: parse(pooledOptionsSchema, options ?? {}, ''), texts, isPooled: true };
  }
  const { address, ...given } = parse(clientOptionsSchema, options, '');
  // Asked for last: a mistyped `adress` is told as what it is, not as an address that is missing.
  if (address === undefined) throw new ConfigurationError('address', 'is required');
  return { given, texts: [address], isPooled: false };
}

function refuseIf(broken: boolean, path: string, reason: string): void {
  if (broken) throw new ConfigurationError(path, reason);
}

/** Rules between two options. Both values are told: one of them is often a default. */
function checkRelations(given: ParsedOptions, addressCount: number): void {
  checkBackpressure(given.backpressure, 'backpressure');
  const { minConnections, maxConnections } = given.connectionPool;
  refuseIf(
    minConnections > maxConnections,
    'connectionPool.minConnections',
    `must be ≤ maxConnections, got ${minConnections} and ${maxConnections}`,
  );
  const { initialDelay, maxDelay } = given.reconnect;
  refuseIf(
    initialDelay > maxDelay,
    'reconnect.initialDelay',
    `must be ≤ maxDelay, got ${initialDelay} and ${maxDelay}`,
  );
  const { primaryIndex } = given.failover;
  refuseIf(
    primaryIndex >= addressCount,
    'failover.primaryIndex',
    `must be less than the number of addresses, got ${primaryIndex} of ${addressCount}`,
  );
}

function checkBackpressure(config: BackpressureConfig, path: string): void {
  const { lowWaterMark, highWaterMark, maxBufferSize } = config;
  refuseIf(
    lowWaterMark >= highWaterMark,
    `${path}.lowWaterMark`,
    `must be < highWaterMark, got ${lowWaterMark} and ${highWaterMark}`,
  );
  refuseIf(
    highWaterMark > maxBufferSize,
    `${path}.highWaterMark`,
    `must be ≤ maxBufferSize, got ${highWaterMark} and ${maxBufferSize}`,
  );
}

/**
 * Level 0 is the address or addresses, each fallback a level of its own. A pooled client that fails over without fallbacks has its
 * addresses as the priority list. Without failover there is one level.
 */
function resolveLevels(texts: readonly string[], isPooled: boolean, failover: FailoverConfig): ParsedAddress[][] {
  const seen = new Map<string, string>();
  const parseOnce = (text: string, path: string): ParsedAddress => {
    const parsed = parseAddress(text, path);
    const earlier = seen.get(parsed.target);
    // One endpoint has one health and one place in the order: twice in the list, it would fail over to itself.
    if (earlier !== undefined) throw new ConfigurationError(path, `is the same address as ${earlier}`);
    seen.set(parsed.target, path);
    return parsed;
  };
  const addresses = texts.map((text, index) => parseOnce(text, isPooled ? `addresses[${index}]` : 'address'));
  const fallbacks = failover.fallbackAddresses.map((text, index) =>
    parseOnce(text, `failover.fallbackAddresses[${index}]`),
  );
  if (!failover.enabled) return [addresses];
  if (fallbacks.length > 0) return [addresses, ...fallbacks.map((fallback) => [fallback])];
  const primary = addresses.slice(failover.primaryIndex, failover.primaryIndex + 1);
  const backups = addresses.filter((address) => !primary.includes(address));
  return [...primary, ...backups].map((address) => [address]);
}

function resolveStreams(
  given: Partial<AdvancedStreamOptions>,
  deduplication: boolean | DeduplicationOptions | undefined,
): { streams: Readonly<AdvancedStreamOptions>; deduplicationTtlMs: number } {
  const streams = resolveAdvancedStreamOptions(DEFAULT_STREAM_OPTIONS, given);
  if (deduplication === undefined) return { streams, deduplicationTtlMs: DEFAULT_DEDUPLICATION_TTL_MS };
  const isOn = deduplication !== false;
  const cache = parse(deduplicationSchema, typeof deduplication === 'object' ? deduplication : {}, 'deduplication');
  refuseIf(
    given.deduplication !== undefined && given.deduplication !== isOn,
    'deduplication',
    `contradicts streams.deduplication, which is ${String(given.deduplication)}`,
  );
  const cacheSize = cache.cacheSize ?? streams.deduplicationCacheSize;
  refuseIf(
    given.deduplicationCacheSize !== undefined && given.deduplicationCacheSize !== cacheSize,
    'deduplication.cacheSize',
    `contradicts streams.deduplicationCacheSize, which is ${String(given.deduplicationCacheSize)}`,
  );
  return {
    streams: Object.freeze({ ...streams, deduplication: isOn, deduplicationCacheSize: cacheSize }),
    deduplicationTtlMs: cache.ttlMs ?? DEFAULT_DEDUPLICATION_TTL_MS,
  };
}

let hasWarnedOfPlaintext = false;

function resolveSecurity(
  given: ParsedOptions,
  levels: readonly (readonly ParsedAddress[])[],
): Pick<ResolvedOptions, 'tls' | 'readTls' | 'isExposed' | 'metadata' | 'credentials'> {
  const { certPath, keyPath, caPath, serverName, credentials } = given;
  const metadata = validateMetadata(given.metadata ?? {}, 'metadata');
  if (typeof credentials === 'string') resolveToken(credentials);
  refuseIf(
    credentials !== undefined && 'authorization' in metadata,
    'metadata.authorization',
    'contradicts credentials, which give the same header',
  );
  refuseIf(certPath !== undefined && keyPath === undefined, 'keyPath', 'is required together with certPath');
  refuseIf(keyPath !== undefined && certPath === undefined, 'certPath', 'is required together with keyPath');
  const fileOption = Object.entries({ certPath, caPath, serverName }).find(([, value]) => value !== undefined)?.[0];
  // Whoever names a certificate means TLS: falling back to plaintext for want of a flag would be a silent downgrade.
  const usesTls: boolean = given.tls ?? fileOption !== undefined;
  if (usesTls) {
    const paths = { certPath, keyPath, caPath, serverName };
    const tls = readTlsFiles(paths);
    return { tls, readTls: createTlsReader(paths, tls), isExposed: false, metadata, credentials };
  }
  if (fileOption !== undefined) throw new ConfigurationError(fileOption, 'contradicts tls, which is false');
  const exposed = levels.flat().find((address) => !address.isLoopback);
  if (exposed !== undefined) {
    refuseIf(
      credentials !== undefined,
      'credentials',
      `are never sent over plaintext to another machine (${exposed.text}); use tls`,
    );
    refuseCredentialHeaders(metadata, 'metadata');
    if (given.tls === undefined) warnOfPlaintext(exposed.text);
  }
  return { tls: undefined, readTls: undefined, isExposed: exposed !== undefined, metadata, credentials };
}

function warnOfPlaintext(address: string): void {
  if (hasWarnedOfPlaintext) return;
  hasWarnedOfPlaintext = true;
  process.emitWarning(
    `authorization checks go to ${address} in plaintext: set tls, or say tls: false if the network is trusted`,
    { type: 'SecurityWarning', code: 'AUTHZ_PLAINTEXT' },
  );
}

/**
 * The configuration with the changes of `configureStreamPool`.
 * @throws ConfigurationError naming `streamPool.<field>`
 */
export function resolveStreamPoolConfig(
  current: Readonly<StreamPoolConfig>,
  changes: unknown,
): Readonly<StreamPoolConfig> {
  return Object.freeze(parse(streamPoolSchema(current), changes, 'streamPool'));
}

/**
 * The options with the changes of `configureAdvancedStreamOptions`.
 * @throws ConfigurationError naming `streams.<field>`
 */
export function resolveAdvancedStreamOptions(
  current: Readonly<AdvancedStreamOptions>,
  changes: unknown,
): Readonly<AdvancedStreamOptions> {
  return Object.freeze(parse(streamOptionsSchema(current), changes, 'streams'));
}

/**
 * The client's backpressure configuration with a stream's own changes; `base` itself where there are none.
 * @throws ConfigurationError naming `backpressure.<field>`
 */
export function resolveBackpressure(
  base: Readonly<BackpressureConfig>,
  changes: unknown,
): Readonly<BackpressureConfig> {
  if (changes === undefined) return base;
  const config = parse(backpressureSchema(base), changes, 'backpressure');
  checkBackpressure(config, 'backpressure');
  return Object.freeze(config);
}

/** The options as they may be told to anyone. */

import type { JsonObject } from './flight.js';
import { REDACTED } from './observe/redact.js';
import type { ResolvedOptions } from './options.js';

/**
 * What a client runs on, as plain JSON without secrets. Each option is named here: one that is added later is not told before somebody has
 * thought of whether it may be.
 */
export function tellOptions(options: ResolvedOptions): JsonObject {
  const { levels, tls, metadata, credentials, transport, inspect, logger, failover } = options;
  return {
    levels: levels.map((addresses) => addresses.map(({ text }) => text)),
    timeout: options.timeoutMs,
    connectTimeout: options.connectTimeoutMs,
    keepAliveInterval: options.keepAliveIntervalMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    maxPendingChecks: options.maxPendingChecks,
    maxPendingBytes: options.maxPendingBytes,
    maxMessageBytes: options.maxMessageBytes,
    maxRetries: options.maxRetries,
    retryDelay: options.retryDelayMs,
    tls: tls !== undefined,
    metadata: Object.fromEntries(Object.keys(metadata).map((name) => [name, REDACTED])),
    credentials: credentials === undefined ? null : REDACTED,
    connectionPool: { ...options.connectionPool },
    backpressure: { ...options.backpressure },
    healthCheck: { ...options.healthCheck },
    reconnect: { ...options.reconnect },
    failover: { ...failover, fallbackAddresses: [...failover.fallbackAddresses] },
    streamPool: { ...options.streamPool },
    streams: { ...options.streams },
    deduplicationTtl: options.deduplicationTtlMs,
    flightRecorderSize: options.flightRecorderSize,
    transport: typeof transport === 'string' ? transport : 'of the application',
    inspect: inspect !== undefined,
    logger: logger !== undefined,
  };
}

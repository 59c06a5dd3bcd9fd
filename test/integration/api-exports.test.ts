import { describe, expect, test } from 'vitest';
import * as api from '../../src/index.js';
import { GrpcCode } from '../../src/index.js';
import { question, useStage } from '../support/stage.js';

const stage = useStage();

describe('the package root', () => {
  test('exports the names of the contract, and these values', () => {
    expect(api.Effect).toEqual({ UNSPECIFIED: 0, ALLOW: 1, DENY: 2 });
    expect(api.ConnectionState).toEqual({
      IDLE: 'idle',
      CONNECTING: 'connecting',
      READY: 'ready',
      TRANSIENT_FAILURE: 'transient_failure',
      SHUTDOWN: 'shutdown',
    });
    expect(api.HealthStatus).toEqual({
      UNKNOWN: 'unknown',
      SERVING: 'serving',
      NOT_SERVING: 'not_serving',
      SERVICE_UNKNOWN: 'service_unknown',
    });
    expect(api.LoadBalancingStrategy).toEqual({
      ROUND_ROBIN: 'round_robin',
      LEAST_CONNECTIONS: 'least_connections',
      RANDOM: 'random',
      WEIGHTED: 'weighted',
      P2C: 'p2c',
    });
    for (const name of ['createClient', 'createPooledClient', 'AuthzClient', 'isAllowed'] as const) {
      expect(api[name]).toBeTypeOf('function');
    }
  });

  test('exports the defaults of the contract, frozen to the bottom', () => {
    expect(api.DEFAULT_OPTIONS).toMatchObject({
      timeout: 5_000,
      connectTimeout: 2_000,
      keepAliveTimeout: 5_000,
      keepAliveInterval: 30_000,
      maxPendingChecks: 100_000,
      tls: false,
      maxRetries: 3,
      retryDelay: 1_000,
    });
    expect(api.DEFAULT_POOL_OPTIONS).toEqual({
      minConnections: 1,
      maxConnections: 10,
      idleTimeout: 60_000,
      loadBalancingStrategy: 'round_robin',
      healthCheckInterval: 30_000,
      acquireTimeout: 5_000,
    });
    expect(api.DEFAULT_BACKPRESSURE_CONFIG).toEqual({ highWaterMark: 100, lowWaterMark: 50, maxBufferSize: 1_000 });
    expect(api.DEFAULT_HEALTH_CHECK_CONFIG).toEqual({
      enabled: true,
      interval: 30_000,
      timeout: 5_000,
      unhealthyThreshold: 3,
      healthyThreshold: 2,
      serviceName: '',
    });
    expect(api.DEFAULT_RECONNECT_CONFIG).toEqual({
      initialDelay: 1_000,
      maxDelay: 30_000,
      multiplier: 2,
      jitter: true,
      maxAttempts: 10,
    });
    expect(api.DEFAULT_FAILOVER_CONFIG).toEqual({
      enabled: false,
      fallbackAddresses: [],
      primaryIndex: 0,
      failoverThreshold: 3,
      failbackDelay: 60_000,
    });
    expect(api.DEFAULT_STREAM_POOL_CONFIG).toEqual({
      maxConcurrentStreams: 10,
      streamIdleTimeout: 300_000,
      enableStreamReuse: true,
      streamReuseTimeout: 60_000,
    });
    expect(api.DEFAULT_STREAM_OPTIONS).toEqual({
      multiplexing: true,
      maxRequestsPerStream: 1_000,
      deduplication: false,
      deduplicationCacheSize: 100,
      ensureOrdering: true,
    });
    expect(() => Object.assign(api.DEFAULT_OPTIONS.connectionPool, { maxConnections: 1 })).toThrow(TypeError);
  });

  test.each(Object.keys(api.profiles) as (keyof typeof api.profiles)[])(
    'the profile %s makes a working client',
    async (name) => {
      const client = stage.client(await stage.server(), api.profiles[name]);
      expect(api.isAllowed(await client.check(question()))).toBe(true);
      expect(client.getStreamDiagnostics().advancedOptions).toMatchObject(api.profiles[name].streams);
      expect(client.getStreamDiagnostics().poolConfig).toMatchObject(api.profiles[name].streamPool);
    },
  );
});

describe('the subpath ./inspect', () => {
  test('exports startInspector, and nothing of how it is made', async () => {
    expect(Object.keys(await import('../../src/inspect/index.js'))).toEqual(['startInspector']);
  });
});

describe('every error class', () => {
  const cause = new Error('why');
  const all: [api.AuthzClientError, string, GrpcCode, boolean][] = [
    [new api.ConfigurationError('a.b', 'must be'), 'ERR_AUTHZ_CONFIGURATION', GrpcCode.INVALID_ARGUMENT, false],
    [new api.ConnectionError('x'), 'ERR_AUTHZ_CONNECTION', GrpcCode.UNAVAILABLE, true],
    [new api.TimeoutError('x', 5), 'ERR_AUTHZ_TIMEOUT', GrpcCode.DEADLINE_EXCEEDED, true],
    [new api.BackpressureError('x', 7), 'ERR_AUTHZ_BACKPRESSURE', GrpcCode.RESOURCE_EXHAUSTED, true],
    [new api.PoolExhaustedError('x'), 'ERR_AUTHZ_POOL_EXHAUSTED', GrpcCode.RESOURCE_EXHAUSTED, true],
    [new api.StreamClosedError('x'), 'ERR_AUTHZ_STREAM_CLOSED', GrpcCode.FAILED_PRECONDITION, false],
    [new api.HealthCheckError('x'), 'ERR_AUTHZ_HEALTH_CHECK', GrpcCode.UNAVAILABLE, true],
    [new api.FailoverError('x', 'from', 'to'), 'ERR_AUTHZ_FAILOVER', GrpcCode.UNAVAILABLE, true],
    [new api.ProtocolError('x'), 'ERR_AUTHZ_PROTOCOL', GrpcCode.INTERNAL, false],
    [new api.CancelledError('x'), 'ERR_AUTHZ_CANCELLED', GrpcCode.CANCELLED, false],
  ];

  test.each(all.map((row) => [row[0].name, ...row] as const))(
    '%s has its name, code, grpcCode and retryable',
    (name, error, code, grpcCode, retryable) => {
      expect(error).toBeInstanceOf(api.AuthzClientError);
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({ name, code, grpcCode, retryable });
      expect(name).toBe(error.constructor.name);
      expect(['notSent', 'answered']).toContain(error.outcome);
    },
  );

  test('takes outcome, requestId, details and cause; and those of its own', () => {
    const error = new api.ConnectionError('x', { outcome: 'unknown', requestId: 'r', details: { a: 1 }, cause });
    expect(error).toMatchObject({ outcome: 'unknown', requestId: 'r', details: { a: 1 }, cause });
    expect(new api.TimeoutError('x', 5).timeoutMs).toBe(5);
    expect(new api.BackpressureError('x', 7).bufferSize).toBe(7);
    expect(new api.FailoverError('x', 'from', 'to')).toMatchObject({ fromAddress: 'from', toAddress: 'to' });
    expect(new api.ConfigurationError('a.b', 'must be')).toMatchObject({ path: 'a.b', message: 'a.b: must be' });
  });
});

import { describe, expect, test } from 'vitest';
import {
  ConfigurationError,
  type ConnectionHealth,
  GrpcCode,
  HealthCheckError,
  type HealthCheckResult,
  type HealthStreamCallbacks,
  HealthStatus,
  isAllowed,
} from '../../src/index.js';
import { ScriptedStatus } from '../support/scripted-server.js';
import { nextEvent, question, recordEvents, refusal, useStage } from '../support/stage.js';

const stage = useStage();
const SERVING = 1;
const NOT_SERVING = 2;

class HealthRecorder implements HealthStreamCallbacks {
  readonly changes: [HealthStatus, HealthStatus][] = [];
  readonly results: HealthCheckResult[] = [];
  readonly errors: Error[] = [];
  readonly onStatusChange = (status: HealthStatus, previous: HealthStatus): void => {
    this.changes.push([status, previous]);
  };
  readonly onHealthCheck = (result: HealthCheckResult): void => {
    this.results.push(result);
  };
  readonly onError = (error: Error): void => {
    this.errors.push(error);
  };
}

describe('checkHealth()', () => {
  test('of a serving server: probes now and says so', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const before = server.healthChecks;
    const result = await client.checkHealth();
    expect(server.healthChecks).toBe(before + 1);
    expect(result).toEqual({
      status: HealthStatus.SERVING,
      timestamp: expect.any(Date) as Date,
      latencyMs: expect.any(Number) as number,
      connectionState: 'ready',
      consecutiveFailures: 0,
    } satisfies HealthCheckResult);
    expect(result.latencyMs).toBeGreaterThan(0);
  });

  test('asks for the configured service', async () => {
    const asked: string[] = [];
    const server = await stage.server({
      onHealthCheck: (service) => {
        asked.push(service);
        return SERVING;
      },
    });
    const client = stage.client(server, { healthCheck: { serviceName: 'authz.v1.AuthzService' } });
    await client.connect();
    await client.checkHealth();
    expect(new Set(asked)).toEqual(new Set(['authz.v1.AuthzService']));
  });

  test('of a server that is NOT_SERVING: says so, and checks are refused a route once it is known', async () => {
    const engine = await stage.engine();
    const client = stage.client(engine);
    await client.connect();
    engine.setHealth('NOT_SERVING');
    expect((await client.checkHealth()).status).toBe(HealthStatus.NOT_SERVING);
  });

  test('of a server that does not know the service (NOT_FOUND): SERVICE_UNKNOWN', async () => {
    const engine = await stage.engine();
    const client = stage.client(engine, { healthCheck: { enabled: false, serviceName: 'no.such.Service' } });
    await client.connect();
    expect((await client.checkHealth()).status).toBe(HealthStatus.SERVICE_UNKNOWN);
  });

  test('of a server without a health service: connectivity stands in', async () => {
    const server = await stage.server({ unimplemented: ['HealthCheck', 'HealthWatch'] });
    const client = stage.client(server);
    await client.connect();
    const result = await client.checkHealth();
    expect(result).toMatchObject({ status: HealthStatus.SERVING, details: { source: 'connectivity' } });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test('of a server whose probe fails: UNKNOWN with a HealthCheckError, counted; it never rejects', async () => {
    const server = await stage.server({
      onHealthCheck: () => Promise.reject(new ScriptedStatus(GrpcCode.INTERNAL, 'broken')),
    });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    const first = await client.checkHealth();
    const second = await client.checkHealth();
    expect(first.status).toBe(HealthStatus.UNKNOWN);
    expect(first.error).toBeInstanceOf(HealthCheckError);
    expect(first.error).toMatchObject({ code: 'ERR_AUTHZ_HEALTH_CHECK', grpcCode: GrpcCode.INTERNAL });
    expect(first.error?.message).toContain('broken');
    expect([first.consecutiveFailures, second.consecutiveFailures]).toEqual([1, 2]);
    expect(client.getConnections()[0]?.healthCheckFailures).toBe(2);
  });

  test('of a server that answers slower than healthCheck.timeout: a failure, in time', async () => {
    const server = await stage.server({ onHealthCheck: () => new Promise(() => undefined) });
    const client = stage.client(server, { healthCheck: { enabled: false, timeout: 60 } });
    await client.connect();
    const started = performance.now();
    const result = await client.checkHealth();
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(result.error).toMatchObject({ grpcCode: GrpcCode.DEADLINE_EXCEEDED });
  });

  test('with no connection: UNKNOWN with a HealthCheckError that names the address and why', async () => {
    const server = await stage.server();
    await server.stop();
    const client = stage.client(server);
    await client.connect().catch(() => undefined);
    const result = await client.checkHealth();
    expect(result.status).toBe(HealthStatus.UNKNOWN);
    expect(result.error?.message).toContain(server.address);
    expect(result.connectionState).not.toBe('ready');
  });
});

describe('getHealth()', () => {
  test('of an idle client: UNKNOWN, nothing counted', async () => {
    const client = stage.client(await stage.server());
    expect(client.getHealth()).toEqual({
      status: HealthStatus.UNKNOWN,
      connectionState: 'idle',
      consecutiveFailures: 0,
      consecutiveSuccesses: 0,
      history: [],
    } satisfies ConnectionHealth);
  });

  test('after probes: the last status, what is consecutive, when it last succeeded, and the history, at most 100', async () => {
    let answer = SERVING;
    const server = await stage.server({ onHealthCheck: () => answer, unimplemented: ['HealthWatch'] });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    await client.checkHealth();
    await client.checkHealth();
    const good = client.getHealth();
    expect(good).toMatchObject({ status: HealthStatus.SERVING, consecutiveSuccesses: 2, consecutiveFailures: 0 });
    expect(good.lastSuccessfulCheck).toBeInstanceOf(Date);
    expect(good.history.map(({ status }) => status)).toEqual(['serving', 'serving']);
    answer = NOT_SERVING;
    await client.checkHealth();
    expect(client.getHealth()).toMatchObject({
      status: HealthStatus.NOT_SERVING,
      consecutiveSuccesses: 0,
      consecutiveFailures: 1,
      lastSuccessfulCheck: good.lastSuccessfulCheck,
    });
    for (let index = 0; index < 110; index++) await client.checkHealth();
    expect(client.getHealth().history).toHaveLength(100);
  });

  test('gives a history that cannot reach into the client', async () => {
    const client = stage.client(await stage.server());
    await client.connect();
    await client.checkHealth();
    const { length } = client.getHealth().history;
    (client.getHealth().history as HealthCheckResult[]).pop();
    expect(client.getHealth().history).toHaveLength(length);
  });
});

describe('periodic probes', () => {
  test('come every healthCheck.interval while enabled', async () => {
    const server = await stage.server({ unimplemented: ['HealthWatch'] });
    const client = stage.client(server, { healthCheck: { interval: 20 } });
    await client.connect();
    await server.until(() => server.healthChecks >= 3, 'three probes');
    expect(client.getHealth().status).toBe(HealthStatus.SERVING);
  });

  test('do not come, nor a Watch, when disabled', async () => {
    const server = await stage.server();
    const client = stage.client(server, { healthCheck: { enabled: false, interval: 5 } });
    const other = stage.client(server, { healthCheck: { interval: 5 } });
    await client.connect();
    await client.check(question());
    expect(server.healthChecks).toBe(0);
    expect(server.watches).toBe(0);
    await other.connect();
    await server.until(() => server.healthChecks >= 5, 'probes of the other');
    expect(client.getHealth().history).toEqual([]);
  });
});

describe('health Watch', () => {
  test('a change on the server is known at once: health_status_change with the address', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    await server.until(() => server.watches === 1, 'the watch');
    await expect.poll(() => client.getHealth().status).toBe(HealthStatus.SERVING);
    const changed = nextEvent(client, 'health_status_change', ({ status }) => status === 'not_serving');
    server.setHealth(NOT_SERVING);
    expect(await changed).toEqual({ status: 'not_serving', previous: 'serving', address: server.address });
    await expect.poll(() => client.getConnectionState()).toBe('transient_failure');
    server.setHealth(SERVING);
    await expect.poll(() => client.isConnected(), { timeout: 5_000 }).toBe(true);
  });

  test('of a server that has none: the periodic probes stand in', async () => {
    const server = await stage.server({ unimplemented: ['HealthWatch'] });
    const client = stage.client(server, { healthCheck: { interval: 20 } });
    await client.connect();
    const changed = nextEvent(client, 'health_status_change', ({ status }) => status === 'not_serving');
    server.setHealth(NOT_SERVING);
    expect(await changed).toMatchObject({ address: server.address });
  });
});

describe('subscribeToHealthStream()', () => {
  test('is told of every status change with the previous one, and of every probe, until it is ended', async () => {
    const server = await stage.server({ unimplemented: ['HealthWatch'] });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    const recorder = new HealthRecorder();
    const unsubscribe = client.subscribeToHealthStream(recorder);
    await client.checkHealth();
    await expect.poll(() => recorder.changes).toEqual([['serving', 'unknown']]);
    server.setHealth(NOT_SERVING);
    await client.checkHealth();
    await expect.poll(() => recorder.changes).toHaveLength(2);
    expect(recorder.changes[1]).toEqual(['not_serving', 'serving']);
    expect(recorder.results.map(({ status }) => status)).toEqual(['serving', 'not_serving']);
    unsubscribe();
    unsubscribe();
    await client.checkHealth();
    expect(recorder.results).toHaveLength(2);
  });

  test('is told of a failed probe by onError', async () => {
    const server = await stage.server({ onHealthCheck: () => Promise.reject(new ScriptedStatus(GrpcCode.INTERNAL)) });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    const recorder = new HealthRecorder();
    client.subscribeToHealthStream(recorder);
    await client.checkHealth();
    await expect.poll(() => recorder.errors).toHaveLength(1);
    expect(recorder.errors[0]).toBeInstanceOf(HealthCheckError);
    expect(recorder.results).toEqual([]);
  });

  test('with a callback that throws: an error event, and the others are told', async () => {
    const errors = stage.errors();
    const client = stage.client(await stage.server(), { healthCheck: { enabled: false } });
    await client.connect();
    const recorder = new HealthRecorder();
    client.subscribeToHealthStream({
      onStatusChange: recorder.onStatusChange,
      onError: recorder.onError,
      onHealthCheck: () => {
        throw new RangeError('mine');
      },
    });
    client.subscribeToHealthStream(recorder);
    await client.checkHealth();
    await expect.poll(() => recorder.results).toHaveLength(1);
    await expect.poll(() => errors).toHaveLength(1);
  });

  test.each(['onStatusChange', 'onHealthCheck', 'onError'])(
    'without %s: ConfigurationError naming it',
    async (name) => {
      const client = stage.client(await stage.server());
      const { onStatusChange, onHealthCheck, onError } = new HealthRecorder();
      const callbacks = { onStatusChange, onHealthCheck, onError, [name]: undefined };
      expect(refusal(() => client.subscribeToHealthStream(callbacks), ConfigurationError).path).toBe(
        `callbacks.${name}`,
      );
    },
  );
});

describe('createHealthMonitoringStream()', () => {
  test('emits health_stream_check each interval until unsubscribe()', async () => {
    const server = await stage.server({ unimplemented: ['HealthWatch'] });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    const events = recordEvents(client, ['health_stream_check', 'health_stream_error']);
    const monitor = client.createHealthMonitoringStream(10);
    await expect.poll(() => events.length).toBeGreaterThanOrEqual(3);
    expect(events[0]).toEqual(['health_stream_check', expect.objectContaining({ status: 'serving' })]);
    monitor.unsubscribe();
    monitor.unsubscribe();
    const { length } = events;
    const before = server.healthChecks;
    await client.checkHealth();
    await client.checkHealth();
    expect(server.healthChecks - before).toBeLessThanOrEqual(3);
    expect(events.length - length).toBeLessThanOrEqual(1);
  });

  test('emits health_stream_error for a failed probe, and goes on', async () => {
    let fail = true;
    const server = await stage.server({
      onHealthCheck: () => {
        if (fail) throw new ScriptedStatus(GrpcCode.INTERNAL);
        return SERVING;
      },
    });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    client.createHealthMonitoringStream(10);
    expect(await nextEvent(client, 'health_stream_error')).toBeInstanceOf(HealthCheckError);
    fail = false;
    expect(await nextEvent(client, 'health_stream_check')).toMatchObject({ status: 'serving' });
  });

  test('uses health Watch where the server has it: a change is told at once, long before the interval', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const first = nextEvent(client, 'health_stream_check');
    client.createHealthMonitoringStream(60_000);
    await first;
    const changed = nextEvent(client, 'health_stream_check', ({ status }) => status === 'not_serving');
    await server.until(() => server.watches === 1, 'the watch');
    server.setHealth(NOT_SERVING);
    await changed;
  });

  test.each([0, -5, 1.5, Number.NaN])('with an interval of %d: ConfigurationError naming it', async (interval) => {
    const client = stage.client(await stage.server());
    expect(refusal(() => client.createHealthMonitoringStream(interval), ConfigurationError).path).toBe('interval');
  });

  test('ends with disconnect()', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const events = recordEvents(client, ['health_stream_check', 'health_stream_error']);
    client.createHealthMonitoringStream(5);
    await expect.poll(() => events.length).toBeGreaterThan(1);
    await client.disconnect();
    const { length } = events;
    await stage.client(server).check(question());
    expect(events).toHaveLength(length);
  });
});

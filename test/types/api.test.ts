/** The strictness of the public types. `tsc` is the judge: each line that must not compile says so, and is an error once it does. */

import { describe, expectTypeOf, test } from 'vitest';
import {
  type AdvancedStreamOptions,
  type AuthzClient,
  type AuthzClientError,
  type AuthzClientOptions,
  type BackpressureError,
  type BidirectionalStreamHandle,
  type CheckInput,
  type CheckOptions,
  type CheckRequest,
  type CheckResponse,
  type ClientEvents,
  type ClientStats,
  type ConnectionHealth,
  type ConnectionState,
  createClient,
  createPooledClient,
  type Credentials,
  type Effect,
  type FailoverError,
  type GrpcCode,
  type HealthCheckResult,
  type HealthStatus,
  isAllowed,
  type LoadBalancingStrategy,
  type LoadPoliciesResult,
  type Outcome,
  type PolicySource,
  type PooledConnection,
  type PoolStats,
  profiles,
  type ReloadPoliciesResult,
  type StreamDiagnostics,
  type StreamLifecycleCallbacks,
  type StreamMonitoringMetrics,
  type StreamPoolConfig,
  type StreamStats,
  type TimeoutError,
} from '../../src/index.js';

/** Never called: only its types count. */
type Uncalled = (client: AuthzClient, handle: BidirectionalStreamHandle, request: CheckRequest) => void;
const compiles = (_: Uncalled): void => undefined;

describe('options', () => {
  test('name what there is and nothing else', () => {
    compiles(() => {
      createClient({ address: 'a:1' });
      createClient({ address: 'a:1', ...profiles.reliable });
      createClient({ address: 'a:1', connectionPool: { loadBalancingStrategy: 'p2c' } });
      createPooledClient(['a:1', 'b:1'], { failover: { enabled: true } });
      createPooledClient(['a:1']);
      // @ts-expect-error the address is required
      createClient({});
      // @ts-expect-error an unknown option
      createClient({ address: 'a:1', timout: 5 });
      // @ts-expect-error a wrong type
      createClient({ address: 'a:1', timeout: '5' });
      // @ts-expect-error an unknown option of a group
      createClient({ address: 'a:1', backpressure: { highWater: 5 } });
      // @ts-expect-error an unknown strategy
      createClient({ address: 'a:1', connectionPool: { loadBalancingStrategy: 'best' } });
      // @ts-expect-error a pooled client has its addresses beside its options
      createPooledClient(['a:1'], { address: 'a:1' });
      // @ts-expect-error addresses are a list
      createPooledClient('a:1');
      // @ts-expect-error undefined is not absent
      createClient({ address: 'a:1', timeout: undefined });
    });
  });

  test('credentials are a string, or an async function giving a token, bare or with its end', () => {
    expectTypeOf<string>().toExtend<Credentials>();
    expectTypeOf<() => Promise<string>>().toExtend<Credentials>();
    expectTypeOf<() => Promise<{ token: string; expiresAt: Date }>>().toExtend<Credentials>();
    expectTypeOf<() => Promise<{ token: string; expiresAt: number }>>().toExtend<Credentials>();
    expectTypeOf<number>().not.toExtend<Credentials>();
    expectTypeOf<() => Promise<{ expiresAt: number }>>().not.toExtend<Credentials>();
  });

  test('new AuthzClient takes what createClient takes', () => {
    expectTypeOf<AuthzClientOptions>().toExtend<ConstructorParameters<typeof AuthzClient>[0]>();
    expectTypeOf(createClient).returns.toEqualTypeOf<AuthzClient>();
    expectTypeOf(createPooledClient).returns.toEqualTypeOf<AuthzClient>();
  });
});

describe('checks', () => {
  test('take a request whose id may be left out, and give a response', () => {
    compiles((client) => {
      const input: CheckInput = {
        principal: { id: 'a', roles: ['r'] },
        resource: { kind: 'k', id: 'i' },
        actions: ['read'],
      };
      expectTypeOf(client.check(input)).toEqualTypeOf<Promise<CheckResponse>>();
      expectTypeOf(client.checkBatch([input])).toEqualTypeOf<Promise<CheckResponse[]>>();
      // @ts-expect-error actions are a list
      void client.check({ ...input, actions: 'read' });
      // @ts-expect-error a principal has roles
      void client.check({ ...input, principal: { id: 'a' } });
      // @ts-expect-error an unknown field
      void client.check({ ...input, action: ['read'] });
      // @ts-expect-error a deadline is milliseconds or a Date
      void client.check(input, { deadline: 'soon' });
      // @ts-expect-error metadata is of strings
      void client.check(input, { metadata: { a: 1 } });
    });
    expectTypeOf<CheckOptions['deadline']>().toEqualTypeOf<number | Date | undefined>();
    expectTypeOf<CheckOptions['signal']>().toEqualTypeOf<AbortSignal | undefined>();
  });

  test('give results that can be read and not changed', () => {
    compiles(() => {
      const response = {} as CheckResponse;
      expectTypeOf(response.results.get('read')?.effect).toEqualTypeOf<Effect | undefined>();
      expectTypeOf(isAllowed(response, 'read')).toEqualTypeOf<boolean>();
      expectTypeOf(response.results).not.toHaveProperty('set');
      const [result] = response.results.values();
      // @ts-expect-error and so is what is in it
      if (result !== undefined) result.effect = 1;
    });
  });
});

describe('streams', () => {
  test('a handle has the methods of the contract', () => {
    expectTypeOf<BidirectionalStreamHandle['send']>().toEqualTypeOf<(request: CheckRequest) => boolean>();
    expectTypeOf<BidirectionalStreamHandle['check']>().returns.toEqualTypeOf<Promise<CheckResponse>>();
    expectTypeOf<BidirectionalStreamHandle['isWritable']>().toEqualTypeOf<() => boolean>();
    expectTypeOf<BidirectionalStreamHandle['ready']>().toEqualTypeOf<() => Promise<void>>();
    expectTypeOf<BidirectionalStreamHandle['getStats']>().toEqualTypeOf<() => StreamStats>();
    expectTypeOf<BidirectionalStreamHandle['getId']>().toEqualTypeOf<() => string>();
    expectTypeOf<BidirectionalStreamHandle['getState']>().toEqualTypeOf<() => string>();
    expectTypeOf<BidirectionalStreamHandle>().toExtend<AsyncIterable<CheckResponse>>();
    compiles((_, handle) => {
      handle.pause();
      handle.resume();
      handle.end();
      // @ts-expect-error send needs the request's id: nobody else could tell whose answer it is
      handle.send({ principal: { id: 'a', roles: [] }, resource: { kind: 'k', id: 'i' }, actions: ['read'] });
    });
  });

  test('callbacks are three, and two that may be left out, each with its own payload', () => {
    compiles((client) => {
      const three = { onResponse: () => undefined, onError: () => undefined, onEnd: () => undefined };
      client.createBidirectionalStream(three);
      client.createBidirectionalStream({
        onResponse: (response) => expectTypeOf(response).toEqualTypeOf<CheckResponse>(),
        onError: (error) => expectTypeOf(error).toEqualTypeOf<Error>(),
        onEnd: () => undefined,
        onBackpressure: (paused) => expectTypeOf(paused).toEqualTypeOf<boolean>(),
        onReconnect: (attempt) => expectTypeOf(attempt).toEqualTypeOf<number>(),
      });
      // @ts-expect-error onEnd is missing
      client.createBidirectionalStream({ onResponse: () => undefined, onError: () => undefined });
      // @ts-expect-error an unknown callback
      client.createBidirectionalStream({ ...three, onDrain: () => undefined });
      // @ts-expect-error another payload
      client.createBidirectionalStream({ ...three, onResponse: (text: string) => text });
      // @ts-expect-error unknown watermark
      client.createBidirectionalStream(three, { highWater: 5 });
      expectTypeOf(client.createStreamPool(2, three)).toEqualTypeOf<BidirectionalStreamHandle[]>();
    });
    expectTypeOf<StreamLifecycleCallbacks['onBackpressure']>().toEqualTypeOf<((paused: boolean) => void) | undefined>();
  });

  test('management and diagnostics give what the contract says', () => {
    expectTypeOf<AuthzClient['getStream']>().toEqualTypeOf<(id: string) => BidirectionalStreamHandle | null>();
    expectTypeOf<AuthzClient['listActiveStreamIds']>().toEqualTypeOf<() => string[]>();
    expectTypeOf<AuthzClient['getActiveStreamCount']>().toEqualTypeOf<() => number>();
    expectTypeOf<AuthzClient['getStreamMonitoringMetrics']>().toEqualTypeOf<() => StreamMonitoringMetrics>();
    expectTypeOf<AuthzClient['getStreamDiagnostics']>().toEqualTypeOf<() => StreamDiagnostics>();
    expectTypeOf<AuthzClient['configureStreamPool']>().parameter(0).toEqualTypeOf<Partial<StreamPoolConfig>>();
    expectTypeOf<AuthzClient['configureAdvancedStreamOptions']>()
      .parameter(0)
      .toEqualTypeOf<Partial<AdvancedStreamOptions>>();
  });
});

describe('events', () => {
  test('each has its own payload', () => {
    compiles((client) => {
      client.on('connected', ({ address }) => expectTypeOf(address).toEqualTypeOf<string>());
      client.on('connection_state_change', ({ state, previous }) => {
        expectTypeOf(state).toEqualTypeOf<ConnectionState>();
        expectTypeOf(previous).toEqualTypeOf<ConnectionState>();
      });
      client.on('health_status_change', ({ status }) => expectTypeOf(status).toEqualTypeOf<HealthStatus>());
      client.on('error', (error) => expectTypeOf(error).toEqualTypeOf<Error>());
      client.on('health_stream_check', (result) => expectTypeOf(result).toEqualTypeOf<HealthCheckResult>());
      // @ts-expect-error an event there is none
      client.on('conected', () => undefined);
      // @ts-expect-error another payload
      client.on('connected', (address: string) => address);
      // @ts-expect-error a field there is none
      client.once('failover_completed', ({ to }) => to);
      // @ts-expect-error no listener
      client.off('connected');
    });
    expectTypeOf<ClientEvents['failover_started']>().toEqualTypeOf<{ from: string; to: string; reason: string }>();
    expectTypeOf<ClientEvents['failover_completed']>().toEqualTypeOf<{
      from: string;
      address: string;
      durationMs: number;
    }>();
    expectTypeOf<ClientEvents['failback_scheduled']>().toEqualTypeOf<{ address: string; delayMs: number }>();
    expectTypeOf<ClientEvents['stream_reconnecting']>().toEqualTypeOf<{
      streamId: string;
      attempt: number;
      delayMs: number;
    }>();
    expectTypeOf<ClientEvents['stream_pool_creation_error']>().toEqualTypeOf<{ index: number; error: Error }>();
    expectTypeOf<ClientEvents['message_dropped']>().toEqualTypeOf<{ streamId: string; requestId: string }>();
    expectTypeOf<ClientEvents['pool_connection_failed']>().toEqualTypeOf<{
      id: string;
      address: string;
      error: Error;
    }>();
  });
});

describe('the rest of the client', () => {
  test('gives what the contract says', () => {
    expectTypeOf<AuthzClient['connect']>().toEqualTypeOf<() => Promise<void>>();
    expectTypeOf<AuthzClient['disconnect']>().returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf<AuthzClient>().toExtend<AsyncDisposable>();
    expectTypeOf<AuthzClient['getStats']>().toEqualTypeOf<() => ClientStats>();
    expectTypeOf<AuthzClient['getPoolStats']>().toEqualTypeOf<() => PoolStats>();
    expectTypeOf<AuthzClient['getConnections']>().toEqualTypeOf<() => PooledConnection[]>();
    expectTypeOf<AuthzClient['scalePool']>().toEqualTypeOf<(size: number) => Promise<void>>();
    expectTypeOf<AuthzClient['checkHealth']>().toEqualTypeOf<() => Promise<HealthCheckResult>>();
    expectTypeOf<AuthzClient['getHealth']>().toEqualTypeOf<() => ConnectionHealth>();
    expectTypeOf<AuthzClient['subscribeToHealthStream']>().returns.toEqualTypeOf<() => void>();
    expectTypeOf<AuthzClient['getDedupedResponse']>().toEqualTypeOf<(requestId: string) => CheckResponse | null>();
    expectTypeOf<AuthzClient['loadPolicies']>().returns.toEqualTypeOf<Promise<LoadPoliciesResult>>();
    expectTypeOf<AuthzClient['reloadPolicies']>().returns.toEqualTypeOf<Promise<ReloadPoliciesResult>>();
    compiles((client) => {
      void client.loadPolicies({ inline: ['a'] });
      // @ts-expect-error a source there is none
      void client.loadPolicies({ file: 'a' });
      // @ts-expect-error exactly one source
      void client.loadPolicies({ path: 'a', url: 'b' });
      // @ts-expect-error an unknown option
      void client.disconnect({ timeout: 5 });
      // @ts-expect-error the root actor is for looking at
      client.actor = undefined;
    });
    expectTypeOf<PolicySource>().not.toEqualTypeOf<never>();
  });
});

describe('values and errors', () => {
  test('plain strings and numbers are accepted where the contract has constants', () => {
    expectTypeOf<'p2c'>().toExtend<LoadBalancingStrategy>();
    expectTypeOf<'transient_failure'>().toExtend<ConnectionState>();
    expectTypeOf<1>().toExtend<Effect>();
    expectTypeOf<3>().not.toExtend<Effect>();
  });

  test('errors carry what the contract says', () => {
    expectTypeOf<AuthzClientError['code']>().toEqualTypeOf<string>();
    expectTypeOf<AuthzClientError['grpcCode']>().toEqualTypeOf<GrpcCode | undefined>();
    expectTypeOf<AuthzClientError['outcome']>().toEqualTypeOf<Outcome>();
    expectTypeOf<Outcome>().toEqualTypeOf<'notSent' | 'refused' | 'unknown' | 'answered'>();
    expectTypeOf<AuthzClientError['requestId']>().toEqualTypeOf<string | undefined>();
    expectTypeOf<TimeoutError['timeoutMs']>().toEqualTypeOf<number>();
    expectTypeOf<BackpressureError['bufferSize']>().toEqualTypeOf<number>();
    expectTypeOf<FailoverError['fromAddress']>().toEqualTypeOf<string>();
    expectTypeOf<FailoverError>().toExtend<AuthzClientError>();
  });
});

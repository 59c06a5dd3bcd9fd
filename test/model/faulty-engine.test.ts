/** Every switch of the engine that misbehaves on demand, over a real client and real sockets. */

import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { startEngine } from '../../src/engine/index.js';
import {
  type AuthzClient,
  type AuthzClientOptions,
  ConfigurationError,
  ConnectionError,
  Effect,
  GrpcCode,
  isAllowed,
  ProtocolError,
  TimeoutError,
} from '../../src/index.js';
import { type EngineOptions, type FaultyEngine, startFaultyEngine } from '../../src/testing/index.js';
import { eventually } from '../support/recorder.js';
import { nextEvent, recordEvents, Recorder, refusal, rejection, useStage } from '../support/stage.js';

const POLICIES = path.join(import.meta.dirname, '../../examples/policies');

const stage = useStage();

async function start(options: Partial<EngineOptions> = {}): Promise<FaultyEngine> {
  const engine = await startFaultyEngine({ policies: POLICIES, ...options });
  stage.onEnd(() => engine.kill());
  return engine;
}

interface Pair {
  readonly engine: FaultyEngine;
  readonly client: AuthzClient;
}

async function startPair(options: Omit<AuthzClientOptions, 'address'> = {}): Promise<Pair> {
  const engine = await start();
  const client = stage.client(engine, options);
  await client.connect();
  return { engine, client };
}

const question = (id = '42') => ({
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'document', id },
  actions: ['read', 'delete'],
});

/** `read` is allowed and `delete` is not: the policies decided. */
async function decides(client: AuthzClient): Promise<boolean> {
  const response = await client.check(question());
  return isAllowed(response, 'read') && !isAllowed(response, 'delete');
}

describe('an engine without any switch on', () => {
  test('is an engine: decides by its policies, counts, says what it has', async () => {
    const { engine, client } = await startPair();
    expect(await decides(client)).toBe(true);
    expect(engine.stats).toEqual({ checks: 1, streams: 1 });
    expect(engine.policyCount).toBeGreaterThan(1);
    expect(engine.address).toBe(`127.0.0.1:${engine.port}`);
    expect(engine.isRunning).toBe(true);
  });
});

describe('answers', () => {
  test('setLatency, longer than the timeout: the check times out; set to 0 again: it is answered', async () => {
    const { engine, client } = await startPair({ timeout: 200 });
    engine.setLatency(60_000);
    await rejection(client.check(question()), TimeoutError);
    engine.setLatency(0);
    expect(await decides(client)).toBe(true);
  });

  test('hold: a check that reached the engine waits; release: it is answered', async () => {
    const { engine, client } = await startPair();
    engine.hold();
    let isSettled = false;
    const answer = client.check(question()).finally(() => (isSettled = true));
    await eventually(() => engine.stats.checks === 1, 'the check to reach the engine');
    // Health is answered, so what the engine had to say by now has been said.
    expect((await client.checkHealth()).status).toBe('serving');
    expect(isSettled).toBe(false);
    engine.release();
    expect(isAllowed(await answer, 'read')).toBe(true);
  });

  test('hold, with several checks and a unary call: release answers those of a stream in the order they came', async () => {
    const { engine, client } = await startPair();
    engine.hold();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const id of ['a', 'b', 'c']) handle.send({ requestId: id, ...question(id) });
    const unary = client.check(question(), { metadata: { 'x-tenant': 'one' } });
    await eventually(() => engine.stats.checks === 4, 'the checks to reach the engine');
    engine.release();
    await recorder.answered(3);
    expect(recorder.log).toEqual(['a', 'b', 'c']);
    expect(isAllowed(await unary, 'read')).toBe(true);
  });

  test.each([
    ['a check', (client: AuthzClient) => client.check(question())],
    ['a batch', (client: AuthzClient) => client.checkBatch([question()]).then(([response]) => response)],
    ['a check with metadata', (client: AuthzClient) => client.check(question(), { metadata: { 'x-tenant': 'one' } })],
  ])(
    'hold with health, and a backup: the client takes it for frozen, and %s that was under way is asked again there',
    { timeout: 60_000 },
    async (_what, ask) => {
      const [primary, backup] = [await start(), await start()];
      // Probes that our own busy loop delays do not count, so that it may take long.
      const client = stage.pooled([primary, backup], { timeout: 50_000, failover: { enabled: true } });
      const moves = recordEvents(client, ['failover_completed']);
      const warm = nextEvent(client, 'pool_connection_created', ({ address }) => address === backup.address);
      await client.connect();
      await warm;
      primary.hold({ health: true });
      const asked = ask(client);
      // Its age is what makes the engine a suspect; that of a unary call does not.
      const witness = client.check(question());
      for (const response of [await asked, await witness])
        expect(response !== undefined && isAllowed(response, 'read')).toBe(true);
      expect(moves.map(([, payload]) => payload)).toMatchObject([{ address: backup.address }]);
      expect([primary.stats.checks, backup.stats.checks]).toEqual([2, 2]);
    },
  );

  test('hold with health: a health check waits; release: it is answered', async () => {
    const { engine, client } = await startPair();
    engine.hold({ health: true });
    let isSettled = false;
    const health = client.checkHealth().finally(() => (isSettled = true));
    const answer = client.check(question());
    await eventually(() => engine.stats.checks === 1, 'the check, which was sent after it, to reach the engine');
    expect(isSettled).toBe(false);
    engine.release();
    expect((await health).status).toBe('serving');
    expect(isAllowed(await answer, 'read')).toBe(true);
  });

  test.each([
    ['check()', (client: AuthzClient) => client.check(question())],
    [
      'check() with metadata, a unary call',
      (client: AuthzClient) => client.check(question(), { metadata: { a: 'b' } }),
    ],
  ])('failChecks PERMISSION_DENIED, %s: fails with that code, and its message', async (_how, ask) => {
    const { engine, client } = await startPair();
    engine.failChecks(GrpcCode.PERMISSION_DENIED, { message: 'not today' });
    const error = await rejection(ask(client), ProtocolError);
    expect(error.grpcCode).toBe(GrpcCode.PERMISSION_DENIED);
    expect(error.message).toContain('not today');
  });

  test('failChecks PERMISSION_DENIED, a batch: fails with that code', async () => {
    const { engine, client } = await startPair();
    engine.failChecks(GrpcCode.PERMISSION_DENIED);
    const error = await rejection(client.checkBatch([question(), question()]), ProtocolError);
    expect(error.grpcCode).toBe(GrpcCode.PERMISSION_DENIED);
  });

  test('failChecks UNAVAILABLE for the next check alone: the client asks again, and is answered', async () => {
    const { engine, client } = await startPair();
    engine.failChecks(GrpcCode.UNAVAILABLE, { count: 1 });
    expect(await decides(client)).toBe(true);
    expect(engine.stats.checks).toBe(1);
  });

  test('spoilAnswers missing, for one: that check times out, the next is answered', async () => {
    const { engine, client } = await startPair({ timeout: 200 });
    engine.spoilAnswers('missing', { count: 1 });
    await rejection(client.check(question()), TimeoutError);
    expect(await decides(client)).toBe(true);
    expect(engine.stats.checks).toBe(2);
  });

  test('spoilAnswers missing, a unary call: it times out', async () => {
    const { engine, client } = await startPair({ timeout: 200 });
    engine.spoilAnswers('missing');
    await rejection(client.check(question(), { metadata: { a: 'b' } }), TimeoutError);
  });

  test('spoilAnswers duplicate, the second to the contrary: the first counts, the second is counted', async () => {
    const { engine, client } = await startPair();
    engine.spoilAnswers('duplicate', { count: 1 });
    expect(await decides(client)).toBe(true);
    expect(await decides(client)).toBe(true);
    expect(client.dump().stats['protocol']).toMatchObject({ duplicateAnswers: 1, unknownAnswers: 0 });
  });

  test('spoilAnswers foreignId: nobody is answered by it', async () => {
    const { engine, client } = await startPair({ timeout: 200 });
    engine.spoilAnswers('foreignId', { count: 1 });
    await rejection(client.check(question()), TimeoutError);
    expect(client.dump().stats['protocol']).toMatchObject({ unknownAnswers: 1 });
  });

  test('spoilAnswers foreignActions, an ALLOW among them: nothing is allowed', async () => {
    const { engine, client } = await startPair();
    engine.spoilAnswers('foreignActions');
    const response = await client.check(question());
    expect([...response.results].map(([action, { effect }]) => [action, effect])).toEqual([
      ['read', Effect.UNSPECIFIED],
      ['delete', Effect.UNSPECIFIED],
    ]);
    const batch = await client.checkBatch([question()]);
    expect(batch.map((each) => isAllowed(each))).toEqual([false]);
  });
});

describe('health', () => {
  test('setHealth NOT_SERVING, with a backup: traffic moves there; SERVING again: it returns', async () => {
    const [primary, backup] = [await start(), await start()];
    const client = stage.pooled([primary, backup], { failover: { enabled: true, failbackDelay: 10 } });
    await client.connect();
    await nextEvent(client, 'pool_connection_created', ({ address }) => address === backup.address);
    const moved = nextEvent(client, 'failover_completed');
    primary.setHealth('NOT_SERVING');
    expect((await moved).address).toBe(backup.address);
    const returned = nextEvent(client, 'failback_completed');
    primary.setHealth('SERVING');
    expect((await returned).address).toBe(primary.address);
  });
});

describe('connections', () => {
  test('refuseConnections: who is connected is answered, who dials is refused; acceptConnections: no longer', async () => {
    const { engine, client } = await startPair();
    engine.refuseConnections();
    expect(await decides(client)).toBe(true);
    const newcomer = stage.client(engine);
    const error = await rejection(newcomer.connect(), ConnectionError);
    expect(error.message).toContain('ECONNREFUSED');
    await engine.acceptConnections();
    await newcomer.connect();
    expect(await decides(newcomer)).toBe(true);
  });

  test('dropConnections: the connection is lost, the client dials again and is answered', async () => {
    const { engine, client } = await startPair();
    expect(await decides(client)).toBe(true);
    const redialled = nextEvent(client, 'pool_reconnected');
    engine.dropConnections();
    await redialled;
    expect(await decides(client)).toBe(true);
    expect(engine.isRunning).toBe(true);
  });
});

describe('life', () => {
  test('kill, and restart on the same port: checks wait to their deadline, and are answered again', async () => {
    const { engine, client } = await startPair({ timeout: 500 });
    const { port } = engine;
    const lost = nextEvent(client, 'disconnected');
    await engine.kill();
    expect(engine.isRunning).toBe(false);
    // Nothing was said before.
    expect((await lost).reason).not.toContain('NOT_SERVING');
    await rejection(client.check(question()), ConnectionError);
    await engine.restart();
    expect(engine.port).toBe(port);
    await client.connect();
    expect(await decides(client)).toBe(true);
    expect(engine.stats.checks).toBe(1);
  });

  test('stop, as a deployment does: health says NOT_SERVING first, and what was held is answered', async () => {
    const { engine, client } = await startPair();
    engine.hold();
    const answer = client.check(question());
    await eventually(() => engine.stats.checks === 1, 'the check to reach the engine');
    const said = nextEvent(client, 'health_status_change', ({ status }) => status === 'not_serving');
    await engine.stop();
    await said;
    expect(isAllowed(await answer, 'read')).toBe(true);
  });

  test('restart of one that runs: it is killed before, and its switches are as at first', async () => {
    const { engine, client } = await startPair();
    engine.setLatency(60_000);
    engine.failChecks(GrpcCode.INTERNAL);
    engine.refuseConnections();
    await engine.restart();
    await client.connect();
    expect(await decides(client)).toBe(true);
  });

  test('heal, with every switch on: each is as at first', async () => {
    const { engine, client } = await startPair();
    engine.setLatency(60_000);
    engine.hold({ health: true });
    engine.failChecks(GrpcCode.INTERNAL);
    engine.spoilAnswers('missing');
    engine.setHealth('NOT_SERVING');
    engine.refuseConnections();
    await engine.heal();
    expect(await decides(client)).toBe(true);
    const newcomer = stage.client(engine);
    await newcomer.connect();
    expect((await newcomer.checkHealth()).status).toBe('serving');
  });

  test('heal of one that was killed: it runs again', async () => {
    const { engine, client } = await startPair();
    await engine.kill();
    await engine.heal();
    expect(engine.isRunning).toBe(true);
    await client.connect();
    expect(await decides(client)).toBe(true);
  });

  test('restart on a port that somebody has taken meanwhile: says so', async () => {
    const { engine } = await startPair();
    await engine.kill();
    const squatter = await startEngine({ policies: POLICIES, port: engine.port });
    stage.onEnd(() => squatter.stop({ graceMs: 0 }));
    const error = await rejection(engine.restart(), ConfigurationError);
    expect(error.path).toBe('port');
    expect(engine.isRunning).toBe(false);
  });
});

describe('a switch that is told what makes no sense', () => {
  const refusals: [string, string, (engine: FaultyEngine) => void][] = [
    ['latencyMs', 'a negative latency', (engine) => engine.setLatency(-1)],
    ['latencyMs', 'half a millisecond', (engine) => engine.setLatency(0.5)],
    ['code', 'OK', (engine) => engine.failChecks(GrpcCode.OK)],
    ['code', 'no gRPC code', (engine) => engine.failChecks(99 as GrpcCode)],
    ['count', 'none', (engine) => engine.failChecks(GrpcCode.INTERNAL, { count: 0 })],
    ['fault', 'an unknown one', (engine) => engine.spoilAnswers('late' as 'missing')],
  ];
  test.each(refusals)('%s, %s: is refused by name', async (field, _what, turn) => {
    const engine = await start();
    expect(refusal(() => turn(engine), ConfigurationError).path).toBe(field);
  });
});

import { describe, expect, test } from 'vitest';
import {
  type AuthzClient,
  type ClientEventName,
  ConfigurationError,
  FailoverError,
  isAllowed,
} from '../../src/index.js';
import type { ScriptedServer } from '../support/scripted-server.js';
import { nextEvent, question, questions, Recorder, recordEvents, refusal, useStage } from '../support/stage.js';

const stage = useStage();

const FAILOVER: readonly ClientEventName[] = [
  'failover_started',
  'failover_completed',
  'failover_failed',
  'failback_scheduled',
  'failback_completed',
];

describe('on, once and off', () => {
  test('on tells each time, once the first time only, off no more; all three chain', async () => {
    const client = stage.client(await stage.server());
    const seen: string[] = [];
    const listener = (): number => seen.push('on');
    const chained: AuthzClient = client.on('connection_state_change', listener);
    expect(chained).toBe(client);
    expect(client.once('connection_state_change', () => seen.push('once'))).toBe(client);
    await client.connect();
    await expect.poll(() => seen).toEqual(['on', 'once', 'on']);
    expect(client.off('connection_state_change', listener)).toBe(client);
    await client.disconnect();
    expect(seen).toHaveLength(3);
  });

  test('of an event there is none: ConfigurationError that suggests the near one', async () => {
    const client = stage.client(await stage.server());
    const error = refusal(() => client.on('conected' as 'connected', () => undefined), ConfigurationError);
    expect(error.path).toBe('event');
    expect(error.message).toContain("'connected'");
    expect(refusal(() => client.on('connected', 7 as never), ConfigurationError).path).toBe('listener');
  });

  test('error with nobody listening: throws nowhere, and the others are told', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const errors = stage.errors();
    client.on('connected', () => Promise.reject(new RangeError('async')));
    await client.connect();
    await expect.poll(() => errors.length).toBe(1);
  });

  test('delivery is asynchronous: a listener may call back into the client', async () => {
    const client = stage.client(await stage.server());
    const answers: boolean[] = [];
    client.once('connected', async () => {
      answers.push(isAllowed(await client.check(question())));
    });
    await client.connect();
    await expect.poll(() => answers).toEqual([true]);
  });
});

describe('failover events', () => {
  async function pair(failbackDelay = 50) {
    const primary = await stage.server();
    const backup = await stage.server();
    const client = stage.client(primary, {
      failover: { enabled: true, fallbackAddresses: [backup.address], failbackDelay },
    });
    await client.connect();
    await backup.until(() => backup.openConnections === 1, 'the warm connection');
    return { primary, backup, client };
  }

  test('the primary stops: failover_started, failover_completed; checks go on; the state is READY and failedOver', async () => {
    const { primary, backup, client } = await pair(60_000);
    const events = recordEvents(client, FAILOVER);
    await client.check(question());
    const completed = nextEvent(client, 'failover_completed');
    await primary.stop();
    expect(await completed).toEqual({
      from: primary.address,
      address: backup.address,
      durationMs: expect.any(Number) as number,
    });
    expect((await completed).durationMs).toBeLessThan(500);
    expect(events.map(([name]) => name)).toEqual(['failover_started', 'failover_completed']);
    expect(events[0]?.[1]).toEqual({
      from: primary.address,
      to: backup.address,
      reason: expect.stringMatching(/\S/) as string,
    });
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(backup.streamed).toHaveLength(1);
    expect(client.getState()).toBe('failedOver');
    expect(client.getConnectionState()).toBe('ready');
  });

  test('the primary comes back: failback_scheduled with the delay, failback_completed, and traffic returns', async () => {
    const { primary, client } = await pair();
    const failedOver = nextEvent(client, 'failover_completed');
    await primary.stop();
    await failedOver;
    const scheduled = nextEvent(client, 'failback_scheduled');
    const completed = nextEvent(client, 'failback_completed');
    const returned = await stage.server({}, { port: primary.port });
    expect(await scheduled).toEqual({ address: primary.address, delayMs: 50 });
    expect(await completed).toEqual({ address: primary.address });
    await expect.poll(() => client.getState()).toBe('open');
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(returned.streamed).toHaveLength(1);
  });

  test('the primary says NOT_SERVING: fails over without a lost check, and a handle keeps its id', async () => {
    const { primary, backup, client } = await pair(60_000);
    await primary.until(() => primary.watches === 1, 'the watch');
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const id = handle.getId();
    await handle.check(question());
    const completed = nextEvent(client, 'failover_completed');
    primary.setHealth(2);
    const sent = questions(20);
    for (const request of sent) handle.send(request);
    await completed;
    for (const request of questions(5)) handle.send(request);
    await recorder.answered(25);
    expect(recorder.failures).toEqual([]);
    expect(handle.getId()).toBe(id);
    expect(backup.streamed.length).toBeGreaterThanOrEqual(5);
  });

  test('both stop: failover_failed with the FailoverError and its addresses', async () => {
    const { primary, backup, client } = await pair(60_000);
    const failed = nextEvent(client, 'failover_failed');
    await Promise.all([primary.stop(), backup.stop()]);
    const { address, error } = await failed;
    expect([primary.address, backup.address]).toContain(address);
    if (!(error instanceof FailoverError)) throw new Error('no FailoverError', { cause: error });
    expect([primary.address, backup.address]).toContain(error.fromAddress);
    expect([primary.address, backup.address]).toContain(error.toAddress);
    expect(error).toMatchObject({ code: 'ERR_AUTHZ_FAILOVER', grpcCode: 14 });
  });

  test('createPooledClient with failover and no fallbacks: its addresses are a priority list, primaryIndex first', async () => {
    const servers: ScriptedServer[] = [await stage.server(), await stage.server(), await stage.server()];
    const client = stage.pooled(servers, { failover: { enabled: true, primaryIndex: 1, failbackDelay: 60_000 } });
    await client.connect();
    for (const request of questions(6)) await client.check(request);
    expect(servers.map(({ streamed }) => streamed.length)).toEqual([0, 6, 0]);
    const completed = nextEvent(client, 'failover_completed');
    await servers[1]?.stop();
    expect((await completed).address).toBe(servers[0]?.address);
    await client.check(question());
    expect(servers[0]?.streamed).toHaveLength(1);
  });

  test('connect() with a dead primary: resolves on the backup', async () => {
    const primary = await stage.server();
    const backup = await stage.server();
    await primary.stop();
    const client = stage.client(primary, { failover: { enabled: true, fallbackAddresses: [backup.address] } });
    await client.connect();
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(backup.streamed).toHaveLength(1);
  });
});

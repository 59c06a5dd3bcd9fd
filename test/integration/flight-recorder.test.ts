/** The flight recorder of a real client whose engines are killed: what its errors and its dump tell, and that it can be made again. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { replay } from '../../machines/index.js';
import { AuthzClientError, ConnectionError, FailoverError } from '../../src/errors.js';
import type { AuthzClient, FlightDump, FlightRecord, PooledClientOptions } from '../../src/index.js';
import { runCli } from '../support/cli.js';
import { Bench } from '../support/fault-bench.js';
import { question } from '../support/fault-engine.js';

const bench = new Bench();

const WAITS = { timeout: 600 };

/** Through JSON, as it is after a journey through a file. */
const dumpOf = (client: AuthzClient): FlightDump => JSON.parse(JSON.stringify(client.dump())) as FlightDump;

const failureOf = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
};

const recordOf = (error: unknown): FlightRecord | undefined =>
  error instanceof AuthzClientError ? error.flightRecord : undefined;

function expectAgreement({ transitions, actors }: FlightDump): void {
  const replays = replay(transitions, actors);
  expect(replays.filter(({ divergence }) => divergence !== undefined)).toEqual([]);
  expect(replays.reduce((sum, { agreed }) => sum + agreed, 0)).toBe(transitions.length);
}

/** A primary and a backup, both killed, and a check that failed for it. */
async function bothKilled(options: PooledClientOptions = {}) {
  const [alpha, beta] = await bench.engines('alpha', 'beta');
  if (alpha === undefined || beta === undefined) throw new Error('no engines');
  const { client, events } = bench.failoverClient([alpha, beta], { ...WAITS, ...options });
  await client.connect();
  await client.check(question(1));
  const moved = events.until('failover_completed');
  await alpha.kill();
  await moved;
  await client.check(question(2));
  const failed = events.until('failover_failed');
  await beta.kill();
  await failed;
  const error = await failureOf(client.check(question(3)));
  return { alpha, beta, client, events, error };
}

describe('both engines killed', () => {
  test('the errors of the outage: share one record, which tells the failover and the fall', async () => {
    const { alpha, beta, events, error } = await bothKilled();
    expect(error).toBeInstanceOf(ConnectionError);
    const record = recordOf(error);
    const failed = events.of('failover_failed').map((event) => event.error);
    expect(failed[0]).toBeInstanceOf(FailoverError);
    for (const other of failed) expect(recordOf(other)).toBe(record);

    const moves = (actor: string): unknown[] =>
      (record?.transitions ?? []).filter((one) => one.actor === actor).map(({ to }) => to);
    expect(moves('client')).toEqual(expect.arrayContaining(['open', 'failedOver', 'reconnecting']));
    expect(moves('client').at(-1)).toBe('reconnecting');
    expect(moves(`endpoint:${alpha.address}`)).toContainEqual({ serving: 'watched' });
    expect(moves(`endpoint:${beta.address}`).at(-1)).toEqual({ notServing: 'waiting' });
    const sequences = (record?.transitions ?? []).map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    const times = (record?.transitions ?? []).map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('the dump: tells every statechart as it is, agrees when it is replayed, and so does authz replay', async () => {
    const { client } = await bothKilled();
    const dump = dumpOf(client);
    expect(dump).toMatchObject({ format: 'authz-flight-dump', version: 1, recorder: { size: 256 } });
    expect(dump.stats).toMatchObject({ connectionState: 'transient_failure', client: { ...client.getStats() } });
    const stateOf = (name: string): unknown => dump.actors.find(({ actor }) => actor === name)?.state;
    expect([stateOf('client'), stateOf('failover')]).toEqual(['reconnecting', 'reconnecting']);
    expectAgreement(dump);

    const directory = mkdtempSync(path.join(tmpdir(), 'authz-flight-'));
    bench.afterwards(() => rmSync(directory, { recursive: true }));
    const file = path.join(directory, 'dump.json');
    writeFileSync(file, JSON.stringify(dump));
    const { code, stdout, stderr } = await runCli(['replay', file, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ agrees: true, agreed: dump.transitions.length });
  });

  test('one back, then killed again: the errors of the second outage have a record of their own', async () => {
    const { alpha, client, events, error } = await bothKilled();
    await alpha.restart();
    await client.check(question(4), { deadline: 10_000 });
    await alpha.kill();
    await events.until('failover_failed', 2);
    const later = await failureOf(client.check(question(5)));
    const [first, second] = [error, later].map(recordOf);
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    expect(second?.outageAtMs).toBeGreaterThan(first?.outageAtMs ?? Infinity);
  });

  test('a recorder of 8: holds the last 8, agrees, and the dump counts what it has not', async () => {
    const { client } = await bothKilled({ flightRecorderSize: 8 });
    const dump = dumpOf(client);
    expect(dump.transitions).toHaveLength(8);
    expect(dump.recorder).toEqual({ size: 8, recorded: dump.recorder.dropped + 8, dropped: dump.recorder.dropped });
    expect(dump.recorder.dropped).toBeGreaterThan(0);
    expectAgreement(dump);
  });

  test('a recorder of 0: errors have no record; the dump has the rest', async () => {
    const { client, error } = await bothKilled({ flightRecorderSize: 0 });
    expect(error).toBeInstanceOf(ConnectionError);
    expect(recordOf(error)).toBeUndefined();
    const dump = dumpOf(client);
    expect(dump).toMatchObject({ recorder: { size: 0, recorded: 0, dropped: 0 }, transitions: [] });
    expect(dump.actors.map(({ actor }) => actor)).toEqual(expect.arrayContaining(['client', 'failover']));
  });
});

describe('nobody there from the beginning', () => {
  test('connect() rejects: with the record of what it tried', async () => {
    const { client, events } = bench.client({ address: '127.0.0.1:1', ...WAITS });
    const error = await failureOf(client.connect());
    expect(error).toBeInstanceOf(ConnectionError);
    const record = recordOf(error);
    expect(record?.dropped).toBe(0);
    expect(record?.transitions[0]).toMatchObject({ sequence: 1, actor: 'client', from: null, to: 'idle' });
    expect(record?.transitions.map(({ event }) => event.type)).toContain('TRANSPORT_LOST');
    for (const failed of events.of('pool_connection_failed')) {
      expect(recordOf(failed.error)).toBe(record);
    }
  });

  test('a token that cannot be had: its error event has the record', async () => {
    const { address } = await bench.engine('alpha');
    const { client, events } = bench.client({
      address,
      ...WAITS,
      credentials: () => Promise.reject(new Error('no')),
    });
    client.connect().catch(() => undefined);
    await events.until('error');
    const [error] = events.of('error');
    expect(error).toBeInstanceOf(ConnectionError);
    expect(recordOf(error)?.transitions[0]).toMatchObject({ actor: 'client', to: 'idle' });
  });
});

describe('a healthy client', () => {
  test('a thousand checks: are no transitions', async () => {
    const alpha = await bench.engine('alpha');
    const { client } = bench.client({ address: alpha.address });
    await client.connect();
    await Promise.all(Array.from({ length: 100 }, (_, index) => client.check(question(index))));
    const { recorded } = client.dump().recorder;
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => client.check(question(index))));
    }
    // Health probes go on meanwhile, once a second.
    expect(client.dump().recorder.recorded - recorded).toBeLessThan(20);
  });

  test('disconnected: the dump still tells, and agrees', async () => {
    const alpha = await bench.engine('alpha');
    const { client } = bench.client({ address: alpha.address });
    await client.connect();
    await client.check(question(1));
    await client.disconnect();
    const dump = dumpOf(client);
    expect(dump.actors).toMatchObject([{ actor: 'client', state: 'closed' }]);
    expect(dump.transitions.map(({ event }) => event.type)).toContain('DISCONNECT');
    expectAgreement(dump);
  });

  test('never connected: the dump is an idle client', () => {
    const { client } = bench.client({ address: '127.0.0.1:1', metadata: { 'x-tenant': 'c4n4ry' } });
    const dump = client.dump();
    expect(dump.transitions).toHaveLength(1);
    expect(dump.actors).toMatchObject([{ actor: 'client', state: 'idle' }]);
    expect(dump.options).toMatchObject({
      levels: [['127.0.0.1:1']],
      timeout: 5_000,
      metadata: { 'x-tenant': '[redacted]' },
      credentials: null,
      transport: 'http2',
    });
    expectAgreement(JSON.parse(JSON.stringify(dump)) as FlightDump);
  });
});

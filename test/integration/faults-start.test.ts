/** Servers that are not there, that say nothing, and that are slow. */

import { describe, expect, test } from 'vitest';

import { ConnectionError, GrpcCode, TimeoutError } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { answererOf, faultOf, freePort, question } from '../support/fault-engine.js';
import { RawServer } from '../support/raw-server.js';
import { clientSocketsTo } from '../support/sockets.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

const nobody = async (): Promise<{ address: string; port: number }> => {
  const port = await freePort();
  return { address: `127.0.0.1:${port}`, port };
};

describe('nobody listens', () => {
  test('connect: rejects once every address has failed, naming each, and leaves the client idle', async () => {
    const [first, second] = [await nobody(), await nobody()];
    const { client, events } = bench.failoverClient([first, second]);
    const error: unknown = await client.connect().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE });
    expect(String(error)).toContain(first.address);
    expect(String(error)).toContain(second.address);
    expect(client.getState()).toBe('idle');
    expect(events.count('connected')).toBe(0);
    // Idle means idle: nothing is dialled behind the application's back.
    await eventually(() => events.count('pool_connection_removed') >= 2, 'the connections to be gone');
    const dials = events.count('pool_connection_failed');
    await expect(client.check(question(0), { deadline: 150 })).rejects.toBeInstanceOf(ConnectionError);
    expect(events.count('pool_connection_failed')).toBeGreaterThan(dials);
  });

  test('connect, then a server starts there: the next connect succeeds', async () => {
    const alpha = await bench.engine('alpha');
    alpha.prepare();
    await alpha.kill();
    const { client } = bench.client({ address: alpha.address });
    await expect(client.connect()).rejects.toBeInstanceOf(ConnectionError);
    await alpha.restart();
    await client.connect();
    expect(faultOf(1, await client.check(question(1)))).toBeUndefined();
  });

  test('row 8: at the primary only: the first checks go to the backup', async () => {
    const [primary, beta] = [await nobody(), await bench.engine('beta')];
    const { client, events } = bench.failoverClient([primary, beta]);
    const responses = await Promise.all(Array.from({ length: 20 }, (_, index) => client.check(question(index))));
    expect(new Set(responses.map(answererOf))).toEqual(new Set(['beta']));
    expect(client.getState()).toBe('failedOver');
    expect(events.count('connected')).toBe(1);
  });

  test('row 8: checks without a connect: they wait to their deadline, and the client goes on dialling until disconnect', async () => {
    const { address, port } = await nobody();
    const { client, events } = bench.client({ address, timeout: 300 });
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => client.check(question(index))));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { name: 'ConnectionError', grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' },
      });
    }
    const dials = events.count('pool_connection_failed');
    await events.until('pool_connection_failed', dials + 1);
    await client.disconnect();
    expect(clientSocketsTo(port)).toBe(0);
  });
});

describe('a server that accepts and says nothing', () => {
  test('row 6: as the primary: its dial is given up and the backup serves', async () => {
    const silent = await RawServer.listen(() => undefined);
    bench.afterwards(() => silent.close());
    const beta = await bench.engine('beta');
    const { client, events } = bench.failoverClient([silent, beta], { connectTimeout: 400 });
    const response = await client.check(question(1));
    expect(answererOf(response)).toBe('beta');
    await eventually(
      () => events.of('pool_connection_failed').some(({ address }) => address === silent.address),
      'the silent dial to be given up',
    );
    await eventually(() => silent.connections[0]?.closed === true, 'its socket to be closed');
    expect(client.getState()).toBe('failedOver');
  });

  test('row 6: as the only server: connect rejects and no socket stays behind', async () => {
    const silent = await RawServer.listen(() => undefined);
    bench.afterwards(() => silent.close());
    const { client } = bench.client({ address: silent.address, connectTimeout: 200 });
    await expect(client.connect()).rejects.toThrow(silent.address);
    await eventually(() => clientSocketsTo(silent.port) === 0, 'the sockets to be gone');
  });
});

describe('a slow server', () => {
  test('row 9: one check with a short deadline among others: it alone times out, and its late answer disturbs nobody', async () => {
    const slow = await bench.engine('slow', { latencyMs: 400 });
    const { client, events } = bench.client({ address: slow.address });
    await client.connect();
    const patient = Array.from({ length: 10 }, (_, index) => client.check(question(index)));
    const hasty = client.check({ ...question(1), requestId: 'hasty' }, { deadline: 100 });
    await expect(hasty).rejects.toBeInstanceOf(TimeoutError);
    await expect(hasty).rejects.toMatchObject({ requestId: 'hasty', outcome: 'unknown' });
    // The same id again, while the first answer is still under way: each answer finds its own question.
    const again = client.check({ ...question(3), requestId: 'hasty' });
    const responses = await Promise.all(patient);
    expect(responses.map((response, index) => faultOf(index, response)).filter(Boolean)).toEqual([]);
    const response = await again;
    expect(faultOf(3, response)).toBeUndefined();
    expect(response.requestId).toBe('hasty');
    expect(events.count('pool_connection_failed')).toBe(0);
    expect(events.count('pool_connection_created')).toBe(1);
    const { totalRequests, successfulRequests, failedRequests } = client.getStats();
    expect({ totalRequests, successfulRequests, failedRequests }).toEqual({
      totalRequests: 12,
      successfulRequests: 11,
      failedRequests: 1,
    });
  });
});

/** Servers that go in an orderly way: SIGTERM, rolling restarts, GOAWAY; and clients that do, in the middle of their work. */

import { describe, expect, test } from 'vitest';

import { CancelledError, StreamClosedError } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { answererOf, faultOf, question } from '../support/fault-engine.js';
import { BatchCaller, Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { RawAuthzServer } from '../support/fault-raw-authz.js';
import { eventually } from '../support/recorder.js';
import { clientSocketsTo } from '../support/sockets.js';

const bench = new Bench();

/** How long a client may keep a connection that drains: longer than any test, so that one kept for nothing is seen. */
const DRAIN_MS = 60_000;

describe('a server that is terminated under load', () => {
  test('row 13: with a backup: it drains, traffic moves, nothing is lost', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    const { client, events } = bench.failoverClient([alpha, beta], { timeout: DRAIN_MS });
    await client.connect();
    const callers = new Callers(client, 32);
    const batches = new BatchCaller(client, 10);
    const load = new HandleLoad(client, 50);
    await Promise.all([callers.ledger.more(200), load.ledger.more(200), batches.ledger.more(50)]);
    await alpha.terminate();
    await Promise.all([
      callers.ledger.answeredBy('beta'),
      load.ledger.answeredBy('beta'),
      batches.ledger.answeredBy('beta'),
    ]);
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);
    for (const ledger of await Promise.all([callers.stop(), batches.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(events.count('failover_started')).toBe(1);
    expect(events.count('failover_completed')).toBe(1);
    expect(client.getState()).toBe('failedOver');
  });

  test('row 13: three in turn, of a pooled client: a rolling restart loses nothing', async () => {
    const engines = await bench.engines('alpha', 'beta', 'gamma');
    for (const engine of engines) engine.prepare();
    const { client, events } = bench.pooledClient(engines, { timeout: DRAIN_MS });
    await client.connect();
    await eventually(() => client.getPoolStats().totalConnections === 3, 'three connections');
    const callers = new Callers(client, 32);
    const load = new HandleLoad(client, 50);
    await Promise.all([callers.ledger.more(300), load.ledger.more(100)]);
    expect(new Set(callers.ledger.answerers)).toEqual(new Set(['alpha', 'beta', 'gamma']));
    for (const engine of engines) {
      await engine.terminate();
      await Promise.all([callers.ledger.more(100), load.ledger.more(100)]);
      await engine.restart();
      await callers.ledger.answeredBy(engine.name);
    }
    for (const ledger of await Promise.all([callers.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  });
});

describe('GOAWAY', () => {
  test('with checks under way: the new go to a new connection, and the old answers still count', async () => {
    const server = await RawAuthzServer.listen('raw');
    bench.afterwards(() => server.close());
    const { client } = bench.client({ address: server.address, healthCheck: { enabled: false } });
    const old = Array.from({ length: 5 }, (_, index) => client.check(question(index)));
    await eventually(() => server.received.length === 5, 'the first checks');
    const first = await server.raw.connection(0);
    first.goaway(2 ** 31 - 1);
    await eventually(() => server.raw.connections.length === 2, 'a second connection');
    const young = Array.from({ length: 5 }, (_, index) => client.check(question(5 + index)));
    await eventually(() => server.received.length === 10, 'the next checks');
    expect(server.received.slice(5).every(({ connection }) => connection === server.raw.connections[1])).toBe(true);
    expect(first.closed).toBe(false);

    for (const received of [...server.received].reverse()) server.answer(received);
    const responses = await Promise.all([...old, ...young]);
    expect(responses.map((response, index) => faultOf(index, response)).filter(Boolean)).toEqual([]);
    // Each was asked once: nothing that was under way is asked again.
    expect(server.received).toHaveLength(10);
    await eventually(() => first.closed, 'the old connection to be closed');
    expect(client.getState()).toBe('open');
  });

  test('under a handle: its calls move, its id and its order stay', async () => {
    const server = await RawAuthzServer.listen('raw');
    bench.afterwards(() => server.close());
    const { client } = bench.client({ address: server.address, healthCheck: { enabled: false } });
    const load = new HandleLoad(client, 10);
    const id = load.handle.getId();
    await eventually(() => server.received.length === 10, 'the first requests');
    const first = await server.raw.connection(0);
    first.goaway(2 ** 31 - 1);
    await eventually(() => server.raw.connections.length === 2, 'a second connection');
    const [eldest] = server.received;
    if (eldest === undefined) throw new Error('no request');
    // Its answer lets one more request out, onto the new connection.
    server.answer(eldest);
    await eventually(() => server.received.length === 11, 'the next request');
    expect(server.received[10]?.connection).toBe(server.raw.connections[1]);
    load.hold();
    for (const received of server.received.slice(1).reverse()) server.answer(received);
    const { asked, right } = await load.stop();
    expect([asked, right]).toEqual([11, 11]);
    expect(load.delivered).toEqual(inOrder(11));
    expect(load.handle.getId()).toBe(id);
    await eventually(() => first.closed, 'the old connection to be closed');
  });
});

describe('a client under load', () => {
  test('row 49: disconnect in the middle: every promise settles, what was accepted is answered, and no socket stays', async () => {
    const alpha = await bench.engine('alpha');
    const { client, events } = bench.client({ address: alpha.address });
    await client.connect();
    const load = new HandleLoad(client, 50);
    const callers = new Callers(client, 32);
    await Promise.all([callers.ledger.more(), load.ledger.more()]);
    const last = Array.from({ length: 64 }, (_, index) => client.check(question(index)));
    const disconnected = client.disconnect();
    const outcomes = await Promise.allSettled(last);
    await disconnected;
    await callers.stop();
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(64);
    expect(callers.ledger.settled).toBe(callers.ledger.asked);
    expect(callers.ledger.wrong).toEqual([]);
    for (const error of callers.ledger.errors) expect(error).toBeInstanceOf(StreamClosedError);
    await eventually(() => load.ends === 1, 'onEnd');
    expect(load.ledger.settled - load.ledger.errors.filter((error) => error instanceof StreamClosedError).length).toBe(
      load.ledger.asked,
    );
    expect(clientSocketsTo(alpha.port)).toBe(0);
    expect(client.getState()).toBe('closed');
    expect(events.count('disconnected')).toBe(1);
    const { totalRequests, successfulRequests, failedRequests } = client.getStats();
    expect(successfulRequests + failedRequests).toBe(totalRequests);
  });

  test('disconnect by force in the middle: everything rejects as cancelled or is answered, each once', async () => {
    const slow = await bench.engine('slow', { latencyMs: 400 });
    const { client } = bench.client({ address: slow.address });
    await client.connect();
    const load = new HandleLoad(client, 50);
    const checks = Array.from({ length: 50 }, (_, index) => client.check(question(index)));
    const batch = client.checkBatch(Array.from({ length: 10 }, (_, index) => question(index)));
    await eventually(async () => (await slow.checks()) >= 100, 'the requests to be with the server');
    const settled = Promise.allSettled([...checks, batch]);
    await client.disconnect({ force: true });
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'CancelledError', outcome: 'unknown' } });
    }
    await eventually(() => load.ends === 1, 'onEnd');
    expect(load.ledger.errors.filter((error) => error instanceof CancelledError)).toHaveLength(50);
    expect(load.delivered.slice(0, 50)).toEqual(inOrder(50));
    expect(clientSocketsTo(slow.port)).toBe(0);
    const { totalRequests, failedRequests } = client.getStats();
    expect([totalRequests, failedRequests]).toEqual([110, 110]);
  });

  test('disconnect while no server is there: it ends at once and everything rejects', async () => {
    const alpha = await bench.engine('alpha');
    const { client, events } = bench.client({ address: alpha.address, timeout: 60_000 });
    await client.connect();
    await alpha.kill();
    await events.until('disconnected');
    const waiting = Promise.allSettled(Array.from({ length: 10 }, (_, index) => client.check(question(index))));
    await client.disconnect();
    for (const outcome of await waiting) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'CancelledError', outcome: 'notSent' } });
    }
  });
});

test('one bad engine of three, killed: the pool goes on with the rest', async () => {
  const engines = await bench.engines('alpha', 'beta', 'gamma');
  const { client } = bench.pooledClient(engines);
  await client.connect();
  await eventually(() => client.getPoolStats().totalConnections === 3, 'three connections');
  const callers = new Callers(client, 16);
  await callers.ledger.more(100);
  await engines[1]?.kill();
  await callers.ledger.more(300);
  const { asked, right } = await callers.stop();
  expect(right).toBe(asked);
  const after = await Promise.all(Array.from({ length: 20 }, (_, index) => client.check(question(index))));
  expect(new Set(after.map(answererOf))).toEqual(new Set(['alpha', 'gamma']));
});

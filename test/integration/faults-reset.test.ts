/** Connections that break while their server lives: resets, GOAWAY, and reconnects that never succeed. */

import { describe, expect, test } from 'vitest';

import { ConnectionError } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { freePort, question } from '../support/fault-engine.js';
import { TcpProxy } from '../support/fault-proxy.js';
import { Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

async function proxied(name: string): Promise<TcpProxy> {
  const engine = await bench.engine(name);
  const proxy = await TcpProxy.listen(() => engine.port);
  bench.afterwards(() => proxy.close());
  return proxy;
}

describe('a connection under load', () => {
  test('row 3: reset, with the server alive: it is redialled at once and the unanswered are asked again in order', async () => {
    const proxy = await proxied('alpha');
    // A backoff that no test would wait for: only an immediate redial passes.
    const { client, events } = bench.client({
      address: proxy.address,
      reconnect: { initialDelay: 30_000, maxDelay: 60_000, jitter: false },
      // A call that was rotated and has not answered yet is reopened by backoff: that is not what this is about.
      streams: { maxRequestsPerStream: 1_000_000 },
    });
    await client.connect();
    const callers = new Callers(client, 32);
    const load = new HandleLoad(client, 100);
    const id = load.handle.getId();
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);
    proxy.reset();
    await eventually(() => events.count('stream_reconnected') === 1, 'the handle to be back');
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);

    for (const ledger of await Promise.all([callers.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(load.handle.getId()).toBe(id);
    expect(load.reconnects).toEqual([1]);
    expect(events.of('stream_reconnecting')).toEqual([{ streamId: id, attempt: 1, delayMs: 0 }]);
    expect(events.of('stream_reconnected')).toEqual([{ streamId: id, attempt: 1 }]);
    expect(events.count('pool_reconnected')).toBe(1);
    expect(proxy.accepted).toBe(2);
    expect(client.getState()).toBe('open');
    expect(events.count('disconnected')).toBe(0);
  });

  test('row 3: reset with a backup at hand: the primary is back at once and traffic does not move', async () => {
    const proxy = await proxied('alpha');
    const beta = await bench.engine('beta');
    const { client, events } = bench.failoverClient([proxy, beta]);
    await client.connect();
    const callers = new Callers(client, 32);
    await callers.ledger.more(200);
    proxy.reset();
    await events.until('pool_reconnected');
    await callers.ledger.more(200);
    const { asked, right, answerers } = await callers.stop();
    expect(right).toBe(asked);
    expect(new Set(answerers)).toEqual(new Set(['alpha']));
    expect(events.count('failover_started')).toBe(0);
  });

  test('row 3: reset again and again: every reset is survived', async () => {
    const proxy = await proxied('alpha');
    const { client } = bench.client({ address: proxy.address, maxRetries: 100 });
    await client.connect();
    const callers = new Callers(client, 16);
    const load = new HandleLoad(client, 20);
    for (let round = 0; round < 8; round += 1) {
      await Promise.all([callers.ledger.more(20), load.ledger.more(20)]);
      proxy.reset();
    }
    await Promise.all([callers.ledger.more(20), load.ledger.more(20)]);
    for (const ledger of await Promise.all([callers.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
  });
});

test('a handle with one attempt, reset: the reset itself is no failed attempt, and the handle lives', async () => {
  const proxy = await proxied('alpha');
  const { client } = bench.client({ address: proxy.address, reconnect: { maxAttempts: 1 } });
  await client.connect();
  const load = new HandleLoad(client, 20);
  for (let round = 0; round < 5; round += 1) {
    await load.ledger.more(100);
    proxy.reset();
  }
  await load.ledger.more(100);
  const { asked, right } = await load.stop();
  expect(right).toBe(asked);
  expect(load.ends).toBe(0);
});

describe('a handle whose server stays away', () => {
  test('maxAttempts reopenings: each unanswered request errs with its id, then onEnd once, and it is closed', async () => {
    const port = await freePort();
    const { client } = bench.client({
      address: `127.0.0.1:${port}`,
      connectTimeout: 50,
      reconnect: { maxAttempts: 3 },
    });
    const load = new HandleLoad(client, 25);
    load.hold();
    await eventually(() => load.ends === 1, 'the handle to give up');
    expect(load.ledger.errors).toHaveLength(25);
    expect(load.delivered).toEqual(inOrder(25));
    for (const [index, error] of load.ledger.errors.entries()) {
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error.requestId).toBe(`h-${index}`);
      expect(error.message).toContain('gave up after 3');
    }
    expect(load.handle.getState()).toBe('closed');
    expect(client.getActiveStreamCount()).toBe(0);
    expect(load.handle.send({ requestId: 'late', ...question(1) })).toBe(false);
    await eventually(() => load.ledger.errors.length === 26, 'the refusal to be told');
    expect(load.ends).toBe(1);
  });
});

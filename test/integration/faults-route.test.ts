/** The route under stress: health that flaps, health that nobody serves, and backups that die at the worst moment. */

import { describe, expect, test } from 'vitest';

import { ConnectionError } from '../../src/errors.js';
import { HealthStatus } from '../../src/types.js';
import { Bench } from '../support/fault-bench.js';
import { answererOf, faultOf, question } from '../support/fault-engine.js';
import { Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { RawServer, FrameType } from '../support/raw-server.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

describe('health that flaps', () => {
  test('row 43: between two endpoints: traffic moves once away and once back, however often it flapped in between', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    const { client, events } = bench.failoverClient([alpha, beta], { failover: { failbackDelay: 1_500 } });
    await client.connect();
    const callers = new Callers(client, 8);
    await callers.ledger.answeredBy('alpha');
    for (let flap = 0; flap < 20; flap += 1) {
      await alpha.setHealth('NOT_SERVING');
      await callers.ledger.more(10);
      await alpha.setHealth('SERVING');
      await callers.ledger.more(10);
    }
    await callers.ledger.answeredBy('alpha');
    const { asked, right } = await callers.stop();
    expect(right).toBe(asked);
    expect(events.count('failover_started')).toBe(1);
    expect(events.count('failover_completed')).toBe(1);
    expect(events.count('failback_completed')).toBe(1);
    expect(client.getState()).toBe('open');
  });

  test('row 44: at the last endpoint: an explicit NOT_SERVING ejects even it, and SERVING brings it back', async () => {
    const alpha = await bench.engine('alpha');
    const { client, events } = bench.client({ address: alpha.address });
    await client.connect();
    expect(faultOf(1, await client.check(question(1)))).toBeUndefined();
    await alpha.setHealth('NOT_SERVING');
    await events.until('disconnected');
    const refused: unknown = await client.check(question(1), { deadline: 200 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConnectionError);
    expect(String(refused)).toContain('NOT_SERVING');
    const waiting = client.check(question(2));
    await alpha.setHealth('SERVING');
    expect(faultOf(2, await waiting)).toBeUndefined();
    await eventually(() => client.getState() === 'open', 'the client to be open');
    const statuses = events.of('health_status_change').map(({ status }) => status);
    expect(statuses).toContain(HealthStatus.NOT_SERVING);
    expect(statuses.at(-1)).toBe(HealthStatus.SERVING);
  });
});

test('row 45: a server without the health service: its connection stands in for it', async () => {
  const server = await RawServer.listen((connection) => {
    connection.settings();
    let answered = 0;
    // Whatever is called: it is not implemented.
    void connection.until(
      () => {
        const calls = connection.frames.filter(({ type }) => type === FrameType.HEADERS);
        for (const { streamId } of calls.slice(answered)) {
          connection.headers(
            streamId,
            { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '12' },
            true,
          );
        }
        answered = calls.length;
        return connection.closed;
      },
      'the end of the connection',
      60_000,
    );
  });
  bench.afterwards(() => server.close());
  const { client, events } = bench.client({ address: server.address, healthCheck: { interval: 100 } });
  await client.connect();
  const result = await client.checkHealth();
  expect(result.status).toBe(HealthStatus.SERVING);
  // Periodic probes get the same answer, and nothing comes of it.
  await eventually(() => client.getHealth().history.length >= 4, 'periodic probes');
  expect(client.getState()).toBe('open');
  expect(events.count('disconnected')).toBe(0);
});

describe('a failback', () => {
  test('row 47: during which everything dies: errors are typed, no answer is mixed up, and either server brings it back', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    alpha.prepare();
    beta.prepare();
    const { client, events } = bench.failoverClient([alpha, beta], { failover: { failbackDelay: 300 } });
    await client.connect();
    const callers = new Callers(client, 16);
    const load = new HandleLoad(client, 20);
    await callers.ledger.answeredBy('alpha');
    await alpha.kill();
    await Promise.all([callers.ledger.answeredBy('beta'), load.ledger.answeredBy('beta')]);
    await alpha.restart();
    await events.until('failback_scheduled');

    await Promise.all([alpha.kill(), beta.kill()]);
    await events.until('disconnected');
    const refused: unknown = await client.check(question(1), { deadline: 150 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConnectionError);
    expect(String(refused)).toContain(alpha.address);
    expect(String(refused)).toContain(beta.address);
    expect(events.count('failback_completed')).toBe(0);

    await beta.restart();
    await Promise.all([callers.ledger.answeredBy('beta'), load.ledger.answeredBy('beta')]);
    alpha.prepare();
    await alpha.restart();
    await Promise.all([callers.ledger.answeredBy('alpha'), load.ledger.answeredBy('alpha')]);
    const ledgers = await Promise.all([callers.stop(), load.stop()]);
    for (const ledger of ledgers) {
      expect(ledger.wrong).toEqual([]);
      expect(ledger.settled).toBe(ledger.asked);
      for (const error of ledger.errors) expect(error).toBeInstanceOf(ConnectionError);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(client.getState()).toBe('open');
    expect(events.count('failback_completed')).toBe(1);
  });

  test('once done: not one check goes to the backup any more', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    const { client, events } = bench.failoverClient([alpha, beta]);
    await client.connect();
    await alpha.setHealth('NOT_SERVING');
    await events.until('failover_completed');
    const callers = new Callers(client, 16);
    await callers.ledger.answeredBy('beta');
    await alpha.setHealth('SERVING');
    await events.until('failback_completed');
    await callers.ledger.answeredBy('alpha');
    await callers.stop();
    const before = await beta.checks();
    const responses = await Promise.all(Array.from({ length: 200 }, (_, index) => client.check(question(index))));
    expect(new Set(responses.map(answererOf))).toEqual(new Set(['alpha']));
    expect(await beta.checks()).toBe(before);
  });
});

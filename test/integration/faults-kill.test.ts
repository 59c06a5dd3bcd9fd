/** Servers that die: SIGKILL under load, alone and with a backup. */

import { describe, expect, test } from 'vitest';

import { ConnectionError, GrpcCode } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { faultOf, question } from '../support/fault-engine.js';
import { BatchCaller, Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

describe('a primary with a backup, under load', () => {
  test('row 1: killed: nothing is lost or answered twice, and traffic returns when it is back', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    alpha.prepare();
    const { client, events } = bench.failoverClient([alpha, beta]);
    await client.connect();
    const callers = new Callers(client, 32);
    const batches = new BatchCaller(client, 10);
    const load = new HandleLoad(client, 50);
    const id = load.handle.getId();
    await callers.ledger.answeredBy('alpha');
    await Promise.all([callers.ledger.more(500), load.ledger.more(500), batches.ledger.more(50)]);

    await alpha.kill();
    await Promise.all([
      callers.ledger.answeredBy('beta'),
      load.ledger.answeredBy('beta'),
      batches.ledger.answeredBy('beta'),
    ]);
    await Promise.all([callers.ledger.more(500), load.ledger.more(500), batches.ledger.more(50)]);
    expect(client.getState()).toBe('failedOver');
    expect(events.of('failover_started')).toEqual([
      { from: alpha.address, to: beta.address, reason: expect.stringMatching(/\S/) as string },
    ]);
    expect(events.of('failover_completed')).toEqual([
      { from: alpha.address, address: beta.address, durationMs: expect.any(Number) as number },
    ]);

    await alpha.restart();
    await Promise.all([
      callers.ledger.answeredBy('alpha'),
      load.ledger.answeredBy('alpha'),
      batches.ledger.answeredBy('alpha'),
    ]);
    await Promise.all([callers.ledger.more(500), load.ledger.more(500), batches.ledger.more(50)]);
    const ledgers = await Promise.all([callers.stop(), batches.stop(), load.stop()]);
    for (const ledger of ledgers) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(load.handle.getId()).toBe(id);
    expect(client.getState()).toBe('open');
    expect(events.of('failback_scheduled')).toEqual([{ address: alpha.address, delayMs: 100 }]);
    expect(events.of('failback_completed')).toEqual([{ address: alpha.address }]);
    expect(
      events.sequence(
        'failover_started',
        'failover_completed',
        'failback_scheduled',
        'failback_completed',
        'failover_failed',
      ),
    ).toEqual(['failover_started', 'failover_completed', 'failback_scheduled', 'failback_completed']);
    expect(events.of('error')).toEqual([]);
    const { totalRequests, successfulRequests, failedRequests } = client.getStats();
    expect({ totalRequests, successfulRequests, failedRequests }).toEqual({
      totalRequests: ledgers.reduce((sum, { asked }) => sum + asked, 0),
      successfulRequests: ledgers.reduce((sum, { asked }) => sum + asked, 0),
      failedRequests: 0,
    });
  });
});

describe('a sole server', () => {
  test('row 8: killed and not restarted: checks wait to their deadline, then fail as unavailable and name the cause', async () => {
    const alpha = await bench.engine('alpha');
    const { client, events } = bench.client({ address: alpha.address });
    await client.connect();
    await client.check(question(1));
    await alpha.kill();
    await events.until('disconnected');

    const before = events.count('pool_connection_failed');
    const failures = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => client.check(question(index), { deadline: 600 })),
    );
    const dials = events.count('pool_connection_failed') - before;
    for (const failure of failures) {
      const reason: unknown = failure.status === 'rejected' ? failure.reason : failure.value;
      expect(reason).toBeInstanceOf(ConnectionError);
      expect(reason).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
      expect(String(reason)).toContain(alpha.address);
      expect(String(reason)).toContain('ECONNREFUSED');
    }
    // The backoff is 100 ms at most and 50 ms at least once it has grown.
    expect(dials).toBeGreaterThanOrEqual(1);
    expect(dials).toBeLessThanOrEqual(16);
  });

  test('row 1: killed and restarted before the deadline: the checks that waited are answered', async () => {
    const alpha = await bench.engine('alpha');
    alpha.prepare();
    const { client, events } = bench.client({ address: alpha.address });
    await client.connect();
    const load = new HandleLoad(client, 20);
    const callers = new Callers(client, 8);
    await Promise.all([callers.ledger.more(), load.ledger.more()]);
    await alpha.kill();
    await events.until('disconnected');
    const waiting = Array.from({ length: 20 }, (_, index) => client.check(question(index)));
    await alpha.restart();

    const responses = await Promise.all(waiting);
    expect(responses.map((response, index) => faultOf(index, response)).filter(Boolean)).toEqual([]);
    await Promise.all([callers.ledger.more(), load.ledger.more()]);
    for (const ledger of await Promise.all([callers.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    await eventually(() => client.getState() === 'open', 'the client to be open');
    expect(events.count('connected')).toBe(2);
  });
});

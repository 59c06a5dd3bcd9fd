/** Servers that freeze (SIGSTOP): the kernel goes on accepting for them, so only silence tells. */

import { describe, expect, test } from 'vitest';

import { GrpcCode, TimeoutError } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { question } from '../support/fault-engine.js';
import { Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

describe('a primary with a backup, under load', () => {
  test('row 2: frozen, then thawed: the unanswered are asked elsewhere, late answers are dropped, and traffic returns', async () => {
    const [alpha, beta] = await bench.engines('alpha', 'beta');
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    const { client, events } = bench.failoverClient([alpha, beta]);
    await client.connect();
    const callers = new Callers(client, 32);
    const load = new HandleLoad(client, 50);
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);

    alpha.freeze();
    await Promise.all([callers.ledger.answeredBy('beta'), load.ledger.answeredBy('beta')]);
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);
    expect(events.of('failover_started')).toEqual([
      { from: alpha.address, to: beta.address, reason: expect.stringContaining('overdue') as string },
    ]);

    alpha.thaw();
    await Promise.all([callers.ledger.answeredBy('alpha'), load.ledger.answeredBy('alpha')]);
    await Promise.all([callers.ledger.more(200), load.ledger.more(200)]);
    for (const ledger of await Promise.all([callers.stop(), load.stop()])) {
      expect(ledger.summary()).toContain(`${ledger.asked} asked, ${ledger.asked} right, 0 wrong [], 0 errors`);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(
      events.sequence(
        'failover_started',
        'failover_completed',
        'failback_scheduled',
        'failback_completed',
        'failover_failed',
      ),
    ).toEqual(['failover_started', 'failover_completed', 'failback_scheduled', 'failback_completed']);
    const { totalRequests, successfulRequests } = client.getStats();
    expect(successfulRequests).toBe(totalRequests);
  });
});

describe('a sole server', () => {
  test('row 2: frozen: checks end at their deadline and it is never ejected; thawed: it serves again and late answers are dropped', async () => {
    const alpha = await bench.engine('alpha');
    const { client, events } = bench.client({ address: alpha.address, timeout: 1_000 });
    await client.connect();
    const load = new HandleLoad(client, 10);
    await load.ledger.more();

    alpha.freeze();
    load.hold();
    const failures = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => client.check(question(index), { deadline: 2_000 })),
    );
    for (const failure of failures) {
      const reason: unknown = failure.status === 'rejected' ? failure.reason : failure.value;
      expect(reason).toBeInstanceOf(TimeoutError);
      expect(reason).toMatchObject({ grpcCode: GrpcCode.DEADLINE_EXCEEDED });
    }
    expect(client.getState()).toBe('open');
    expect(events.count('disconnected')).toBe(0);
    expect(events.count('failover_started')).toBe(0);
    // What the handle sent has expired as well, each with its id.
    await eventually(() => load.ledger.settled === load.ledger.asked, 'the errors of the handle');
    expect(load.ledger.errors.every((error) => error instanceof TimeoutError && error.requestId !== undefined)).toBe(
      true,
    );
    const { settled } = load.ledger;

    alpha.thaw();
    const again = new Callers(client, 8);
    await again.ledger.more(100);
    const { asked, right } = await again.stop();
    expect(right).toBe(asked);
    expect(load.ledger.settled).toBe(settled);
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    expect(load.ledger.wrong).toEqual([]);
    expect(events.count('disconnected')).toBe(0);
  });

  test('row 6: frozen before the first connect: the dial is given up, and connect names it', async () => {
    const alpha = await bench.engine('alpha');
    alpha.freeze();
    const { client } = bench.client({ address: alpha.address, connectTimeout: 200 });
    await expect(client.connect()).rejects.toThrow(alpha.address);
    expect(client.getState()).toBe('idle');
    alpha.thaw();
    await client.connect();
    expect(client.isConnected()).toBe(true);
  });
});

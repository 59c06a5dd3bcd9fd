/** Engines that are killed, frozen and terminated, as processes of their own, while 64 callers and a handle ask all through. */

import { describe, expect, test } from 'vitest';

import { Callers, StreamLoad, type Load } from './support/load.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
const CALLERS = 64;
const DEPTH = 32;

const everybody = async (loads: readonly Load[], wait: (load: Load) => Promise<void>): Promise<void> => {
  await Promise.all(loads.map(wait));
};
const more = (loads: readonly Load[]): Promise<void> => everybody(loads, ({ tally }) => tally.more());
const answeredBy = (loads: readonly Load[], name: string): Promise<void> =>
  everybody(loads, ({ tally }) => tally.answeredBy(name));
const stop = (loads: readonly Load[]): Promise<unknown[]> => Promise.all(loads.map((load) => load.stop()));

describe('a primary and a backup', () => {
  test('row 1: the one that serves is killed again and again, and started again: nothing is lost or settled twice', async () => {
    const [alpha, beta] = await yard.pair();
    const { client, events } = yard.failoverClient([alpha, beta]);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    for (let round = 1; round <= 3; round += 1) {
      await answeredBy(loads, 'alpha');
      await alpha.kill();
      await answeredBy(loads, 'beta');
      await alpha.restart();
      await events.until('failback_completed', round);
    }
    await answeredBy(loads, 'alpha');
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.sequence('failover_started', 'failover_completed', 'failback_completed', 'failover_failed')).toEqual(
      Array.from({ length: 3 }, () => ['failover_started', 'failover_completed', 'failback_completed']).flat(),
    );
    expect(events.of('error')).toEqual([]);
  });

  test('row 2: the primary is frozen and thawed again and again: nothing is lost, and late answers settle nothing twice', async () => {
    const [alpha, beta] = await yard.pair();
    const { client, events } = yard.failoverClient([alpha, beta]);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    for (let round = 1; round <= 3; round += 1) {
      await answeredBy(loads, 'alpha');
      alpha.signal('SIGSTOP');
      await answeredBy(loads, 'beta');
      alpha.signal('SIGCONT');
      await events.until('failback_completed', round);
    }
    await answeredBy(loads, 'alpha');
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.count('failover_completed')).toBe(3);
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  });

  test('row 13: the primary is terminated: it drains and exits by itself, and nobody sees an error', async () => {
    const [alpha, beta] = await yard.pair();
    const { client, events } = yard.failoverClient([alpha, beta]);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    await answeredBy(loads, 'alpha');
    expect(await alpha.terminate()).toEqual({ code: 0, signal: null });
    await answeredBy(loads, 'beta');
    await more(loads);
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.count('failover_completed')).toBe(1);
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  });

  test('row 47: both are killed while traffic is about to return, then started: errors are typed, and whoever is back answers', async () => {
    const [alpha, beta] = await yard.pair();
    const { client, events } = yard.failoverClient([alpha, beta], {
      timeout: 3_000,
      failover: { failbackDelay: 60_000 },
    });
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    await answeredBy(loads, 'alpha');
    await alpha.kill();
    await answeredBy(loads, 'beta');
    await alpha.restart();
    await events.until('failback_scheduled');

    await Promise.all([alpha.kill(), beta.kill()]);
    await events.until('disconnected');
    await Promise.all([alpha.restart(), beta.restart()]);
    await more(loads);
    await stop(loads);
    for (const { tally } of loads) tally.expectTyped('ConnectionError', 'TimeoutError');
    expect(events.count('failback_completed')).toBe(0);
    expect(['open', 'failedOver']).toContain(client.getState());
  });
});

describe('a pool of three', () => {
  test('row 1: one after the other is killed and started again: nothing is lost, and each is asked again', async () => {
    const engines = await yard.trio();
    const { client, events } = yard.pooledClient(engines);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    const [callers] = loads;
    for (const engine of engines) {
      await callers?.tally.answeredBy(engine.name);
      await engine.kill();
      await more(loads);
      await engine.restart();
      await callers?.tally.answeredBy(engine.name);
    }
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  });

  test('row 2: one after the other is frozen and thawed: the others answer what it owes, and it is asked again', async () => {
    const engines = await yard.trio();
    const { client, events } = yard.pooledClient(engines);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    const [callers] = loads;
    for (const engine of engines) {
      await callers?.tally.answeredBy(engine.name);
      engine.signal('SIGSTOP');
      await more(loads);
      engine.signal('SIGCONT');
      await callers?.tally.answeredBy(engine.name);
    }
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  });

  test('row 8: all are killed, and started again within the deadlines: what waited is answered', async () => {
    const engines = await yard.trio();
    const { client, events } = yard.pooledClient(engines);
    await client.connect();
    const loads = [new Callers(client, CALLERS), new StreamLoad(client, DEPTH)];
    await more(loads);
    await Promise.all(engines.map((engine) => engine.kill()));
    await events.until('disconnected');
    await Promise.all(engines.map((engine) => engine.restart()));
    await more(loads);
    await stop(loads);
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.count('connected')).toBe(2);
  });
});

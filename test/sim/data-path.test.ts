/** Servers whose health is well and whose checks are not. */

import { describe, expect, test } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { replyToAll, type SimulatedHandler } from '../../src/testing/index.js';
import { Effect } from '../../src/types.js';
import { ask, each, openPair, SEVERAL, TIMEOUT_MS } from './pair.js';

const swallow: SimulatedHandler = () => [];
const unavailable: SimulatedHandler = () => [
  { kind: 'status', code: GrpcCode.UNAVAILABLE, message: 'no server is available' },
];

describe('a primary whose health is well, with a backup', () => {
  test('row 44: it answers none of several checks: all are answered by the backup, within their deadlines', async () => {
    const { clock, client, moves } = await openPair(swallow);
    const checks = ask(client, ...SEVERAL);
    await clock.advanceAsync(TIMEOUT_MS);
    expect(await checks).toEqual(each('backup'));
    expect(moves).toEqual(['backup']);
  });

  test('row 44: it says UNAVAILABLE to everything: what is asked later is answered by the backup', async () => {
    const { clock, client, moves } = await openPair(unavailable);
    const first = ask(client, ...SEVERAL);
    await clock.advanceAsync(500);
    for (const outcome of await first) expect(outcome).toMatch(/^backup$|the server is unavailable/);
    expect(moves).toEqual(['backup']);
    const later = ask(client, ...SEVERAL);
    await clock.advanceAsync(100);
    expect(await later).toEqual(each('backup'));
  });

  test('row 44: one check alone goes unanswered: no evidence, traffic stays', async () => {
    const { clock, client, moves } = await openPair(swallow);
    const check = ask(client, 1);
    await clock.advanceAsync(TIMEOUT_MS);
    expect(await check).toEqual(['timeout']);
    expect(moves).toEqual([]);
  });

  test('row 44: some of its checks go unanswered and others are answered: traffic stays', async () => {
    const answers = replyToAll(Effect.DENY);
    const { clock, client, moves } = await openPair((request) =>
      Number(request.request.resource?.id) % 2 === 0 ? answers(request) : [],
    );
    const checks: Promise<string[]>[] = [];
    for (let index = 0; index < 40; index += 1) {
      checks.push(ask(client, index));
      await clock.advanceAsync(100);
    }
    expect(moves).toEqual([]);
    await clock.advanceAsync(TIMEOUT_MS);
    expect((await Promise.all(checks)).flat().filter((outcome) => outcome === 'primary')).toHaveLength(20);
  });

  test('row 44: its checks never work again: it is tried ever more seldom, and between that the backup answers', async () => {
    const { clock, client, moves } = await openPair(swallow);
    const asked: Promise<string[]>[] = [];
    const minutes = [0, 0, 0, 0, 0];
    for (const minute of minutes.keys()) {
      const before = moves.length;
      for (let turn = 0; turn < 600; turn += 1) {
        asked.push(ask(client, 0, 1, 2, 3));
        await clock.advanceAsync(100);
      }
      minutes[minute] = moves.length - before;
    }
    await clock.advanceAsync(TIMEOUT_MS);
    expect(new Set((await Promise.all(asked)).flat())).toEqual(new Set(['backup']));
    const [first = 0] = minutes;
    const last = minutes.at(-1) ?? 0;
    expect(last).toBeLessThan(first);
    // There and back, after five seconds at least of the longest backoff, one of health, and one of silence.
    expect(last).toBeLessThanOrEqual((2 * 60) / 7 + 1);
  });

  test('row 44: its checks work again: traffic returns and stays', async () => {
    const { clock, client, primary, moves } = await openPair(swallow);
    const checks = ask(client, ...SEVERAL);
    await clock.advanceAsync(TIMEOUT_MS);
    await checks;
    primary.handler = replyToAll(Effect.DENY);
    await clock.advanceAsync(10_000);
    const later = ask(client, ...SEVERAL);
    await clock.advanceAsync(60_000);
    expect(await later).toEqual(each('primary'));
    expect(moves).toEqual(['backup', 'primary']);
  });
});

test('row 44: a sole server, health well, answers no check: it is never ejected, and answers when it can again', async () => {
  const { clock, client, primary } = await openPair(swallow, { failover: { enabled: false } });
  const checks = ask(client, ...SEVERAL);
  await clock.advanceAsync(TIMEOUT_MS);
  expect(await checks).toEqual(each('timeout'));
  expect(client.getState()).toBe('open');
  primary.handler = replyToAll(Effect.DENY);
  const later = ask(client, 1);
  await clock.advanceAsync(100);
  expect(await later).toEqual(['primary']);
});

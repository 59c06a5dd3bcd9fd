/** Our own event loop stands still: what seemed silent meanwhile may have spoken, and what is late is late. */

import { describe, expect, test } from 'vitest';

import { GrpcCode, TimeoutError } from '../../src/errors.js';
import { replyToAll, type SimulatedHandler } from '../../src/testing/index.js';
import { Effect } from '../../src/types.js';
import { ask, each, openPair, type Pair, PRIMARY, question, SEVERAL } from './pair.js';

const slowly =
  (afterMs: number): SimulatedHandler =>
  (request) =>
    replyToAll(Effect.DENY)(request).map((reply) => ({ ...reply, afterMs }));
const SERVICE_MS = 20;
const inTime = slowly(SERVICE_MS);
/** An answer has left the server, and is not here: it is due before any timer of a deadline. */
const ON_ITS_WAY_MS = 1 + SERVICE_MS;

/** Health checks that were sent to the primary. */
const probesIn = ({ events }: Pair): number =>
  events.filter(
    ({ kind, address, detail }) => kind === 'write' && address === PRIMARY && detail.endsWith('Health/Check'),
  ).length;

/** Goes on until it holds, a millisecond at a time. */
async function until({ clock }: Pair, condition: () => boolean): Promise<void> {
  for (let ms = 0; !condition(); ms += 1) {
    if (ms > 60_000) throw new Error('waited a minute in vain');
    await clock.advanceAsync(1);
  }
}

describe('an answer that came in time, to a client that stood still until its deadline', () => {
  const DEADLINE_MS = 200;

  test.each([
    ['check()', {}],
    ['check() as a call of its own', { metadata: { 'x-alone': 'yes' } }],
  ])('row 42: %s: DEADLINE_EXCEEDED; one with a longer deadline is answered', async (_way, options) => {
    const { client, clock } = await openPair(inTime);
    const late = client.check(question(1), { ...options, deadline: DEADLINE_MS });
    const other = client.check(question(2), options);
    const outcome = expect(late).rejects.toMatchObject({
      name: 'TimeoutError',
      grpcCode: GrpcCode.DEADLINE_EXCEEDED,
      outcome: 'unknown',
    });
    await clock.advanceAsync(ON_ITS_WAY_MS);
    clock.stall(DEADLINE_MS);
    await clock.advanceAsync(10);
    await outcome;
    expect((await other).results.get('read')?.effect).toBe(Effect.DENY);
  });

  test('row 42: send() of a handle: onError with DEADLINE_EXCEEDED, in its turn', async () => {
    const { client, clock } = await openPair(inTime, { timeout: DEADLINE_MS });
    const told: string[] = [];
    const handle = client.createBidirectionalStream({
      onResponse: ({ requestId }) => told.push(requestId),
      onError: (error) => told.push(error instanceof TimeoutError ? `late ${error.requestId ?? ''}` : String(error)),
      onEnd: () => undefined,
    });
    handle.send({ ...question(1), requestId: 'one' });
    await clock.advanceAsync(DEADLINE_MS / 2);
    handle.send({ ...question(2), requestId: 'two' });
    await clock.advanceAsync(ON_ITS_WAY_MS);
    clock.stall(DEADLINE_MS);
    await clock.advanceAsync(50);
    handle.send({ ...question(3), requestId: 'three' });
    await clock.advanceAsync(50);
    expect(told).toEqual(['one', 'late two', 'three']);
  });
});

describe('a client with a backup, whose loop stands still again and again', () => {
  /** Longer than a probe may take, and than an answer usually does. */
  const STALL_MS = 600;

  test('row 42: a slow primary + each probe is under way when it does: not one is held against it, and no traffic moves', async () => {
    const pair = await openPair(slowly(9_000), { timeout: 40_000 });
    const checks = ask(pair.client, ...SEVERAL);
    for (let stall = 0; stall < 10; stall += 1) {
      const before = probesIn(pair);
      await until(pair, () => probesIn(pair) > before);
      pair.clock.stall(STALL_MS);
    }
    await pair.clock.advanceAsync(10_000);
    expect(await checks).toEqual(each('primary'));
    expect(pair.moves).toEqual([]);
    expect(pair.events.filter(({ kind }) => kind === 'down')).toEqual([]);
  });

  test('row 42: a keepalive ping is under way when it does, past its timeout: the connection is kept', async () => {
    const pair = await openPair(slowly(5_000), {
      timeout: 20_000,
      healthCheck: { enabled: false },
      keepAliveInterval: 1_000,
      keepAliveTimeout: STALL_MS / 2,
      failover: { enabled: false },
    });
    // Otherwise its probes would be a sign of life.
    pair.primary.answersHealth = false;
    const checks = ask(pair.client, ...SEVERAL);
    const pings = (): number => pair.events.filter(({ kind }) => kind === 'ping').length;
    for (let stall = 0; stall < 3; stall += 1) {
      const before = pings();
      await until(pair, () => pings() > before);
      pair.clock.stall(STALL_MS);
    }
    await pair.clock.advanceAsync(10_000);
    expect(await checks).toEqual(each('primary'));
    expect(pair.events.filter(({ kind }) => kind === 'down')).toEqual([]);
  });

  test('row 42: a primary that is frozen + a stall longer than any silence is borne: probed anew, and only then left for the backup', async () => {
    const pair = await openPair(inTime, { timeout: 8_000 });
    pair.primary.freeze();
    const checks = ask(pair.client, ...SEVERAL);
    await pair.clock.advanceAsync(5);
    const before = probesIn(pair);
    pair.clock.stall(5_000);
    await pair.clock.advanceAsync(200);
    expect(pair.moves).toEqual([]);
    await until(pair, () => pair.moves.length > 0);
    // As many as are needed to eject, all of them since.
    expect(probesIn(pair) - before).toBeGreaterThanOrEqual(3);
    await pair.clock.advanceAsync(100);
    expect(await checks).toEqual(each('backup'));
    expect(pair.moves).toEqual(['backup']);
  });
});

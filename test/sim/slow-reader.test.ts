/** An application that takes no answers: it is not the server that is silent. */

import { expect, test } from 'vitest';

import { replyToAll } from '../../src/testing/index.js';
import { Effect } from '../../src/types.js';
import { ask, openPair, question, TIMEOUT_MS } from './pair.js';

test('row 11: a handle that is not read, more answers there than it holds, and a backup: nothing is held against the server, and its other checks are answered', async () => {
  const { client, clock, moves, events } = await openPair(replyToAll(Effect.DENY), { keepAliveInterval: 500 });
  const told: string[] = [];
  const handle = client.createBidirectionalStream(
    {
      onResponse: ({ requestId }) => told.push(requestId),
      onError: ({ name }) => told.push(name),
      onEnd: () => undefined,
    },
    { lowWaterMark: 1, highWaterMark: 2, maxBufferSize: 4 },
  );
  handle.pause();
  for (let index = 0; index < 12; index += 1) {
    expect(handle.send({ ...question(index), requestId: `r${index}` })).toBe(true);
    await clock.advanceAsync(10);
  }
  // As long as answers that are owed may be, and longer.
  await clock.advanceAsync(2 * TIMEOUT_MS);
  expect([told, moves]).toEqual([[], []]);
  expect(events.filter(({ kind }) => kind === 'down')).toEqual([]);
  const checks = ask(client, 1, 2, 3);
  await clock.advanceAsync(100);
  expect(await checks).toEqual(['primary', 'primary', 'primary']);

  handle.resume();
  await clock.advanceAsync(100);
  handle.send({ ...question(12), requestId: 'last' });
  await clock.advanceAsync(100);
  // What it held, what expired unread, and what came after.
  expect(told).toEqual(['r0', 'r1', 'r2', 'r3', ...Array.from({ length: 8 }, () => 'TimeoutError'), 'last']);
});

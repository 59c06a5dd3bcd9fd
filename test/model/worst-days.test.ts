/** Days that the model found, on which checks failed though a server was well all the time. */

import { expect, test } from 'vitest';
import type { PooledClientOptions } from '../../src/index.js';
import type { FailoverCommand } from '../../src/testing/index.js';
import { createPair, PRIMARY } from './support/pair.js';

const server = PRIMARY;
const DEFAULT_RECONNECT = { initialDelay: 1_000, maxDelay: 30_000 };

interface Day {
  readonly day: string;
  readonly options?: PooledClientOptions;
  readonly checkEveryMs?: number;
  readonly commands: readonly FailoverCommand[];
}

const days: readonly Day[] = [
  {
    day: 'the primary asks its clients to go, keeps an answer back, and hangs before they have come back',
    options: { connectTimeout: 2_000, reconnect: DEFAULT_RECONNECT },
    commands: [
      { do: 'batch', count: 2 },
      { do: 'drain', server },
      { do: 'freeze', server },
      { do: 'wait', ms: 9_000 },
    ],
  },
  {
    day: 'the primary says NOT_SERVING, which moves traffic, and hangs with answers that it still owes',
    commands: [
      { do: 'slow', server, ms: 1_000 },
      { do: 'check', count: 5 },
      { do: 'wait', ms: 100 },
      { do: 'notServing', server },
      { do: 'wait', ms: 100 },
      { do: 'blackhole', server },
      { do: 'wait', ms: 6_000 },
    ],
  },
  {
    day: 'the primary hangs before its first answer, which teaches the client that answers take long, and hangs again',
    options: { timeout: 2_500 },
    commands: [
      { do: 'freeze', server },
      { do: 'wait', ms: 900 },
      { do: 'thaw', server },
      { do: 'wait', ms: 500 },
      { do: 'freeze', server },
      { do: 'wait', ms: 4_000 },
    ],
  },
  {
    day: 'the primary hangs, and nothing is asked of it but batches',
    checkEveryMs: 0,
    commands: [
      { do: 'freeze', server },
      { do: 'batch', count: 2 },
      { do: 'wait', ms: 6_000 },
      { do: 'batch', count: 2 },
      { do: 'wait', ms: 6_000 },
    ],
  },
];

test.each(days)('$day: no check fails', async ({ options = {}, checkEveryMs = 100, commands }) => {
  const model = createPair(options, { checkEveryMs, expectations: { maxFailedPercent: 0 } });
  for (const seed of [1, 2, 3]) await model.replay({ seed, commands });
  expect(model.totals).toMatchObject({ runs: 3, failed: 0, failovers: 3, failbacks: 3 });
  expect(model.totals.covered).toBe(model.totals.checks);
});

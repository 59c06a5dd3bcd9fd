/** Configurations that do not survive their worst day: the model says so, and says why. Beside each, the one that does. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PooledClientOptions } from '../../src/index.js';
import type { FailoverCommand, FailoverModelOptions, FailoverObservation } from '../../src/testing/index.js';
import { BACKUP, createPair, findFailure, PRIMARY, SENSIBLE, violationOf } from './support/pair.js';

const RUNS = 16;
const SEED = 1;

interface Case {
  readonly mistake: string;
  readonly wrong: PooledClientOptions;
  readonly right: PooledClientOptions;
  readonly model: Partial<FailoverModelOptions>;
  readonly violation: RegExp;
}

const noneFails = ({ checks }: FailoverObservation): void => {
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) throw new Error(`check ${failed.number} failed: ${failed.error?.message}`);
};

const cases: readonly Case[] = [
  {
    mistake: 'no backup, since `enabled` was forgotten, and the primary is killed',
    wrong: { timeout: 1_000, connectTimeout: 200, failover: { fallbackAddresses: [BACKUP] } },
    right: { timeout: 1_000, connectTimeout: 200 },
    model: { faults: ['kill'], faultyServers: [PRIMARY], invariant: noneFails },
    violation: /^invariant: check \d+ failed: (no answer|no endpoint was served) within 1000 ms/,
  },
  {
    mistake: 'a timeout shorter than a frozen server takes to be noticed',
    wrong: { timeout: 200 },
    right: {},
    model: { faults: ['freeze'], faultyServers: [PRIMARY], expectations: { maxFailedPercent: 0 } },
    violation:
      /^maxFailedPercent: \d+ of \d+ checks failed though a server was well all the time.*\(no answer within 200 ms\)$/,
  },
  {
    mistake: 'failing back at once, to a primary whose health flaps',
    wrong: { failover: { ...SENSIBLE.failover, failbackDelay: 0 } },
    right: { failover: { ...SENSIBLE.failover, failbackDelay: 20_000 } },
    model: { faults: ['notServing'], faultyServers: [PRIMARY], expectations: { maxMovesPerMinute: 5 } },
    violation:
      /^maxMovesPerMinute: traffic moved 6 times within a minute, expected are at most 5 \(to level 0 at 0\.\d{3} s, 1 at /,
  },
  {
    mistake: 'a suspect that is given many chances',
    wrong: { failover: { ...SENSIBLE.failover, failoverThreshold: 20 } },
    right: {},
    model: { faults: ['freeze'], faultyServers: [PRIMARY], expectations: { maxFailoverMs: 2_000 } },
    violation:
      /^maxFailoverMs: level 0 still carries traffic, and engine-a:50051 is frozen; for 20\d\d ms checks have waited though engine-b:50051 is well, expected are at most 2000 ms$/,
  },
  {
    mistake: 'checks that may wait for longer than their callers do',
    wrong: { timeout: 30_000 },
    right: { timeout: 2_500 },
    model: { faults: ['kill', 'blackhole'], expectations: { maxWaitMs: 2_500 } },
    violation: /^maxWaitMs: check \d+ has waited 25\d\d ms, expected are at most 2500 ms$/,
  },
];

describe.each(cases)('$mistake', ({ wrong, right, model, violation }) => {
  test('is found, and told', async () => {
    const { error } = await findFailure(createPair(wrong, { ...model, checkEveryMs: 250 }));
    expect(error.violation).toMatch(violation);
  });

  test('done right: holds, and was put to the test', async () => {
    const mended = createPair(right, { ...model, checkEveryMs: 250 });
    await fc.assert(mended.property(), { numRuns: RUNS, seed: SEED });
    expect(mended.totals.failovers).toBeGreaterThan(3);
  });
});

describe('checks that fail', () => {
  const swallowed: readonly FailoverCommand[] = [
    { do: 'swallow', server: PRIMARY },
    { do: 'check', count: 1 },
    { do: 'wait', ms: 5_100 },
    { do: 'heal', server: PRIMARY },
    { do: 'check', count: 40 },
  ];
  const run = (maxFailedPercent: number, commands = swallowed) =>
    createPair({}, { checkEveryMs: 0, expectations: { maxFailedPercent } }).replay({ seed: 1, commands });

  test('one, of at least a hundred: is 1 % and no more', async () => {
    const { checks } = await run(1);
    expect(checks.filter(({ outcome, isCovered }) => outcome === 'failed' && isCovered)).toHaveLength(1);
    expect((await violationOf(run(0.5))).violation).toMatch(/^maxFailedPercent: 1 of \d+ checks failed/);
  });

  test('with no server left: are excused', async () => {
    const { checks } = await run(0, [
      { do: 'kill', server: BACKUP },
      { do: 'kill', server: PRIMARY },
      { do: 'check', count: 3 },
      { do: 'wait', ms: 6_000 },
    ]);
    const failed = checks.filter(({ outcome }) => outcome === 'failed');
    expect(failed.map(({ isCovered }) => isCovered)).toEqual([false, false, false]);
  });

  test('with a server that came back just before: are excused until the client may have found it', async () => {
    const { checks } = await run(0, [
      { do: 'kill', server: BACKUP },
      { do: 'wait', ms: 3_000 },
      { do: 'restart', server: BACKUP },
      { do: 'check', count: 1 },
      { do: 'wait', ms: 1_000 },
      { do: 'kill', server: PRIMARY },
      { do: 'check', count: 1 },
      { do: 'wait', ms: 20_000 },
      { do: 'check', count: 1 },
    ]);
    expect(checks.slice(0, 3).map(({ isCovered }) => isCovered)).toEqual([true, false, true]);
  });

  test('while the event loop stalls: are excused', async () => {
    const { checks } = await run(0, [
      { do: 'check', count: 1 },
      { do: 'stall', ms: 6_000 },
      { do: 'check', count: 1 },
    ]);
    expect(checks.slice(0, 2).map(({ outcome, isCovered }) => [outcome, isCovered])).toEqual([
      ['failed', false],
      [expect.stringMatching(/allowed|denied/), true],
    ]);
  });
});

describe('an expectation of your own', () => {
  const commands: readonly FailoverCommand[] = [
    { do: 'check', count: 2 },
    { do: 'kill', server: PRIMARY },
    { do: 'wait', ms: 500 },
    { do: 'restart', server: PRIMARY },
  ];
  const replay = (invariant: (observation: FailoverObservation) => void) =>
    createPair({}, { invariant }).replay({ seed: 1, commands });

  test('sees time, servers, checks, moves, and what happened last', async () => {
    const seen: string[] = [];
    const note = (text: string): void => {
      if (seen.at(-1) !== text) seen.push(text);
    };
    let lastMs = 0;
    await replay(({ nowMs, state, level, servers, checks, moves, command, isHealed, client }) => {
      expect(nowMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = nowMs;
      expect(client.getState()).toBe(state);
      const ill = servers.filter(({ wellSinceMs }) => wellSinceMs === undefined);
      const faults = ill.map(({ address, faults: what, isLost }) => `${address} ${what.join()} ${isLost}`).join();
      const done = isHealed ? 'healed' : (command?.do ?? 'nothing');
      note(`${done}, level ${level}, ${moves.length} moves, ${faults === '' ? 'all well' : faults}`);
      expect(checks.length).toBeGreaterThanOrEqual(command === undefined || isHealed ? 0 : 2);
    });
    expect(seen).toEqual([
      'nothing, level -1, 0 moves, all well',
      'nothing, level 0, 1 moves, all well',
      'check, level 0, 1 moves, all well',
      'kill, level 0, 1 moves, engine-a:50051 killed true',
      'wait, level 0, 1 moves, engine-a:50051 killed true',
      'wait, level 1, 2 moves, engine-a:50051 killed true',
      'restart, level 1, 2 moves, all well',
      'healed, level 1, 2 moves, all well',
      'healed, level 0, 3 moves, all well',
    ]);
  });

  test('that throws: ends the run, and is its cause', async () => {
    const broken = new RangeError('too many moves');
    const error = await violationOf(
      replay(({ moves }) => {
        if (moves.length > 1) throw broken;
      }),
    );
    expect(error.violation).toBe('invariant: too many moves');
    expect(error.cause).toBe(broken);
    expect(error.getRun().transcript.at(-1)).toContain('✗ invariant: too many moves');
  });

  test('that is async: is refused, for nobody would wait for it', async () => {
    const invariant = (() => Promise.resolve()) as () => void;
    expect((await violationOf(replay(invariant))).violation).toBe('invariant: must not be async');
  });
});

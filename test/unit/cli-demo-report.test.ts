import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { failureOf, judge, ms, printReport, toJson } from '../../src/cli/demo/report.js';
import type { ScenarioResult } from '../../src/cli/demo/scenario.js';
import { Timeline } from '../../src/cli/demo/timeline.js';
import { Pace } from '../../src/cli/demo/workload.js';
import { createTerminal } from '../../src/cli/terminal.js';

const GOOD: ScenarioResult = {
  engines: { primary: '127.0.0.1:1', backup: '127.0.0.1:2' },
  checks: 1_000,
  streams: 2,
  tally: {
    sent: 1_000,
    answered: 1_000,
    lost: 0,
    answeredTwice: 0,
    unknown: 0,
    errors: 0,
    wrong: 0,
    decisions: { allowed: 600, denied: 900 },
    uniqueQuestions: 10,
    samples: [],
  },
  timeline: [
    { event: 'primary_killed', atMs: 1_000, sinceKillMs: 0, detail: 'SIGKILL' },
    { event: 'failover_completed', atMs: 1_004.2, sinceKillMs: 4.2, detail: 'the backup' },
    { event: 'failback_completed', atMs: 4_000, sinceKillMs: 3_000, detail: 'the primary' },
  ],
  latencyMs: { p50: 1, p90: 2, p99: 3, max: 4.00049 },
  longestPauseMs: 5,
  durationMs: 6_000,
  checksPerSecond: 7_000,
  flatOutChecksPerSecond: 8_000,
  inFlightAtKill: 9,
  answeredWhileFailedOver: 10,
  streamsEnded: 2,
};

const { tally } = GOOD;
const without = (event: string): ScenarioResult['timeline'] => GOOD.timeline.filter((entry) => entry.event !== event);

describe('a run in which everything held', () => {
  it('judged: every claim holds', () => {
    const report = judge(GOOD);
    expect(report.ok).toBe(true);
    expect(report.claims.every(({ ok }) => ok)).toBe(true);
  });

  it('as JSON: one line that can be read back, with numbers of three decimals', () => {
    const json = toJson(judge(GOOD));
    expect(json).not.toContain('\n');
    expect(JSON.parse(json)).toMatchObject({ ok: true, latencyMs: { max: 4 }, tally: { sent: 1_000 } });
  });

  it('printed where there is no terminal: plain text with the failover in milliseconds', () => {
    const out = new PassThrough({ encoding: 'utf8' });
    printReport(createTerminal(out as unknown as NodeJS.WriteStream, {}), judge(GOOD));
    const text = String(out.read());
    expect(text).toMatch(/1,004 ms +kill \+4\.2 ms {2}failover completed {2}the backup/);
    expect(text).toContain('1,000 sent = 1,000 answered, 0 lost');
    expect(text).not.toContain('\u001b');
  });
});

describe('a run in which something did not hold', () => {
  it.each<[string, ScenarioResult, string]>([
    ['a check lost', { ...GOOD, tally: { ...tally, answered: 999, lost: 1 } }, 'every check answered'],
    ['a check that ended in an error', { ...GOOD, tally: { ...tally, errors: 1 } }, 'every check answered'],
    [
      'fewer checks sent than asked for',
      { ...GOOD, tally: { ...tally, sent: 999, answered: 999 } },
      'every check answered',
    ],
    ['a check answered twice', { ...GOOD, tally: { ...tally, answeredTwice: 1 } }, 'none answered twice'],
    ['an answer nobody asked for', { ...GOOD, tally: { ...tally, unknown: 1 } }, 'none answered twice'],
    ['a stream that did not end, so that answers may yet come', { ...GOOD, streamsEnded: 1 }, 'none answered twice'],
    ['a wrong decision', { ...GOOD, tally: { ...tally, wrong: 1 } }, 'every decision is right'],
    [
      'nothing but denials, which any broken engine gives',
      { ...GOOD, tally: { ...tally, decisions: { allowed: 0, denied: 9 } } },
      'every decision is right',
    ],
    ['a kill with nothing in flight', { ...GOOD, inFlightAtKill: 0 }, 'killed in full flight'],
    ['no failover', { ...GOOD, timeline: without('failover_completed') }, 'failed over to the backup'],
    [
      'a failover that was before the kill',
      { ...GOOD, timeline: [{ event: 'failover_completed', atMs: 1, detail: '' }, ...without('failover_completed')] },
      'failed over to the backup',
    ],
    ['no failback', { ...GOOD, timeline: without('failback_completed') }, 'failed back to the primary'],
  ])('%s: that claim fails, no other, and the failure names it', (_name, result, name) => {
    const report = judge(result);
    expect(report.ok).toBe(false);
    expect(report.claims.filter(({ ok }) => !ok).map((claim) => claim.name)).toEqual([name]);
    expect(failureOf(report)).toContain(`"${name}: `);
  });

  it('with a sample of what went wrong: the failure quotes it', () => {
    const report = judge({ ...GOOD, tally: { ...tally, errors: 1, samples: ['TimeoutError: no answer'] } });
    expect(failureOf(report)).toContain('TimeoutError: no answer');
  });
});

it.each([
  [0.123, '0.12 ms'],
  [4.26, '4.3 ms'],
  [42.4, '42 ms'],
  [4_200, '4,200 ms'],
])('%d milliseconds: %s', (value, text) => {
  expect(ms(value)).toBe(text);
});

describe('the pace', () => {
  it('flat out: every check may go', () => {
    const pace = new Pace();
    for (let count = 0; count < 1_000; count++) expect(pace.take(1, 0)).toBe(true);
  });

  it('spread over ten times its time: checks flow in every second, and some are left', () => {
    const pace = new Pace();
    let remaining = 50_000;
    pace.spread(0);
    for (let second = 0; second < 40; second++) {
      const before = remaining;
      for (let now = second * 1_000; now < (second + 1) * 1_000; now += 10)
        while (pace.take(remaining, now)) remaining--;
      if (second > 0) expect(before - remaining).toBeGreaterThan(0);
    }
    expect(remaining).toBeGreaterThan(0);
  });

  it('spread, then a stall of an hour: no burst', () => {
    const pace = new Pace();
    pace.spread(0);
    let taken = 0;
    while (pace.take(10_000 - taken, 3_600_000)) taken++;
    expect(taken).toBeLessThanOrEqual(250);
  });

  it('spread, then flat out: every check may go', () => {
    const pace = new Pace();
    pace.spread(0);
    expect(pace.take(100, 0)).toBe(false);
    pace.flatOut();
    expect(pace.take(100, 0)).toBe(true);
  });
});

describe('the timeline', () => {
  it('waited for what happens: true; for what has happened: true; for what does not: false', async () => {
    const timeline = new Timeline();
    const { signal } = new AbortController();
    const coming = timeline.happened('connected', 10_000, signal);
    timeline.add('connected', '');
    expect(await coming).toBe(true);
    expect(await timeline.happened('connected', 0, signal)).toBe(true);
    expect(await timeline.happened('failover_failed', 1, signal)).toBe(false);
  });

  it('waited for while the signal aborts: false at once', async () => {
    const timeline = new Timeline();
    const interruption = new AbortController();
    const coming = timeline.happened('connected', 2 ** 31 - 1, interruption.signal);
    interruption.abort();
    expect(await coming).toBe(false);
    expect(await timeline.happened('connected', 2 ** 31 - 1, interruption.signal)).toBe(false);
  });

  it('entries before and after the kill: only the later ones count from it', () => {
    const timeline = new Timeline();
    timeline.add('connected', '');
    timeline.add('primary_killed', '');
    timeline.add('failover_started', '');
    expect(timeline.entries.map(({ sinceKillMs }) => sinceKillMs !== undefined)).toEqual([false, true, true]);
    expect(timeline.first('primary_killed')?.sinceKillMs).toBe(0);
  });
});

/** What the demo claims, whether it holds, and how that looks. */

import { formatTable, type Terminal } from '../terminal.js';
import type { Latencies } from './latency-book.js';
import type { ScenarioResult } from './scenario.js';
import type { Moment, TimelineEntry } from './timeline.js';

export interface Claim {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface DemoReport extends ScenarioResult {
  /** Every claim holds. */
  readonly ok: boolean;
  readonly claims: readonly Claim[];
}

/** Holds the run against what the demo promises. */
export function judge(result: ScenarioResult): DemoReport {
  const { tally, checks, streams, inFlightAtKill, streamsEnded, timeline } = result;
  const { allowed, denied } = tally.decisions;
  const failover = timeline.find((entry) => entry.event === 'failover_completed');
  const failback = timeline.find((entry) => entry.event === 'failback_completed');
  const [sample] = tally.samples;
  const claims: Claim[] = [
    {
      name: 'every check answered',
      ok: tally.sent === checks && tally.answered === checks && tally.lost === 0 && tally.errors === 0,
      detail: `${count(tally.sent)} sent = ${count(tally.answered)} answered, ${count(tally.lost)} lost`,
    },
    {
      name: 'none answered twice',
      ok: tally.answeredTwice === 0 && tally.unknown === 0 && streamsEnded === streams,
      detail: `${count(tally.answeredTwice)} answered twice, ${count(tally.unknown)} never asked for`,
    },
    {
      name: 'every decision is right',
      // Only one kind of decision would be right by chance.
      ok: tally.wrong === 0 && allowed > 0 && denied > 0,
      detail: `${count(tally.wrong)} wrong of ${count(allowed + denied)}: ${count(allowed)} allow, ${count(denied)} deny, as the policies say`,
    },
    {
      name: 'killed in full flight',
      ok: inFlightAtKill > 0,
      detail: `${count(inFlightAtKill)} checks unanswered at that moment`,
    },
    {
      name: 'failed over to the backup',
      ok: failover?.sinceKillMs !== undefined,
      detail:
        failover?.sinceKillMs === undefined
          ? 'did not happen'
          : `${ms(failover.sinceKillMs)} after the kill; ${count(result.answeredWhileFailedOver)} answered meanwhile`,
    },
    {
      name: 'failed back to the primary',
      ok: failback !== undefined,
      detail: failback === undefined ? 'did not happen' : `${ms(failback.sinceKillMs ?? 0)} after the kill`,
    },
  ];
  const told = claims.map((claim) =>
    claim.ok || sample === undefined ? claim : { ...claim, detail: `${claim.detail} (${sample})` },
  );
  return { ok: claims.every((claim) => claim.ok), claims: told, ...result };
}

/** One line naming what does not hold. */
export function failureOf(report: { readonly claims: readonly Claim[] }, command = 'authz demo'): string {
  const failed = report.claims.filter((claim) => !claim.ok).map((claim) => `${claim.name}: ${claim.detail}`);
  return `the demo failed its claim "${failed.join('"; "')}"; please report it with the output of ${command} --json`;
}

/** With numbers rounded to what was measured: a microsecond. */
export function toJson(report: object): string {
  return JSON.stringify(report, (_key, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value,
  );
}

const TITLES: Readonly<Record<Moment, string>> = {
  engines_started: 'engines started',
  connected: 'connected',
  primary_killed: 'primary killed',
  failover_started: 'failover started',
  failover_completed: 'failover completed',
  failover_failed: 'failover failed',
  primary_restarted: 'primary restarted',
  failback_scheduled: 'failback scheduled',
  failback_completed: 'failed back',
  all_sent: 'last check sent',
  all_settled: 'last answer in',
};

const COLORS: Readonly<Partial<Record<Moment, 'red' | 'yellow' | 'green'>>> = {
  primary_killed: 'red',
  failover_failed: 'red',
  failover_started: 'yellow',
  failover_completed: 'green',
  failback_scheduled: 'yellow',
  failback_completed: 'green',
};

export function printReport(terminal: Terminal, report: DemoReport): void {
  printTimeline(terminal, report.timeline);
  const { latencyMs } = report;
  heading(terminal, 'Speed');
  const speed = [
    ['flat out', `${count(report.flatOutChecksPerSecond)} checks/s`, 'the first half, up to the kill'],
    ['overall', `${count(report.checksPerSecond)} checks/s`, 'the second half is spread over the outage'],
    ['latency', percentiles(latencyMs)],
    ['longest pause', ms(report.longestPauseMs), 'without an answer, the failover included'],
  ];
  for (const line of formatTable(speed, (cell, _row, column) => (column === 2 ? terminal.paint('dim', cell) : cell)))
    terminal.line(`  ${line}`);
  printClaims(terminal, report.claims);
}

export function printClaims(terminal: Terminal, claims: readonly Claim[]): void {
  heading(terminal, 'Claims');
  const rows = claims.map(({ name, ok, detail }) => [ok ? '✓' : '✗', name, detail]);
  const lines = formatTable(rows, (cell, row, column) => {
    const color = claims[row]?.ok === true ? 'green' : 'red';
    if (column === 0) return terminal.paint(color, cell);
    return column === 2 ? terminal.paint('dim', cell) : cell;
  });
  for (const line of lines) terminal.line(`  ${line}`);
  terminal.line();
}

function printTimeline(terminal: Terminal, timeline: readonly TimelineEntry[]): void {
  heading(terminal, 'Timeline');
  const rows = timeline.map(({ event, atMs, sinceKillMs, detail }) => [
    ms(atMs).padStart(9),
    (sinceKillMs === undefined ? '' : `kill +${ms(sinceKillMs)}`).padStart(14),
    TITLES[event],
    detail,
  ]);
  const lines = formatTable(rows, (cell, row, column) => {
    const color = COLORS[timeline[row]?.event ?? 'connected'];
    if (column === 2) return color === undefined ? cell : terminal.paint(color, cell);
    return terminal.paint('dim', cell);
  });
  for (const line of lines) terminal.line(line);
}

export function percentiles({ p50, p90, p99, max }: Latencies): string {
  return `p50 ${ms(p50)}  p90 ${ms(p90)}  p99 ${ms(p99)}  max ${ms(max)}`;
}

export function heading(terminal: Terminal, text: string): void {
  terminal.line();
  terminal.line(terminal.paint('bold', text));
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three digits are enough: `0.42 ms`, `4.2 ms`, `42 ms`, `4,200 ms`. */
export function ms(value: number): string {
  const digits = value < 1 ? 2 : value < 10 ? 1 : 0;
  return `${value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

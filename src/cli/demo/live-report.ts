/** What the demo that goes on tells while it does, and what it claims at its end. */

import { formatTable, type Style, type Terminal, timeOfDay } from '../terminal.js';
import { CHECKS_PER_SECOND, type LiveMoment, type LiveObserver, type LiveResult } from './live.js';
import { type Claim, count, heading, percentiles, printClaims, toJson } from './report.js';

export interface LiveReport extends LiveResult {
  readonly event: 'ended';
  /** Every claim holds. */
  readonly ok: boolean;
  readonly claims: readonly Claim[];
}

/** What `demo --inspect --json` prints once the page is there. */
export interface LiveReady {
  readonly event: 'listening';
  readonly url: string;
  readonly engines: { readonly primary: string; readonly backup: string };
  readonly pid: number;
}

/** Holds the run against what the demo promises, whatever was done to its engines. */
export function judgeLive(result: LiveResult): LiveReport {
  const { asked, answered, failed, lost, settledTwice, unknown, wrong, samples } = result.tally;
  const claims: Claim[] = [
    {
      name: 'every check settled',
      ok: lost === 0,
      detail: `${count(asked)} asked = ${count(answered)} answered + ${count(failed)} failed with an error, ${count(lost)} lost`,
    },
    {
      name: 'none settled twice',
      ok: settledTwice === 0 && unknown === 0,
      detail: `${count(settledTwice)} settled twice, ${count(unknown)} never asked for`,
    },
    {
      name: 'every decision is right',
      ok: wrong === 0,
      detail: `${count(wrong)} wrong of ${count(answered)} answers, held against the policies`,
    },
  ];
  const [sample] = samples;
  const told = claims.map((claim) =>
    claim.ok || sample === undefined ? claim : { ...claim, detail: `${claim.detail} (${sample})` },
  );
  return { event: 'ended', ok: claims.every(({ ok }) => ok), claims: told, ...result };
}

export function printLiveReport(terminal: Terminal, report: LiveReport): void {
  const { durationMs, tally, failovers, failbacks, latencyMs } = report;
  heading(terminal, 'Tally');
  const rows = [
    [
      'asked',
      count(tally.asked),
      `in ${(durationMs / 1_000).toFixed(1)} s, over check() and ${report.streams} streams`,
    ],
    ['answered', count(tally.answered), tally.answered === 0 ? '' : percentiles(latencyMs)],
    // Its last sample is the last failure.
    ['failed', count(tally.failed), tally.failed === 0 ? '' : `the last: ${tally.samples.at(-1) ?? ''}`],
    ['failovers', count(failovers), `and ${count(failbacks)} back`],
  ];
  for (const line of formatTable(rows, (cell, _row, column) => (column === 2 ? terminal.paint('dim', cell) : cell))) {
    terminal.line(`  ${line}`);
  }
  printClaims(terminal, report.claims);
}

const TITLES: Readonly<Record<LiveMoment, readonly [title: string, style?: Style]>> = {
  engine_running: ['engine running', 'green'],
  engine_frozen: ['engine frozen', 'cyan'],
  engine_dead: ['engine dead', 'red'],
  failover_started: ['failover started', 'yellow'],
  failover_completed: ['failover completed', 'green'],
  failover_failed: ['failover failed', 'red'],
  failback_scheduled: ['failback scheduled', 'yellow'],
  failback_completed: ['failed back', 'green'],
  error: ['error', 'red'],
};

/** Lines for people. */
export function createLiveLines(terminal: Terminal): LiveObserver {
  // On a terminal the process in front is told by a key; elsewhere nobody may sit at one.
  const howToEnd = terminal.out.isTTY ? 'Ctrl-C ends it' : `kill -INT ${process.pid} ends it`;
  return {
    onListening: ({ url, engines }) => {
      terminal.line(terminal.paint('bold', `two engines, one client, ${count(CHECKS_PER_SECOND)} checks a second\n`));
      const rows = [
        ['primary', engines.primary],
        ['backup', engines.backup],
        ['inspector', url],
      ];
      const lines = formatTable(rows, (cell, row, column) =>
        row === 2 && column === 1 ? terminal.paint(['cyan', 'underline'], cell) : cell,
      );
      for (const line of lines) terminal.line(`  ${line}`);
      terminal.line();
      terminal.line(
        `Open it, kill, freeze and revive the engines, and see the traffic move; ${howToEnd}, with the books.\n`,
      );
    },
    onMoment: (moment, detail) => {
      const [title, style] = TITLES[moment];
      const name = title.padEnd(20);
      const stamp = terminal.paint('dim', timeOfDay(new Date()));
      terminal.line(`${stamp}  ${style === undefined ? name : terminal.paint(style, name)}${detail}`);
    },
    onEnding: (outstanding) => {
      if (outstanding > 0) terminal.line(`\nwaiting for what became of ${count(outstanding)} checks`);
    },
  };
}

/** One line of JSON when the page is there; the report is the other. */
export function createLiveJson(terminal: Terminal): LiveObserver {
  return {
    onListening: ({ url, engines }) => {
      const ready: LiveReady = { event: 'listening', url, engines, pid: process.pid };
      terminal.line(toJson(ready));
    },
    onMoment: () => undefined,
    onEnding: () => undefined,
  };
}

/** The benchmark's command line, with workloads that take a second. It runs what is built: `npm test` builds first. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

const ROOT = path.join(import.meta.dirname, '../..');

interface Verdict {
  readonly id: string;
  readonly value: number | null;
  readonly floor: number | null;
  readonly verdict: string;
}

interface Report {
  readonly aims: readonly Verdict[];
  readonly results: Readonly<Record<string, { readonly runs: readonly Record<string, number>[] }>>;
}

function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['bench/run.js', ...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const aim = (report: Report, id: string): Verdict | undefined => report.aims.find((verdict) => verdict.id === id);

test('--json of one scenario: stdout is JSON alone, its aim is judged, the others are skipped', async () => {
  const { code, stdout } = await bench('--quick', '--only', 'transitions', '--json');
  const report = JSON.parse(stdout) as Report;
  expect(code).toBe(0);
  expect(aim(report, 'transitions')?.value).toBeLessThanOrEqual(100);
  expect(aim(report, 'transitions')?.verdict).toBe('none');
  expect(aim(report, 'check-vs-unary')?.verdict).toBe('skipped');
}, 60_000);

test('a workload with --out: figures of every window, and report, chart and JSON in that directory alone', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'authz-bench-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const { code, stdout } = await bench(
    ...['--quick', '--only', 'send-s1-f512', '--rounds', '2', '--seconds', '0.1', '--json', '--out', directory],
  );
  const report = JSON.parse(stdout) as Report;
  const runs = report.results['send-s1-f512']?.runs ?? [];
  expect(runs).toHaveLength(2);
  for (const run of runs) {
    for (const figure of ['checksPerSecond', 'clientCpuUsPerCheck', 'serverBusyPercent', 'rssMb', 'p50Ms']) {
      expect(run[figure]).toBeGreaterThan(0);
    }
    expect(run['gcSharePercent']).toBeGreaterThanOrEqual(0);
  }
  // How fast a busy machine is says nothing here: that the floor was held against it does.
  const { value, floor, verdict } = aim(report, 'one-stream') ?? {};
  expect(verdict).toBe(Number(value) >= Number(floor) ? 'pass' : 'fail');
  expect(code).toBe(verdict === 'pass' ? 0 : 1);
  expect(readdirSync(directory).sort()).toEqual(['cpu.svg', 'latest.json', 'report.md', 'throughput.svg'].sort());
  expect(JSON.parse(readFileSync(path.join(directory, 'latest.json'), 'utf8'))).toEqual(report);
  expect(readFileSync(path.join(directory, 'report.md'), 'utf8')).toContain('](throughput.svg)');
}, 60_000);

test('a name that there is not, a transport that there is not: refused with exit code 1, nothing is run', async () => {
  const [name, transport] = await Promise.all([bench('--only', 'nonsense'), bench('--transport', 'carrier-pigeon')]);
  expect(name.code).toBe(1);
  expect(name.stderr).toContain('There is no "nonsense"');
  expect(transport.code).toBe(1);
  expect(transport.stderr).toContain('transport');
  expect(name.stdout + transport.stdout).toBe('');
}, 60_000);

interface Figures {
  readonly [name: string]: number;
}

test('a missed floor, a failed run, figures that were not measured: fail, fail, skipped; ratios are taken round by round', async () => {
  // Plain JavaScript outside the project of the tests: typed here by what is used of it.
  const { judgeAims } = (await import(new URL('../../bench/lib/aims.js', import.meta.url).href)) as {
    judgeAims: (results: ReadonlyMap<string, object>, transports: readonly (string | undefined)[]) => Verdict[];
  };
  const result = (runs: readonly Figures[], errors: readonly string[] = []): object => ({ runs, figures: {}, errors });
  const speeds = (...values: number[]): object => result(values.map((checksPerSecond) => ({ checksPerSecond })));
  const results = new Map<string, object>([
    ['grpc-js-unary-f64', speeds(10, 1, 10)],
    ['check-f64@slow', speeds(100, 100, 340)],
    ['check-f64@fast', speeds(400, 400, 340)],
    ['send-s1-f512@fast', result([], ['it broke'])],
    ['send-s8-f512@fast', result([])],
  ]);
  const verdicts = judgeAims(results, ['slow', 'fast']);
  const find = (id: string): Verdict[] => verdicts.filter((verdict) => verdict.id === id);
  expect(find('check-vs-unary').map(({ value, verdict }) => [value, verdict])).toEqual([
    [34, 'fail'],
    [40, 'pass'],
  ]);
  expect(find('one-stream').map(({ verdict }) => verdict)).toEqual(['skipped', 'fail']);
  expect(find('eight-streams').map(({ verdict }) => verdict)).toEqual(['skipped', 'skipped']);
});

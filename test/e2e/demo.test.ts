import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DemoReport } from '../../src/cli/demo/report.js';
import { CliProcess, EXAMPLE_POLICIES, isAlive, ROOT, runCli, startCli, until } from '../support/cli.js';

const LIMIT_MS = 90_000;

/** Far enough that checks flow, and well before the half at which it kills an engine itself. */
async function startedDemo(): Promise<{ demo: CliProcess; engines: readonly number[] }> {
  const demo = await startCli(['demo', '--checks', '300000']);
  await demo.prints(/^ 10%/m);
  const engines = demo.childPids();
  expect(engines).toHaveLength(2);
  return { demo, engines };
}

describe('the demo', () => {
  it(
    'left alone: every claim holds, the report says so, and no engine is left',
    async () => {
      const demo = await startCli(['demo', '--checks', '20000', '--json']);
      await until('two engines', () => demo.childPids().length === 2);
      const engines = demo.childPids();
      const { code, stdout, stderr } = await demo.ended;
      expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
      const report = JSON.parse(stdout) as DemoReport;
      expect(report.ok).toBe(true);
      expect(report.claims.map(({ name, ok }) => [name, ok])).toEqual([
        ['every check answered', true],
        ['none answered twice', true],
        ['every decision is right', true],
        ['killed in full flight', true],
        ['failed over to the backup', true],
        ['failed back to the primary', true],
      ]);
      expect(report.tally).toMatchObject({
        sent: 20_000,
        answered: 20_000,
        lost: 0,
        answeredTwice: 0,
        wrong: 0,
        errors: 0,
      });
      expect(report.inFlightAtKill).toBeGreaterThan(0);
      expect(report.answeredWhileFailedOver).toBeGreaterThan(0);
      expect(report.latencyMs.p50).toBeLessThanOrEqual(report.latencyMs.p99);
      const happened = report.timeline.map(({ event }) => event);
      const plot = [
        ...['engines_started', 'connected', 'primary_killed', 'failover_started', 'failover_completed'],
        ...['primary_restarted', 'failback_scheduled', 'failback_completed', 'all_settled'],
      ];
      expect(happened.filter((event) => plot.includes(event))).toEqual(plot);
      expect(engines.filter(isAlive)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'not on a terminal: plain lines, a tenth each, and no escape sequence',
    async () => {
      const { code, stdout } = await runCli([
        'demo',
        '--checks',
        '5000',
        '--streams',
        '2',
        '--policies',
        EXAMPLE_POLICIES,
      ]);
      expect(code, stdout).toBe(0);
      expect(stdout).toMatch(/^100% {2}5,000 of 5,000 answered, back on the primary$/m);
      expect(stdout).toMatch(/kill \+[\d.,]+ ms {2}failover completed/);
      expect(stdout).toMatch(/✓ {2}every check answered +5,000 sent = 5,000 answered, 0 lost/);
      expect(stdout).not.toContain('\u001b');
      expect(stdout).not.toContain('✗');
    },
    LIMIT_MS,
  );

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'interrupted by %s in the middle: exit code %i, and no engine is left',
    async (signal, expected) => {
      const { demo, engines } = await startedDemo();
      demo.kill(signal);
      const { code, stderr } = await demo.ended;
      expect({ code, stderr }).toEqual({ code: expected, stderr: '' });
      expect(engines.filter(isAlive)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'killed itself: the engines see it and end',
    async () => {
      const { demo, engines } = await startedDemo();
      demo.kill('SIGKILL');
      expect((await demo.ended).signal).toBe('SIGKILL');
      await until('no engine', () => !engines.some(isAlive));
    },
    LIMIT_MS,
  );

  it(
    'an engine killed by somebody else: one line that says so, exit code 2, and no engine is left',
    async () => {
      const { demo, engines } = await startedDemo();
      const [victim = 0] = engines;
      process.kill(victim, 'SIGKILL');
      const { code, stderr } = await demo.ended;
      expect(code).toBe(2);
      expect(stderr).toMatch(/^authz: the (primary|backup) engine ended by itself \(SIGKILL\)[^\n]*\n$/);
      expect(engines.filter(isAlive)).toEqual([]);
    },
    LIMIT_MS,
  );

  it('without the examples, as npm installs it: one line that says how to go on, and exit code 2', async () => {
    const root = mkdtempSync(join(tmpdir(), 'authz-package-'));
    try {
      for (const part of ['dist', 'proto', 'package.json']) {
        cpSync(join(ROOT, part), join(root, part), { recursive: true });
      }
      symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
      const demo = new CliProcess(['demo'], {}, join(root, 'dist/src/cli/main.js'));
      expect(await demo.ended).toEqual({
        code: 2,
        signal: null,
        stdout: '',
        stderr:
          'authz: the example policies are not part of the npm package; give a directory of policies: authz demo --policies DIR\n',
      });
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

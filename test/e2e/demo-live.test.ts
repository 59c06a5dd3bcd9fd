/** `authz demo --inspect`: real engines, a real load, and what its page may do to them. */

import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Frame } from '../../src/inspect/protocol.js';
import { isAlive, runCli, startCli, until } from '../support/cli.js';
import { PageReader } from '../support/inspector-page.js';
import { LiveDemo } from '../support/live-demo.js';

const LIMIT_MS = 90_000;

describe('the demo that goes on', () => {
  it(
    'its primary killed, then frozen, from the page, and revived: fails over and back, and every check is answered once and rightly',
    async () => {
      const demo = await LiveDemo.start();
      const { primary } = demo.ready.engines;
      await demo.failoverIs('open');
      for (const command of ['kill', 'freeze'] as const) {
        expect(await demo.command(command, primary)).toMatchObject({ status: 200 });
        await demo.failoverIs('failedOver');
        expect(await demo.command('revive', primary)).toMatchObject({ status: 200 });
        await demo.failoverIs('open');
      }
      const { ended, report } = await demo.end();
      expect({ code: ended.code, stderr: ended.stderr }, ended.stdout).toEqual({ code: 0, stderr: '' });
      expect(report).toMatchObject({ event: 'ended', ok: true, url: demo.url, failovers: 2, failbacks: 2 });
      expect(report.tally).toMatchObject({ failed: 0, lost: 0, settledTwice: 0, unknown: 0, wrong: 0, samples: [] });
      expect(report.tally.answered).toBe(report.tally.asked);
      expect(report.tally.answered).toBeGreaterThan(1_000);
      expect(ended.stdout.trimEnd().split('\n')).toHaveLength(2);
      expect(demo.engines.filter(isAlive)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'both engines killed until checks fail, and one revived: answers again over check() and all streams, and nothing is lost',
    async () => {
      const demo = await LiveDemo.start('--streams', '3');
      const { primary, backup } = demo.ready.engines;
      const page = await PageReader.open(demo);
      const flows = ({ gauges }: Frame, kind: string): number =>
        gauges.streams.filter((stream) => stream.kind === kind && stream.checksPerSecond > 0).length;
      await page.frame('load', (frame) => flows(frame, 'handle') === 3 && flows(frame, 'check') > 0);
      await demo.command('kill', backup);
      await demo.command('kill', primary);
      await page.frame('failures', ({ gauges }) => gauges.failedPerSecond > 0);
      await demo.command('revive', primary);
      page.leave();
      const revived = await PageReader.open(demo);
      await revived.frame('load again', (frame) => {
        const { checksPerSecond, failedPerSecond } = frame.gauges;
        return (
          checksPerSecond > 0 && failedPerSecond === 0 && flows(frame, 'handle') === 3 && flows(frame, 'check') > 0
        );
      });
      revived.leave();
      const { ended, report } = await demo.end();
      expect(ended.code, ended.stdout).toBe(0);
      expect(report.tally.failed).toBeGreaterThan(0);
      expect(report.tally).toMatchObject({ lost: 0, settledTwice: 0, unknown: 0, wrong: 0 });
      expect(report.tally.answered + report.tally.failed).toBe(report.tally.asked);
    },
    LIMIT_MS,
  );

  it('a command without a meaning: 409, and why, for the page to show', async () => {
    const demo = await LiveDemo.start();
    const { backup } = demo.ready.engines;
    expect(await demo.command('revive', backup)).toMatchObject({
      status: 409,
      json: {
        error: {
          field: 'engine',
          message: `engine: cannot revive ${backup}, which is running; kill or freeze it first`,
        },
      },
    });
  });

  it('for people: the addresses, the page, how to end it, a line for each event, and the books', async () => {
    const demo = await startCli(['demo', '--inspect', '--streams', '2']);
    await demo.prints(/^ {2}inspector {2}http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}$/m);
    await demo.prints(new RegExp(`kill -INT ${demo.pid} ends it`));
    const [victim = 0] = demo.childPids();
    process.kill(victim, 'SIGKILL');
    await demo.prints(/^\d\d:\d\d:\d\d\.\d{3} {2}error +the (primary|backup) engine ended by itself \(SIGKILL\)$/m);
    await demo.prints(/^\d\d:\d\d:\d\d\.\d{3} {2}engine dead +the (primary|backup): gone, without a word$/m);
    demo.kill('SIGINT');
    const { code, stdout, stderr } = await demo.ended;
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ {2}asked +[\d,]+ +in \d+\.\d s, over check\(\) and 2 streams$/m);
    expect(stdout).toMatch(
      /^ {2}✓ {2}every check settled +[\d,]+ asked = [\d,]+ answered \+ 0 failed with an error, 0 lost$/m,
    );
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('✗');
  });
});

describe('the processes of the demo that goes on', () => {
  it.each([
    ['interrupted', 'SIGINT'],
    ['terminated', 'SIGTERM'],
    ['killed', 'SIGKILL'],
  ] as const)('one frozen, the demo %s: no engine is left', async (_title, signal) => {
    const demo = await LiveDemo.start();
    expect(await demo.command('freeze', demo.ready.engines.backup)).toMatchObject({ status: 200 });
    expect(demo.engines.filter(isAlive)).toHaveLength(2);
    demo.process.kill(signal);
    const { code } = await demo.process.ended;
    expect(code).toBe(signal === 'SIGKILL' ? null : 0);
    await until('no engine', () => !demo.engines.some(isAlive));
  });

  it('interrupted twice while checks wait for dead engines: ends at once, and no engine is left', async () => {
    const demo = await startCli(['demo', '--inspect']);
    await demo.prints(/ends it/);
    const engines = demo.childPids();
    for (const pid of engines) process.kill(pid, 'SIGKILL');
    await demo.prints(/(engine dead[^]*){2}/);
    demo.kill('SIGINT');
    await demo.prints(/^waiting for what became of [\d,]+ checks$/m);
    demo.kill('SIGINT');
    expect((await demo.ended).code).toBe(130);
    expect(engines.filter(isAlive)).toEqual([]);
  });

  it('interrupted before its page is there: exit code 130, and no engine is left', async () => {
    const demo = await startCli(['demo', '--inspect', '--json']);
    await until('two engines', () => demo.childPids().length === 2);
    const engines = demo.childPids();
    demo.kill('SIGINT');
    expect(await demo.ended).toMatchObject({ code: 130, stdout: '', stderr: '' });
    expect(engines.filter(isAlive)).toEqual([]);
  });
});

describe('a demo that cannot be inspected', () => {
  it('a port in use: one line that names it, and exit code 2', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await until('listening', () => server.listening);
    const { port } = server.address() as AddressInfo;
    try {
      expect(await runCli(['demo', '--inspect', '--port', String(port)])).toMatchObject({
        code: 2,
        stdout: '',
        stderr: `authz: --port: address in use: 127.0.0.1:${port}; stop what listens there, or let --port 0 find a free one\n`,
      });
    } finally {
      server.close();
    }
  });

  it.each([
    [['--port', '8080'], '--port: is of the page that --inspect serves'],
    [
      ['--inspect', '--port', '65536'],
      "option '--port <port>' argument '65536' is invalid: must be a whole number from 0 to 65535",
    ],
    [['--inspect', '--checks', '1000'], "option '--inspect' cannot be used with option '--checks <count>'"],
  ])('%j: one line that says why, and exit code 2', async (args, reason) => {
    expect(await runCli(['demo', ...args])).toEqual({
      code: 2,
      signal: null,
      stdout: '',
      stderr: `authz: ${reason}; see authz demo --help\n`,
    });
  });
});

/** `authz inspect`, as people run it: the built command line, a real engine, a real dump. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from '../support/cli.js';
import { dumpOfNobody } from '../support/dumped.js';
import { PageReader, request } from '../support/inspector-page.js';
import { useStage } from '../support/stage.js';

const stage = useStage();

let directory = '';
let dumpFile = '';
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'authz-inspect-'));
  dumpFile = path.join(directory, 'dump.json');
  writeFileSync(dumpFile, JSON.stringify(await dumpOfNobody(5_000)));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Ready {
  readonly url: string;
  readonly port: number;
}

async function started(...args: string[]): Promise<{ cli: CliProcess; ready: Ready }> {
  const cli = await startCli(['inspect', '--json', ...args]);
  stage.onEnd(() => cli.kill('SIGKILL'));
  const [line] = await cli.prints(/^.*\n/);
  return { cli, ready: JSON.parse(line) as Ready };
}

describe('authz inspect', () => {
  test('with an engine and a backup: shows a client that is connected, until Ctrl-C', async () => {
    const [engine, backup] = [await stage.engine(), await stage.engine()];
    const { cli, ready } = await started('--address', engine.address, '--fallback', backup.address);
    const page = await PageReader.open(ready);
    expect((await page.hello()).mode).toBe('live');
    await page.until(
      () =>
        page.messages.some(({ actors }) => actors.some(({ id, active }) => id === 'client' && active[0] === 'open')),
      'open',
    );
    await page.frame('health of both', ({ gauges }) => gauges.endpoints.every(({ served }) => served));
    cli.kill('SIGINT');
    const { code, stdout, stderr } = await cli.ended;
    expect({ code, stderr, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, stderr: '', lines: 1 });
    await page.until(() => page.ended, 'the end of the page');
  });

  test('with an engine that is not there: shows the client that tries, and says why it is not reached', async () => {
    const cli = await startCli(['inspect', '--address', '127.0.0.1:1']);
    stage.onEnd(() => cli.kill('SIGKILL'));
    const [, url = ''] = await cli.prints(/^open (http:.*)$/m);
    await cli.prints(/^watching 127\.0\.0\.1:1; Ctrl-C ends it$/m);
    await cli.prints(/^not reached yet: 127\.0\.0\.1:1 refused the connection .*authz serve/m);
    const page = await PageReader.open({ url, port: Number(new URL(url).port) });
    await page.hello();
    cli.kill('SIGTERM');
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('with a dump: shows the recording, on the port that was asked for', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const { cli, ready } = await started(dumpFile, '--port', String(port));
    expect(ready.port).toBe(port);
    const page = await PageReader.open(ready);
    const hello = await page.hello();
    expect(hello.mode).toBe('recording');
    expect(hello.actors.map(({ id }) => id)).toContain('stream-1');
    expect(hello.transitions.length).toBeGreaterThan(10);
    await page.until(() => page.ended, 'the end of the recording');
    expect((await request(ready, '/stream')).status).toBe(401);
    cli.kill('SIGINT');
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('with a dump, for people: says what is shown and where', async () => {
    const cli = await startCli(['inspect', dumpFile]);
    stage.onEnd(() => cli.kill('SIGKILL'));
    await cli.prints(/^open http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}$/m);
    await cli.prints(/^showing .*dump\.json, dumped \d{4}-.*; Ctrl-C ends it$/m);
    cli.kill('SIGINT');
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('a port in use, a file that is no dump, options that do not fit: one line that says what to do, exit code 2', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    stage.onEnd(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const broken = path.join(directory, 'broken.json');
    writeFileSync(broken, '{');
    const undated = path.join(directory, 'undated.json');
    writeFileSync(undated, JSON.stringify({ ...(await dumpOfNobody(100)), dumpedAt: 'yesterday' }));
    for (const [args, line] of [
      [
        [dumpFile, '--port', String(port)],
        `--port: address in use: 127.0.0.1:${port}; stop what listens there, or let --port 0 find a free one`,
      ],
      [
        ['--port', String(port)],
        `--port: address in use: 127.0.0.1:${port}; stop what listens there, or let --port 0 find a free one`,
      ],
      [[broken], `${broken}: is no JSON; write it with JSON.stringify(client.dump())`],
      [[undated], `${undated}: dumpedAt: must be a date and time, ISO 8601`],
      [
        [dumpFile, '--tls'],
        `${dumpFile}: a dump needs no engine; leave out --fallback and the TLS options; see authz inspect --help`,
      ],
      [['--tls-cert', 'cert.pem'], '--tls-key: is required together with --tls-cert; see authz inspect --help'],
    ] as const) {
      const { code, stdout, stderr } = await runCli(['inspect', ...args]);
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `authz: ${line}\n` });
    }
  });

  test('with a dump that is more than a page can read: one line that says so, exit code 2', async () => {
    const large = path.join(directory, 'large.json');
    const { actors, ...rest } = await dumpOfNobody(100);
    const padded = actors.map((each) => ({ ...each, context: { padding: 'x'.repeat(24 * 1_048_576) } }));
    writeFileSync(large, JSON.stringify({ ...rest, actors: padded }));
    const { code, stdout, stderr } = await runCli(['inspect', large]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^authz: the dump: must take at most 67108864 characters, takes \d+; .*flightRecorderSize/);
  });
});

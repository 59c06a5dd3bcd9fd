/** What an inspector leaves behind: nothing, neither in the process nor between it and a page that is slow or gone. */

import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startInspector } from '../../src/inspect/index.js';
import { OpenPage } from '../../src/inspect/open-page.js';
import type { Reader } from '../../src/inspect/source.js';
import { ChildProgram } from '../support/engine-process.js';
import { PageReader, request } from '../support/inspector-page.js';
import { eventually } from '../support/recorder.js';
import { useStage } from '../support/stage.js';

const stage = useStage();

describe('close()', () => {
  test('with a page open: ends it at once; twice is the same; nobody is served any more', async () => {
    const client = stage.client(await stage.server());
    await client.connect();
    const inspector = await startInspector(client);
    const page = await PageReader.open(inspector);
    await page.hello();
    const { port, url } = inspector;
    expect(inspector.close()).toBe(inspector.close());
    await inspector.close();
    await inspector[Symbol.asyncDispose]();
    await page.until(() => page.ended, 'the end of the page');
    expect([inspector.port, inspector.url]).toEqual([port, url]);
    await expect(request(inspector, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    // The client goes on, and can be inspected again, at the same place.
    expect(client.isConnected()).toBe(true);
    const again = await startInspector(client, { port });
    expect(again.url).not.toBe(url);
    const next = await PageReader.open(again);
    await next.hello();
    await again.close();
  });
});

describe('a process that has nothing else to do', () => {
  // The first of them compiles the sources for its process.
  test.each(['leaves', 'closes'])('and %s, with a page open: ends', { timeout: 60_000 }, async (what) => {
    const server = await stage.server();
    const child = new ChildProgram('inspected-client-child', [what, server.address]);
    stage.onEnd(() => child.kill());
    const page = await PageReader.open(JSON.parse(await child.line('{')) as { url: string; port: number });
    await page.frame('first frame', () => true);
    child.say('go on');
    expect(await child.exited).toBe(0);
    if (what === 'closes') await child.line('closed');
    await page.until(() => page.ended, 'the end of the page');
  });
});

const FRAME_BYTES = 1_048_576;

/** Numbers its frames, each of a megabyte. */
class BigReader implements Reader {
  readonly isEndless = true;
  made = 0;
  closed = false;

  hello(): ReturnType<Reader['hello']> {
    return { type: 'hello', mode: 'live', version: '', startedAt: 0, actors: [], transitions: [], events: [] };
  }

  frame(): string {
    return JSON.stringify({ made: ++this.made, padding: 'x'.repeat(FRAME_BYTES) });
  }

  close(): void {
    this.closed = true;
  }
}

/** A page that reads when it is told to, and what serves it. */
async function unread(): Promise<{ page: OpenPage; reader: BigReader; served: ServerResponse; got: IncomingMessage }> {
  const reader = new BigReader();
  let served: ServerResponse | undefined;
  let page: OpenPage | undefined;
  const server = createServer((_, response) => {
    served = response;
    page = new OpenPage(response, { open: () => reader }, () => null);
    page.begin();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const got = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, agent: false }, resolve).once('error', reject).end();
  });
  got.on('error', () => undefined);
  if (page === undefined || served === undefined) throw new Error('nobody was served');
  return { page, reader, served, got };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a page that does not read', () => {
  test('is written to until it is full, and never more; once it reads, it is told what is then', async () => {
    const { page, reader, served, got } = await unread();
    for (let tick = 0; tick < 100; tick++) {
      page.tick();
      await turn();
    }
    const full = reader.made;
    // What the kernel takes, and one more.
    expect(full).toBeLessThan(30);
    expect(served.writableLength).toBeLessThan(2 * FRAME_BYTES);

    const frames: unknown[] = [];
    let rest = '';
    got.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      frames.push(...lines.map((line) => (JSON.parse(line) as { made?: number }).made ?? 'hello'));
    });
    await eventually(() => frames.length === full + 1, 'what was written');
    await eventually(() => {
      page.tick();
      return reader.made > full;
    }, 'the next frame');
    await eventually(() => frames.length === reader.made + 1, 'it');
    expect(frames).toEqual(['hello', ...Array.from({ length: reader.made }, (_, index) => index + 1)]);
    expect(reader.closed).toBe(false);
  });

  test('for half a minute: is given up, and makes room', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { page, reader, got } = await unread();
    for (let tick = 0; tick < 100; tick++) {
      page.tick();
      await turn();
    }
    vi.advanceTimersByTime(29_999);
    page.tick();
    await turn();
    expect(reader.closed).toBe(false);
    vi.advanceTimersByTime(1);
    page.tick();
    got.resume();
    await eventually(() => reader.closed && got.destroyed, 'the end', 5_000);
  });
});

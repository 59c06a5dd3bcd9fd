/** What an inspector leaves behind: nothing, neither in the process nor between it and a page that is slow or gone. */

import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startInspector } from '../../src/inspect/index.js';
import type { Message } from '../../src/inspect/protocol.js';
import { Sampler } from '../../src/inspect/sampler.js';
import { serveSource, type ServeOptions } from '../../src/inspect/server.js';
import type { Reader, Source } from '../../src/inspect/source.js';
import { ChildProgram } from '../support/engine-process.js';
import { PageReader, request, tokenOf } from '../support/inspector-page.js';
import { servedBy } from '../support/served.js';
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

test('gauges that cannot be read: are told as they were, and nothing else is lost', async () => {
  const client = stage.client(await stage.server());
  const inspector = await startInspector(client);
  stage.onEnd(() => inspector.close());
  const page = await PageReader.open(inspector);
  const { gauges } = await page.frame('the gauges', () => true);
  const sample = vi.spyOn(Sampler.prototype, 'sample').mockImplementation(() => {
    throw new Error('of a counter');
  });
  onTestFinished(() => sample.mockRestore());
  const moved = page.messages.length;
  await client.connect();
  const isOpen = ({ actors }: Message): boolean =>
    actors.some(({ id, active }) => id === 'client' && active[0] === 'open');
  await page.until(() => page.messages.slice(moved).some(isOpen), 'the client that connects');
  expect(sample).toHaveBeenCalled();
  expect(page.frames.at(-1)?.gauges.connections).toEqual(gauges.connections);
});

const FRAME_BYTES = 1_048_576;

/** Numbers its frames, each of a megabyte. */
class BigSource implements Source, Reader {
  readonly isEndless = true;
  made = 0;
  closed = false;
  tick = (): void => undefined;

  open(onTick: () => void): Reader {
    this.tick = onTick;
    return this;
  }

  hello(): string {
    return JSON.stringify({ type: 'hello' });
  }

  frame(): string {
    return JSON.stringify({ made: ++this.made, padding: 'x'.repeat(FRAME_BYTES) });
  }

  close(): void {
    this.closed = true;
  }
}

/** A page that reads when it is told to, and what serves it. */
async function unread(
  options: ServeOptions = {},
): Promise<{ source: BigSource; served: ServerResponse; got: IncomingMessage }> {
  const source = new BigSource();
  const inspector = await serveSource(source, options);
  stage.onEnd(() => inspector.close());
  const served = servedBy(inspector);
  const headers = { authorization: `Bearer ${tokenOf(inspector)}` };
  const got = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port: inspector.port, path: '/stream', agent: false, headers }, resolve)
      .once('error', reject)
      .end();
  });
  got.on('error', () => undefined);
  return { source, served: await served, got };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a page that does not read', () => {
  test('is written to until it is full, and never more; once it reads, it is told what is then', async () => {
    const { source, served, got } = await unread();
    for (let tick = 0; tick < 100; tick++) {
      source.tick();
      await turn();
    }
    const full = source.made;
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
      source.tick();
      return source.made > full;
    }, 'the next frame');
    await eventually(() => frames.length === source.made + 1, 'it');
    expect(frames).toEqual(['hello', ...Array.from({ length: source.made }, (_, index) => index + 1)]);
    expect(source.closed).toBe(false);
  });

  test('and goes on so: is let go, and makes room', async () => {
    const { source, served } = await unread({ deadlines: { silenceMs: 200 } });
    await eventually(() => {
      source.tick();
      return served.writableNeedDrain;
    }, 'a page that is full');
    await eventually(() => source.closed && served.destroyed, 'its end');
  });
});

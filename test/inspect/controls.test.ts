/** Engines under the page's control, as the demo serves them: over real HTTP, with a token of their own. */

import { request as httpRequest } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import { EngineCommandError, type EngineControls } from '../../src/inspect/engine-controls.js';
import type { EngineView } from '../../src/inspect/protocol.js';
import { type Inspector, serveClient } from '../../src/inspect/server.js';
import { PageReader, request, tokenOf } from '../support/inspector-page.js';
import { eventually } from '../support/recorder.js';
import { useStage } from '../support/stage.js';

const stage = useStage();

/** Engines that only say what was done to them. */
class FakeControls implements EngineControls {
  readonly #states = new Map<string, EngineView['state']>();

  constructor(...addresses: string[]) {
    for (const address of addresses) this.#states.set(address, 'running');
  }

  engines(): EngineView[] {
    return [...this.#states].map(([address, state]) => ({ address, state }));
  }

  /** Settled by a test, where it is not to be done at once. */
  killing: Promise<void> = Promise.resolve();
  kills = 0;

  async kill(address: string): Promise<void> {
    this.kills++;
    await this.killing;
    await this.#set(address, 'dead');
  }

  freeze(address: string): Promise<void> {
    return this.#set(address, 'frozen');
  }

  revive(address: string): Promise<void> {
    return this.#set(address, 'running');
  }

  #set(address: string, state: EngineView['state']): Promise<void> {
    this.#states.set(address, state);
    return Promise.resolve();
  }
}

async function controlled(controls: EngineControls | undefined): Promise<Inspector> {
  const client = stage.client({ address: '127.0.0.1:1' });
  const inspector = await serveClient(client, controls === undefined ? {} : { controls });
  stage.onEnd(() => inspector.close());
  return inspector;
}

/** What the page sends, but for what a test changes of it. */
function command(inspector: Inspector, path: string, token: string, over: Parameters<typeof request>[2] = {}) {
  const { headers, ...rest } = over;
  return request(inspector, path, {
    method: 'POST',
    body: JSON.stringify({ address: 'a:1' }),
    ...rest,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      origin: `http://127.0.0.1:${inspector.port}`,
      ...headers,
    },
  });
}

describe('an inspector with controls', () => {
  test('its hello: tells the engines and a token that is not the one of the stream', async () => {
    const inspector = await controlled(new FakeControls('a:1', 'b:2'));
    const page = await PageReader.open(inspector);
    const { controls } = await page.hello();
    expect(controls?.engines).toEqual([
      { address: 'a:1', state: 'running' },
      { address: 'b:2', state: 'running' },
    ]);
    expect(controls?.token).toMatch(/^[\w-]{43}$/);
    expect(controls?.token).not.toBe(tokenOf(inspector));
    page.leave();
  });

  test('kill, freeze and revive by POST: do that to the engine that is named, and tell how all are then', async () => {
    const controls = new FakeControls('a:1', 'b:2');
    const inspector = await controlled(controls);
    const page = await PageReader.open(inspector);
    const token = (await page.hello()).controls?.token ?? '';
    for (const [path, state] of [
      ['/engines/kill', 'dead'],
      ['/engines/revive', 'running'],
      ['/engines/freeze', 'frozen'],
    ]) {
      const { status, json } = await command(inspector, path ?? '', token);
      expect([status, json]).toEqual([
        200,
        {
          engines: [
            { address: 'a:1', state },
            { address: 'b:2', state: 'running' },
          ],
        },
      ]);
    }
    page.leave();
  });

  test('a POST that is not the page of this server, or says no engine: is refused, and does nothing', async () => {
    const controls = new FakeControls('a:1');
    const inspector = await controlled(controls);
    const page = await PageReader.open(inspector);
    const token = (await page.hello()).controls?.token ?? '';
    const kill = (over: Parameters<typeof command>[3], given = token) =>
      command(inspector, '/engines/kill', given, over);
    const answers = [
      await kill({}, tokenOf(inspector)),
      await kill({ headers: { authorization: undefined } }),
      await kill({ headers: { origin: undefined } }),
      await kill({ headers: { origin: 'http://127.0.0.1:1' } }),
      await kill({ headers: { origin: 'null' } }),
      await kill({ headers: { host: `evil.example:${inspector.port}` } }),
      await kill({ method: 'GET', body: undefined }),
      await kill({ method: 'PUT' }),
      await kill({ headers: { 'content-type': 'text/plain' } }),
      await kill({ body: '{' }),
      await kill({ body: '{"address":7}' }),
      await kill({ body: '{"address":"c:3"}' }),
      await kill({ body: JSON.stringify({ address: 'a:1', padding: 'x'.repeat(2_000) }) }),
      await command(inspector, '/engines/explode', token),
    ];
    expect(answers.map(({ status, json }) => [status, (json as { error: { field: string } }).error.field])).toEqual([
      [401, 'authorization'],
      [401, 'authorization'],
      [403, 'origin'],
      [403, 'origin'],
      [403, 'origin'],
      [403, 'host'],
      [405, 'method'],
      [405, 'method'],
      [415, 'body'],
      [400, 'body'],
      [400, 'body.address'],
      [404, 'body.address'],
      [413, 'body'],
      [405, 'method'],
    ]);
    expect(controls.engines()).toEqual([{ address: 'a:1', state: 'running' }]);
    page.leave();
  });
});

test('an engine that cannot be killed: the answer says why', async () => {
  const controls = new FakeControls('a:1');
  const inspector = await controlled(controls);
  const page = await PageReader.open(inspector);
  const token = (await page.hello()).controls?.token ?? '';
  const why = new EngineCommandError('a:1 is dead already; revive it first', 'ERR_AUTHZ_ENGINE_STATE');
  for (const [error, answer] of [
    [why, [409, { error: { field: 'engine', message: `engine: ${why.message}` } }]],
    // What nobody has thought of is not told to whoever asks.
    [
      new Error('not for the page'),
      [500, { error: { field: 'inspector', message: 'inspector: failed; close it and start another' } }],
    ],
  ] as const) {
    const killing = Promise.reject(error);
    killing.catch(() => undefined);
    controls.killing = killing;
    const { status, json } = await command(inspector, '/engines/kill', token);
    expect([status, json]).toEqual(answer);
  }
  page.leave();
});

test('a page that goes while its engine is being killed: nobody is hurt, and it is done', async () => {
  const controls = new FakeControls('a:1');
  const inspector = await controlled(controls);
  const page = await PageReader.open(inspector);
  const token = (await page.hello()).controls?.token ?? '';
  let kill = (): void => undefined;
  controls.killing = new Promise((resolve) => (kill = resolve));
  const sent = httpRequest({
    host: '127.0.0.1',
    port: inspector.port,
    path: '/engines/kill',
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      origin: `http://127.0.0.1:${inspector.port}`,
    },
  });
  sent.on('error', () => undefined).end(JSON.stringify({ address: 'a:1' }));
  await eventually(() => controls.kills > 0, 'the command');
  const gone = new Promise((resolve) => sent.once('close', resolve));
  sent.destroy();
  await gone;
  kill();
  await page.frame('the dead engine', ({ engines }) => engines[0]?.state === 'dead');
  page.leave();
});

test('engines that cannot be told: end the page, and nothing else', async () => {
  const controls = new FakeControls('a:1');
  const inspector = await controlled(controls);
  const page = await PageReader.open(inspector);
  await page.frame('a frame', () => true);
  vi.spyOn(controls, 'engines').mockImplementation(() => {
    throw new Error('oh');
  });
  await page.until(() => page.ended, 'the end');
  vi.restoreAllMocks();
  const next = await PageReader.open(inspector);
  await next.frame('a frame', () => true);
  next.leave();
});

test('an inspector without controls: has no engines, and no POST', async () => {
  const inspector = await controlled(undefined);
  const page = await PageReader.open(inspector);
  expect((await page.hello()).controls).toBeNull();
  expect((await command(inspector, '/engines/kill', tokenOf(inspector))).status).toBe(405);
  page.leave();
});

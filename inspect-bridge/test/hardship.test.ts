/** Viewers that misbehave, and a bridge that is left alone: neither hurts the client, and nothing piles up. */

import { createServer, type AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { isAllowed } from '../../src/index.js';
import { exitOf, firstLine, spawnTypeScript } from '../../test/support/child.js';
import { question, rejection, useStage } from '../../test/support/stage.js';
import { live } from '../../test/support/watched-life.js';
import { createInspectBridge, type InspectedEvent } from '../src/index.js';
import { openBridge, openViewer, snapshotOf } from './opened.js';
import { Viewer } from './viewer.js';

const stage = useStage();

beforeEach(() => {
  // Of every machine that it makes again, the receiver says that nobody said which order of actions it is for.
  vi.spyOn(console, 'warn').mockReturnValue();
});

/** By which a viewer asks to be told. */
const HELLO = JSON.stringify({ type: 'xstate.inspecting' });

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How a WebSocket's opening ended: 101, or what the server answered instead. */
function open(server: string, origin?: string): Promise<number> {
  const socket = new WebSocket(server, origin === undefined ? {} : { origin });
  stage.onEnd(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('error', reject);
  });
}

describe('a viewer', () => {
  test.each([
    ['what is no JSON', 'not json'],
    ['null', 'null'],
    ['a binary message', Buffer.from([0, 1, 2])],
    ['an order to end', JSON.stringify({ type: 'disconnect' })],
    ['an order to unload', JSON.stringify({ type: 'unload' })],
    ['that a service has stopped', JSON.stringify({ type: 'service.stop', sessionId: 'client' })],
  ])('that says %s: is not listened to, and goes on being told', async (_what, message) => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const client = stage.client(await stage.server(), { inspect: bridge.inspect });
    expect(isAllowed(await client.check(question()))).toBe(true);
    viewer.socket.send(message);
    // Read in order: once this is answered, that was read.
    viewer.socket.send(HELLO);
    const ofClient = (): unknown[] => viewer.registered.filter(({ sessionId }) => sessionId === 'client');
    await viewer.until(() => ofClient().length === 2, 'an answer to the greeting');
    expect(isAllowed(await client.check(question()))).toBe(true);
    await client.disconnect();
    await viewer.until(() => viewer.stopped.includes('client'), 'the whole life');
    expect(viewer.states.filter(({ sessionId }) => sessionId === 'client').at(-1)?.state.value).toBe('closed');
    expect(ofClient().length).toBe(2);
  });

  test('that sends an event to an actor, as a click does: the actor is not given it', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const seen: string[] = [];
    const client = stage.client(await stage.server(), {
      inspect: (event) => {
        if (event.type === '@xstate.event') seen.push(event.event.type);
        bridge.inspect(event);
      },
    });
    await client.connect();
    const event = JSON.stringify({ name: 'CLOSE', data: { type: 'CLOSE' }, $$type: 'scxml', origin: 'client' });
    for (const origin of ['client', 'failover', undefined]) {
      viewer.socket.send(JSON.stringify({ type: 'xstate.event', event, sessionId: origin }));
    }
    viewer.socket.send(HELLO);
    await viewer.until(
      () => viewer.registered.filter(({ sessionId }) => sessionId === 'client').length === 2,
      'an answer',
    );
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(seen).not.toContain('CLOSE');
    expect(client.getState()).toBe('open');
  });

  test('that says more than 64 KiB at once: is let go, and the others are not', async () => {
    const bridge = await openBridge(stage);
    const [loud, quiet] = [new Viewer(bridge.server), await openViewer(stage, bridge)];
    stage.onEnd(() => loud.close());
    await loud.opened();
    loud.socket.send('x'.repeat(64 * 1024 + 1));
    await loud.closed();
    bridge.inspect(snapshotOf('a', 'here'));
    await quiet.until(() => quiet.registered.length === 1, 'the other to be told');
  });

  test('that is cut off while a client lives: the client does not notice, and the next viewer sees it', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    let transitions = 0;
    const life = await live(stage, (event) => {
      if (event.type === '@xstate.snapshot' && ++transitions === 10) viewer.socket.terminate();
      bridge.inspect(event);
    });
    expect(transitions).toBeGreaterThan(30);
    const next = new Viewer(bridge.server);
    stage.onEnd(() => next.close());
    await next.until(() => next.registered.some(({ sessionId }) => sessionId === 'client'), 'the next to be told');
    await life.end();
    expect(life.client.getState()).toBe('closed');
  });

  test('that reads nothing while 64 MiB happen: is let go, and one that reads gets everything', async () => {
    const bridge = await openBridge(stage);
    const reads = await openViewer(stage, bridge);
    const stuck = new Viewer(bridge.server);
    stage.onEnd(() => stuck.close());
    bridge.inspect(snapshotOf('a', 'here'));
    await stuck.until(() => stuck.registered.length === 1, 'the stuck one to be told');
    stuck.socket.pause();
    const context = { text: 'x'.repeat(1024 * 1024) };
    for (let index = 0; index < 64; index++) {
      const event = snapshotOf('a', 'here');
      bridge.inspect({ ...event, snapshot: { ...event.snapshot, context } });
      await reads.until(() => reads.states.length > index, 'the reader to have read');
    }
    stuck.socket.resume();
    await stuck.closed();
    expect(stuck.states.length).toBeLessThan(40);
    expect(reads.states.length).toBe(65);
  });
});

describe('who may connect', () => {
  test.each([
    ['a program, which names no origin', undefined, 101],
    ['the hosted viewer', 'https://stately.ai', 101],
    ['a viewer run from its sources', 'http://localhost:3000', 101],
    ['another page', 'https://stately.ai.evil.example', 403],
    ['a page of another port', 'http://localhost:3001', 403],
    ['a page without an origin', 'null', 403],
  ])('%s: is answered as the bridge is set by default', async (_who, origin, status) => {
    const bridge = await openBridge(stage);
    expect(await open(bridge.server, origin)).toBe(status);
  });

  test('pages of the origins that are given: may; those of the default, then not', async () => {
    const bridge = await openBridge(stage, { origins: ['http://viz.example:8080'] });
    expect(await open(bridge.server, 'http://viz.example:8080')).toBe(101);
    expect(await open(bridge.server, 'https://stately.ai')).toBe(403);
  });

  test('the ninth viewer at a time: is refused, and may once another has gone', async () => {
    const bridge = await openBridge(stage);
    const viewers = Array.from({ length: 8 }, () => new Viewer(bridge.server));
    for (const viewer of viewers) {
      stage.onEnd(() => viewer.close());
      await viewer.opened();
    }
    expect(await open(bridge.server)).toBe(503);
    await viewers[0]?.close();
    await expect.poll(() => open(bridge.server)).toBe(101);
  });

  test('a plain HTTP request: is told what this is', async () => {
    const bridge = await openBridge(stage);
    const response = await fetch(bridge.server.replace('ws:', 'http:'));
    expect(response.status).toBe(426);
  });
});

describe('a bridge', () => {
  test('closed while a client lives: lets its viewers and its port go, and the client lives on', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const life = await live(stage, bridge.inspect);
    await Promise.all([bridge.close(), bridge.close()]);
    await viewer.closed();
    expect(viewer.stopped).toContain('client');
    const port = Number(new URL(bridge.server).port);
    const again = await openBridge(stage, { port });
    expect(again.server).toBe(bridge.server);
    const next = await openViewer(stage, again);
    await life.end();
    expect(life.client.getState()).toBe('closed');
    expect(next.events).toEqual([]);
  });

  test('whose viewer does not answer its goodbye: is closed all the same', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    viewer.socket.pause();
    await bridge.close();
    viewer.socket.resume();
    await viewer.closed();
  });

  test('told what it cannot show: does not throw, and goes on showing what it can', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const of = (id: string, over: object): unknown => ({ ...snapshotOf(id, 'here'), ...over });
    for (const event of [
      {},
      { type: '@xstate.snapshot', actorRef: null, event: {} },
      of('no machine', { actorRef: { sessionId: 'no machine', id: 'no machine', logic: {} } }),
      of('no chart', {
        actorRef: {
          sessionId: 'x',
          id: 'x',
          logic: { config: { initial: 'here', states: { here: { on: { GO: 'nowhere' } } } } },
        },
      }),
      of('no state', { snapshot: { value: 'nowhere', context: {}, status: 'active' } }),
      of('no JSON', { snapshot: { value: 'here', context: { size: 1n }, status: 'active' } }),
      of('cyclic', { snapshot: { value: 'here', context: cyclic, status: 'active' }, event: { type: 'E', cyclic } }),
    ]) {
      bridge.inspect(event as InspectedEvent);
    }
    bridge.inspect(snapshotOf('a', 'here'));
    await viewer.until(() => viewer.states.some(({ sessionId }) => sessionId.startsWith('a')), 'a to be shown');
    const late = new Viewer(bridge.server);
    stage.onEnd(() => late.close());
    await late.until(() => late.registered.length === 4, 'another to be told');
    const shown = viewer.states.map(({ sessionId, state }) => [sessionId.split('@')[0], state.context as unknown]);
    expect(shown).toEqual([
      ['no state', {}],
      ['no JSON', '(not JSON)'],
      ['cyclic', '(not JSON)'],
      ['a', {}],
    ]);
  });

  test('made while another is open, or with what it cannot use: is refused, and says why', async () => {
    const bridge = await openBridge(stage);
    expect((await rejection(createInspectBridge({ port: 0 }))).message).toMatch(/open already.*close\(\)/);
    await bridge.close();
    for (const port of [-1, 1.5, 65_536, '80', Number.NaN]) {
      const error = await rejection(createInspectBridge({ port: port as number }), TypeError);
      expect(error.message).toMatch(/^port: must be a whole number from 0 to 65535/);
    }
    for (const origins of ['https://stately.ai', [1], ['stately.ai'], ['https://stately.ai/viz']]) {
      const error = await rejection(createInspectBridge({ origins: origins as string[] }), TypeError);
      expect(error.message).toMatch(/^origins: must be/);
    }
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    stage.onEnd(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    expect((await rejection(createInspectBridge({ port }))).message).toMatch(
      /^port: 127.0.0.1:\d+ cannot be .*EADDRINUSE/,
    );
    await openBridge(stage);
  });

  test('left open with a viewer and a client: the process ends by itself', async () => {
    const server = await stage.server();
    const child = spawnTypeScript(new URL('./left-open-child.ts', import.meta.url), [server.address]);
    stage.onEnd(() => child.kill('SIGKILL'));
    const viewer = new Viewer(await firstLine(child));
    stage.onEnd(() => viewer.close());
    await viewer.opened();
    child.stdin.write('go\n');
    expect(await exitOf(child)).toBe(0);
    await viewer.closed();
    expect(viewer.states.map(({ state }) => state.value)).toContain('open');
  });
});

describe('what the bridge holds', () => {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const watched: WeakRef<object>[] = [];
  afterEach(() => void watched.splice(0));

  /** Of the contexts that were shown, those that something still holds. */
  async function held(): Promise<number> {
    // What a WeakRef was made of lives until the turn ends.
    await turn();
    collect();
    return watched.filter((reference) => reference.deref() !== undefined).length;
  }

  function show(inspect: (event: InspectedEvent) => void, id: string, status: string): void {
    const event = snapshotOf(id, 'here', status, 'root');
    const context = { index: watched.length };
    watched.push(new WeakRef(context));
    inspect({ ...event, snapshot: { ...event.snapshot, context } });
  }

  test('10,000 transitions of an actor and no viewer: is the last', async () => {
    const bridge = await openBridge(stage);
    for (let index = 0; index < 10_000; index++) show(bridge.inspect, 'a', 'active');
    expect(await held()).toBe(1);
  });

  test('10,000 transitions of an actor, all of them watched: is the last', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    for (let index = 0; index < 10_000; index++) {
      show(bridge.inspect, 'a', 'active');
      if (index % 100 === 0) await turn();
    }
    await viewer.until(() => viewer.states.length === 10_000, 'all to be shown');
    expect(await held()).toBe(1);
  });

  test.each(['nobody watches', 'a viewer watches'])('1,000 actors that come and go while %s: is none', async (who) => {
    const bridge = await openBridge(stage);
    const viewer = who === 'a viewer watches' ? await openViewer(stage, bridge) : undefined;
    for (let index = 0; index < 1_000; index++) {
      show(bridge.inspect, `a${index}`, 'active');
      show(bridge.inspect, `a${index}`, 'stopped');
      if (index % 100 === 0) await turn();
    }
    await viewer?.until(() => viewer.stopped.length === 1_000, 'all to be stopped');
    expect(await held()).toBe(0);
  });
});

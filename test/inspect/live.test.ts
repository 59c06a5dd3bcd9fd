/** What the page is told of a real client, over real HTTP, while engines serve, die and return. */

import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { runtimeOf } from '../../src/client.js';
import type { AuthzClient } from '../../src/index.js';
import { type Inspector, startInspector } from '../../src/inspect/index.js';
import type { ActorView, Frame, TransitionView } from '../../src/inspect/protocol.js';
import { serveRecording } from '../../src/inspect/server.js';
import { Bench } from '../support/fault-bench.js';
import { question } from '../support/fault-engine.js';
import { PageReader } from '../support/inspector-page.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

async function inspected(client: AuthzClient): Promise<{ inspector: Inspector; page: PageReader }> {
  const inspector = await startInspector(client);
  bench.afterwards(() => inspector.close());
  return { inspector, page: await PageReader.open(inspector) };
}

/** What the page knows of every actor after all that it was told. */
function actorsOf({ messages }: PageReader): Map<string, ActorView> {
  const actors = new Map<string, ActorView>();
  for (const message of messages) {
    for (const actor of message.actors) actors.set(actor.id, actor);
    if (message.type === 'frame') for (const id of message.gone) actors.delete(id);
  }
  return actors;
}

const transitionsOf = ({ messages }: PageReader): TransitionView[] => messages.flatMap((each) => each.transitions);
const eventNames = ({ messages }: PageReader): string[] =>
  messages.flatMap(({ events }) => events.map(({ name }) => name));
const droppedOf = ({ messages }: PageReader): number =>
  messages.reduce((sum, { dropped }) => sum + (dropped?.transitions ?? 0), 0);

/** What the page knows comes to be what the client is: something may move in between. */
async function untilSame(client: AuthzClient, page: PageReader): Promise<void> {
  const told = (): unknown[] =>
    [...actorsOf(page).values()].map(({ id, machine, context, status }) => [id, machine, context, status]);
  const own = (): unknown[] => {
    const { actors } = JSON.parse(JSON.stringify(client.dump())) as ReturnType<AuthzClient['dump']>;
    return actors.map(({ actor, machine, context, status }) => [actor, machine, context, status]);
  };
  const sorted = (rows: unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
  await eventually(() => isDeepStrictEqual(sorted(told()), sorted(own())), 'the page to know what the client is');
}

describe('a client with a primary and a backup', () => {
  test('a page that opens: is told every actor, its parent and its state, and the transitions that led there', async () => {
    const engines = await bench.engines('alpha', 'beta');
    const { client } = bench.failoverClient(engines);
    await client.connect();
    await client.check(question(1));
    const { page } = await inspected(client);
    const hello = await page.hello();
    expect(hello).toMatchObject({ mode: 'live', controls: null, events: [], dropped: { transitions: 0, events: 0 } });
    expect(Math.abs(Date.now() - hello.startedAt)).toBeLessThan(60_000);
    await untilSame(client, page);
    const [alpha, beta] = engines.map(({ address }) => `endpoint:${address}`);
    const shown = new Map(hello.actors.map(({ id, parent, active }) => [id, { parent, active }]));
    expect(shown.get('client')).toEqual({ parent: null, active: ['open'] });
    expect(shown.get('failover')).toEqual({ parent: 'client', active: ['open'] });
    expect(shown.get(alpha ?? '')).toEqual({ parent: 'client', active: ['serving.watched'] });
    expect(shown.has(beta ?? '')).toBe(true);
    expect(hello.transitions[0]).toMatchObject({ sequence: 1, actor: 'client', from: [], to: ['idle'] });
    for (const actor of hello.actors) {
      expect(hello.transitions.findLast(({ actor: id }) => id === actor.id)?.to).toEqual(actor.active);
    }
    const times = hello.transitions.map(({ at }) => at);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('the primary is killed, and comes back: the page is told each step, its cause, and where the traffic goes', async () => {
    const engines = await bench.engines('alpha', 'beta');
    const [alpha, beta] = engines;
    if (alpha === undefined || beta === undefined) throw new Error('no engines');
    const { client, events } = bench.failoverClient(engines);
    await client.connect();
    await client.check(question(1));
    const { page } = await inspected(client);
    const routedTo = (address: string) => (frame: Frame) =>
      frame.gauges.endpoints.some((endpoint) => endpoint.address === address && endpoint.active);
    await page.frame('traffic to the primary', routedTo(alpha.address));

    const moved = events.until('failover_completed');
    await alpha.kill();
    await moved;
    const after = await page.frame('traffic to the backup', routedTo(beta.address));
    expect(after.gauges.endpoints.find(({ address }) => address === alpha.address)).toMatchObject({
      level: 0,
      active: false,
      served: false,
    });
    await page.until(() => eventNames(page).includes('failover_completed'), 'the event of the failover');
    expect(eventNames(page)).toEqual(expect.arrayContaining(['pool_connection_failed', 'failover_started']));
    await page.until(() => actorsOf(page).get('client')?.active[0] === 'failedOver', 'failedOver');
    const lost = transitionsOf(page).find(({ actor, to }) => actor === 'connection-1' && to[0] === 'reconnecting');
    expect(lost).toMatchObject({ machine: 'connection', from: ['open.steady'], event: 'TRANSPORT_LOST' });
    expect(lost?.cause).toEqual(expect.stringMatching(/./));
    const ejected = transitionsOf(page).find(
      ({ actor, from, to }) =>
        actor === `endpoint:${alpha.address}` &&
        from[0] === 'serving.watched' &&
        to[0]?.startsWith('serving') === false,
    );
    expect(ejected?.cause).toEqual(expect.stringMatching(/./));

    const returned = events.until('failback_completed');
    await alpha.restart();
    await returned;
    await page.frame('traffic to the primary again', (frame) => frame.at > after.at && routedTo(alpha.address)(frame));
    await page.until(() => eventNames(page).includes('failback_completed'), 'the event of the failback');
    await page.until(() => actorsOf(page).get('client')?.active[0] === 'open', 'open');
    // All of them, once, in order, and each from where the one before had led.
    const transitions = transitionsOf(page);
    const sequences = transitions.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(droppedOf(page)).toBe(0);
    const states = new Map<string, readonly string[]>();
    for (const { actor, from, to } of transitions) {
      expect(from).toEqual(states.get(actor) ?? []);
      states.set(actor, to);
    }
  });

  test('checks and a stream: their rates, latencies, what is in flight and where the marks are, in the gauges', async () => {
    const engines = await bench.engines('alpha');
    const { client } = bench.pooledClient(engines, { streams: { deduplication: true } });
    await client.connect();
    const { page } = await inspected(client);
    const handle = client.createBidirectionalStream(
      { onResponse: () => undefined, onError: () => undefined, onEnd: () => undefined },
      { highWaterMark: 40, lowWaterMark: 20 },
    );
    const enough = new AbortController();
    const load = (async () => {
      for (let index = 0; !enough.signal.aborted; index++) {
        await client.check(question(index));
        await client.check({ ...question(1), requestId: 'again' });
        await handle.check(question(index));
      }
    })();
    const frame = await page.frame('load', ({ gauges }) => gauges.checksPerSecond > 0 && gauges.dedupHitsPerSecond > 0);
    enough.abort();
    await load;
    const { gauges } = frame;
    expect(gauges.failedPerSecond).toBe(0);
    expect(gauges.inFlight).toBe(1);
    expect(gauges.p50Ms).toBeGreaterThan(0);
    expect(gauges.p99Ms).toBeGreaterThanOrEqual(gauges.p50Ms ?? Infinity);
    expect(gauges.connections).toMatchObject([{ id: 'connection-1', endpoint: `endpoint:${engines[0]?.address}` }]);
    expect(gauges.connections[0]?.checksPerSecond).toBeGreaterThan(0);
    expect(gauges.connections[0]?.p50Ms).toBeGreaterThan(0);
    expect(gauges.endpoints).toMatchObject([{ served: true, active: true, health: 'serving' }]);
    const own = gauges.streams.find(({ id }) => id === handle.getId());
    expect(own).toMatchObject({ kind: 'handle', highWaterMark: 40, lowWaterMark: 20, connection: 'connection-1' });
    expect(own?.checksPerSecond).toBeGreaterThan(0);
    expect(gauges.streams.map(({ kind }) => kind).sort()).toEqual(['check', 'handle']);
    const quiet = await page.frame('no load', (each) => each.at > frame.at && each.gauges.checksPerSecond === 0);
    expect(quiet.gauges).toMatchObject({ inFlight: 0, dedupHitsPerSecond: 0, p50Ms: null, p99Ms: null });
    handle.end();
  });

  test('disconnect(): the page is told the end, hears on, and one that opens later is shown it too', async () => {
    const { client } = bench.pooledClient(await bench.engines('alpha'));
    await client.connect();
    await client.check(question(1));
    const { inspector, page } = await inspected(client);
    await page.hello();
    await client.disconnect();
    await page.until(() => actorsOf(page).get('client')?.active[0] === 'closed', 'closed');
    await page.until(() => actorsOf(page).size === 1, 'the others gone');
    const heard = page.frames.length;
    await page.until(() => page.frames.length > heard, 'one more frame');
    expect(page.ended).toBe(false);
    const gone = page.frames.flatMap((frame) => frame.gone);
    expect(gone).toEqual([...new Set(gone)]);
    const late = await PageReader.open(inspector);
    expect((await late.hello()).actors.map(({ id, active }) => [id, active])).toEqual([['client', ['closed']]]);
    await untilSame(client, late);
    late.leave();
  });
});

describe('a client that does nothing', () => {
  test('is told of about once a second', async () => {
    const { client } = bench.pooledClient(await bench.engines('alpha'), { healthCheck: { enabled: false } });
    await client.connect();
    const { page } = await inspected(client);
    await page.frame('first', () => true);
    const frames = (): number => page.frames.length;
    const before = frames();
    await page.until(() => frames() >= before + 2, 'two more frames');
    const [one, two] = page.frames.slice(-2);
    expect((two?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThan(700);
    expect(two).toMatchObject({ actors: [], gone: [], transitions: [], events: [] });
  });

  test('without a page: nothing is kept of it; after the last page has gone: nothing any more', async () => {
    const { client } = bench.pooledClient(await bench.engines('alpha'), { flightRecorderSize: 0 });
    await client.connect();
    const { env, book } = runtimeOf(client);
    const transition = (): unknown =>
      (Reflect.get(client.actor, 'logic') as { readonly transition: unknown }).transition;
    const unwatched = transition();
    const isWatched = (): boolean[] => [
      env.hub.onlooker !== undefined,
      book.latencies !== undefined,
      transition() !== unwatched,
    ];
    const inspectors = [await startInspector(client), await startInspector(client)];
    for (const inspector of inspectors) bench.afterwards(() => inspector.close());
    expect(isWatched()).toEqual([false, false, false]);
    const pages = await Promise.all(inspectors.map((inspector) => PageReader.open(inspector)));
    for (const page of pages) await page.hello();
    expect(isWatched()).toEqual([true, true, true]);
    pages[0]?.leave();
    // Another page of another inspector still looks.
    const heard = pages[1]?.frames.length ?? 0;
    await pages[1]?.until(() => (pages[1]?.frames.length ?? 0) > heard, 'one more frame');
    expect(isWatched()).toEqual([true, true, true]);
    await inspectors[1]?.close();
    await eventually(() => !isWatched().includes(true), 'nobody looks');
    await pages[1]?.until(() => pages[1]?.ended === true, 'the end of the page');
  });
});

describe('transitions', () => {
  test('with the flight recorder off: those while a page is open are told all the same', async () => {
    const { client } = bench.pooledClient(await bench.engines('alpha'), { flightRecorderSize: 0 });
    await client.connect();
    const { page } = await inspected(client);
    expect((await page.hello()).transitions).toEqual([]);
    await client.check(question(1));
    await page.until(() => transitionsOf(page).some(({ actor }) => actor === 'stream-1'), 'the stream');
    const ofStream = transitionsOf(page).filter(({ actor }) => actor === 'stream-1');
    expect(ofStream.slice(0, 2).map(({ event, from }) => [event, from])).toEqual([
      ['xstate.init', []],
      ['CONNECT', ['idle']],
    ]);
    expect(client.dump().transitions).toEqual([]);
  });

  test('more at once than the recorder holds: the last are told, and how many are missing', async () => {
    const { client } = bench.pooledClient(await bench.engines('alpha'), { flightRecorderSize: 4 });
    await client.connect();
    const recorded = (): number => client.dump().recorder.recorded;
    const atLeast = recorded();
    const { page } = await inspected(client);
    const { transitions, dropped } = await page.hello();
    expect(transitions).toHaveLength(4);
    const accountedFor = transitions.length + (dropped?.transitions ?? 0);
    expect(accountedFor).toBeGreaterThanOrEqual(atLeast);
    expect(accountedFor).toBeLessThanOrEqual(recorded());
    for (let index = 0; index < 50; index++) {
      const handle = client.createBidirectionalStream({
        onResponse: () => undefined,
        onError: () => undefined,
        onEnd: () => undefined,
      });
      handle.end();
    }
    await page.until(() => actorsOf(page).size < 10 && transitionsOf(page).length > 4, 'the burst');
    await eventually(
      () => transitionsOf(page).length + droppedOf(page) === recorded(),
      'every transition accounted for',
    );
    expect(droppedOf(page)).toBeGreaterThan(100);
    await untilSame(client, page);
  });

  test('a dump that is served as a recording: shows what the page was told live, and ends', async () => {
    const engines = await bench.engines('alpha', 'beta');
    const { client, events } = bench.failoverClient(engines);
    await client.connect();
    const moved = events.until('failover_completed');
    await engines[0]?.kill();
    await moved;
    await client.disconnect();
    const { page } = await inspected(client);
    const live = await page.hello();
    const dump = JSON.parse(JSON.stringify(client.dump())) as ReturnType<AuthzClient['dump']>;
    const recording = await serveRecording(dump);
    bench.afterwards(() => recording.close());
    const reader = await PageReader.open(recording);
    const recorded = await reader.hello();
    await reader.until(() => reader.ended, 'the end');
    expect(reader.messages).toHaveLength(1);
    expect({ ...recorded, transitions: [], startedAt: 0 }).toEqual({
      ...live,
      mode: 'recording',
      transitions: [],
      startedAt: 0,
    });
    const timeless = (all: readonly TransitionView[]): unknown[] => all.map(({ at: _at, ...rest }) => rest);
    expect(timeless(recorded.transitions)).toEqual(timeless(live.transitions));
    expect(recorded.transitions.length).toBeGreaterThan(20);
    // Both clocks are read for it, a moment apart.
    for (const [index, { at }] of recorded.transitions.entries()) {
      expect(Math.abs(at - (live.transitions[index]?.at ?? 0))).toBeLessThan(1_000);
    }
  });
});

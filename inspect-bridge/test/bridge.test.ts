/** A live client in the viewer of @xstate/inspect: over a real WebSocket, by its own receiver. */

import { beforeEach, describe, expect, test, vi } from 'vitest';
import { question, useStage } from '../../test/support/stage.js';
import { CANARY, live, Sightings } from '../../test/support/watched-life.js';
import type { InspectBridge } from '../src/index.js';
import { openBridge, openViewer, snapshotOf } from './opened.js';
import { Viewer } from './viewer.js';

const stage = useStage();

beforeEach(() => {
  // Of every machine that it makes again, the receiver says that nobody said which order of actions it is for.
  vi.spyOn(console, 'warn').mockReturnValue();
});

/** What XState tells, kept as JSON would be, and passed on to the bridge. */
class Account {
  readonly sightings = new Sightings();
  readonly contexts: unknown[] = [];
  readonly events: [string, string][] = [];
  readonly #bridge: InspectBridge;

  constructor(bridge: InspectBridge) {
    this.#bridge = bridge;
  }

  readonly inspect: Parameters<typeof live>[1] = (event) => {
    this.sightings.see(event);
    const name = this.nameOf(event.actorRef.sessionId);
    if (event.type === '@xstate.event') this.events.push([name, toV4Name(event.event.type)]);
    if (event.type === '@xstate.snapshot') {
      this.contexts.push(JSON.parse(JSON.stringify((event.snapshot as unknown as { context: unknown }).context)));
    }
    this.#bridge.inspect(event);
  };

  nameOf(session: string): string {
    return this.sightings.actors.get(session)?.id ?? `unknown ${session}`;
  }
}

/** `xstate.after.backoff.connection.reconnecting` as `xstate.after(backoff)#connection.reconnecting`. */
const toV4Name = (event: string): string => event.replace(/^xstate\.after\.([^.]+)\.(.+)$/, 'xstate.after($1)#$2');

describe('a client that connects, fails over and ends, before a viewer', () => {
  test('registers every actor by its name, as a machine of v4, and unregisters each as it stops', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const account = new Account(bridge);
    const life = await live(stage, account.inspect);
    await life.end();
    account.sightings.expectWhole(life.addresses);
    await viewer.until(() => viewer.stopped.length >= account.sightings.ids.length, 'every actor to be stopped');

    expect(viewer.registered.map(({ id, sessionId }) => [id, sessionId])).toEqual(
      account.sightings.ids.map((id) => [id, id]),
    );
    for (const { sessionId, machine, state } of viewer.registered) {
      expect(machine.id).toBe(/^[a-z]+/.exec(sessionId)?.[0]);
      // As the viewer does on being told; it throws for a state that the machine has not.
      expect(machine.resolveState(state).value).toEqual(state.value);
    }
    const stops = account.sightings.snapshots.filter(({ status }) => status !== 'active');
    expect(viewer.stopped).toEqual(stops.map(({ session }) => account.nameOf(session)));
  });

  test('shows every transition in order: its state, nested ones too, its context, and what caused it', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const account = new Account(bridge);
    const life = await live(stage, account.inspect);
    await life.end();
    const { snapshots } = account.sightings;
    await viewer.until(() => viewer.states.length >= snapshots.length, 'every transition');

    expect(viewer.states.map(({ sessionId, state }) => [sessionId, state.value, state._event.name])).toEqual(
      snapshots.map(({ session, value, event }) => [account.nameOf(session), value, toV4Name(event)]),
    );
    expect(viewer.states.map(({ state }) => state.context as unknown)).toEqual(account.contexts);
    const depth = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(...Object.values(value).map(depth)) : 1;
    expect(Math.max(...viewer.states.map(({ state }) => depth(state.value)))).toBeGreaterThanOrEqual(2);

    const machines = new Map(viewer.registered.map(({ sessionId, machine }) => [sessionId, machine]));
    for (const { sessionId, state } of viewer.states) {
      expect(machines.get(sessionId)?.resolveState(state).value).toEqual(state.value);
    }
  });

  test('shows every event that an actor is given, before the state it leads to', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const account = new Account(bridge);
    const life = await live(stage, account.inspect);
    await life.end();
    const shown = () => viewer.events.filter((event) => event.type === 'service.event');
    await viewer.until(() => viewer.stopped.length >= account.sightings.ids.length, 'every actor to be stopped');

    for (const id of account.sightings.ids) {
      const names = shown().filter(({ sessionId }) => sessionId === id);
      expect(names.map(({ event }) => event.name)).toEqual(
        account.events.filter(([name]) => name === id).map(([, event]) => event),
      );
      const states = viewer.events.filter((event) => event.type === 'service.event' || event.type === 'service.state');
      const first = states.filter(({ sessionId }) => sessionId === id).slice(0, 2);
      expect(first.map(({ type }) => type)).toEqual(['service.event', 'service.state']);
    }
    expect(shown().length).toBeGreaterThan(40);
  });

  test('whose credentials, headers, questions and errors are secret: shows none of them in any byte', async () => {
    const bridge = await openBridge(stage);
    const viewer = await openViewer(stage, bridge);
    const account = new Account(bridge);
    const life = await live(stage, account.inspect);
    await life.end();
    await viewer.until(() => viewer.states.length >= account.sightings.snapshots.length, 'every transition');
    expect(viewer.bytes.length).toBeGreaterThan(50_000);
    expect(viewer.bytes.includes(life.addresses[0])).toBe(true);
    expect(viewer.bytes.includes(CANARY)).toBe(false);
  });
});

describe('a viewer that comes later', () => {
  test('is told of the actors that live, as they are now, and no other viewer is told again', async () => {
    const bridge = await openBridge(stage);
    const early = await openViewer(stage, bridge);
    const show = (id: string, value: unknown, status = 'active'): void =>
      bridge.inspect(snapshotOf(id, value, status, 'a'));
    for (const id of ['a', 'b', 'c']) show(id, 'here');
    show('b', { there: 'deep' });
    show('c', 'here', 'stopped');
    const late = new Viewer(bridge.server);
    stage.onEnd(() => late.close());
    await late.until(() => late.registered.length === 2, 'the living to be told');
    show('a', { there: 'deep' }, 'stopped');
    await Promise.all([early, late].map((viewer) => viewer.until(() => viewer.stopped.includes('a'), 'a to stop')));

    expect(late.events.map(({ type, sessionId }) => [type, sessionId])).toEqual([
      ['service.register', 'a'],
      ['service.register', 'b'],
      ['service.state', 'a'],
      ['service.stop', 'a'],
    ]);
    expect(late.registered.map(({ state }) => state.value)).toEqual(['here', { there: 'deep' }]);
    expect(late.states[0]?.state.value).toEqual({ there: 'deep' });
    expect(early.registered.map(({ sessionId }) => sessionId)).toEqual(['a', 'b', 'c']);
  });

  test('to a client that has failed over: is told that it has', async () => {
    const bridge = await openBridge(stage);
    const life = await live(stage, bridge.inspect);
    const viewer = new Viewer(bridge.server);
    stage.onEnd(() => viewer.close());
    const states = (): Map<string, unknown> =>
      new Map(viewer.registered.map(({ sessionId, state }) => [sessionId, state.value]));
    await viewer.until(() => states().has('stream-1'), 'the living to be told');
    expect(states().get('client')).toBe('failedOver');
    expect(states().get('failover')).toEqual({ failedOver: 'steady' });
    await life.end();
    await viewer.until(() => viewer.stopped.includes('client'), 'the client to be stopped');
    expect(viewer.states.at(-1)?.state.value).toBe('closed');
  });

  test('after everything has stopped: is told of nothing', async () => {
    const bridge = await openBridge(stage);
    const server = await stage.server();
    const client = stage.client(server, { inspect: bridge.inspect });
    await client.check(question());
    await client.disconnect();
    const viewer = await openViewer(stage, bridge);
    expect(viewer.bytes.toString()).not.toContain('connection-1');
  });
});

test('two clients at a time: the names of the second end in @2, and are free again once it is gone', async () => {
  const bridge = await openBridge(stage);
  const viewer = await openViewer(stage, bridge);
  const server = await stage.server();
  const first = stage.client(server, { inspect: bridge.inspect });
  await first.check(question());
  for (let round = 1; round <= 2; round++) {
    const second = stage.client(server, { inspect: bridge.inspect });
    await second.check(question());
    await second.disconnect();
    const isStopped = (): boolean => viewer.stopped.filter((name) => name === 'client@2').length === round;
    await viewer.until(isStopped, 'the second to be stopped');
  }
  const names = ['client', 'failover', `endpoint:${server.address}`, 'connection-1', 'stream-1'];
  const second = names.map((name) => `${name}@2`);
  expect(viewer.registered.map(({ sessionId }) => sessionId)).toEqual([...names, ...second, ...second]);
  expect(viewer.stopped.filter((name) => !name.endsWith('@2'))).toEqual([]);
});

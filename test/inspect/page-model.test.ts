/** What the page keeps of what it is told. */

import { describe, expect, test } from 'vitest';
import { filterEntries } from '../../src/inspect/page/entries.js';
import { MAX_ENTRIES, Model } from '../../src/inspect/page/model.js';
import type { Frame, Hello, TransitionView } from '../../src/inspect/protocol.js';
import { InspectedWorld } from '../support/inspected-world.js';

const T0 = 1_750_000_000_000;
const PRIMARY = '127.0.0.1:50051';

const GAUGES: Frame['gauges'] = {
  checksPerSecond: 0,
  failedPerSecond: 0,
  inFlight: 0,
  dedupHitsPerSecond: 0,
  p50Ms: null,
  p99Ms: null,
  endpoints: [],
  connections: [],
  streams: [],
};

const hello = (over: Partial<Hello> = {}): Hello => ({
  type: 'hello',
  mode: 'live',
  version: '0.1.0',
  startedAt: T0,
  actors: [],
  transitions: [],
  events: [],
  controls: null,
  ...over,
});

const frame = (at: number, over: Partial<Frame> = {}): Frame => ({
  type: 'frame',
  at,
  actors: [],
  gone: [],
  transitions: [],
  events: [],
  gauges: GAUGES,
  engines: [],
  ...over,
});

const transition = (sequence: number, over: Partial<TransitionView> = {}): TransitionView => ({
  sequence,
  at: T0 + sequence,
  actor: 'client',
  machine: 'client',
  from: ['open'],
  to: ['failedOver'],
  event: 'ROUTE_CHANGED',
  cause: null,
  ...over,
});

const sequences = (model: Model): number[] =>
  model.entries.toArray().map((entry) => (entry.kind === 'event' ? entry.event.sequence : entry.transition.sequence));

/** A world that runs, and the model of what it tells. */
function watched(): { world: InspectedWorld; model: Model } {
  const world = new InspectedWorld({ startedAt: T0 });
  const model = new Model();
  world.connect();
  model.apply(world.hello());
  // What the greeting told, a first frame may tell again.
  for (const each of world.skip(2_000)) model.apply(each);
  return { world, model };
}

describe('the model of the page', () => {
  test('before a greeting: knows of no mode', () => {
    expect(new Model().mode).toBeNull();
  });

  test('frames after the greeting: every actor in its last state, and each transition once', () => {
    const { world, model } = watched();
    expect(model.actors.get('client')?.active).toEqual(['open']);
    expect([...model.actors.keys()].sort()).toEqual(
      world
        .hello()
        .actors.map(({ id }) => id)
        .sort(),
    );
    const told = sequences(model);
    const transitions = model.entries.toArray().filter(({ kind }) => kind === 'transition').length;
    expect(transitions).toBe(model.lastSequence);
    expect(told.length).toBeGreaterThan(transitions);
  });

  test('a frame whose transitions were told already: adds none', () => {
    const model = new Model();
    model.apply(hello({ transitions: [transition(1), transition(2)] }));
    model.apply(frame(T0 + 10, { transitions: [transition(2), transition(3)] }));
    expect(sequences(model)).toEqual([1, 2, 3]);
  });

  test('transitions and events of one frame: in the order they happened', () => {
    const model = new Model();
    model.apply(hello());
    const event = { sequence: 1, at: T0 + 2, name: 'failover_completed', detail: { address: 'a:1' } };
    model.apply(frame(T0 + 10, { transitions: [transition(1), transition(2), transition(3)], events: [event] }));
    const kinds = model.entries.toArray().map(({ kind, at }) => `${kind} ${at - T0}`);
    expect(kinds).toEqual(['transition 1', 'transition 2', 'event 2', 'transition 3']);
  });

  test('more than the bound: keeps the newest, whatever the number of frames', () => {
    const model = new Model();
    model.apply(hello());
    const total = MAX_ENTRIES * 2 + 77;
    for (let sequence = 1; sequence <= total; sequence += 50) {
      const batch = Array.from({ length: Math.min(50, total - sequence + 1) }, (_, index) =>
        transition(sequence + index),
      );
      model.apply(frame(T0 + sequence, { transitions: batch }));
    }
    expect(model.entries.length).toBe(MAX_ENTRIES);
    expect(sequences(model).at(0)).toBe(total - MAX_ENTRIES + 1);
    expect(sequences(model).at(-1)).toBe(total);
    expect(model.entries.dropped).toBe(total - MAX_ENTRIES);
  });

  test('an actor that is gone: leaves the tree, and stays known to the past', () => {
    const { world, model } = watched();
    world.close();
    model.apply(world.tick(125));
    expect([...model.actors.keys()]).toEqual(['client']);
    expect(model.gone.get('stream-1')?.actor.status).toBe('stopped');
  });

  test('actors that come and go without end: those that are gone are bounded', () => {
    const model = new Model();
    model.apply(hello());
    for (let index = 0; index < 5_000; index += 1) {
      const id = `stream-${index}`;
      const actor = {
        id,
        machine: 'stream',
        parent: 'client',
        active: ['open'],
        context: {},
        status: 'active',
      } as const;
      model.apply(frame(T0 + index, { actors: [actor] }));
      model.apply(frame(T0 + index, { gone: [id] }));
    }
    expect(model.actors.size).toBe(0);
    expect(model.gone.size).toBe(2_000);
    expect(model.gone.has('stream-4999')).toBe(true);
  });

  test('a frame that changes a context alone: is no change of the actors', () => {
    const { world, model } = watched();
    const client = world.hello().actors[0];
    if (client === undefined) throw new Error('no client');
    const before = model.actorsVersion;
    model.apply(frame(model.now + 1, { actors: [{ ...client, context: { attempt: 3 } }] }));
    expect(model.actorsVersion).toBe(before);
    expect(model.actors.get('client')?.context).toEqual({ attempt: 3 });
    model.apply(frame(model.now + 1, { actors: [{ ...client, active: ['draining'] }] }));
    expect(model.actorsVersion).toBeGreaterThan(before);
  });
});

describe('a second greeting', () => {
  test('of the same client: what was held before it stays, and nothing is there twice', () => {
    const { world, model } = watched();
    const before = sequences(model);
    world.kill(PRIMARY);
    world.skip(1_000);
    // A little off: wall time is told in whole milliseconds.
    model.apply({ ...world.hello(), startedAt: T0 + 1 });
    const after = sequences(model);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.length).toBeGreaterThan(before.length);
    const ofTransitions = model.entries
      .toArray()
      .flatMap((each) => (each.kind === 'transition' ? [each.transition.sequence] : []));
    expect(new Set(ofTransitions).size).toBe(ofTransitions.length);
    expect(model.actors.get('client')?.active).toEqual(['failedOver']);
  });

  test('of another client: nothing of the first is left', () => {
    const { model } = watched();
    model.apply(hello({ startedAt: T0 + 60_000, transitions: [transition(1, { at: T0 + 60_001 })] }));
    expect(sequences(model)).toEqual([1]);
    expect(model.actors.size).toBe(0);
    expect(model.gauges).toBeNull();
    expect(model.series.checks.points(model.now).every((point) => point === null)).toBe(true);
  });

  test('without an actor that was there: it is gone', () => {
    const { world, model } = watched();
    model.apply({ ...world.hello(), actors: world.hello().actors.filter(({ id }) => id !== 'stream-1') });
    expect(model.actors.has('stream-1')).toBe(false);
    expect(model.gone.has('stream-1')).toBe(true);
  });
});

describe('health', () => {
  const strip = (model: Model): string[] =>
    model.health.segments(`endpoint:${PRIMARY}`, model.now, 10_000).map(({ state }) => state);

  test('an endpoint that failed and came back: a segment for each of its states, without a gap', () => {
    const { world, model } = watched();
    world.kill(PRIMARY);
    for (const each of world.skip(2_000)) model.apply(each);
    world.revive(PRIMARY);
    for (const each of world.skip(2_000)) model.apply(each);
    expect(strip(model)).toEqual(['unknown', 'serving', 'notServing', 'probing', 'serving']);
    const segments = model.health.segments(`endpoint:${PRIMARY}`, model.now, 10_000);
    for (const [index, { from }] of segments.entries()) {
      if (index > 0) expect(from).toBeCloseTo(segments[index - 1]?.to ?? -1);
    }
    expect(segments.at(-1)?.to).toBe(1);
  });

  test('as of a moment of the past: ends there', () => {
    const { world, model } = watched();
    const before = model.now;
    world.kill(PRIMARY);
    for (const each of world.skip(2_000)) model.apply(each);
    const states = model.health.segments(`endpoint:${PRIMARY}`, before, 10_000).map(({ state }) => state);
    expect(states).toEqual(['unknown', 'serving']);
  });

  test('of before the page came: nothing is made up', () => {
    const model = new Model();
    const actor = { id: 'endpoint:a:1', machine: 'endpoint', parent: 'client', active: ['serving.watched'] } as const;
    model.apply(hello({ startedAt: T0 - 60_000, actors: [{ ...actor, context: {}, status: 'active' }] }));
    model.apply(frame(T0, {}));
    model.apply(frame(T0 + 5_000, {}));
    const [only, ...rest] = model.health.segments('endpoint:a:1', model.now, 10_000);
    expect(rest).toEqual([]);
    expect(only?.from).toBeGreaterThan(0);
  });
});

describe('the filter of the timeline', () => {
  const entriesOf = (): ReturnType<Model['entries']['toArray']> => {
    const { world, model } = watched();
    world.kill(PRIMARY);
    for (const each of world.skip(2_000)) model.apply(each);
    return model.entries.toArray();
  };

  test('by words: all of them, in any order, whatever their case', () => {
    const found = filterEntries(entriesOf(), { actor: null, query: 'RECONNECTING connection-1', kind: 'all' });
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ text }) => text.includes('reconnecting') && text.includes('connection-1'))).toBe(true);
  });

  test('by cause: finds what failed for it', () => {
    const found = filterEntries(entriesOf(), { actor: null, query: 'econnreset', kind: 'transition' });
    expect(found.map(({ actor }) => actor)).toEqual(['connection-1', 'connection-2']);
  });

  test('by kind and actor: events that tell of an endpoint are the endpoint’s', () => {
    const found = filterEntries(entriesOf(), { actor: `endpoint:${PRIMARY}`, query: '', kind: 'event' });
    expect(found.flatMap((each) => (each.kind === 'event' ? [each.event.name] : []))).toEqual([
      'connected',
      'health_status_change',
    ]);
  });

  test('what nothing has: nothing', () => {
    expect(filterEntries(entriesOf(), { actor: null, query: 'no-such-word', kind: 'all' })).toEqual([]);
  });
});

/** Time travel: the past as it was, though only the transitions since are known. */

import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { Model } from '../../src/inspect/page/model.js';
import {
  type Cursor,
  heldEntries,
  hold,
  isAfter,
  sceneAt,
  step,
  stopIndex,
  stops,
  travelTo,
} from '../../src/inspect/page/travel.js';
import { InspectedWorld } from '../support/inspected-world.js';

const T0 = 1_750_000_000_000;
const PRIMARY = '127.0.0.1:50051';

/** Of each actor that is there, its state. */
type States = Record<string, string>;

const statesOf = (model: Model, cursor: Cursor | null): States =>
  Object.fromEntries([...sceneAt(model, cursor).actors].map(([id, { active }]) => [id, active.join()]));

/** A world's story, and what was seen after each frame of it. */
function recorded(world: InspectedWorld, story: () => void): { model: Model; seen: Map<number, States> } {
  const model = new Model();
  model.apply(world.hello());
  const seen = new Map<number, States>();
  const watch = (): void => {
    for (const frame of world.skip(5_000)) {
      model.apply(frame);
      seen.set(model.lastSequence, statesOf(model, null));
    }
  };
  world.connect();
  watch();
  story();
  watch();
  return { model, seen };
}

const travelToSequence = (model: Model, sequence: number): Cursor => {
  const entry = stops(model.entries, null).find(
    (each) => each.kind === 'transition' && each.transition.sequence === sequence,
  );
  if (entry === undefined) throw new Error(`no transition ${sequence}`);
  return travelTo(model, null, entry);
};

const failedOver = (): Model => {
  const world = new InspectedWorld({ startedAt: T0 });
  return recorded(world, () => world.kill(PRIMARY)).model;
};

describe('the past', () => {
  propertyTest.prop([fc.array(fc.constantFrom('kill', 'revive', 'freeze', 'churn', 'close'), { maxLength: 6 })], {
    numRuns: 40,
  })('at the end of any frame of any story: is what was seen then', (story) => {
    const world = new InspectedWorld({ startedAt: T0, streamsPerConnection: 2 });
    const { model, seen } = recorded(world, () => {
      for (const [index, each] of story.entries()) {
        world.after(index * 700, () => (each === 'churn' || each === 'close' ? world[each]() : world[each](PRIMARY)));
      }
    });
    for (const [sequence, states] of seen) {
      // An actor that goes makes no transition of its own: it is there until the moment has passed.
      const past = statesOf(model, { ...travelToSequence(model, sequence) });
      for (const [id, state] of Object.entries(states)) expect([id, past[id]]).toEqual([id, state]);
    }
  });

  test('before an actor began: it is not there', () => {
    const model = failedOver();
    expect(Object.keys(statesOf(model, travelToSequence(model, 1)))).toEqual(['client']);
  });

  test('after the first transition: the client is idle, though it has failed over since', () => {
    const model = failedOver();
    expect(statesOf(model, null)['client']).toBe('failedOver');
    expect(statesOf(model, travelToSequence(model, 1))['client']).toBe('idle');
  });

  test('of a recording whose actors are gone: they are there as long as they were', () => {
    const world = new InspectedWorld({ startedAt: T0, mode: 'recording', streamsPerConnection: 1 });
    world.connect();
    world.skip(1_000);
    world.close();
    world.skip(125);
    const model = new Model();
    model.apply(world.hello());
    expect([...model.actors.keys()]).toEqual(['client']);
    const last = stops(model.entries, null).at(-1);
    if (last?.kind !== 'transition') throw new Error('no transition');
    const before = travelToSequence(model, last.transition.sequence - 1);
    expect(statesOf(model, before)['stream-1']).toBe('open.steady');
    expect(statesOf(model, hold(model))).toEqual({ client: 'closed' });
  });

  test('gauges of the past: those sampled next, and none where there were none', () => {
    const model = failedOver();
    expect(sceneAt(model, travelToSequence(model, 1)).gauges).not.toBeNull();
    const cursor = { sequence: 1, at: T0 - 60_000, heldSequence: 1, heldAt: T0 };
    expect(sceneAt(model, cursor).gauges).toBeNull();
  });
});

describe('holding the present', () => {
  test('as time goes on: the scene stays as it was, its figures too', () => {
    const world = new InspectedWorld({ startedAt: T0 });
    const { model } = recorded(world, () => undefined);
    const cursor = hold(model);
    const states = statesOf(model, cursor);
    const { gauges } = sceneAt(model, cursor);
    world.kill(PRIMARY);
    for (const frame of world.skip(5_000)) model.apply(frame);
    expect(statesOf(model, cursor)).toEqual(states);
    expect(sceneAt(model, cursor).gauges).toBe(gauges);
    expect(statesOf(model, null)).not.toEqual(states);
  });

  test('what comes later: is not listed until the return', () => {
    const world = new InspectedWorld({ startedAt: T0 });
    const { model } = recorded(world, () => undefined);
    const cursor = hold(model);
    const before = model.entries.length;
    world.kill(PRIMARY);
    for (const frame of world.skip(5_000)) model.apply(frame);
    expect(heldEntries(model.entries, cursor)).toHaveLength(before);
    expect(heldEntries(model.entries, null).length).toBeGreaterThan(before);
  });
});

describe('stepping', () => {
  test('back from the present: onto the last transition first, then before it', () => {
    const model = failedOver();
    const first = step(model, null, -1);
    expect(first?.sequence).toBe(model.lastSequence);
    expect(statesOf(model, first)).toEqual(statesOf(model, null));
    expect(step(model, first, -1)?.sequence).toBe(model.lastSequence - 1);
  });

  test('back from a pause: onto the last transition first', () => {
    const model = failedOver();
    expect(step(model, hold(model), -1)?.sequence).toBe(model.lastSequence);
  });

  test('back beyond the first, on beyond the last: stays there', () => {
    const model = failedOver();
    const first = travelToSequence(model, 1);
    expect(step(model, first, -1)?.sequence).toBe(1);
    const last = travelToSequence(model, model.lastSequence);
    expect(step(model, last, 1)?.sequence).toBe(model.lastSequence);
  });

  test('there and back: is where it began', () => {
    const model = failedOver();
    const cursor = travelToSequence(model, 20);
    expect(step(model, step(model, cursor, 1), -1)).toEqual(cursor);
  });

  test('with no transitions: leads nowhere', () => {
    expect(step(new Model(), null, -1)).toBeNull();
  });

  test('to an event: the moment after the last transition before it', () => {
    const model = failedOver();
    const entries = model.entries.toArray();
    const index = entries.findIndex((each) => each.kind === 'event' && each.event.name === 'failover_completed');
    const event = entries[index];
    const before = entries.slice(0, index).findLast(({ kind }) => kind === 'transition');
    if (event === undefined || before?.kind !== 'transition') throw new Error('no failover');
    const cursor = travelTo(model, null, event);
    expect(cursor.sequence).toBe(before.transition.sequence);
    expect(statesOf(model, cursor)['client']).toBe('failedOver');
    expect(isAfter(event, cursor)).toBe(false);
  });

  test('the place of the cursor among the stops', () => {
    const model = failedOver();
    const all = stops(model.entries, null);
    expect(stopIndex(all, null)).toBe(all.length - 1);
    expect(stopIndex(all, travelToSequence(model, 1))).toBe(0);
    expect(stopIndex([], null)).toBe(-1);
  });
});

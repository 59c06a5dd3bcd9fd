/** Every state of every chart is reached, by the shortest paths that `xstate/graph` finds, and a real actor that walks them gets there. */

import { describe, expect, it } from 'vitest';
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate';
import { clientMachine, type FailoverContext, failoverMachine } from '../../machines/index.js';
import { ConfigurationError } from '../../src/errors.js';
import {
  type Exploration,
  explorations,
  failoverPaths,
  shortestPaths,
  simplePaths,
  statesOf,
} from '../../src/testing/index.js';
import { type Path, unreached, walk } from './support/paths.js';

const LEVELS = 3;

const failover = explorations.failover({ levels: LEVELS });
const client = explorations.client();

/** An exploration whose chart is not known in types. */
interface Charted {
  readonly machine: AnyStateMachine;
  readonly input: object;
  readonly relevant: (context: never) => readonly unknown[];
  readonly paths: readonly Path[];
}

function charted<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
): Charted {
  return { ...exploration, paths: shortestPaths(exploration) };
}

describe.for([
  charted(failover),
  charted(explorations.endpoint()),
  charted(explorations.connection()),
  charted(explorations.stream()),
  charted(client),
])('$machine.id, explored from its initial state by every event and the end of every delay', (chart) => {
  it('reaches every state of its definition', () => {
    expect(unreached(chart.machine, chart.paths)).toEqual([]);
  });

  it('an actor that is sent the events of any shortest path: passes the states of the path and ends in its last', () => {
    for (const path of chart.paths) walk(chart, path);
  });
});

describe('failover, every reachable state', () => {
  const paths = failoverPaths({ levels: LEVELS });

  it('that carries traffic: carries it on a level that is served', () => {
    const carrying = paths.filter(({ state }) => /^(open|failedOver)/.test(state));
    for (const { context } of carrying) expect(context.levels[context.active]).toBe('served');
    expect(carrying.length).toBeGreaterThan(LEVELS);
  });

  it('that has given up for now: knows of no level that is served', () => {
    const waiting = paths.filter(({ state }) => state === 'reconnecting');
    for (const { context } of waiting) expect(context.levels).not.toContain('served');
    expect(waiting.length).toBeGreaterThan(0);
  });

  it('has one path, which passes no state twice', () => {
    const keys = new Set(paths.map(({ state, context }) => JSON.stringify([state, failover.relevant(context)])));
    expect(keys.size).toBe(paths.length);
    for (const { steps } of paths) {
      const passed = steps.map(({ state, context }) => JSON.stringify([state, failover.relevant(context)]));
      expect(new Set(passed).size).toBe(passed.length);
    }
  });

  it('is named as its definition names it, and its steps as people name events', () => {
    const [initial] = paths.filter(({ steps }) => steps.length === 0);
    expect(initial?.state).toBe('connecting.preferring');
    expect(new Set(paths.map(({ state }) => state))).toEqual(new Set(statesOf(failoverMachine)));
    const names = new Set(paths.flatMap(({ steps }) => steps.map(({ name }) => name)));
    expect([...names].filter((name) => name.startsWith('xstate'))).toEqual([]);
    expect([...names]).toEqual(expect.arrayContaining(['LEVEL_LOST', 'ROUTE_READY', 'after failback']));
  });

  it('of two levels, unless told otherwise: fewer than of three, and at least one fallback', () => {
    const two = failoverPaths();
    expect(two.length).toBeLessThan(paths.length);
    expect(two.every(({ context }) => context.levels.length === 2)).toBe(true);
  });

  it.each([0, 5, 1.5, NaN])('of %d levels: is refused', (levels) => {
    expect(() => failoverPaths({ levels })).toThrow(ConfigurationError);
  });
});

describe('every simple path, walked by an actor', () => {
  it('of a failover controller of two levels to its first route: ends where the path says', () => {
    const one = explorations.failover();
    const two: typeof one = {
      ...one,
      // A late word of the move before is nothing new.
      events: (snapshot) =>
        one.events(snapshot).filter((event) => event.type !== 'ROUTE_READY' || event.epoch === snapshot.context.epoch),
    };
    const paths = simplePaths(two, ['open', 'failedOver.waiting', 'failedOver.steady', 'reconnecting']);
    const aim = (event: EventObject, { context }: AnyMachineSnapshot): EventObject =>
      event.type === 'ROUTE_READY' ? ({ ...event, epoch: (context as FailoverContext).epoch } as EventObject) : event;
    for (const path of paths) walk(two, path, aim);
    expect(paths.length).toBeGreaterThan(100);
    expect(new Set(paths.map(({ state }) => state))).toEqual(
      new Set([
        'connecting.preferring',
        'connecting.waiting',
        'failingOver',
        'open',
        'failedOver.steady',
        'failedOver.waiting',
        'reconnecting',
        'draining',
        'closed',
      ]),
    );
  });

  it('of the client, from idle to closed: ends where the path says', () => {
    const paths = simplePaths(client, ['closed']);
    for (const path of paths) walk(client, path);
    expect(unreached(clientMachine, paths)).toEqual([]);
  });
});

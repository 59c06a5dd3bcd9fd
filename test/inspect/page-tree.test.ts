/** The actors as a tree, and the keys that lead through it. */

import { describe, expect, test } from 'vitest';
import { countTones, toneOf, toneOfState, topState, worstTone } from '../../src/inspect/page/tones.js';
import { forestOf, moveInTree, treeRows, type TreeRow } from '../../src/inspect/page/tree.js';
import type { ActorView, Gauges } from '../../src/inspect/protocol.js';
import { clientMachine } from '../../machines/client.js';
import { connectionMachine } from '../../machines/connection.js';
import { endpointMachine } from '../../machines/endpoint.js';
import { failoverMachine } from '../../machines/failover.js';
import { streamMachine } from '../../machines/stream.js';
import { InspectedWorld } from '../support/inspected-world.js';

type Actors = ReadonlyMap<string, ActorView>;

function connected(options: ConstructorParameters<typeof InspectedWorld>[0] = {}): { actors: Actors; gauges: Gauges } {
  const world = new InspectedWorld({
    levels: [['a:1', 'a:2'], ['b:1']],
    connectionsPerEndpoint: 1,
    streamsPerConnection: 2,
    ...options,
  });
  world.connect();
  const { gauges } = world.tick(1_000);
  return { actors: new Map(world.hello().actors.map((actor) => [actor.id, actor])), gauges };
}

function rowsOf(
  { actors, gauges }: { actors: Actors; gauges: Gauges | null },
  query = '',
  expanded = new Map<string, boolean>(),
): TreeRow[] {
  return treeRows(actors, forestOf(actors, gauges), { query, expanded });
}

/** Indented by level. */
const drawn = (rows: readonly TreeRow[]): string[] => rows.map(({ level, actor }) => '  '.repeat(level - 1) + actor.id);

const WHOLE = [
  'client',
  '  failover',
  '  endpoint:a:1',
  '    connection-1',
  '      stream-1',
  '      stream-2',
  '  endpoint:a:2',
  '    connection-2',
  '      stream-3',
  '      stream-4',
  '  endpoint:b:1',
  '    connection-3',
];

describe('the tree', () => {
  test('a primary whose address comes after that of its fallback: comes before it', () => {
    const rows = rowsOf(connected({ levels: [['z:1'], ['a:1']] }));
    const endpoints = rows.filter(({ actor }) => actor.machine === 'endpoint').map(({ actor }) => actor.id);
    expect(endpoints).toEqual(['endpoint:z:1', 'endpoint:a:1']);
  });

  test('of a connected client: each connection under its endpoint, each stream under its connection', () => {
    expect(drawn(rowsOf(connected()))).toEqual(WHOLE);
  });

  test('without gauges, as in a recording: is found by what the actors remember', () => {
    expect(drawn(rowsOf({ ...connected(), gauges: null }))).toEqual(WHOLE);
  });

  test('numbers in names: count as numbers', () => {
    const { actors } = connected({ connectionsPerEndpoint: 12, streamsPerConnection: 0, levels: [['a:1']] });
    const ids = rowsOf({ actors, gauges: null }).map(({ actor }) => actor.id);
    expect(ids.slice(3)).toEqual(Array.from({ length: 12 }, (_, index) => `connection-${index + 1}`));
  });

  test('an actor whose parent nobody knows: is the client’s', () => {
    const { actors } = connected();
    const lost = {
      id: 'stream-9',
      machine: 'stream',
      parent: 'connection-99',
      active: ['reconnecting'],
      context: {},
      status: 'active',
    } as const;
    const rows = rowsOf({ actors: new Map([...actors, [lost.id, lost]]), gauges: null });
    expect(rows.find(({ actor }) => actor.id === 'stream-9')?.parent).toBe('client');
  });

  test('actors that are each other’s parents: end', () => {
    const actor = (id: string, parent: string): [string, ActorView] => [
      id,
      { id, machine: 'connection', parent, active: [], context: {}, status: 'active' },
    ];
    expect(rowsOf({ actors: new Map([actor('a', 'b'), actor('b', 'a')]), gauges: null })).toEqual([]);
  });

  test('a closed row: hides what is below it, and knows how much that is', () => {
    const rows = rowsOf(connected(), '', new Map([['endpoint:a:1', false]]));
    expect(drawn(rows)).toEqual(WHOLE.filter((_, index) => index < 3 || index > 5));
    expect(rows.find(({ actor }) => actor.id === 'endpoint:a:1')).toMatchObject({ children: 1, isExpanded: false });
  });

  test('more actors than can be read: connections begin closed, and open by hand', () => {
    const many = connected({ connectionsPerEndpoint: 4, streamsPerConnection: 40 });
    expect(rowsOf(many).some(({ actor }) => actor.machine === 'stream')).toBe(false);
    const opened = rowsOf(many, '', new Map([['connection-2', true]]));
    expect(opened.filter(({ actor }) => actor.machine === 'stream')).toHaveLength(40);
  });

  test('searched by name: shows what matches and what leads to it, though it is closed', () => {
    const rows = rowsOf(connected(), 'STREAM-3', new Map([['endpoint:a:2', false]]));
    expect(drawn(rows)).toEqual(['client', '  endpoint:a:2', '    connection-2', '      stream-3']);
    expect(rows.at(-1)).toMatchObject({ position: 1, siblings: 1 });
  });

  test('searched by state: shows the actors in it', () => {
    expect(drawn(rowsOf(connected(), 'connection failedover'))).toEqual([
      'client',
      '  endpoint:b:1',
      '    connection-3',
    ]);
  });
});

describe('keys in the tree', () => {
  const rows = rowsOf(connected());
  const closed = rowsOf(connected(), '', new Map([['endpoint:a:1', false]]));

  test.each([
    ['ArrowDown', 'client', 'failover'],
    ['ArrowUp', 'client', 'client'],
    ['ArrowUp', 'endpoint:a:1', 'failover'],
    ['ArrowDown', 'connection-3', 'connection-3'],
    ['Home', 'stream-3', 'client'],
    ['End', 'client', 'connection-3'],
    ['PageDown', 'client', 'endpoint:b:1'],
    ['PageUp', 'connection-3', 'failover'],
    ['ArrowRight', 'endpoint:a:1', 'connection-1'],
    ['ArrowLeft', 'stream-2', 'connection-1'],
  ] as const)('%s from %s: leads to %s', (key, from, to) => {
    expect(moveInTree(rows, from, key)).toEqual({ focus: to, expand: null });
  });

  test('right on a closed row: opens it; left on an open one: closes it', () => {
    expect(moveInTree(closed, 'endpoint:a:1', 'ArrowRight')).toEqual({ focus: 'endpoint:a:1', expand: true });
    expect(moveInTree(rows, 'endpoint:a:1', 'ArrowLeft')).toEqual({ focus: 'endpoint:a:1', expand: false });
  });

  test('right on a row without children, left on a closed root: lead nowhere', () => {
    expect(moveInTree(rows, 'stream-1', 'ArrowRight')).toBeNull();
    const root = rowsOf(connected(), '', new Map([['client', false]]));
    expect(moveInTree(root, 'client', 'ArrowLeft')).toBeNull();
  });

  test('from a row that is gone: to the first', () => {
    expect(moveInTree(rows, 'stream-99', 'ArrowDown')).toEqual({ focus: 'client', expand: null });
  });

  test('in an empty tree: lead nowhere', () => {
    expect(moveInTree([], null, 'ArrowDown')).toBeNull();
  });
});

describe('tones', () => {
  test.each([
    ['client', clientMachine],
    ['failover', failoverMachine],
    ['endpoint', endpointMachine],
    ['connection', connectionMachine],
    ['stream', streamMachine],
  ] as const)('every state of %s: has one', (name, machine) => {
    const unknown = toneOfState(name, 'no such state');
    expect(unknown).toBe('idle');
    const resting = new Set(['idle', 'unknown', ...(name === 'connection' ? ['failedOver'] : [])]);
    for (const state of Object.keys(machine.states)) {
      // What is at rest looks like what is not known; all else must have been given a tone.
      expect([state, toneOfState(name, state) === 'idle']).toEqual([state, resting.has(state)]);
    }
  });

  test.each(['toaster', 'constructor', '__proto__'])('of the statechart %s, which there is none of: none', (name) => {
    expect(toneOfState(name as ActorView['machine'], 'constructor')).toBe('idle');
  });

  test('the outermost state, of what is nested and of nothing', () => {
    expect(topState(['open.steady'])).toBe('open');
    expect(topState(['idle'])).toBe('idle');
    expect(topState([])).toBe('');
  });

  test('an actor that failed or stopped: is so, whatever its state', () => {
    expect(toneOf({ machine: 'client', active: ['open'], status: 'error' })).toBe('bad');
    expect(toneOf({ machine: 'client', active: ['open'], status: 'stopped' })).toBe('off');
    expect(toneOf({ machine: 'client', active: ['open'], status: 'active' })).toBe('ok');
  });

  test('the worst of many', () => {
    expect(worstTone(['ok', 'warn', 'idle'])).toBe('warn');
    expect(worstTone([])).toBe('off');
    expect(countTones(connected().actors.values())).toMatchObject({ ok: 11, idle: 1, bad: 0 });
  });
});

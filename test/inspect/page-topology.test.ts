/** The picture of the route: nothing overlaps, nothing grows without bound, and traffic is where it is. */

import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { Model } from '../../src/inspect/page/model.js';
import {
  COMPACT_WIDTH,
  flowSpeed,
  layOutTopology,
  linkPath,
  linkWidth,
  MAX_ENDPOINTS,
  type Topology,
  type TopologyNode,
} from '../../src/inspect/page/topology.js';
import { forestOf } from '../../src/inspect/page/tree.js';
import { hold, sceneAt, stops, travelTo } from '../../src/inspect/page/travel.js';
import { InspectedWorld, type WorldOptions } from '../support/inspected-world.js';

const PRIMARY = '127.0.0.1:50051';
const BACKUP = '127.0.0.1:50052';

function watched(options: WorldOptions = {}, act: (world: InspectedWorld) => void = () => undefined): Model {
  const world = new InspectedWorld(options);
  const model = new Model();
  model.apply(world.hello());
  world.connect();
  for (const frame of world.skip(1_000, 500)) model.apply(frame);
  act(world);
  for (const frame of world.skip(3_000, 500)) model.apply(frame);
  return model;
}

function layOut(model: Model, width = 800, cursor: Parameters<typeof sceneAt>[1] = null): Topology {
  const scene = sceneAt(model, cursor);
  return layOutTopology(scene, forestOf(scene.actors, scene.gauges), { width, height: 400 });
}

const nodeOf = ({ nodes }: Topology, id: string): TopologyNode => {
  const node = nodes.find((each) => each.id === id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return node;
};

const rateTo = ({ links }: Topology, id: string): number =>
  links.find((link) => link.id.endsWith(`>${id}`))?.checksPerSecond ?? Number.NaN;

const overlap = (one: TopologyNode, other: TopologyNode): boolean =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

describe('the topology', () => {
  propertyTest.prop(
    [
      fc.record({
        levels: fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 3 }),
        connections: fc.nat({ max: 9 }),
        streams: fc.nat({ max: 16 }),
        width: fc.integer({ min: 300, max: 1_600 }),
      }),
    ],
    { numRuns: 40 },
  )(
    'of any client at any width: boxes within it, none over another, links from box to box',
    ({ levels, connections, streams, width }) => {
      const addresses = levels.map((count, level) =>
        Array.from({ length: count }, (_, index) => `10.0.${level}.${index}:1`),
      );
      const model = watched({ levels: addresses, connectionsPerEndpoint: connections, streamsPerConnection: streams });
      const topology = layOut(model, width);
      const { nodes, links, height } = topology;
      expect(nodes.length).toBeLessThan(120);
      for (const [index, node] of nodes.entries()) {
        expect(node.x).toBeGreaterThanOrEqual(0);
        expect(node.x + node.width).toBeLessThanOrEqual(width + 0.5);
        expect(node.y).toBeGreaterThanOrEqual(0);
        expect(node.y + node.height).toBeLessThanOrEqual(height + 0.5);
        expect(nodes.slice(index + 1).filter((other) => overlap(node, other))).toEqual([]);
      }
      expect(new Set(nodes.map(({ id }) => id)).size).toBe(nodes.length);
      for (const { id, from, to } of links) {
        const [source = '', target = ''] = id.split('>');
        expect(from[0]).toBe(nodeOf(topology, source).x + nodeOf(topology, source).width);
        expect(to[0]).toBe(nodeOf(topology, target).x);
      }
    },
  );

  test('primary open: traffic flows to it alone', () => {
    const topology = layOut(watched());
    expect(rateTo(topology, `endpoint:${PRIMARY}`)).toBeGreaterThan(1_000);
    expect(rateTo(topology, `endpoint:${BACKUP}`)).toBe(0);
    expect(topology.captions.map(({ level, isActive }) => [level, isActive])).toEqual([
      [0, true],
      [1, false],
    ]);
  });

  test.each([{ valueOf: 1, toString: 1 }, '1', null])(
    'an endpoint of the level %j: is among the preferred',
    (level) => {
      const world = new InspectedWorld({ mode: 'recording' });
      world.connect();
      world.skip(1_000);
      const model = new Model();
      const { actors, ...rest } = world.hello();
      model.apply({ ...rest, actors: actors.map((each) => ({ ...each, context: { ...each.context, level } })) });
      expect(layOut(model).captions.map((caption) => caption.level)).toEqual([0]);
    },
  );

  test('primary killed: traffic has moved over, and the primary is what does not work', () => {
    const topology = layOut(watched({}, (world) => world.kill(PRIMARY)));
    expect(rateTo(topology, `endpoint:${PRIMARY}`)).toBe(0);
    expect(rateTo(topology, `endpoint:${BACKUP}`)).toBeGreaterThan(1_000);
    expect(nodeOf(topology, `endpoint:${PRIMARY}`).tone).toBe('bad');
    expect(topology.captions.map(({ level, isActive }) => [level, isActive])).toEqual([
      [0, false],
      [1, true],
    ]);
  });

  test('the same, as of before the kill: is as it was', () => {
    const model = watched({}, (world) => world.kill(PRIMARY));
    const killed = stops(model.entries, null).find(({ text }) => text.includes('econnreset'));
    if (killed === undefined) throw new Error('no kill');
    const cursor = travelTo(model, null, killed);
    const topology = layOut(model, 800, { ...cursor, sequence: cursor.sequence - 1 });
    expect(nodeOf(topology, `endpoint:${PRIMARY}`)).toMatchObject({
      tone: 'ok',
      endpoint: { level: 0, isActive: true },
    });
    expect(nodeOf(topology, `endpoint:${BACKUP}`)).toMatchObject({ endpoint: { level: 1, isActive: false } });
  });

  test('a recording, which has no gauges: knows by the states which level carries traffic', () => {
    const world = new InspectedWorld({ mode: 'recording' });
    world.connect();
    world.skip(1_000);
    world.kill(PRIMARY);
    world.skip(1_000);
    const model = new Model();
    model.apply(world.hello());
    const topology = layOut(model, 800, hold(model));
    expect(nodeOf(topology, `endpoint:${BACKUP}`)).toMatchObject({
      endpoint: { isActive: true },
      checksPerSecond: null,
    });
  });

  test('more streams on a connection than can be told apart: one group, with their rate and how many call for attention', () => {
    const model = watched({ streamsPerConnection: 40, connectionsPerEndpoint: 1 }, (world) => {
      for (let index = 0; index < 20; index += 1) world.churn();
    });
    const topology = layOut(model);
    expect(topology.nodes.filter(({ kind }) => kind === 'stream')).toEqual([]);
    const group = nodeOf(topology, 'connection-1/more');
    const paused = [...model.actors.values()].filter(({ active }) => active[0] === 'paused').length;
    expect(paused).toBeGreaterThan(0);
    expect(group).toMatchObject({ label: '40 streams', tone: 'warn', attention: paused });
    expect(group.checksPerSecond).toBeCloseTo(nodeOf(topology, 'connection-1').checksPerSecond ?? 0);
  });

  test('one stream more than fits: is drawn, for a group of one would take as much room', () => {
    const model = watched({ streamsPerConnection: 7, connectionsPerEndpoint: 1, levels: [[PRIMARY]] });
    const { nodes } = layOut(model);
    expect(nodes.filter(({ kind }) => kind === 'stream')).toHaveLength(7);
  });

  test('more endpoints than fit: a group stands for the rest', () => {
    const levels = [Array.from({ length: MAX_ENDPOINTS + 5 }, (_, index) => `10.0.0.${index}:1`)];
    const { nodes } = layOut(watched({ levels, connectionsPerEndpoint: 1, streamsPerConnection: 1 }));
    expect(nodes.filter(({ kind }) => kind === 'endpoint')).toHaveLength(MAX_ENDPOINTS);
    expect(nodes.map(({ label }) => label)).toContain('5 more endpoints');
  });

  test('streams without a connection: are told of', () => {
    const model = watched({}, (world) => {
      world.kill(PRIMARY);
      world.kill(BACKUP);
    });
    const actors = new Map([...model.actors].filter(([, { machine }]) => machine !== 'connection'));
    const scene = { ...sceneAt(model, null), actors, gauges: null };
    const { nodes } = layOutTopology(scene, forestOf(actors, null), { width: 800, height: 400 });
    expect(nodes.find(({ id }) => id === 'waiting-streams')).toMatchObject({
      label: '8 streams have no connection',
      tone: 'bad',
    });
  });

  test('before anything is connected: the client alone', () => {
    const world = new InspectedWorld();
    const model = new Model();
    model.apply(world.hello());
    expect(layOut(model).nodes.map(({ kind }) => kind)).toEqual(['client']);
  });

  test('higher than what is in sight: the client is within sight', () => {
    const levels = [Array.from({ length: 8 }, (_, index) => `10.0.0.${index}:1`)];
    const topology = layOut(watched({ levels }));
    const { y, height } = nodeOf(topology, 'client');
    expect(topology.height).toBeGreaterThan(400);
    expect(y + height).toBeLessThanOrEqual(400);
  });

  test('on a narrow screen: streams are below their connection, and no link crosses to them', () => {
    const topology = layOut(watched(), COMPACT_WIDTH - 1);
    expect(topology.isCompact).toBe(true);
    expect(nodeOf(topology, 'stream-1').y).toBeGreaterThan(nodeOf(topology, 'connection-1').y);
    expect(topology.links.some(({ id }) => id.includes('>stream-'))).toBe(false);
  });
});

describe('links', () => {
  test('the more traffic, the wider, up to a bound; without any, thin', () => {
    const widths = [0, 1, 10, 100, 1_000, 5_000].map((rate) => linkWidth(rate, 1_000));
    expect(widths).toEqual([...widths].sort((one, other) => one - other));
    expect(widths[0]).toBe(1.5);
    expect(widths.at(-1)).toBe(8);
  });

  test('the more traffic, the faster, in four steps; without any, it stands', () => {
    expect([0, 5, 200, 900].map((rate) => flowSpeed(rate, 1_000))).toEqual([0, 1, 2, 3]);
  });

  test('leave and arrive level', () => {
    expect(linkPath({ from: [0, 0], to: [100, 50] })).toBe('M0.0 0.0C50.0 0.0 50.0 50.0 100.0 50.0');
  });
});

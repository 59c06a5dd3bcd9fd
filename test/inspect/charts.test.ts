/** The statecharts as the inspector's page draws them: nothing left out, nothing over something else, every transition on its arrow. */

import { describe, expect, test } from 'vitest';
import * as machines from '../../machines/index.js';
import { branchesOf, CHART_NAMES, isForbidden, stays, withDescendants } from '../../scripts/chart-definition.js';
import { layOutCharts } from '../../scripts/lay-out-charts.js';
import { findEdge } from '../../src/inspect/page/chart-edge.js';
import type { ChartState, ChartView } from '../../src/inspect/protocol.js';

type Box = Pick<ChartState, 'x' | 'y' | 'width' | 'height'>;

const charts = await layOutCharts();
const chartOf = (name: string): ChartView => {
  const chart = charts[name];
  if (chart === undefined) throw new Error(`${name} is not drawn`);
  return chart;
};
const rootOf = (name: string) => {
  const { clientMachine, failoverMachine, endpointMachine, connectionMachine, streamMachine } = machines;
  const all = [clientMachine, failoverMachine, endpointMachine, connectionMachine, streamMachine];
  const machine = all.find(({ id }) => id === name);
  if (machine === undefined) throw new Error(`there is no machine ${name}`);
  return machine.root;
};

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const isWithin = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;
const parentOf = (path: string): string => path.split('.').slice(0, -1).join('.');
const leavesWithin = (chart: ChartView, path: string): string[] =>
  chart.states
    .filter(({ kind }) => kind === 'atomic' || kind === 'final')
    .map((state) => state.path)
    .filter((leaf) => path === '' || leaf === path || leaf.startsWith(`${path}.`));

describe.each(CHART_NAMES)('%s', (name) => {
  const chart = chartOf(name);
  const branches = withDescendants(rootOf(name))
    .flatMap(branchesOf)
    .filter((branch) => !isForbidden(branch));

  test('drawn: has every state of the definition once', () => {
    const defined = withDescendants(rootOf(name)).map(({ path }) => path.join('.'));
    expect(chart.states.map(({ path }) => path)).toEqual(defined);
  });

  test('drawn: has every transition of the definition once, on an arrow or in its state', () => {
    const moving = chart.edges.flatMap(({ transitions }) => transitions);
    const staying = chart.states.flatMap((state) => state.stays);
    expect(moving).toHaveLength(branches.filter((branch) => !stays(branch)).length);
    expect(staying).toHaveLength(branches.filter((branch) => stays(branch)).length);
    expect(moving.length).toBeGreaterThan(10);
  });

  test('any move of the definition, made: is found on an arrow between its states', () => {
    for (const { source, target, event, lands } of chart.edges.flatMap(({ transitions }) => transitions)) {
      for (const from of leavesWithin(chart, source)) {
        for (const to of lands) {
          const found = chart.edges.find(({ id }) => id === findEdge(chart, { from: [from], to: [to], event }));
          expect(
            found?.transitions.map((each) => each.event),
            `${from} ${event} ${target ?? ''}`,
          ).toContain(event);
        }
      }
    }
  });

  test('an event that no state has, or an actor that begins: is on no arrow', () => {
    const [leaf = ''] = leavesWithin(chart, '');
    expect(findEdge(chart, { from: [leaf], to: [leaf], event: 'NEVER' })).toBeNull();
    expect(findEdge(chart, { from: [], to: [leaf], event: 'xstate.init' })).toBeNull();
  });

  test('drawn: states lie within their parents, and beside their siblings', () => {
    const boxes = new Map(chart.states.map((state) => [state.path, state]));
    for (const state of chart.states.filter(({ path }) => path !== '')) {
      const parent = boxes.get(parentOf(state.path));
      expect(parent !== undefined && isWithin(state, parent), state.path).toBe(true);
      const siblings = chart.states.filter(
        ({ path }) => path !== state.path && path !== '' && parentOf(path) === parentOf(state.path),
      );
      expect(siblings.filter((sibling) => overlap(sibling, state)).map(({ path }) => path)).toEqual([]);
    }
    expect(
      chart.states.every((state) => isWithin(state, { x: 0, y: 0, width: chart.width, height: chart.height })),
    ).toBe(true);
  });

  test('drawn: no text of an arrow covers a state or the text of another', () => {
    const labels = chart.edges.map(({ id, labelX: x, labelY: y, labelWidth: width, labelHeight: height }) => ({
      id,
      x,
      y,
      width,
      height,
    }));
    const leaves = chart.states.filter(({ kind }) => kind === 'atomic' || kind === 'final');
    for (const label of labels) {
      expect(
        leaves.filter((leaf) => overlap(leaf, label)).map(({ path }) => path),
        label.id,
      ).toEqual([]);
      expect(
        labels.filter((other) => other !== label && overlap(other, label)).map(({ id }) => id),
        label.id,
      ).toEqual([]);
    }
  });

  test('drawn: every line has two ends, on this drawing', () => {
    for (const { id, points } of chart.edges) {
      expect(points.length, id).toBeGreaterThan(1);
      for (const [x, y] of points) {
        expect(x >= 0 && x <= chart.width && y >= 0 && y <= chart.height, `${id} at ${x},${y}`).toBe(true);
      }
    }
  });
});

test('laid out again: the same', async () => {
  expect(await layOutCharts()).toEqual(charts);
});

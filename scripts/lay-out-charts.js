// Lays the statecharts out for the inspector's page, once and ahead of time: the layout takes longer than a page may block.
import { readFileSync } from 'node:fs';
import ELK from 'elkjs';
import { loadMachines, readPromises, sourceOf } from './chart-definition.js';
import { modelOf } from './chart-model.js';

/** @typedef {import('../src/inspect/protocol.js').ChartView} ChartView */
/** @typedef {import('../src/inspect/protocol.js').ChartEdge} ChartEdge */
/** @typedef {import('./chart-model.js').ModelState} ModelState */
/** @typedef {import('./chart-model.js').ModelEdge} ModelEdge */
/** @typedef {import('elkjs').ElkNode} ElkNode */
/** @typedef {import('elkjs').ElkExtendedEdge} ElkEdge */

/** The page's fonts at these sizes take no more for a character. */
const STATE_CHARACTER = 7.4;
const LABEL_CHARACTER = 6.2;
const STATE_HEIGHT = 34;
const HEADER_HEIGHT = 38;
const LINE_HEIGHT = 14;
const LABEL_PADDING = 6;
const PADDING = 16;

/** Typed as a namespace, which it is not when it is imported as an ES module. */
const Elk = /** @type {typeof ELK.default} */ (/** @type {unknown} */ (ELK));

const LAYOUT = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
  'elk.randomSeed': '1',
  'elk.edgeLabels.inline': 'true',
  'elk.layered.edgeLabels.sideSelection': 'ALWAYS_UP',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
  'elk.spacing.nodeNode': '28',
  'elk.spacing.edgeNode': '16',
  'elk.spacing.edgeEdge': '12',
  'elk.spacing.edgeLabel': '3',
  'elk.spacing.labelNode': '6',
  'elk.padding': `[top=${HEADER_HEIGHT + PADDING},left=${PADDING},bottom=${PADDING},right=${PADDING}]`,
};

/** ELK's ids may not be empty. @type {(path: string) => string} */
const idOf = (path) => `state:${path}`;

/** @type {(edge: ModelEdge) => string[]} */
const linesOf = ({ transitions }) => [
  ...new Set(transitions.map(({ stimulus, guard }) => (guard === '' ? stimulus : `${stimulus} [${guard}]`))),
];

/** @type {(state: ModelState, states: readonly ModelState[]) => ElkNode} */
function toNode(state, states) {
  const children = states.filter(({ parent }) => parent === state.path).map((child) => toNode(child, states));
  const width = Math.max(84, Math.ceil(state.label.length * STATE_CHARACTER) + 32);
  return {
    id: idOf(state.path),
    width,
    height: STATE_HEIGHT,
    ...(children.length > 0 && {
      children,
      layoutOptions: { ...LAYOUT, 'elk.nodeSize.constraints': 'MINIMUM_SIZE', 'elk.nodeSize.minimum': `(${width},60)` },
    }),
  };
}

/** @type {(edge: ModelEdge) => ElkEdge} */
function toElkEdge(edge) {
  const lines = linesOf(edge);
  return {
    id: edge.id,
    sources: [idOf(edge.source)],
    targets: [idOf(edge.target)],
    labels: [
      {
        id: `label:${edge.id}`,
        text: lines.join('\n'),
        width: Math.ceil(Math.max(...lines.map((line) => line.length)) * LABEL_CHARACTER) + 2 * LABEL_PADDING,
        height: lines.length * LINE_HEIGHT + 4,
      },
    ],
  };
}

/** @type {(node: ElkNode) => [string, ElkNode][]} */
const placesOf = (node) => [[node.id, node], ...(node.children ?? []).flatMap(placesOf)];

/** @type {(edge: ModelEdge, placed: ElkEdge | undefined) => ChartEdge} */
function toChartEdge(edge, placed) {
  const [section] = placed?.sections ?? [];
  const [label] = placed?.labels ?? [];
  if (section === undefined || label === undefined) throw new Error(`elk gave ${edge.id} no shape`);
  const { startPoint, bendPoints = [], endPoint } = section;
  return {
    id: edge.id,
    source: edge.source,
    target: edge.target,
    transitions: edge.transitions,
    points: [startPoint, ...bendPoints, endPoint].map(({ x, y }) => /** @type {const} */ ([x, y])),
    lines: linesOf(edge),
    labelX: label.x ?? 0,
    labelY: label.y ?? 0,
    labelWidth: label.width ?? 0,
    labelHeight: label.height ?? 0,
  };
}

/** @type {(model: import('./chart-model.js').ChartModel) => Promise<ChartView>} */
async function layOut({ machine, summary, states, edges }) {
  const moves = edges.filter(({ kind }) => kind === 'moves');
  const stays = new Map(edges.filter(({ kind }) => kind === 'stays').map((edge) => [edge.source, edge.transitions]));
  const whole = states.filter(({ parent }) => parent === null).map((state) => toNode(state, states));
  /** @type {ElkNode} */
  const drawing = {
    id: 'graph',
    layoutOptions: { ...LAYOUT, 'elk.padding': '[top=4,left=4,bottom=4,right=4]' },
    children: whole,
    edges: moves.map(toElkEdge),
  };
  const graph = await new Elk().layout(drawing);
  const places = new Map((graph.children ?? []).flatMap(placesOf));
  const placed = new Map((graph.edges ?? []).map((edge) => [edge.id, edge]));
  return {
    machine,
    summary,
    width: Math.ceil(graph.width ?? 0),
    height: Math.ceil(graph.height ?? 0),
    states: states.map(({ path, label, kind, promise, depth, parent }) => {
      const { x = 0, y = 0, width = 0, height = 0 } = places.get(idOf(path)) ?? {};
      const isInitial = states.some((state) => state.path === parent && state.initial === path);
      return { path, label, kind, promise, isInitial, depth, x, y, width, height, stays: stays.get(path) ?? [] };
    }),
    edges: moves.map((edge) => toChartEdge(edge, placed.get(edge.id))),
  };
}

/** Of the machines as they were last built, by name. @returns {Promise<Record<string, ChartView>>} */
export async function layOutCharts() {
  const machines = await loadMachines();
  const charts = machines.map(async ({ name, machine }) => {
    const source = readFileSync(sourceOf(name), 'utf8');
    return /** @type {const} */ ([name, await layOut(modelOf(machine, readPromises({ name, source })))]);
  });
  return Object.fromEntries(await Promise.all(charts));
}

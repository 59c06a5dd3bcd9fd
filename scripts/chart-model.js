// What a drawn statechart shows, before it has a shape: its states with what they run, and its transitions gathered into edges.
import {
  branchesOf,
  childrenOf,
  guardOf,
  initialLeafOf,
  initialOf,
  isForbidden,
  isOtherwise,
  isTerminal,
  namedActions,
  stays,
  stimulusOf,
  targetOf,
  withAncestors,
  withDescendants,
} from './chart-definition.js';

/** @typedef {import('xstate').AnyStateMachine} AnyStateMachine */
/** @typedef {import('./chart-definition.js').Node} Node */
/** @typedef {import('./chart-definition.js').Branch} Branch */
/** @typedef {import('../src/inspect/protocol.js').ChartTransition} ChartTransition */

/** @typedef {import('./chart-model.js').ModelState} ModelState */
/** @typedef {import('./chart-model.js').ModelEdge} ModelEdge */
/** @typedef {import('./chart-model.js').ChartModel} ChartModel */

/** @type {(node: Node) => string} */
const pathOf = (node) => node.path.join('.');

/**
 * The leaves where a machine that comes to be in a leaf may come to rest: there, or where its immediate transitions lead from there.
 *
 * @type {(leaf: Node, seen?: Set<Node>) => Set<Node>}
 */
function restsOf(leaf, seen = new Set()) {
  if (seen.has(leaf)) return seen;
  seen.add(leaf);
  for (const branch of withAncestors(leaf).flatMap((node) => node.always ?? [])) {
    const target = targetOf(/** @type {Branch} */ (branch));
    if (target !== undefined) restsOf(initialLeafOf(target), seen);
  }
  return seen;
}

/** @type {(node: Node) => Node[]} */
const leavesOf = (node) => withDescendants(node).filter((inner) => childrenOf(inner).length === 0);

/** @type {(branch: Branch) => string[]} */
function landsIn(branch) {
  const target = targetOf(branch);
  const first =
    target === undefined || stays(branch) ? leavesOf(/** @type {Node} */ (branch.source)) : [initialLeafOf(target)];
  const rests = new Set(first.flatMap((leaf) => [...restsOf(leaf)]));
  return [...rests].map(pathOf);
}

/** @type {(branch: Branch) => ChartTransition} */
function transitionOf(branch) {
  const target = targetOf(branch);
  return {
    source: pathOf(/** @type {Node} */ (branch.source)),
    target: target === undefined ? null : pathOf(target),
    event: branch.eventType,
    stimulus: stimulusOf(branch),
    guard: isOtherwise(branch) ? 'else' : guardOf(branch),
    actions: namedActions(branch.actions),
    lands: landsIn(branch),
  };
}

/** @type {(branch: Branch) => string} */
const meaningOf = (branch) =>
  JSON.stringify([
    branch.eventType,
    guardOf(branch),
    isOtherwise(branch),
    targetOf(branch)?.path,
    namedActions(branch.actions),
  ]);

/**
 * What every state of a chart does alike is drawn once, from the border around them. Those that are over do it no more, and one that it leads
 * to need not.
 *
 * @type {(container: Node) => Branch[]}
 */
function sharedBy(container) {
  const children = childrenOf(container);
  /** @type {Map<string, Branch[]>} */
  const byMeaning = new Map();
  for (const branch of children.flatMap(branchesOf)) {
    if (stays(branch)) continue;
    byMeaning.set(meaningOf(branch), [...(byMeaning.get(meaningOf(branch)) ?? []), branch]);
  }
  return [...byMeaning.values()].flatMap((branches) => {
    const target = branches[0] === undefined ? undefined : targetOf(branches[0]);
    const sources = new Set(branches.map(({ source }) => /** @type {Node} */ (source)));
    const others = children.filter((child) => child !== target && !isTerminal(child));
    const isShared = sources.size > 2 && others.every((child) => sources.has(child));
    return isShared ? branches : [];
  });
}

/** @type {(root: Node) => ModelEdge[]} */
function edgesOf(root) {
  const nodes = withDescendants(root);
  const shared = new Map(
    nodes.flatMap((container) => sharedBy(container).map((branch) => /** @type {const} */ ([branch, container]))),
  );
  /** @type {Map<string, ModelEdge>} */
  const edges = new Map();
  for (const node of nodes) {
    for (const branch of branchesOf(node).filter((each) => !isForbidden(each))) {
      const kind = stays(branch) ? 'stays' : 'moves';
      const source = pathOf(shared.get(branch) ?? node);
      const target = kind === 'stays' ? source : pathOf(/** @type {Node} */ (targetOf(branch)));
      const id = kind === 'stays' ? `${source}!` : `${source}>${target}`;
      const edge = edges.get(id) ?? { id, kind, source, target, transitions: [] };
      edge.transitions.push(transitionOf(branch));
      edges.set(id, edge);
    }
  }
  return [...edges.values()];
}

/** @type {(node: Node, promises: Map<string, string>) => ModelState} */
function stateOf(node, promises) {
  const initial = initialOf(node);
  return {
    path: pathOf(node),
    label: node.path.length === 0 ? node.machine.id : node.key,
    kind: /** @type {ModelState['kind']} */ (node.type),
    depth: node.path.length,
    parent: node.parent === undefined ? null : pathOf(node.parent),
    initial: initial === undefined ? null : pathOf(initial),
    promise: promises.get(pathOf(node)) ?? '',
  };
}

/** @type {(machine: AnyStateMachine, doc: { summary: string, promises: Map<string, string> }) => ChartModel} */
export function modelOf(machine, { summary, promises }) {
  return {
    machine: machine.id,
    summary,
    states: withDescendants(machine.root).map((node) => stateOf(node, promises)),
    edges: edgesOf(machine.root),
  };
}

// Reads the statecharts' definitions: what those who draw them share.

/** @typedef {import('xstate').AnyStateMachine} AnyStateMachine */
/** @typedef {AnyStateMachine['root']} Node */
/** @typedef {Omit<import('xstate').AnyTransitionDefinition, 'eventType'> & { eventType: string }} Branch */

/** The charts, outermost first. */
export const CHART_NAMES = Object.freeze(['client', 'failover', 'endpoint', 'connection', 'stream']);

/** @type {(name: string) => URL} */
export const sourceOf = (name) => new URL(`../machines/${name}.ts`, import.meta.url);

/**
 * The charts as they were last built.
 *
 * @type {() => Promise<{ name: string, machine: AnyStateMachine }[]>}
 */
export async function loadMachines() {
  /** @type {unknown} */
  const loaded = await import(new URL('../dist/machines/index.js', import.meta.url).href);
  const built = /** @type {Record<string, AnyStateMachine | undefined>} */ (loaded);
  return CHART_NAMES.map((name) => {
    const machine = built[`${name}Machine`];
    if (machine === undefined) throw new Error(`dist/machines/index.js has no ${name}Machine`);
    return { name, machine };
  });
}

// --- states ------------------------------------------------------------------------------------------------------------------

/** @type {(node: Node) => Node[]} */
export const childrenOf = (node) => Object.values(/** @type {Record<string, Node>} */ (node.states));

/** @type {(node: Node) => Node[]} */
export const withDescendants = (node) => [node, ...childrenOf(node).flatMap(withDescendants)];

/** @type {(node: Node) => Node[]} */
export const withAncestors = (node) => (node.parent === undefined ? [node] : [node, ...withAncestors(node.parent)]);

/** @type {(node: Node) => Node | undefined} */
export const initialOf = (node) => childrenOf(node).find((child) => child.key === node.config.initial);

/** @type {(node: Node) => Node} */
export const initialLeafOf = (node) => {
  const initial = initialOf(node);
  return initial === undefined ? node : initialLeafOf(initial);
};

/** @type {(node: Node) => boolean} */
export const isTerminal = (node) =>
  withDescendants(node).every((inner) => branchesOf(inner).every((branch) => targetOf(branch) === undefined));

// --- transitions -------------------------------------------------------------------------------------------------------------

/**
 * Every branch of a state: its events and delays in the order of the definition, then what it does at once.
 *
 * @type {(node: Node) => Branch[]}
 */
export const branchesOf = (node) => [...[...node.transitions.values()].flat(), ...(node.always ?? [])];

/** @type {(branch: Branch) => Node | undefined} */
export const targetOf = (branch) => /** @type {Node | undefined} */ (branch.target?.[0]);

/**
 * It changes no state, though it may do something.
 *
 * @type {(branch: Branch) => boolean}
 */
export const stays = (branch) => {
  const target = targetOf(branch);
  return target === undefined || (target === branch.source && !branch.reenter);
};

/**
 * `CLOSE: {}` switches an outer handler off.
 *
 * @type {(branch: Branch) => boolean}
 */
export const isForbidden = (branch) =>
  branch.guard === undefined && branch.target === undefined && branch.actions.length === 0;

export const AFTER = /^xstate\.after\.([^.]+)\./;

/** @type {(branch: Branch) => string} */
export function stimulusOf(branch) {
  const type = branch.eventType;
  if (type === '') return 'always';
  const delay = AFTER.exec(type)?.[1];
  return delay === undefined ? type : `after ${delay}`;
}

/** @type {(branch: Branch) => string} */
export function guardOf({ guard }) {
  if (guard === undefined) return '';
  return typeof guard === 'string' ? guard : /** @type {{ type: string }} */ (guard).type;
}

/**
 * Whether branches of the same event are tried before this one.
 *
 * @type {(branch: Branch) => boolean}
 */
export const isOtherwise = (branch) =>
  branch.guard === undefined &&
  branchesOf(/** @type {Node} */ (branch.source)).filter(({ eventType }) => eventType === branch.eventType).length > 1;

/** @type {(action: unknown) => string} */
const actionName = (action) => (typeof action === 'string' ? action : /** @type {{ type: string }} */ (action).type);

/**
 * The timers that `after` starts and stops are told by the transitions they drive.
 *
 * @type {(actions: readonly unknown[]) => string[]}
 */
export const namedActions = (actions) => actions.map(actionName).filter((name) => !name.startsWith('xstate.'));

// --- words -------------------------------------------------------------------------------------------------------------------

/** @type {(comment: string) => string} */
export const proseOf = (comment) =>
  comment
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim();

/**
 * The doc comment of a chart: what the thing is, and what each state promises.
 *
 * @type {(chart: { name: string, source: string }) => { summary: string, promises: Map<string, string> }}
 */
export function readPromises({ name, source }) {
  const comment = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*export const ${name}Machine\\b`).exec(source)?.[1];
  if (comment === undefined) throw new Error(`machines/${name}.ts has no doc comment on ${name}Machine`);
  const [summary = '', ...bullets] = proseOf(comment).split(/\n+(?=- `)/);
  const promises = new Map(
    bullets.map((bullet) => {
      const [, state = '', promise = ''] = /^- `([^`]+)`: ([\s\S]*)$/.exec(bullet) ?? [];
      return /** @type {const} */ ([state, promise.replace(/\s*\n\s*/g, ' ')]);
    }),
  );
  return { summary: summary.replace(/\s*\n\s*/g, ' '), promises };
}

// Draws the statecharts from their definitions into docs/reference/machines.md, so that the pictures cannot say what the code does not.
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  AFTER,
  branchesOf,
  childrenOf,
  guardOf,
  initialLeafOf,
  initialOf,
  isForbidden,
  isOtherwise,
  isTerminal,
  loadMachines,
  namedActions,
  proseOf,
  readPromises,
  sourceOf,
  stays,
  stimulusOf,
  targetOf,
  withAncestors,
  withDescendants,
} from './chart-definition.js';

/** @typedef {import('xstate').AnyStateMachine} AnyStateMachine */
/** @typedef {import('./chart-definition.js').Node} Node */
/** @typedef {import('./chart-definition.js').Branch} Branch */
/** @typedef {import('./draw-machines.js').Chart} Chart */

export const DOCUMENT = new URL('../docs/reference/machines.md', import.meta.url);

/** @type {(node: Node) => string} */
const nameOf = (node) => (node.path.length === 0 ? 'every state' : node.path.join('.'));

// --- the picture -------------------------------------------------------------------------------------------------------------

/** @type {(node: Node) => string} */
const idOf = (node) => node.path.join('_');

/**
 * Mermaid ends a label at a colon or a semicolon; as entities they are only shown.
 *
 * @type {(text: string) => string}
 */
const escapeLabel = (text) => text.replace(/[#:;{}<>"]/g, (character) => `#${String(character.charCodeAt(0))};`);

/**
 * The two ends of an arrow, as children of one state. Mermaid cannot draw an arrow between the insides of two states, so an arrow from or to
 * the inside is drawn at the border, and its label tells the rest.
 *
 * @type {(source: Node, target: Node) => { from: Node, to: Node }[]}
 */
function arrowsBetween(source, target) {
  const sources = withAncestors(source).reverse();
  const targets = withAncestors(target).reverse();
  if (targets.includes(source) && (source !== target || source.parent === undefined)) {
    const to = /** @type {Node} */ (targets[sources.length]);
    return childrenOf(source).map((from) => ({ from, to }));
  }
  const depth = targets.findIndex((node, index) => node !== sources[index]);
  const [from, to] = depth === -1 ? [source, target] : [sources[depth], targets[depth]];
  if (from === undefined || to === undefined) throw new Error(`cannot draw ${nameOf(source)} → ${nameOf(target)}`);
  return [{ from, to }];
}

/** @type {(branch: Branch, source: Node, target: Node, arrow: { from: Node, to: Node }) => string} */
function labelOf(branch, source, target, { from, to }) {
  const guard = isOtherwise(branch) ? 'else' : guardOf(branch);
  const parts = [stimulusOf(branch) + (guard === '' ? '' : ` [${guard}]`)];
  const isInside = withAncestors(source).includes(from) && source !== from;
  if (isInside) parts.push(`in ${source.path.slice(from.path.length).join('.')}`);
  if (initialLeafOf(to) !== initialLeafOf(target)) parts.push(`to ${target.path.slice(to.path.length).join('.')}`);
  return escapeLabel(parts.join(', '));
}

/**
 * The labels of every arrow, by the state that both its ends are in, then by its ends.
 *
 * @type {(machine: AnyStateMachine) => Map<Node, Map<string, string[]>>}
 */
function arrowsOf(machine) {
  /** @type {Map<Node, Map<string, string[]>>} */
  const byContainer = new Map();
  for (const source of withDescendants(machine.root)) {
    for (const branch of branchesOf(source)) {
      const target = targetOf(branch);
      if (target === undefined || stays(branch)) continue;
      for (const arrow of arrowsBetween(source, target)) {
        const { from, to } = arrow;
        // An inner state that answers an event itself, whatever holds, never leaves it to the one around it.
        const isOverridden =
          from.parent === source &&
          (from.transitions.get(branch.eventType) ?? []).some(({ guard }) => guard === undefined);
        if (isOverridden || (source === machine.root && from === to)) continue;
        const container = /** @type {Node} */ (to.parent);
        /** @type {Map<string, string[]>} */
        const arrows = byContainer.get(container) ?? new Map();
        byContainer.set(container, arrows);
        const ends = `${idOf(from)} --> ${idOf(to)}`;
        const labels = arrows.get(ends) ?? [];
        const label = labelOf(branch, source, target, arrow);
        arrows.set(ends, labels.includes(label) ? labels : [...labels, label]);
      }
    }
  }
  return byContainer;
}

/** @type {(node: Node, arrows: Map<Node, Map<string, string[]>>, indent: string) => string[]} */
function drawInside(node, arrows, indent) {
  const lines = [];
  for (const child of childrenOf(node)) {
    if (child.path.length > 1) lines.push(`${indent}${idOf(child)} : ${escapeLabel(child.key)}`);
    if (childrenOf(child).length > 0) {
      lines.push(`${indent}state ${idOf(child)} {`, ...drawInside(child, arrows, `${indent}  `), `${indent}}`);
    }
  }
  const initial = initialOf(node);
  if (initial !== undefined) lines.push(`${indent}[*] --> ${idOf(initial)}`);
  for (const [ends, labels] of arrows.get(node) ?? []) lines.push(`${indent}${ends} : ${labels.join('<br/>')}`);
  return lines;
}

/** @type {(machine: AnyStateMachine) => string} */
export function drawMachine(machine) {
  const terminal = childrenOf(machine.root).filter(isTerminal);
  return [
    'stateDiagram-v2',
    ...drawInside(machine.root, arrowsOf(machine), '  '),
    ...terminal.map((node) => `  ${idOf(node)} --> [*]`),
  ].join('\n');
}

// --- the words ---------------------------------------------------------------------------------------------------------------

/**
 * The effects of a chart, each with its comment.
 *
 * @type {(chart: Chart) => { effect: string, meaning: string }[]}
 */
function readEffects({ source }) {
  return [...source.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?\b(\w+): noEffect\b/g)].map(
    ([, comment = '', effect = '']) => ({ effect, meaning: proseOf(comment).replace(/\s*\n\s*/g, ' ') }),
  );
}

/** @type {(text: string) => string} */
const inCell = (text) => text.replaceAll('|', '\\|');

/** @type {(names: readonly string[]) => string} */
const codes = (names) => names.map((name) => `\`${name}\``).join(', ');

/** @type {(headings: readonly string[], rows: readonly (readonly string[])[]) => string} */
const table = (headings, rows) =>
  [headings, headings.map(() => '---'), ...rows].map((cells) => `| ${cells.map(inCell).join(' | ')} |`).join('\n');

/**
 * The events of the chart that nothing handles in a state or around it.
 *
 * @type {(machine: AnyStateMachine, node: Node) => string[]}
 */
function ignoredIn(machine, node) {
  return /** @type {string[]} */ (machine.events).filter((type) => {
    if (AFTER.test(type)) return false;
    for (const around of withAncestors(node)) {
      const branches = around.transitions.get(type) ?? [];
      if (branches.length > 0) return branches.every(isForbidden);
    }
    return true;
  });
}

/** @type {(chart: Chart, promises: Map<string, string>) => string} */
function stateTable({ name, machine }, promises) {
  const nodes = withDescendants(machine.root).slice(1);
  for (const { key } of childrenOf(machine.root)) {
    if (!promises.has(key)) throw new Error(`the doc comment of ${name}Machine promises nothing for ${key}`);
  }
  const rows = nodes.map((node) => [
    `\`${nameOf(node)}\``,
    promises.get(nameOf(node)) ?? '',
    codes(namedActions(node.entry)),
    codes(namedActions(node.exit)),
  ]);
  return table(['State', 'Promise', 'On entry', 'On exit'], rows);
}

/** @type {(branch: Branch) => string} */
function outcomeOf(branch) {
  const target = targetOf(branch);
  if (target === undefined || stays(branch)) return 'stays';
  return `\`${nameOf(target)}\`${target === branch.source ? ', anew' : ''}`;
}

/** @type {(chart: Chart) => string} */
function eventTable({ machine }) {
  const rows = withDescendants(machine.root).flatMap((node) =>
    branchesOf(node)
      .filter((branch) => !isForbidden(branch))
      .map((branch) => [
        node.path.length === 0 ? nameOf(node) : `\`${nameOf(node)}\``,
        `\`${stimulusOf(branch)}\``,
        isOtherwise(branch) ? 'otherwise' : codes([guardOf(branch)].filter((guard) => guard !== '')),
        outcomeOf(branch),
        codes(namedActions(branch.actions)),
      ]),
  );
  return table(['In', 'On', 'If', 'Goes to', 'Runs'], rows);
}

/** @type {(chart: Chart) => string} */
function ignoredTable({ machine }) {
  const leaves = withDescendants(machine.root).filter((node) => node.type === 'atomic');
  return table(
    ['In', 'Ignores'],
    leaves.map((leaf) => {
      const ignored = ignoredIn(machine, leaf);
      const isDeaf = ignored.length === machine.events.filter((type) => !AFTER.test(String(type))).length;
      return [`\`${nameOf(leaf)}\``, isDeaf ? 'every event' : codes(ignored)];
    }),
  );
}

/** @type {(chart: Chart) => string} */
function describeChart(chart) {
  const { summary, promises } = readPromises(chart);
  const effects = readEffects(chart);
  const described = effects.filter(({ meaning }) => meaning !== '');
  const plain = effects.filter(({ meaning }) => meaning === '').map(({ effect }) => effect);
  const reports = plain.length === 0 ? [] : [`Effects that only tell, or whose name says it all: ${codes(plain)}.`];
  return [
    `## ${chart.name}`,
    `${summary} ([source](../../machines/${chart.name}.ts))`,
    `\`\`\`mermaid\n${drawMachine(chart.machine)}\n\`\`\``,
    '### States',
    stateTable(chart, promises),
    '### Effects',
    table(
      ['Effect', 'What it asks of the runtime'],
      described.map(({ effect, meaning }) => [`\`${effect}\``, meaning]),
    ),
    ...reports,
    '<details>\n<summary>Events handled in each state</summary>',
    eventTable(chart),
    'The branches of one event are tried from the top, and an inner state is asked before the one around it.',
    '</details>',
    '<details>\n<summary>Events ignored in each state</summary>',
    ignoredTable(chart),
    '</details>',
  ].join('\n\n');
}

/** @type {(charts: readonly Chart[]) => string} */
export function renderMachines(charts) {
  return `${[
    '<!-- Generated from machines/ by `npm run docs:machines`. Edit the charts, not this file. -->',
    '# The statecharts',
    'Every moving part of the client is one of these charts. They are pure: what they do to the world is named here, and the runtime provides it. ' +
      'Import them from `@authz-engine/grpc-client/machines` to run, draw or model-test them.',
    'In the pictures an arrow reads `EVENT [guard]`, and `[else]` where no guard before it holds; `after backoff` is a delay that ran out, `always` what is taken at once. An arrow that ' +
      'leaves from or leads to the inside of a state says so (`in preferring`, `to opening`). Events that change no state are in the tables alone. ' +
      'What a transition, an entry or an exit runs is told in order: effects, and changes to what the chart remembers.',
    charts.map(({ name }) => `[${name}](#${name})`).join(' · '),
    ...charts.map(describeChart),
  ].join('\n\n')}\n`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const machines = await loadMachines();
  const charts = machines.map((chart) => ({ ...chart, source: readFileSync(sourceOf(chart.name), 'utf8') }));
  writeFileSync(DOCUMENT, renderMachines(charts));
  process.stdout.write(`${fileURLToPath(DOCUMENT)}\n`);
}

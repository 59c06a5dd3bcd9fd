/** Tables of transitions, and what holds them complete. */

import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  getMicrosteps,
  initialTransition,
  transition,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyTransitionDefinition,
  type EventObject,
  type StateValue,
} from 'xstate';
import { stateOf as pathOf, statesOf as leavesOf } from '../../../src/testing/paths.js';

export { pathOf, leavesOf };

type Node = AnyStateMachine['root'];

export interface Action {
  readonly type: string;
  readonly params?: unknown;
}

/** The named delay of the state, or of one around it, has run out. */
export interface After {
  readonly after: string;
}

export interface Row<Context, Event extends EventObject> {
  /** The innermost state, or several that answer alike. */
  readonly in: string | readonly string[];
  readonly given?: Partial<Context>;
  /** Instead of `given`: how the state is reached from the start, where more than context counts (children). */
  readonly past?: readonly Event[];
  readonly when: Event | After;
  /** Absent: it stays. */
  readonly to?: string;
  /** Effects in their order; `+name 100` starts a delay of 100 ms, `-name` stops it. Absent: none. */
  readonly runs?: readonly string[];
  /** Every change of context. Absent: none. */
  readonly sets?: Partial<Context>;
}

/** At least one example of every declared event; the type makes sure that none is forgotten. */
export type Samples<Event extends EventObject> = {
  readonly [T in Event['type']]: readonly [Extract<Event, { type: T }>, ...Extract<Event, { type: T }>[]];
};

export interface Subject<Event extends EventObject> {
  readonly machine: AnyStateMachine;
  readonly input: object;
  readonly samples: Samples<Event>;
}

export interface Outcome {
  readonly snapshot: AnyMachineSnapshot;
  readonly runs: readonly string[];
}

// --- reading snapshots, actions and definitions ------------------------------------------------------------------------------

/** `open.steady` → `open`. */
export const topOf = (path: string): string => path.split('.')[0] ?? path;

function valueOf(path: string): StateValue {
  const [first = '', ...rest] = path.split('.');
  return rest.length === 0 ? first : { [first]: valueOf(rest.join('.')) };
}

const AFTER = /^xstate\.after\.([^.]+)\./;

/** What people call an event: `after backoff` for a delay, its type otherwise. */
function nameOf(eventType: string): string {
  const delay = AFTER.exec(eventType)?.[1];
  return delay === undefined ? eventType : `after ${delay}`;
}

export const timerOf = (id: string): string => AFTER.exec(id)?.[1] ?? id;

export function readableAction({ type, params }: Action): string {
  const given = (params ?? {}) as {
    id?: string;
    sendId?: string;
    delay?: number;
    event?: EventObject;
    actorRef?: { id: string };
  };
  if (type === 'xstate.raise') return `+${timerOf(given.id ?? given.event?.type ?? '')} ${String(given.delay)}`;
  if (type === 'xstate.cancel') return `-${timerOf(given.sendId ?? '')}`;
  if (type === 'xstate.spawnChild') return `spawn ${given.actorRef?.id ?? 'nobody'}`;
  if (type === 'xstate.stopChild') return `stop ${given.id ?? 'nobody'}`;
  return type;
}

export function start({ machine, input }: Pick<Subject<EventObject>, 'machine' | 'input'>): Outcome {
  const [snapshot, actions] = initialTransition(machine, input) as [AnyMachineSnapshot, Action[]];
  return { snapshot, runs: actions.map(readableAction) };
}

export function step(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Outcome {
  const [next, actions] = transition(machine, snapshot, event) as [AnyMachineSnapshot, Action[]];
  return { snapshot: next, runs: actions.map(readableAction) };
}

const childrenOf = (node: Node): Node[] => Object.values(node.states as Record<string, Node>);

function allNodes(node: Node): Node[] {
  return [node, ...childrenOf(node).flatMap(allNodes)];
}

const pathOfNode = (node: Node): string => node.path.join('.');

/** The state and those around it, innermost first: the order in which they are asked. */
function chainOf(machine: AnyStateMachine, path: string): Node[] {
  const chain: Node[] = [];
  const leaf = allNodes(machine.root).find((node) => pathOfNode(node) === path);
  if (leaf === undefined) throw new Error(`there is no state ${path} in ${machine.id}`);
  for (let node: Node | undefined = leaf; node !== undefined; node = node.parent) chain.push(node);
  return chain;
}

/** `CLOSE: {}` switches an outer handler off. */
const isForbidden = (branch: AnyTransitionDefinition): boolean =>
  branch.guard === undefined && branch.target === undefined && branch.actions.length === 0;

/** Every branch that an event may take in a state, in the order in which they are tried; nothing past one without a guard. */
function branchesOf(machine: AnyStateMachine, leaf: string, eventType: string): AnyTransitionDefinition[] {
  const branches: AnyTransitionDefinition[] = [];
  for (const node of chainOf(machine, leaf)) {
    for (const branch of node.transitions.get(eventType) ?? []) {
      if (isForbidden(branch)) return branches;
      branches.push(branch);
      if (branch.guard === undefined) return branches;
    }
  }
  return branches;
}

function eventTypesOf(machine: AnyStateMachine, leaf: string): string[] {
  return [...new Set(chainOf(machine, leaf).flatMap((node) => [...node.transitions.keys()]))];
}

/** The declared events that a state has no branch for. */
export function ignoredIn<Event extends EventObject>({ machine, samples }: Subject<Event>, leaf: string): string[] {
  return Object.keys(samples).filter((type) => branchesOf(machine, leaf, type).length === 0);
}

function readableBranch(leaf: string, eventType: string, branch: AnyTransitionDefinition | undefined): string {
  if (branch === undefined) return `${leaf}: ${nameOf(eventType)}, where no guard holds`;
  const guard = typeof branch.guard === 'string' ? ` [${branch.guard}]` : '';
  const target = branch.target?.[0] === undefined ? 'stays' : pathOfNode(branch.target[0]);
  return `${leaf}: ${nameOf(eventType)}${guard} → ${target}`;
}

// --- the table ---------------------------------------------------------------------------------------------------------------

const asList = (states: string | readonly string[]): readonly string[] =>
  typeof states === 'string' ? [states] : states;

function eventOf(machine: AnyStateMachine, leaf: string, when: EventObject | After): EventObject {
  if (!('after' in when)) return when;
  const type = eventTypesOf(machine, leaf).find((candidate) => nameOf(candidate) === `after ${when.after}`);
  if (type === undefined) throw new Error(`${leaf} has no delay ${when.after}`);
  return { type };
}

function stateOf<Event extends EventObject>(
  subject: Subject<Event>,
  leaf: string,
  row: Row<object, Event>,
): AnyMachineSnapshot {
  const { machine } = subject;
  let { snapshot } = start(subject);
  if (row.past === undefined) {
    const context = { ...(snapshot.context as object), ...row.given };
    return machine.resolveState({ value: valueOf(leaf), context });
  }
  for (const event of row.past) ({ snapshot } = step(machine, snapshot, event));
  return snapshot;
}

/** An object is told by its id where it has one. */
function readable(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'id' in value) return readable(value.id);
  return JSON.stringify(value).replaceAll('"', '').replaceAll(',', ' ');
}

function details(fields: object): string {
  return Object.entries(fields)
    .filter(([key]) => key !== 'type')
    .map(([key, value]) => `${key} ${readable(value)}`)
    .join(', ');
}

function titleOf(leaf: string, row: Row<object, EventObject>): string {
  const given = row.given === undefined ? '' : ` (${details(row.given)})`;
  const said = 'after' in row.when ? `after ${row.when.after}` : row.when.type;
  const extra = 'after' in row.when ? '' : details(row.when);
  const runs = row.runs === undefined ? '' : `, ${row.runs.join(', ')}`;
  const sets = row.sets === undefined ? '' : `, sets ${details(row.sets)}`;
  return `${leaf}${given} + ${said}${extra === '' ? '' : ` (${extra})`} → ${row.to ?? 'stays'}${runs}${sets}`;
}

function changes(before: object, after: object): Record<string, unknown> {
  const old = before as Record<string, unknown>;
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => !isDeepStrictEqual(value, old[key])));
}

/** All that is held of a chart whatever it is for. `dead`: the states in which nothing at all may happen. */
export function describeChart<Context extends object, Event extends EventObject>(
  subject: Subject<Event>,
  rows: readonly Row<Context, Event>[],
  dead: readonly string[],
): void {
  describeTransitions(subject, rows);
  describeIgnored(subject, dead);
}

/** One test a row, and one that fails when the definition has a branch that no row takes. */
function describeTransitions<Context extends object, Event extends EventObject>(
  subject: Subject<Event>,
  rows: readonly Row<Context, Event>[],
): void {
  const { machine } = subject;
  const cases = rows.flatMap((row) => asList(row.in).map((leaf) => ({ leaf, row, title: titleOf(leaf, row) })));

  describe('transitions', () => {
    for (const { leaf, row, title } of cases) {
      it(title, () => {
        const before = stateOf(subject, leaf, row);
        expect(pathOf(before)).toBe(leaf);
        const { snapshot, runs } = step(machine, before, eventOf(machine, leaf, row.when));
        expect({
          to: pathOf(snapshot),
          runs,
          sets: changes(before.context as object, snapshot.context as object),
        }).toEqual({ to: row.to ?? leaf, runs: row.runs ?? [], sets: row.sets ?? {} });
      });
    }

    it('the table covers every branch of every state', () => {
      const covered = new Set(
        cases.flatMap(({ leaf, row }) => branchesTaken(machine, leaf, stateOf(subject, leaf, row), row.when)),
      );
      expect(allBranches(machine).filter((branch) => !covered.has(branch))).toEqual([]);
    });

    it('the table says nothing twice', () => {
      const titles = cases.map(({ title }) => title);
      expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
    });
  });
}

function allBranches(machine: AnyStateMachine): string[] {
  const all: string[] = [];
  for (const leaf of leavesOf(machine)) {
    for (const type of eventTypesOf(machine, leaf)) {
      const branches = branchesOf(machine, leaf, type);
      all.push(...branches.map((branch) => readableBranch(leaf, type, branch)));
      if (branches.length > 0 && branches.at(-1)?.guard !== undefined) all.push(readableBranch(leaf, type, undefined));
    }
    for (const node of chainOf(machine, leaf)) {
      for (const branch of node.always ?? []) all.push(readableBranch(leaf, 'always', branch));
    }
  }
  return all;
}

function branchesTaken(
  machine: AnyStateMachine,
  leaf: string,
  before: AnyMachineSnapshot,
  when: EventObject | After,
): string[] {
  const event = eventOf(machine, leaf, when);
  const selected = machine.getTransitionData(before, event);
  const taken = [readableBranch(leaf, event.type, selected[0])];
  // Eventless branches are taken in the microsteps after the first.
  const snapshots = getMicrosteps(machine, before, event).map(([snapshot]) => snapshot as AnyMachineSnapshot);
  for (const [index, snapshot] of snapshots.slice(0, -1).entries()) {
    const resting = pathOf(snapshot);
    const next = snapshots[index + 1];
    const branch = chainOf(machine, resting)
      .flatMap((node) => node.always ?? [])
      .find((candidate) => next?._nodes.some((node) => node === candidate.target?.[0]));
    if (branch !== undefined) taken.push(readableBranch(resting, 'always', branch));
  }
  return taken;
}

/** Every declared event that a state has no branch for is sent to it, and must come to nothing. */
function describeIgnored<Event extends EventObject>(subject: Subject<Event>, dead: readonly string[]): void {
  const { machine, samples } = subject;
  const examples = samples as Readonly<Record<string, readonly EventObject[]>>;
  const pairs = leavesOf(machine).flatMap((leaf) => ignoredIn(subject, leaf).map((type) => ({ leaf, type })));

  describe('ignored events', () => {
    for (const { leaf, type } of pairs) {
      it(`${leaf} + ${type} → nothing`, () => {
        const before = stateOf(subject, leaf, { in: leaf, when: { type } as Event });
        for (const event of examples[type] ?? []) {
          const { snapshot, runs } = step(machine, before, event);
          expect(pathOf(snapshot)).toBe(leaf);
          expect(snapshot.context).toBe(before.context);
          expect(runs).toEqual([]);
        }
      });
    }

    for (const leaf of dead) {
      it(`${leaf} ignores every event, and waits for none`, () => {
        expect(ignoredIn(subject, leaf)).toEqual(Object.keys(samples));
        expect(chainOf(machine, leaf).flatMap((node) => node.after)).toEqual([]);
      });
    }

    it('every declared event is of use in some state', () => {
      const leaves = leavesOf(machine);
      const useless = Object.keys(samples).filter((type) =>
        leaves.every((leaf) => branchesOf(machine, leaf, type).length === 0),
      );
      expect(useless).toEqual([]);
    });
  });
}

/** Every state of a statechart by the shortest way to it, found by `xstate/graph` on the definition alone. */

import type { AnyMachineSnapshot, AnyStateMachine, ContextFrom, EventObject, SnapshotFrom } from 'xstate';
import { getShortestPaths, getSimplePaths, type StatePath } from 'xstate/graph';

/** A machine, and what of it is explored. See {@link explorations} for the client's own. */
export interface Exploration<Machine extends AnyStateMachine, Event extends EventObject> {
  readonly machine: Machine;
  readonly input: object;
  /** What may be sent in a state. The ends of the delays that run there are added. */
  readonly events: (snapshot: SnapshotFrom<Machine>) => readonly Event[];
  /** What of the context tells states apart. All of it would make them endless: counters and seeds only grow. */
  readonly relevant: (context: ContextFrom<Machine>) => readonly unknown[];
}

/** The end of a delay that ran in a state. An actor takes it as it takes any event. */
export interface DelayEnd {
  readonly type: `xstate.after.${string}`;
}

export interface PathStep<Context, Event> {
  readonly event: Event | DelayEnd;
  /** `LEVEL_LOST`; of the end of a delay `after failback`. */
  readonly name: string;
  /** Where it leads. */
  readonly state: string;
  readonly context: Context;
}

/** A way from the initial state, which itself is the path without steps. */
export interface MachinePath<Context, Event> {
  /** Where it ends, with dots: `open`, `failedOver.waiting`. */
  readonly state: string;
  readonly context: Context;
  readonly steps: readonly PathStep<Context, Event>[];
}

/** More steps than this are a machine that grows without end. */
const MAX_STEPS = 50_000;

/**
 * The shortest path to every state that differs in its name or in what is relevant of its context.
 * @throws Error past 50,000 steps: `relevant` tells too much
 */
export function shortestPaths<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
): MachinePath<ContextFrom<Machine>, Event>[] {
  const paths = getShortestPaths(exploration.machine as AnyStateMachine, toTraversal(exploration, []));
  return paths.map((path) => toPath(path as RawPath));
}

/**
 * Every path that passes no state twice and goes on from none of `stopIn`. There are very many: name states to stop in.
 * @throws Error past 50,000 steps
 */
export function simplePaths<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
  stopIn: readonly string[],
): MachinePath<ContextFrom<Machine>, Event>[] {
  const paths = getSimplePaths(exploration.machine as AnyStateMachine, toTraversal(exploration, stopIn));
  return paths.map((path) => toPath(path as RawPath));
}

/** The innermost states of a machine's definition, with dots, in its order. */
export function statesOf(machine: AnyStateMachine): string[] {
  const collect = (node: Node): string[] =>
    node.type === 'atomic' || node.type === 'final'
      ? [node.path.join('.')]
      : Object.values(node.states as Record<string, Node>).flatMap(collect);
  return collect(machine.root);
}

/** The state of a snapshot, with dots: `{ failedOver: 'waiting' }` as `failedOver.waiting`. */
export function stateOf(snapshot: { readonly value: unknown }): string {
  const names: string[] = [];
  let { value } = snapshot;
  while (typeof value === 'object' && value !== null) {
    const [entry] = Object.entries(value);
    if (entry === undefined) break;
    names.push(entry[0]);
    value = entry[1] as unknown;
  }
  return [...names, String(value)].join('.');
}

type Node = AnyStateMachine['root'];
type RawPath = StatePath<AnyMachineSnapshot, EventObject>;

function toTraversal<Machine extends AnyStateMachine, Event extends EventObject>(
  { input, events, relevant }: Exploration<Machine, Event>,
  stopIn: readonly string[],
): Parameters<typeof getShortestPaths<AnyStateMachine>>[1] {
  return {
    input,
    limit: MAX_STEPS,
    events: (snapshot: AnyMachineSnapshot) => [...events(snapshot as SnapshotFrom<Machine>), ...endsOfDelays(snapshot)],
    serializeState: (snapshot: AnyMachineSnapshot) =>
      JSON.stringify([stateOf(snapshot), relevant(snapshot.context as ContextFrom<Machine>)]),
    stopWhen: (snapshot: AnyMachineSnapshot) => stopIn.includes(stateOf(snapshot)),
  };
}

function endsOfDelays({ _nodes: nodes }: AnyMachineSnapshot): EventObject[] {
  return nodes.flatMap((node) => node.after.map(({ eventType }) => ({ type: String(eventType) })));
}

function toPath<Context, Event>({ state, steps }: RawPath): MachinePath<Context, Event> {
  // The first step is the machine's beginning.
  return {
    state: stateOf(state),
    context: state.context as Context,
    steps: steps
      .filter(({ event }) => event.type !== 'xstate.init')
      .map(({ event, state: reached }) => ({
        event: event as Event | DelayEnd,
        name: nameOf(event.type),
        state: stateOf(reached),
        context: reached.context as Context,
      })),
  };
}

function nameOf(eventType: string): string {
  const delay = /^xstate\.after\.([^.]+)\./.exec(eventType)?.[1];
  return delay === undefined ? eventType : `after ${delay}`;
}

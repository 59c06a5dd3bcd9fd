/** Every state of a chart by the shortest way to it, found by `xstate/graph` on the definition and walked by a real actor. */

import { expect } from 'vitest';
import {
  createActor,
  SimulatedClock,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventObject,
  type SnapshotFrom,
} from 'xstate';
import { getShortestPaths, getSimplePaths, type StatePath } from 'xstate/graph';
import { leavesOf, pathOf } from './chart.js';

export interface Exploration<Machine extends AnyStateMachine, Event extends EventObject> {
  readonly machine: Machine;
  readonly input: object;
  /** What may be sent in a state. The ends of the delays that run there are added. */
  readonly events: (snapshot: SnapshotFrom<Machine>) => readonly Event[];
  /** What of the context tells states apart. All of it would make them endless: counters and seeds only grow. */
  readonly relevant: (context: SnapshotFrom<Machine>['context']) => readonly unknown[];
}

export type Path = StatePath<AnyMachineSnapshot, EventObject>;

/** A delay that runs in a state ends by an event like any other. */
export function endsOfDelays({ _nodes: nodes }: AnyMachineSnapshot): EventObject[] {
  return nodes.flatMap((node) => node.after.map(({ eventType }) => ({ type: String(eventType) })));
}

type Relevant = (context: never) => readonly unknown[];

const keyOf = (snapshot: AnyMachineSnapshot, relevant: Relevant): string =>
  JSON.stringify([pathOf(snapshot), relevant(snapshot.context as never)]);

function traversal<Machine extends AnyStateMachine, Event extends EventObject>(
  { input, events, relevant }: Exploration<Machine, Event>,
  stopIn: readonly string[],
): Parameters<typeof getShortestPaths<AnyStateMachine>>[1] {
  return {
    input,
    // Far more than any chart has: one that grows without end is found here.
    limit: 50_000,
    events: (snapshot: AnyMachineSnapshot) => [...events(snapshot as SnapshotFrom<Machine>), ...endsOfDelays(snapshot)],
    serializeState: (snapshot: AnyMachineSnapshot) => keyOf(snapshot, relevant),
    stopWhen: (snapshot: AnyMachineSnapshot) => stopIn.includes(pathOf(snapshot)),
  };
}

/** One path to every state that differs in what is relevant. */
export function shortestPaths<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
): Path[] {
  return getShortestPaths(exploration.machine as AnyStateMachine, traversal(exploration, [])) as Path[];
}

/** Every way that passes no state twice and goes on from none of `stopIn`. */
export function simplePaths<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
  stopIn: readonly string[],
): Path[] {
  return getSimplePaths(exploration.machine as AnyStateMachine, traversal(exploration, stopIn)) as Path[];
}

/**
 * Walks it by an actor whose delays end only when the path says so, and holds the actor to every state on the way.
 * @param aim what the path's event is for an actor that came by another way, and may have counted otherwise
 */
export function walk(
  {
    machine,
    input,
    relevant,
  }: { readonly machine: AnyStateMachine; readonly input: object; readonly relevant: Relevant },
  path: Path,
  aim: (event: EventObject, snapshot: AnyMachineSnapshot) => EventObject = (event) => event,
): void {
  const actor = createActor(machine, { input, clock: new SimulatedClock() });
  actor.start();
  const now = (): AnyMachineSnapshot => actor.getSnapshot() as AnyMachineSnapshot;
  for (const { event, state } of path.steps) {
    if (event.type !== 'xstate.init') actor.send(aim(event, now()));
    expect(keyOf(now(), relevant)).toBe(keyOf(state, relevant));
  }
  expect(keyOf(now(), relevant)).toBe(keyOf(path.state, relevant));
  actor.stop();
}

/** The states that no path ends in. */
export function unreached(machine: AnyStateMachine, paths: readonly Path[]): string[] {
  const reached = new Set(paths.map(({ state }) => pathOf(state)));
  return leavesOf(machine).filter((leaf) => !reached.has(leaf));
}

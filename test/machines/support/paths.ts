/** Walks the paths of `src/testing/paths.ts` by a real actor. */

import { expect } from 'vitest';
import { createActor, SimulatedClock, type AnyMachineSnapshot, type AnyStateMachine, type EventObject } from 'xstate';
import { type MachinePath, stateOf, statesOf } from '../../../src/testing/index.js';

export type Path = MachinePath<unknown, EventObject>;

type Relevant = (context: never) => readonly unknown[];

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
  const tell = (state: string, context: unknown): unknown => [state, relevant(context as never)];
  for (const { event, state, context } of path.steps) {
    actor.send(aim(event, now()));
    expect(tell(stateOf(now()), now().context)).toEqual(tell(state, context));
  }
  expect(tell(stateOf(now()), now().context)).toEqual(tell(path.state, path.context));
  actor.stop();
}

/** The states that no path ends in. */
export function unreached(machine: AnyStateMachine, paths: readonly Path[]): string[] {
  const reached = new Set(paths.map(({ state }) => state));
  return statesOf(machine).filter((state) => !reached.has(state));
}

/** A chart run as an actor on a virtual clock. */

import { createActor, type AnyStateMachine, type EventObject } from 'xstate';
import { VirtualClock } from '../../../src/core/virtual-clock.js';
import { pathOf } from './chart.js';

export type Send<Event extends EventObject> = (...events: readonly Event[]) => void;

export interface Timed<Context, Event extends EventObject> {
  readonly clock: VirtualClock;
  readonly send: Send<Event>;
  readonly state: () => string;
  readonly context: () => Context;
}

/** Starts it. `make` gives the chart with the effects that the test looks at, which may answer by `send`. */
export function runTimed<Context, Event extends EventObject>(
  input: object,
  make: (clock: VirtualClock, send: Send<Event>) => AnyStateMachine,
): Timed<Context, Event> {
  const clock = new VirtualClock();
  const send: Send<Event> = (...events) => {
    for (const event of events) actor.send(event);
  };
  const actor = createActor(make(clock, send), { clock, input });
  actor.start();
  return {
    clock,
    send,
    state: () => pathOf(actor.getSnapshot()),
    context: () => actor.getSnapshot().context as Context,
  };
}

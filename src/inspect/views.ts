/** What a dump says, as the page sees it. */

import type { DumpedActor, DumpedTransition, FlightState } from '../flight.js';
import type { ActorView, TransitionView } from './protocol.js';

/** Wall time of moments on a client's clock. */
export type ToEpoch = (atMs: number) => number;

/** The root, whose children all others are. */
const ROOT = 'client';

export function toActorView({ actor, machine, state, context, status }: DumpedActor): ActorView {
  return {
    id: actor,
    machine: machine as ActorView['machine'],
    parent: actor === ROOT ? null : ROOT,
    active: leavesOf(state),
    context,
    status: status as ActorView['status'],
  };
}

export function toTransitionView(
  { sequence, atMs, actor, machine, from, to, event }: DumpedTransition,
  toEpoch: ToEpoch,
): TransitionView {
  const { reason } = event;
  return {
    sequence,
    at: toEpoch(atMs),
    actor,
    machine: machine as TransitionView['machine'],
    from: from === null ? [] : leavesOf(from),
    to: leavesOf(to),
    event: event.type,
    cause: typeof reason === 'string' && reason !== '' ? reason : null,
  };
}

/** `{open: 'steady'}` as `open.steady`. */
export function leavesOf(state: FlightState): string[] {
  if (typeof state === 'string') return [state];
  return Object.entries(state).flatMap(([name, inner]) => leavesOf(inner).map((leaf) => `${name}.${leaf}`));
}

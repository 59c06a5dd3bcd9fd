/** Time travel: what the client was as of a transition that is held. */

import type { ActorView, Gauges } from '../protocol.js';
import type { Entry } from './entries.js';
import type { History } from './history.js';
import type { Model } from './model.js';

/** A moment of the past: after the transition `sequence`. */
export interface Cursor {
  readonly sequence: number;
  readonly at: number;
  /** The newest transition when travelling began: what came later is not shown until the return. */
  readonly heldSequence: number;
  readonly heldAt: number;
  /** As they were when the present was held still; undefined after a step into the past. */
  readonly gauges?: Gauges | null;
}

/** The client at one moment. */
export interface Scene {
  readonly isPast: boolean;
  /** Another one whenever an actor is there or not, or in another state, than before. */
  readonly revision: string;
  readonly at: number;
  readonly actors: ReadonlyMap<string, ActorView>;
  /** Null where none were sampled. */
  readonly gauges: Gauges | null;
}

export function sceneAt(model: Model, cursor: Cursor | null): Scene {
  const { actorsVersion, now, actors, gauges } = model;
  if (cursor === null) return { isPast: false, revision: String(actorsVersion), at: now, actors, gauges };
  return {
    isPast: true,
    revision: `${actorsVersion}@${cursor.sequence}/${cursor.at}`,
    at: cursor.at,
    actors: actorsAt(model, cursor),
    gauges: cursor.gauges === undefined ? model.gaugeHistory.at(cursor.at) : cursor.gauges,
  };
}

function actorsAt(model: Model, { sequence, at }: Cursor): ReadonlyMap<string, ActorView> {
  const states = undone(model.entries, sequence);
  const actors = new Map<string, ActorView>();
  for (const actor of model.actors.values()) {
    const state = states.get(actor.id);
    if (state === undefined) actors.set(actor.id, actor);
    else if (state.length > 0) actors.set(actor.id, { ...actor, active: state, status: 'active' });
  }
  for (const { actor, goneAt } of model.gone.values()) {
    const state = states.get(actor.id);
    if (state !== undefined && state.length > 0) actors.set(actor.id, { ...actor, active: state, status: 'active' });
    // Its last transition may be all that is known of when it went.
    else if (state === undefined && at <= goneAt) actors.set(actor.id, actor);
  }
  return actors;
}

/** What every actor with transitions after `sequence` was in before the first of them; nothing, of one that began with it. */
function undone(entries: History<Entry>, sequence: number): Map<string, readonly string[]> {
  const states = new Map<string, readonly string[]>();
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const entry = entries.at(index);
    if (entry?.kind !== 'transition') continue;
    if (entry.transition.sequence <= sequence) break;
    states.set(entry.actor, entry.transition.from);
  }
  return states;
}

/** The present, held still. */
export function hold(model: Model): Cursor {
  const { lastSequence, now, gauges } = model;
  return { sequence: lastSequence, at: now, heldSequence: lastSequence, heldAt: now, gauges };
}

/** The moment of an entry: after its transition, or after the last one before an event. */
export function travelTo(model: Model, cursor: Cursor | null, entry: Entry): Cursor {
  const { heldSequence, heldAt } = cursor ?? hold(model);
  const sequence = entry.kind === 'transition' ? entry.transition.sequence : sequenceAt(model.entries, entry);
  return { sequence, at: entry.at, heldSequence: Math.max(heldSequence, sequence), heldAt: Math.max(heldAt, entry.at) };
}

function sequenceAt(entries: History<Entry>, event: Entry): number {
  let last = -1;
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries.at(index);
    if (entry === event) break;
    if (entry?.kind === 'transition') last = entry.transition.sequence;
  }
  return last;
}

/** What was held when travelling began, oldest first; all of it, of the present. */
export function heldEntries(entries: History<Entry>, cursor: Cursor | null): Entry[] {
  const all = entries.toArray();
  if (cursor === null) return all;
  return all.filter((entry) =>
    entry.kind === 'transition' ? entry.transition.sequence <= cursor.heldSequence : entry.at <= cursor.heldAt,
  );
}

/** Whether it had not happened yet. */
export const isAfter = (entry: Entry, { sequence, at }: Cursor): boolean =>
  entry.kind === 'transition' ? entry.transition.sequence > sequence : entry.at > at;

/** The held transitions that time travel stops at, oldest first. */
export function stops(entries: History<Entry>, cursor: Cursor | null): Entry[] {
  const limit = cursor?.heldSequence ?? Number.POSITIVE_INFINITY;
  return entries.toArray().filter((entry) => entry.kind === 'transition' && entry.transition.sequence <= limit);
}

/** Which of the stops the cursor is at; the newest of the present, -1 where there is none. */
export function stopIndex(all: readonly Entry[], cursor: Cursor | null): number {
  if (cursor === null) return all.length - 1;
  return all.findLastIndex((entry) => entry.kind === 'transition' && entry.transition.sequence <= cursor.sequence);
}

/** `by` transitions on, or back. From the present, the first step back leads to the last transition. */
export function step(model: Model, cursor: Cursor | null, by: number): Cursor | null {
  const all = stops(model.entries, cursor);
  if (all.length === 0) return cursor;
  const isHeldNow = cursor === null || cursor.at > (all[stopIndex(all, cursor)]?.at ?? 0);
  // Held after its last transition: back leads onto it.
  const from = stopIndex(all, cursor) + (isHeldNow && by < 0 ? 1 : 0);
  const entry = all[Math.max(0, Math.min(all.length - 1, from + by))];
  return entry === undefined ? cursor : travelTo(model, cursor, entry);
}

/** The timeline's rows: transitions of the statecharts and events of the client, in the order they came. */

import type { ClientEventView, TransitionView } from '../protocol.js';
import { formatEvent, formatValue } from './format.js';
import type { History } from './history.js';

export interface TransitionEntry {
  readonly kind: 'transition';
  readonly at: number;
  readonly actor: string;
  readonly transition: TransitionView;
  /** What a search looks through, in lower case. */
  readonly text: string;
}

export interface EventEntry {
  readonly kind: 'event';
  readonly at: number;
  /** Whom it tells of, where it says so. */
  readonly actor: string | null;
  readonly event: ClientEventView;
  /** The payload on one line. */
  readonly detail: string;
  readonly text: string;
}

export type Entry = TransitionEntry | EventEntry;

export interface EntryFilter {
  /** The actor that entries must be of; null for all. */
  readonly actor: string | null;
  /** Words, all of which must be there. */
  readonly query: string;
  readonly kind: 'all' | Entry['kind'];
}

export function transitionEntry(transition: TransitionView): TransitionEntry {
  const { at, actor, from, to, event, cause } = transition;
  const text = `${actor} ${event} ${formatEvent(event)} ${from.join(' ')} ${to.join(' ')} ${cause ?? ''}`.toLowerCase();
  return { kind: 'transition', at, actor, transition, text };
}

export function eventEntry(event: ClientEventView): EventEntry {
  const detail = Object.entries(event.detail)
    .map(([name, value]) => `${name} ${formatValue(value)}`)
    .join(' · ');
  const actor = actorOf(event);
  return {
    kind: 'event',
    at: event.at,
    actor,
    event,
    detail,
    text: `${event.name} ${actor ?? ''} ${detail}`.toLowerCase(),
  };
}

function actorOf({ detail }: ClientEventView): string | null {
  const { streamId, id, address } = detail;
  if (typeof streamId === 'string') return streamId;
  if (typeof id === 'string') return id;
  return typeof address === 'string' ? `endpoint:${address}` : null;
}

/** One list of two, each of which keeps its order. At one moment, what the machines did comes before what they told. */
export function mergeEntries(transitions: readonly TransitionEntry[], events: readonly EventEntry[]): Entry[] {
  const merged: Entry[] = [];
  let next = 0;
  for (const transition of transitions) {
    for (let event = events[next]; event !== undefined && event.at < transition.at; event = events[next]) {
      merged.push(event);
      next += 1;
    }
    merged.push(transition);
  }
  return [...merged, ...events.slice(next)];
}

export function filterEntries(entries: readonly Entry[], { actor, query, kind }: EntryFilter): Entry[] {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return entries.filter(
    (entry) =>
      (kind === 'all' || entry.kind === kind) &&
      (actor === null || entry.actor === actor) &&
      words.every((word) => entry.text.includes(word)),
  );
}

/** The newest transitions of one actor, newest first. */
export function lastTransitionsOf(
  entries: History<Entry>,
  actor: string,
  limit: number,
  upTo = Number.POSITIVE_INFINITY,
): TransitionView[] {
  const found: TransitionView[] = [];
  for (let index = entries.length - 1; index >= 0 && found.length < limit; index -= 1) {
    const entry = entries.at(index);
    if (entry?.kind === 'transition' && entry.actor === actor && entry.transition.sequence <= upTo) {
      found.push(entry.transition);
    }
  }
  return found;
}

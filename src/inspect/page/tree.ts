/** The actors as a tree, as rows: client, failover, and endpoints with their connections with their streams. */

import type { ActorView, Gauges } from '../protocol.js';
import { type Tone, toneOf } from './tones.js';

export const ROOT = 'client';

export interface TreeRow {
  readonly actor: ActorView;
  readonly tone: Tone;
  /** From 1. */
  readonly level: number;
  readonly position: number;
  readonly siblings: number;
  readonly parent: string | null;
  /** Children, shown or not. */
  readonly children: number;
  readonly isExpanded: boolean;
}

export interface TreeOptions {
  readonly query: string;
  /** Opened or closed by hand. */
  readonly expanded: ReadonlyMap<string, boolean>;
}

const MAX_LEVEL = 8;

const MACHINE_ORDER: Readonly<Record<ActorView['machine'], number>> = {
  client: 0,
  failover: 1,
  endpoint: 2,
  connection: 3,
  stream: 4,
};

const byText = new Intl.Collator('en', { numeric: true });

/** `stream-3` before `stream-10`, a primary before its fallbacks, machines in the order of the tree. */
export function compareActors(one: ActorView, other: ActorView): number {
  if (one.machine !== other.machine) return MACHINE_ORDER[one.machine] - MACHINE_ORDER[other.machine];
  // Of these there may be thousands, and collation is slow: their ids differ in a number at the end alone.
  if (one.machine === 'connection' || one.machine === 'stream') {
    return one.id.length - other.id.length || (one.id < other.id ? -1 : 1);
  }
  return levelOf(one) - levelOf(other) || byText.compare(one.id, other.id);
}

/** Of an endpoint: 0 is preferred. A dump may hold anything as its context. */
export const levelOf = ({ context: { level } }: ActorView): number => (typeof level === 'number' ? level : 0);

/** Whose every actor is. Made once for each change of actors or states, and used by all that shows them. */
export interface Forest {
  readonly parents: ReadonlyMap<string, string>;
  /** Ids, in order; under null, the roots. */
  readonly children: ReadonlyMap<string | null, readonly string[]>;
}

export function forestOf(actors: ReadonlyMap<string, ActorView>, gauges: Gauges | null): Forest {
  const parents = parentsOf(actors, gauges);
  const groups = new Map<string | null, ActorView[]>();
  for (const actor of actors.values()) {
    const parent = parents.get(actor.id) ?? null;
    // Without a client in sight its children are roots.
    const key = parent !== null && actors.has(parent) ? parent : null;
    const siblings = groups.get(key);
    if (siblings === undefined) groups.set(key, [actor]);
    else siblings.push(actor);
  }
  const children = new Map(
    [...groups].map(([key, siblings]) => [key, siblings.sort(compareActors).map(({ id }) => id)]),
  );
  return { parents, children };
}

/** Every connection is an endpoint's, and every stream the connection's that it last rode on, where they are known. */
function parentsOf(actors: ReadonlyMap<string, ActorView>, gauges: Gauges | null): Map<string, string> {
  const ridden = new Map(gauges?.streams.map(({ id, connection }) => [id, connection]));
  const served = new Map(gauges?.connections.map(({ id, endpoint }) => [id, endpoint]));
  const parents = new Map<string, string>();
  for (const { id, machine, parent, context } of actors.values()) {
    if (machine === 'client') continue;
    const wanted = [parent === ROOT ? null : parent];
    if (machine === 'connection') wanted.push(served.get(id) ?? null, endpointOf(context['address']));
    if (machine === 'stream') wanted.push(ridden.get(id) ?? null, textOf(context['connectionId']));
    parents.set(id, wanted.find((each) => each !== null && each !== id && actors.has(each)) ?? ROOT);
  }
  return parents;
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

function endpointOf(address: unknown): string | null {
  const text = textOf(address);
  return text === null ? null : `endpoint:${text}`;
}

/** More actors than these, and connections begin closed. */
const MANY_ACTORS = 150;

/** Rows in the order they are shown. With a query, those that match and what leads to them, whatever is closed. */
export function treeRows(
  actors: ReadonlyMap<string, ActorView>,
  { parents, children }: Forest,
  { query, expanded }: TreeOptions,
): TreeRow[] {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const shown = words.length === 0 ? null : matching(actors, parents, words);
  const rows: TreeRow[] = [];
  const visit = (siblings: readonly string[], level: number, parent: string | null): void => {
    const visible = shown === null ? siblings : siblings.filter((id) => shown.has(id));
    for (const [index, id] of visible.entries()) {
      const actor = actors.get(id);
      // A parent that is its own descendant would lead around for ever; no server should tell of one.
      if (actor === undefined || level > MAX_LEVEL) continue;
      const own = children.get(id) ?? [];
      const isOpen =
        shown !== null || (expanded.get(id) ?? (actor.machine !== 'connection' || actors.size <= MANY_ACTORS));
      const isExpanded = own.length > 0 && isOpen;
      const place = { level, position: index + 1, siblings: visible.length, parent };
      rows.push({ actor, tone: toneOf(actor), ...place, children: own.length, isExpanded });
      if (isExpanded) visit(own, level + 1, id);
    }
  };
  visit(children.get(null) ?? [], 1, null);
  return rows;
}

function matching(
  actors: ReadonlyMap<string, ActorView>,
  parents: ReadonlyMap<string, string>,
  words: readonly string[],
): Set<string> {
  const shown = new Set<string>();
  for (const { id, active } of actors.values()) {
    const text = `${id} ${active.join(' ')}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    for (let each: string | undefined = id; each !== undefined && !shown.has(each); each = parents.get(each)) {
      shown.add(each);
    }
  }
  return shown;
}

export type TreeKey = 'ArrowUp' | 'ArrowDown' | 'ArrowLeft' | 'ArrowRight' | 'Home' | 'End' | 'PageUp' | 'PageDown';

export interface TreeMove {
  readonly focus: string;
  /** Whether to open or to close it; null for neither. */
  readonly expand: boolean | null;
}

const PAGE_ROWS = 10;

/** Where a key leads, after the pattern of a tree view; null where it leads nowhere. */
export function moveInTree(rows: readonly TreeRow[], focused: string | null, key: TreeKey): TreeMove | null {
  const index = rows.findIndex(({ actor }) => actor.id === focused);
  const row = rows[index];
  const first = rows[0];
  if (first === undefined) return null;
  if (row === undefined) return { focus: first.actor.id, expand: null };
  const to = (target: number): TreeMove | null => {
    const found = rows[Math.max(0, Math.min(rows.length - 1, target))];
    return found === undefined ? null : { focus: found.actor.id, expand: null };
  };
  switch (key) {
    case 'ArrowUp':
      return to(index - 1);
    case 'ArrowDown':
      return to(index + 1);
    case 'PageUp':
      return to(index - PAGE_ROWS);
    case 'PageDown':
      return to(index + PAGE_ROWS);
    case 'Home':
      return to(0);
    case 'End':
      return to(rows.length - 1);
    case 'ArrowRight':
      if (row.children === 0) return null;
      return row.isExpanded ? to(index + 1) : { focus: row.actor.id, expand: true };
    case 'ArrowLeft':
      if (row.isExpanded) return { focus: row.actor.id, expand: false };
      return row.parent === null ? null : { focus: row.parent, expand: null };
  }
}

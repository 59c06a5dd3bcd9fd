/** What was recorded, as JSON: bounded, and without secrets. */

import { isError } from '../core/is-error.js';
import type { FlightEvent, FlightState, Json, JsonObject } from '../flight.js';
import type { Redactor } from '../observe/redact.js';

/** Deeper or wider than any event or context of the statecharts. */
const MAX_DEPTH = 8;
const MAX_ENTRIES = 4_096;

/**
 * Texts that name things, told as they are: which actor and which state something was would be lost else, and an address with "token:" in it
 * is no token. All other text is free text, which may hold what a server said.
 */
const NAMES: ReadonlySet<string> = new Set(['type', 'id', 'address', 'connectionId', 'kind', 'route']);

/** A copy that nobody's snapshot shares. */
export function copyState(state: FlightState): FlightState {
  if (typeof state === 'string') return state;
  return Object.freeze(Object.fromEntries(Object.entries(state).map(([name, inner]) => [name, copyState(inner)])));
}

/** An event's type and its plain fields; of an object that it bears, the id. */
export function toSummary(event: { readonly type: string }, redactor: Redactor): FlightEvent {
  const summary: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(event) as [string, unknown][]) {
    if (typeof value === 'string') summary[name] = tell(name, value, redactor);
    else if (typeof value === 'number' || typeof value === 'boolean') summary[name] = value;
    else if (typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string') {
      summary['id'] = value.id;
    }
  }
  return Object.freeze({ ...summary, type: event.type });
}

/** An object of the statecharts' as JSON. */
export function toJsonObject(value: object, redactor: Redactor): JsonObject {
  return toEntries(value, redactor, 0);
}

function toEntries(value: object, redactor: Redactor, depth: number): JsonObject {
  const entries: [string, Json][] = [];
  for (const [name, inner] of Object.entries(value).slice(0, MAX_ENTRIES) as [string, unknown][]) {
    if (inner !== undefined) entries.push([name, toJson(name, inner, redactor, depth + 1)]);
  }
  return Object.fromEntries(entries);
}

function toJson(name: string, value: unknown, redactor: Redactor, depth: number): Json {
  if (typeof value === 'string') return tell(name, value, redactor);
  if (typeof value === 'boolean' || value === null || Number.isFinite(value)) return value as Json;
  if (typeof value !== 'object') return `[${typeof value}]`;
  if (depth >= MAX_DEPTH) return '[truncated]';
  if (isError(value)) return { name: value.name, message: redactor.text(value.message) };
  if (!Array.isArray(value)) return toEntries(value, redactor, depth);
  return value.slice(0, MAX_ENTRIES).map((item) => toJson(name, item, redactor, depth + 1));
}

const tell = (name: string, text: string, redactor: Redactor): string => (NAMES.has(name) ? text : redactor.text(text));

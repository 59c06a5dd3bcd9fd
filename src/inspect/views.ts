/** What is known of a client, as the page sees it. */

import { isError } from '../core/is-error.js';
import type { ClientEventName, ClientEvents } from '../events.js';
import type { DumpedActor, FlightState } from '../flight.js';
import type { Redactor } from '../observe/redact.js';
import type { Entry } from '../runtime/flight-recorder.js';
import type { ActorView, ClientEventView, TransitionView } from './protocol.js';

/** The root, whose children all others are. */
const ROOT = 'client';

/** Wall time, of a moment on the client's clock. */
export type ToEpoch = (atMs: number) => number;

/** As much of a dumped actor as is shown. */
export interface Shown extends Omit<DumpedActor, 'context'> {
  readonly context: Readonly<Record<string, unknown>>;
}

export function toActorView({ actor, machine, state, context, status }: Shown): ActorView {
  return {
    id: actor,
    machine: machine as ActorView['machine'],
    parent: actor === ROOT ? null : ROOT,
    active: leavesOf(state),
    context,
    status: status as ActorView['status'],
  };
}

/** A transition, from a dump or not, with a reason that may be told. */
export interface Moved {
  readonly sequence: number;
  readonly atMs: number;
  readonly actor: string;
  readonly machine: string;
  readonly from: FlightState | null;
  readonly to: FlightState;
  readonly event: { readonly type: string };
  readonly reason: unknown;
}

export function toTransitionView({ reason, ...moved }: Moved, toEpoch: ToEpoch): TransitionView {
  const { sequence, atMs, actor, machine, from, to, event } = moved;
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

/** A transition that the recorder holds. */
export function toMoved({ before, value, context, ...entry }: Entry, redactor: Redactor): Moved {
  const old = (before?.context ?? {}) as WithReason;
  const { reason } = context as WithReason;
  const cause = reasonOf(entry.event, reason === old.reason ? {} : { reason });
  return {
    ...entry,
    from: before?.value ?? null,
    to: value,
    reason: typeof cause === 'string' ? redactor.text(cause) : undefined,
  };
}

interface WithReason {
  readonly reason?: unknown;
}

/** The event's own; else what the transition noted as one: that a time was up is no event with a reason. */
export const reasonOf = (event: object, changes: object): unknown =>
  (event as WithReason).reason ?? (changes as WithReason).reason;

/** `{open: 'steady'}` as `open.steady`. */
export function leavesOf(state: FlightState): string[] {
  if (typeof state === 'string') return [state];
  return Object.entries(state).flatMap(([name, inner]) => leavesOf(inner).map((leaf) => `${name}.${leaf}`));
}

/** An event of the client, as it was emitted. */
export interface Emitted {
  readonly sequence: number;
  readonly atMs: number;
  readonly name: ClientEventName;
  readonly payload: ClientEvents[ClientEventName];
}

export function toEventView(
  { sequence, atMs, name, payload }: Emitted,
  redactor: Redactor,
  toEpoch: ToEpoch,
): ClientEventView {
  const fields: object = isError(payload) ? { error: payload } : payload;
  const detail = Object.entries(fields).map(([key, value]: [string, unknown]) => [
    key,
    isError(value) ? errorView(name, value, redactor) : NAMES.has(key) ? value : redactor.value(value),
  ]);
  return { sequence, at: toEpoch(atMs), name, detail: Object.fromEntries(detail) as ClientEventView['detail'] };
}

/** Texts that name things: an address with "token:" in it is no token. */
const NAMES: ReadonlySet<string> = new Set(['address', 'from', 'to', 'id', 'streamId']);

/** Of their errors no message is told: what a callback threw is the application's, and what a health check was answered is the server's. */
const OTHERS: ReadonlySet<ClientEventName> = new Set(['error', 'health_stream_error']);

function errorView(event: ClientEventName, error: Error, redactor: Redactor): object {
  try {
    const { name, code, message } = error as {
      readonly name: unknown;
      readonly code?: unknown;
      readonly message: string;
    };
    return {
      name: redactor.text(String(name)),
      ...(typeof code === 'string' ? { code: redactor.text(code) } : {}),
      ...(OTHERS.has(event) ? {} : { message: redactor.text(message) }),
    };
  } catch {
    // A getter of somebody else's that throws, or a name that is no text at all.
    return { name: 'Error' };
  }
}

/** Makes recorded transitions again, and tells where the statecharts do otherwise than the record says. */

import type { AnyStateMachine } from 'xstate';
import { initialTransition, transition } from 'xstate';
import { clientMachine } from './client.js';
import { connectionMachine } from './connection.js';
import { endpointMachine } from './endpoint.js';
import { failoverMachine } from './failover.js';
import { streamMachine } from './stream.js';

/** A state value: a name, or names within a name. */
export type ReplayState = string | { readonly [name: string]: ReplayState };

type ReplayContext = Readonly<Record<string, unknown>>;

/** One recorded transition, of those that a dump of the client holds. */
export interface ReplayTransition {
  readonly sequence: number;
  readonly actor: string;
  readonly machine: string;
  readonly event: { readonly type: string };
  /** Null: the actor began. */
  readonly from: ReplayState | null;
  readonly to: ReplayState;
  readonly status: string;
  /** What of the context it changed. */
  readonly changes: ReplayContext;
  /** The context before it; of an actor's first transition, unless that is its beginning. */
  readonly context?: ReplayContext | undefined;
}

/** An actor as it was when the record was taken. */
export interface ReplayActor {
  readonly actor: string;
  readonly machine: string;
  readonly state: ReplayState;
  readonly context: ReplayContext;
}

/** What the record says, or what the statechart does. Of the context, the fields that differ. */
export interface ReplayOutcome {
  readonly state: ReplayState | null;
  readonly status: string;
  readonly context: ReplayContext;
}

/** Where an actor's record and its statechart part. */
export interface Divergence {
  /** Of the transition; undefined where all transitions agree, but not the state the actor was left in. */
  readonly sequence: number | undefined;
  /** Counts the actor's transitions from 1. */
  readonly step: number;
  readonly event: { readonly type: string };
  readonly from: ReplayState | null;
  readonly expected: ReplayOutcome;
  readonly got: ReplayOutcome;
  /** What the statechart threw, or why the event was not given to it. */
  readonly error?: string;
}

export interface ActorReplay {
  readonly actor: string;
  readonly machine: string;
  /** `beginning`: from its birth. `record`: its beginning was dropped, so from the state and context before its first recorded transition. */
  readonly startsFrom: 'beginning' | 'record';
  /** Recorded. */
  readonly transitions: number;
  /** Made again with the same outcome, before the first that was not. */
  readonly agreed: number;
  readonly divergence: Divergence | undefined;
}

/** A record that cannot be replayed at all. `path` names the field. */
export class ReplayError extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.name = 'ReplayError';
    this.path = path;
  }
}

const MACHINES: ReadonlyMap<string, AnyStateMachine> = new Map(
  [clientMachine, failoverMachine, endpointMachine, connectionMachine, streamMachine].map(
    (machine): [string, AnyStateMachine] => [machine.id, machine],
  ),
);

/** More than a client can be given. A chart makes a list as long as it is told, so it is not told any number that stands in a file. */
const MAX_LEVELS = 1_024;

/** As much of XState's snapshot as is compared. */
interface Snapshot {
  readonly value: ReplayState;
  readonly context: ReplayContext;
  readonly status: string;
}

/**
 * Replays the transitions, actor by actor, on the statecharts without their effects.
 * @param transitions oldest first
 * @param actors those that live, to be compared with where the replay ends
 * @throws ReplayError for a machine that there is none of or that changes, for a first transition whose state or context is missing or of no
 *   use, and for more levels than a client can have
 */
export function replay(transitions: readonly ReplayTransition[], actors: readonly ReplayActor[] = []): ActorReplay[] {
  const living = new Map(actors.map((actor) => [actor.actor, actor]));
  const steps = new Map<string, [ReplayTransition, string][]>();
  for (const [index, each] of transitions.entries()) {
    const ofActor = steps.get(each.actor) ?? [];
    ofActor.push([each, `transitions[${String(index)}]`]);
    steps.set(each.actor, ofActor);
  }
  return [...steps].map(([actor, own]) => replayActor(actor, own, living.get(actor)));
}

function replayActor(
  actor: string,
  steps: readonly (readonly [ReplayTransition, string])[],
  living: ReplayActor | undefined,
): ActorReplay {
  const [first] = steps;
  if (first === undefined) throw new RangeError('an actor without a transition');
  const [{ machine: name, from }, path] = first;
  const machine = MACHINES.get(name);
  if (machine === undefined)
    throw new ReplayError(`${path}.machine`, `must be one of ${[...MACHINES.keys()].join(', ')}`);
  for (const [step, where] of steps) refuseUnfit(name, step, where);
  const { agreed, divergence } = compare(machine, steps, living);
  const startsFrom = from === null ? 'beginning' : 'record';
  return { actor, machine: name, startsFrom, transitions: steps.length, agreed, divergence };
}

/** What would make the replay another one than the record's, or endless. */
function refuseUnfit(name: string, { actor, machine, event, context }: ReplayTransition, path: string): void {
  if (machine !== name) throw new ReplayError(`${path}.machine`, `must be ${name}, as before of ${actor}`);
  const inputs = [
    [`${path}.event.input`, 'input' in event ? event.input : undefined],
    [`${path}.context.input`, context?.['input']],
  ] as const;
  for (const [where, input] of inputs) {
    const ofFailover = name === 'client' ? fieldOf(input, 'failover') : input;
    const levels = fieldOf(ofFailover, 'levels');
    if (typeof levels !== 'number' || levels <= MAX_LEVELS) continue;
    const field = name === 'client' ? 'failover.levels' : 'levels';
    throw new ReplayError(`${where}.${field}`, `must be at most ${String(MAX_LEVELS)}, got ${String(levels)}`);
  }
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

function compare(
  machine: AnyStateMachine,
  steps: readonly (readonly [ReplayTransition, string])[],
  living: ReplayActor | undefined,
): { agreed: number; divergence: Divergence | undefined } {
  let snapshot: Snapshot | undefined;
  /** As the record has it. */
  let context: ReplayContext = {};
  let agreed = 0;
  for (const [step, path] of steps) {
    // An actor that begins anew has nothing of the one of that name before it.
    if (step.from === null) context = {};
    else if (snapshot === undefined) {
      context = contextOf(step, path);
      snapshot = resolve(machine, step.from, context, path);
    }
    const before = snapshot;
    context = { ...context, ...step.changes };
    const expected: Snapshot = { value: step.to, context, status: step.status };
    const made = make(machine, before, step);
    if (made.isElsewhere === true || !agrees(expected, made.snapshot)) {
      return { agreed, divergence: diverge(step, agreed + 1, expected, made) };
    }
    ({ snapshot } = made);
    agreed++;
  }
  return { agreed, divergence: compareEnd(snapshot, steps, living) };
}

function compareEnd(
  snapshot: Snapshot | undefined,
  steps: readonly (readonly [ReplayTransition, string])[],
  living: ReplayActor | undefined,
): Divergence | undefined {
  if (snapshot === undefined || living === undefined) return undefined;
  const expected: Snapshot = { value: living.state, context: living.context, status: snapshot.status };
  if (agrees(expected, snapshot)) return undefined;
  const event = { type: 'the end of the record' };
  return {
    sequence: undefined,
    step: steps.length,
    event,
    from: snapshot.value,
    expected: outcomeOf(expected, snapshot),
    got: outcomeOf(snapshot, expected),
  };
}

function contextOf({ context }: ReplayTransition, path: string): ReplayContext {
  if (context !== undefined) return context;
  throw new ReplayError(`${path}.context`, `is required, for the actor's beginning is not recorded`);
}

function resolve(machine: AnyStateMachine, value: ReplayState, context: ReplayContext, path: string): Snapshot {
  try {
    return machine.resolveState({ value, context }) as Snapshot;
  } catch {
    throw new ReplayError(`${path}.from`, `is no state of the statechart ${machine.id}`);
  }
}

interface Made {
  readonly snapshot: Snapshot;
  readonly error?: string;
  /** The record goes on from another state than the statechart is in. */
  readonly isElsewhere?: boolean;
}

function make(machine: AnyStateMachine, before: Snapshot | undefined, { event, from }: ReplayTransition): Made {
  try {
    if (from === null) {
      const [snapshot] = initialTransition(machine, 'input' in event ? event.input : undefined);
      return { snapshot: snapshot as Snapshot };
    }
    if (before !== undefined && !isSame(before.value, from)) {
      return {
        snapshot: before,
        isElsewhere: true,
        error: 'the record goes on from another state than the statechart is in',
      };
    }
    const [snapshot] = transition(machine, before as never, event as never);
    return { snapshot: snapshot as Snapshot };
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    return { snapshot: { ...NOWHERE, ...before, status: 'error' }, error };
  }
}

const NOWHERE: Snapshot = { value: '', context: {}, status: 'error' };

const agrees = (expected: Snapshot, got: Snapshot): boolean =>
  expected.status === got.status && isSame(expected.value, got.value) && isSame(expected.context, got.context);

function diverge(
  { sequence, event, from }: ReplayTransition,
  step: number,
  expected: Snapshot,
  { snapshot, error }: Made,
): Divergence {
  return {
    sequence,
    step,
    event,
    from,
    expected: outcomeOf(expected, snapshot),
    got: outcomeOf(snapshot, expected),
    ...(error === undefined ? {} : { error }),
  };
}

function outcomeOf(one: Snapshot, other: Snapshot): ReplayOutcome {
  const names = Object.keys(one.context).filter((name) => !isSame(one.context[name], other.context[name]));
  return {
    state: one.value,
    status: one.status,
    context: Object.fromEntries(names.map((name) => [name, one.context[name]])),
  };
}

/** The same JSON, in whatever order its fields are. */
function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    names.length === others.length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(Reflect.get(one, name), Reflect.get(other, name)))
  );
}

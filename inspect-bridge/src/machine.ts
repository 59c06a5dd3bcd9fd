/** Machines of XState v5 as machines of v4, to be drawn: never to be run. */

import { type AnyStateMachine, createMachine } from 'xstate';

/** As much of a v5 transition as is carried over. */
interface Transition {
  readonly target?: string | readonly string[];
  readonly guard?: unknown;
  readonly actions?: unknown;
  readonly reenter?: boolean;
  readonly description?: string;
}

type Transitions = string | Transition | readonly (string | Transition)[] | undefined;
type TransitionMap = Readonly<Record<string, Transitions>>;

/** As much of a v5 state's configuration as is carried over. */
export interface StateConfig {
  readonly id?: string;
  readonly type?: string;
  readonly initial?: string;
  readonly history?: string | boolean;
  readonly states?: Readonly<Record<string, StateConfig>>;
  readonly on?: TransitionMap;
  readonly after?: TransitionMap;
  readonly always?: Transitions;
  readonly entry?: unknown;
  readonly exit?: unknown;
  readonly tags?: string | readonly string[];
  readonly description?: string;
}

/** A machine of v4 with the states, transitions, guards and actions of one of v5. */
export interface ShownMachine {
  readonly machine: AnyStateMachine;
  /** The events of delayed transitions by their names in v5: `xstate.after.backoff.stream.reconnecting`. */
  readonly delayedEvents: ReadonlyMap<string, string>;
}

/**
 * Of the configuration, what a drawing shows: guards and actions by their names. Neither context nor implementations.
 * @throws what v4 says of a machine that it has no form for
 */
export function toV4Machine(config: StateConfig): ShownMachine {
  const delayedEvents = new Map<string, string>();
  const id = config.id ?? '(machine)';
  const state = toState(config, id, delayedEvents);
  // Without it, v4 has something to say on the console.
  const machine = createMachine({ ...state, id, predictableActionArguments: true }) as AnyStateMachine;
  // Some of what v4 objects to, it does only when it is asked for it.
  JSON.stringify(machine);
  return { machine, delayedEvents };
}

function toState(config: StateConfig, id: string, delayedEvents: Map<string, string>): object {
  for (const delay of Object.keys(config.after ?? {})) {
    delayedEvents.set(`xstate.after.${delay}.${id}`, `xstate.after(${delay})#${id}`);
  }
  const { type, initial, history, tags, description } = config;
  return withoutUndefined({
    id: config.id,
    type,
    initial,
    history,
    tags,
    description,
    states: mapValues(config.states, (child, key) => toState(child, child.id ?? `${id}.${key}`, delayedEvents)),
    on: mapValues(config.on, toTransitions),
    after: mapValues(config.after, toTransitions),
    always: config.always === undefined ? undefined : toTransitions(config.always),
    entry: toActions(config.entry),
    exit: toActions(config.exit),
  });
}

const toTransitions = (transitions: Transitions): object[] => listOf(transitions).map(toTransition);

function toTransition(transition: string | Transition): object {
  const { target, guard, actions, reenter, description } =
    typeof transition === 'string' ? { target: transition } : transition;
  return withoutUndefined({
    target,
    description,
    cond: guard === undefined ? undefined : nameOf(guard),
    actions: toActions(actions),
    // A transition into the state itself, or deeper into it, leaves it in v4 and does not in v5, unless it is told otherwise.
    internal: target === undefined ? undefined : reenter !== true,
  });
}

function toActions(actions: unknown): object[] | undefined {
  if (actions === undefined) return undefined;
  return listOf(actions).map((action) => {
    const params = fieldOf(action, 'params');
    return { type: nameOf(action), ...(typeof params === 'object' ? { params } : {}) };
  });
}

/** Of a guard or an action: named in the configuration, or a function of no name there. */
function nameOf(implementation: unknown): string {
  if (typeof implementation === 'string') return implementation;
  const type = fieldOf(implementation, 'type');
  return typeof type === 'string' ? type : '(inline)';
}

const fieldOf = (value: unknown, name: string): unknown =>
  (typeof value === 'object' && value !== null) || typeof value === 'function' ? Reflect.get(value, name) : undefined;

function listOf<Value>(value: Value | readonly Value[] | undefined): readonly Value[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Value[]) : [value as Value];
}

function mapValues<Value>(
  values: Readonly<Record<string, Value>> | undefined,
  map: (value: Value, key: string) => object,
): object | undefined {
  if (values === undefined) return undefined;
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value, key)]));
}

const withoutUndefined = (values: object): object =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** The client's charts, as v4 has them: each state and transition of v5, and no other; and again as the viewer makes them of what it is told. */

import { describe, expect, test, vi } from 'vitest';
import { type AnyStateMachine, createMachine, type StateNode } from 'xstate';
import {
  clientMachine,
  connectionMachine,
  endpointMachine,
  failoverMachine,
  streamMachine,
} from '../../machines/index.js';
import { type StateConfig, toV4Machine } from '../src/machine.js';

/** As much of a state of v5 as is compared. */
interface V5Node {
  readonly id: string;
  readonly type: string;
  readonly config: object;
  readonly initial: { readonly target: readonly { readonly key: string }[] } | undefined;
  readonly states: Readonly<Record<string, V5Node>>;
  readonly transitions: ReadonlyMap<string, readonly V5Transition[]>;
  readonly always: readonly V5Transition[] | undefined;
  readonly entry: readonly unknown[];
  readonly exit: readonly unknown[];
}

interface V5Transition {
  readonly eventType: string;
  readonly target: readonly { readonly id: string }[] | undefined;
  readonly guard: unknown;
  readonly actions: readonly unknown[];
  readonly reenter: boolean;
}

interface Described {
  readonly id: string;
  readonly type: string;
  readonly initial: string | undefined;
  readonly entry: readonly string[];
  readonly exit: readonly string[];
  /** Sorted: the order of events says nothing. That of an event's own transitions does. */
  readonly transitions: readonly string[];
}

const MACHINES = [clientMachine, failoverMachine, endpointMachine, connectionMachine, streamMachine].map(
  (machine): [string, { config: StateConfig; root: V5Node }] => [
    machine.id,
    { config: machine.config as StateConfig, root: machine.root as unknown as V5Node },
  ],
);

/** Without what each version adds of its own for timers. */
const named = (actions: readonly unknown[]): string[] =>
  actions
    .map((action) => (typeof action === 'string' ? action : String((action as { type?: unknown }).type)))
    .filter((name) => !name.startsWith('xstate.'));

const describeTransition = (
  event: string,
  guard: unknown,
  target: readonly { id: string }[] | undefined,
  actions: readonly unknown[],
  reenters: boolean,
): string =>
  JSON.stringify([
    event,
    guard ?? null,
    (target ?? []).map(({ id }) => id),
    named(actions),
    reenters ? 'reenters' : '',
  ]);

const byEvent = (transitions: readonly string[]): string[] =>
  [...transitions].sort((a, b) => {
    const [one, other] = [a, b].map((text) => (JSON.parse(text) as string[])[0] ?? '');
    return one === other ? 0 : String(one) < String(other) ? -1 : 1;
  });

function describeV5(node: V5Node, delayed: ReadonlyMap<string, string>): Described[] {
  const transitions = [...node.transitions.values(), node.always ?? []].flat();
  const own: Described = {
    id: node.id,
    type: node.type,
    initial: node.initial?.target[0]?.key,
    entry: named(node.entry),
    exit: named(node.exit),
    transitions: byEvent(
      transitions.map(({ eventType, guard, target, actions, reenter }) =>
        describeTransition(delayed.get(eventType) ?? eventType, guard, target, actions, reenter),
      ),
    ),
  };
  return [own, ...Object.values(node.states).flatMap((child) => describeV5(child, delayed))];
}

type V4Node = StateNode<object, { states: Record<string, object> }>;

function describeV4(node: V4Node): Described[] {
  const own: Described = {
    id: node.id,
    type: node.type,
    initial: node.initial,
    entry: named(node.onEntry),
    exit: named(node.onExit),
    transitions: byEvent(
      node.transitions.map(({ eventType, cond, target, actions, internal }) =>
        describeTransition(
          eventType,
          (cond as { name?: string } | undefined)?.name,
          target as { id: string }[] | undefined,
          actions,
          internal !== true,
        ),
      ),
    ),
  };
  return [own, ...Object.values(node.states).flatMap((child) => describeV4(child as V4Node))];
}

const statesOf = (machine: AnyStateMachine): Described[] => describeV4(machine as unknown as V4Node);

describe.each(MACHINES)('%s', (id, { config, root }) => {
  test('as v4 makes it: has each state and transition of v5, with its guard and actions, and no other', () => {
    const { machine, delayedEvents } = toV4Machine(config);
    const expected = describeV5(root, delayedEvents);
    expect(expected.length).toBeGreaterThan(5);
    expect(expected.flatMap(({ transitions }) => transitions).length).toBeGreaterThan(15);
    expect(statesOf(machine)).toEqual(expected);
    expect(machine.id).toBe(id);
  });

  test('told to a viewer as JSON and made again there: is the same', () => {
    // What is told does not say which order of actions it is for, which v4 asks for on the console.
    vi.spyOn(console, 'warn').mockReturnValue();
    const { machine } = toV4Machine(config);
    const again = createMachine(JSON.parse(JSON.stringify(machine)) as object) as AnyStateMachine;
    expect(statesOf(again)).toEqual(statesOf(machine));
    vi.restoreAllMocks();
  });

  test('of its configuration: nothing is left behind but context and how XState runs it', () => {
    const known = ['id', 'type', 'initial', 'history', 'states', 'on', 'after', 'always', 'entry', 'exit', 'tags'];
    const ofTransitions = ['target', 'guard', 'actions', 'reenter', 'description'];
    const foreign = (node: V5Node): string[] => {
      // Resolved, a configuration also has fields of XState's own that are empty.
      const own = Object.entries(node.config).filter(([, value]) => value !== undefined);
      const { on, after, always } = node.config as StateConfig;
      const transitions = [...Object.values(on ?? {}), ...Object.values(after ?? {}), always].flat();
      return [
        ...own.map(([name]) => name).filter((name) => ![...known, 'description'].includes(name)),
        ...transitions
          .filter((each) => typeof each === 'object')
          .flatMap((each) => Object.keys(each).filter((name) => !ofTransitions.includes(name))),
        ...Object.values(node.states).flatMap(foreign),
      ];
    };
    expect(foreign(root).filter((name) => name !== 'context' && name !== 'options')).toEqual([]);
  });
});

describe('what the client has none of', () => {
  test('an inline guard, parameters, a transition that reenters, one into itself, an eventless one: are carried over', () => {
    const { machine } = toV4Machine({
      id: 'm',
      initial: 'a',
      states: {
        a: {
          tags: ['calm'],
          always: { target: 'b', guard: () => true },
          on: {
            IN: {
              target: 'a',
              guard: { type: 'isFit', params: { at: 1 } },
              actions: { type: 'note', params: { n: 1 } },
            },
            AGAIN: { target: 'a', reenter: true },
          },
        },
        b: { type: 'final', description: 'the end' },
      },
    });
    const [, a, b] = statesOf(machine);
    expect(a?.transitions).toEqual([
      '["","(inline)",["m.b"],[],""]',
      '["AGAIN",null,["m.a"],[],"reenters"]',
      '["IN","isFit",["m.a"],["note"],""]',
    ]);
    expect(b?.type).toBe('final');
    expect(JSON.stringify(machine)).toContain('"params":{"n":1}');
  });
});

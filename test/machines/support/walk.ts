/** Random runs of a chart by the pure functions, and what may be held of them. */

import fc from 'fast-check';
import { expect } from 'vitest';
import { initialTransition, transition, type AnyMachineSnapshot, type AnyStateMachine, type EventObject } from 'xstate';
import type { BackoffPolicy } from '../../../machines/backoff.js';
import { pathOf, readableAction, timerOf, topOf, type Action, type After, type Subject } from './chart.js';

export interface Move<Event extends EventObject> {
  /** What happened. */
  readonly event: Event | After;
  readonly from: string;
  readonly to: string;
  readonly runs: readonly string[];
}

/** A stimulus before it meets the state: plain data, so that a counterexample can be read. */
export type Stimulus<Choice> = { readonly send: Choice } | { readonly elapse: number };

/** Mostly events, and one in four times a delay that is running runs out, whichever: delays are options, so they may come in any order. */
export function stimuli<Choice>(choice: fc.Arbitrary<Choice>): fc.Arbitrary<Stimulus<Choice>[]> {
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: choice.map((send) => ({ send })) },
      { weight: 1, arbitrary: fc.nat({ max: 7 }).map((elapse) => ({ elapse })) },
    ),
    { maxLength: 80, size: 'max' },
  );
}

/** Drives a chart by the pure functions, keeping the delays that are running. */
export class Walk<Context, Event extends EventObject> {
  readonly #machine: AnyStateMachine;
  readonly #delays = new Map<string, EventObject>();
  #snapshot: AnyMachineSnapshot;

  constructor(subject: Subject<Event>) {
    this.#machine = subject.machine;
    this.#snapshot = this.#track(initialTransition(subject.machine, subject.input) as [AnyMachineSnapshot, Action[]]);
  }

  get context(): Context {
    return this.#snapshot.context as Context;
  }

  get path(): string {
    return pathOf(this.#snapshot);
  }

  get top(): string {
    return topOf(this.path);
  }

  get children(): readonly string[] {
    return Object.keys(this.#snapshot.children as object);
  }

  /** The delays that are running, by name. */
  get running(): readonly string[] {
    return [...this.#delays.keys()].map(timerOf);
  }

  send(event: Event): Move<Event> {
    return this.#apply(event, event);
  }

  /** One of the running delays runs out; nothing if none is running. */
  elapse(pick: number): Move<Event> | undefined {
    const running = [...this.#delays.entries()];
    const chosen = running[pick % Math.max(1, running.length)];
    if (chosen === undefined) return undefined;
    const [id, event] = chosen;
    this.#delays.delete(id);
    return this.#apply(event, { after: timerOf(id) });
  }

  #apply(event: EventObject, said: Event | After): Move<Event> {
    const from = this.path;
    const result = transition(this.#machine, this.#snapshot, event) as [AnyMachineSnapshot, Action[]];
    this.#snapshot = this.#track(result);
    return { event: said, from, to: this.path, runs: result[1].map(readableAction) };
  }

  #track([snapshot, actions]: [AnyMachineSnapshot, Action[]]): AnyMachineSnapshot {
    for (const { type, params } of actions) {
      const given = (params ?? {}) as { id?: string; sendId?: string; event?: EventObject };
      if (type === 'xstate.raise' && given.event !== undefined) {
        this.#delays.set(given.id ?? given.event.type, given.event);
      }
      if (type === 'xstate.cancel') this.#delays.delete(given.sendId ?? '');
    }
    return snapshot;
  }
}

/** Plays every run of stimuli, calling `check` after each step; `begin` makes the observer of one run. */
export function assertOnRuns<Context, Event extends EventObject, Choice>(
  subject: Subject<Event>,
  choice: fc.Arbitrary<Choice>,
  toEvent: (choice: Choice, context: Context) => Event,
  begin: (walk: Walk<Context, Event>) => (move: Move<Event>) => void,
): void {
  fc.assert(
    fc.property(stimuli(choice), (run) => {
      const walk = new Walk<Context, Event>(subject);
      const check = begin(walk);
      for (const stimulus of run) {
        const move =
          'send' in stimulus ? walk.send(toEvent(stimulus.send, walk.context)) : walk.elapse(stimulus.elapse);
        if (move !== undefined) check(move);
      }
    }),
    { numRuns: 200 },
  );
}

/** `a > b c` reads: from `a` to `b` or `c`. Staying is always allowed. */
export function edges(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(
    lines.flatMap((line) => {
      const [from = '', targets = ''] = line.split('>').map((side) => side.trim());
      return targets.split(/\s+/).map((to) => `${from} > ${to}`);
    }),
  );
}

export function expectEdge(allowed: ReadonlySet<string>, { from, to }: Move<EventObject>): void {
  if (topOf(from) !== topOf(to)) expect(allowed).toContain(`${topOf(from)} > ${topOf(to)}`);
}

/** Fails when an effect runs again before `until`, or one of them, has run: `dial` before a loss, say. */
export class Once {
  readonly #effect: string;
  readonly #until: readonly string[];
  #spent = false;

  constructor(effect: string, ...until: readonly string[]) {
    this.#effect = effect;
    this.#until = until;
  }

  see(facts: readonly string[]): void {
    for (const fact of facts) {
      if (this.#until.includes(fact)) this.#spent = false;
      if (fact !== this.#effect) continue;
      expect(this.#spent, `${this.#effect} ran twice`).toBe(false);
      this.#spent = true;
    }
  }
}

/** The n-th wait (1 is the first) lies under its ceiling, and with jitter in the upper half of it. */
export function expectWithinBackoff(policy: BackoffPolicy, attempt: number, delayMs: number): void {
  const ceilingMs = Math.min(policy.maxDelay, policy.initialDelay * policy.multiplier ** (attempt - 1));
  expect(delayMs).toBeLessThanOrEqual(ceilingMs);
  expect(delayMs).toBeGreaterThanOrEqual(policy.jitter ? ceilingMs / 2 : ceilingMs);
}

/** What a state means to somebody who looks: a tone, which has a colour and a shape of its own, so that neither alone must be told apart. */

import type { ActorView } from '../protocol.js';

/**
 * - `ok`: does its work.
 * - `busy`: on its way to another state.
 * - `warn`: works, but not as it should; somebody may want to look.
 * - `bad`: does not work.
 * - `idle`: nothing to do, or nothing known yet.
 * - `off`: ended.
 */
export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'idle' | 'off';

type Machine = ActorView['machine'];

const TONES: Readonly<Record<Machine, Readonly<Record<string, Tone>>>> = {
  client: {
    idle: 'idle',
    connecting: 'busy',
    open: 'ok',
    failedOver: 'warn',
    reconnecting: 'bad',
    draining: 'busy',
    closed: 'off',
  },
  failover: {
    connecting: 'busy',
    open: 'ok',
    failingOver: 'busy',
    failedOver: 'warn',
    failingBack: 'busy',
    reconnecting: 'bad',
    draining: 'busy',
    closed: 'off',
  },
  endpoint: { unknown: 'idle', serving: 'ok', suspect: 'warn', notServing: 'bad', probing: 'busy' },
  connection: {
    idle: 'idle',
    connecting: 'busy',
    open: 'ok',
    paused: 'warn',
    // Kept warm beside the route: nothing is wrong with it.
    failedOver: 'idle',
    reconnecting: 'bad',
    draining: 'busy',
    closed: 'off',
  },
  stream: {
    idle: 'idle',
    connecting: 'busy',
    open: 'ok',
    paused: 'warn',
    reconnecting: 'bad',
    failedOver: 'busy',
    draining: 'busy',
    closed: 'off',
  },
};

/** From what calls for attention to what does not. */
const BY_URGENCY: readonly Tone[] = ['bad', 'warn', 'busy', 'ok', 'idle', 'off'];

/** The outermost state: `open` of `open.steady`. Empty while it has none. */
export function topState(active: readonly string[]): string {
  const [first = ''] = active;
  const dot = first.indexOf('.');
  return dot === -1 ? first : first.slice(0, dot);
}

export function toneOf({ machine, active, status }: Pick<ActorView, 'machine' | 'active' | 'status'>): Tone {
  if (status === 'error') return 'bad';
  if (status !== 'active') return 'off';
  return toneOfState(machine, topState(active));
}

export function toneOfState(machine: Machine, state: string): Tone {
  const tones = Object.hasOwn(TONES, machine) ? TONES[machine] : {};
  return Object.hasOwn(tones, state) ? (tones[state] ?? 'idle') : 'idle';
}

/** The one that most calls for attention; `off` of none. */
export function worstTone(tones: Iterable<Tone>): Tone {
  const present = new Set(tones);
  return BY_URGENCY.find((tone) => present.has(tone)) ?? 'off';
}

export function countTones(actors: Iterable<Pick<ActorView, 'machine' | 'active' | 'status'>>): Record<Tone, number> {
  const counts: Record<Tone, number> = { ok: 0, busy: 0, warn: 0, bad: 0, idle: 0, off: 0 };
  for (const actor of actors) counts[toneOf(actor)] += 1;
  return counts;
}

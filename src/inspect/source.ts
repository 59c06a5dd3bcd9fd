/** What pages are told, wherever it comes from. */

import type { FlightDump } from '../flight.js';
import type { Hello } from './protocol.js';
import { toActorView, toTransitionView } from './views.js';

/** A hello, but for what the server adds to it. */
export type Picture = Omit<Hello, 'controls'>;

export interface Source {
  /** Everything, as it is now. */
  picture(): Picture;
}

/** A dump, of now or of then. */
export function pictureOf(dump: FlightDump, mode: Hello['mode']): Picture {
  const { nowMs, startedAtMs, dumpedAt } = dump;
  const epochMs = Date.parse(dumpedAt) - nowMs;
  return {
    type: 'hello',
    mode,
    version: dump.package.version,
    startedAt: epochMs + startedAtMs,
    actors: dump.actors.map(toActorView),
    transitions: dump.transitions.map((transition) => toTransitionView(transition, (atMs) => epochMs + atMs)),
    events: [],
  };
}

/** What an endpoint's health was over the last minutes, from its transitions, for a strip. */

import type { TransitionView } from '../protocol.js';
import { topState } from './tones.js';

/** How far back a strip reaches. */
export const HEALTH_SPAN_MS = 120_000;
/** Per endpoint. */
const MAX_MARKS = 256;
const MAX_ENDPOINTS = 256;

interface Mark {
  readonly at: number;
  readonly state: string;
}

/** From `from` to `to`, fractions of the strip, it was in `state`. */
export interface StripSegment {
  readonly from: number;
  readonly to: number;
  readonly state: string;
}

export class HealthHistory {
  readonly #marks = new Map<string, Mark[]>();

  /** What is known at `at` of one whose transitions are not: the beginning of its strip. */
  begin(actor: string, state: string, at: number): void {
    if (this.#marks.has(actor) || this.#marks.size >= MAX_ENDPOINTS) return;
    this.#marks.set(actor, [{ at, state }]);
  }

  /** `knownSince`: nothing of this actor was missed after it, so that what it left had lasted since then. */
  note({ actor, at, from, to }: TransitionView, knownSince: number): void {
    const state = topState(to);
    const marks = this.#marks.get(actor);
    if (marks === undefined) {
      const before = topState(from);
      if (before !== '') this.begin(actor, before, Math.min(at, knownSince));
      else this.begin(actor, state, at);
    }
    const known = this.#marks.get(actor);
    if (known === undefined || known.at(-1)?.state === state) return;
    known.push({ at, state });
    if (known.length > MAX_MARKS) known.shift();
  }

  /** The `spanMs` before `now`; nothing where nothing is known. */
  segments(actor: string, now: number, spanMs: number): StripSegment[] {
    const begin = now - spanMs;
    const marks = this.#marks.get(actor) ?? [];
    const segments: StripSegment[] = [];
    for (const [index, { at, state }] of marks.entries()) {
      const from = Math.max(at, begin);
      const to = Math.min(marks[index + 1]?.at ?? now, now);
      if (to > from) segments.push({ from: (from - begin) / spanMs, to: (to - begin) / spanMs, state });
    }
    return segments;
  }

  clear(): void {
    this.#marks.clear();
  }
}

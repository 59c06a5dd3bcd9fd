import type { Hello } from './protocol.js';
import type { Reader, Source } from './source.js';
import { type Moved, reasonOf, type Shown, toActorView, toTransitionView } from './views.js';

/** As much of a dump as is shown. */
export interface Recording {
  readonly package: { readonly version: string };
  /** ISO 8601. */
  readonly dumpedAt: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly actors: readonly Shown[];
  readonly recorder: { readonly dropped: number };
  readonly transitions: readonly (Omit<Moved, 'atMs' | 'reason'> & {
    readonly sinceStartMs: number;
    readonly changes: object;
  })[];
}

/** What `client.dump()` gave: all of it at once, and nothing more. */
export class RecordingSource implements Source {
  readonly #reader: Reader;

  constructor(recording: Recording) {
    // Bytes, and the same for every page: those that wait for pages to read are the same memory.
    const hello = Buffer.from(JSON.stringify(helloOf(recording)));
    this.#reader = { isEndless: false, hello: () => hello, frame: () => undefined, close: () => undefined };
  }

  open(): Reader {
    return this.#reader;
  }
}

function helloOf({ package: { version }, dumpedAt, ...recording }: Recording): Hello {
  const { nowMs, startedAtMs, actors, recorder, transitions } = recording;
  const epochMs = Date.parse(dumpedAt) - nowMs;
  return {
    type: 'hello',
    mode: 'recording',
    version,
    startedAt: epochMs + startedAtMs,
    actors: actors.map(toActorView),
    transitions: transitions.map(({ sinceStartMs, changes, ...transition }) =>
      toTransitionView(
        { ...transition, atMs: startedAtMs + sinceStartMs, reason: reasonOf(transition.event, changes) },
        (atMs) => epochMs + atMs,
      ),
    ),
    events: [],
    controls: null,
    dropped: { transitions: recorder.dropped, events: 0 },
  };
}

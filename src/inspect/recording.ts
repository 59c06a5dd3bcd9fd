import { ConfigurationError } from '../errors.js';
import { type Hello, MAX_LINE_LENGTH } from './protocol.js';
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

  /** @throws ConfigurationError for more than a page can read */
  constructor(recording: Recording) {
    // Bytes, and the same for every page: those that wait for pages to read are the same memory.
    const text = JSON.stringify(helloOf(recording));
    if (text.length > MAX_LINE_LENGTH) {
      throw new ConfigurationError(
        'recording',
        `must take at most ${MAX_LINE_LENGTH} characters, takes ${text.length}; a client with a smaller flightRecorderSize dumps less`,
      );
    }
    const hello = Buffer.from(text);
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

import { type AuthzClient, runtimeOf } from '../client.js';
import type { ClientRuntime } from '../runtime/client-runtime.js';
import { type ActorSnapshot, snapshotsOf, tellActor } from '../runtime/flight-dump.js';
import { VERSION } from '../version.js';
import type { ActorView, ClientEventView, Dropped, EngineView, Frame, Hello, TransitionView } from './protocol.js';
import type { Reader, Source } from './source.js';
import { toActorView, toEventView, type ToEpoch, toMoved, toTransitionView } from './views.js';
import { Watch } from './watch.js';

/** A page hears something once a second, whether or not anything is new: less the half of a tick. */
const MAX_SILENCE_MS = 940;
/** Transitions told at once; those before them are counted as dropped. */
const MAX_TRANSITIONS = 1_024;

/** A client, as it is and as it goes on. */
export class LiveSource implements Source {
  readonly #runtime: ClientRuntime;
  readonly #engines: () => readonly EngineView[];
  readonly #toEpoch: ToEpoch;

  constructor(client: AuthzClient, engines: () => readonly EngineView[]) {
    this.#runtime = runtimeOf(client);
    this.#engines = engines;
    // Once for all: times in order on the client's clock are in order on the page, whatever the wall clock does.
    const epochMs = Date.now() - this.#runtime.clock.now();
    this.#toEpoch = (atMs) => Math.round((epochMs + atMs) * 1_000) / 1_000;
  }

  open(onTick: () => void): Reader {
    return new LiveReader(this.#runtime, this.#engines, this.#toEpoch, onTick);
  }
}

/** One page's way through it: what it was told last. Whoever reads late is told what has become of it, not how. */
class LiveReader implements Reader {
  readonly isEndless = true;
  readonly #runtime: ClientRuntime;
  readonly #engines: () => readonly EngineView[];
  readonly #toEpoch: ToEpoch;
  readonly #onTick: () => void;
  readonly #watch: Watch;
  readonly #told = new Map<string, ActorSnapshot>();
  #recorded = 0;
  #emitted = 0;
  #gauges = '';
  #enginesTold = '';
  #toldAt = -Infinity;

  constructor(runtime: ClientRuntime, engines: () => readonly EngineView[], toEpoch: ToEpoch, onTick: () => void) {
    this.#runtime = runtime;
    this.#engines = engines;
    this.#toEpoch = toEpoch;
    this.#onTick = onTick;
    this.#watch = Watch.join(runtime, onTick);
    // Of what nobody has seen before, nothing is missing.
    this.#emitted = this.#watch.emitted - this.#watch.events.length;
  }

  hello(controls: Hello['controls']): string {
    const { actors } = this.#newActors();
    const [transitions, events] = [this.#newTransitions(), this.#newEvents()];
    return JSON.stringify({
      type: 'hello',
      mode: 'live',
      version: VERSION,
      startedAt: this.#toEpoch(this.#runtime.env.startedAtMs),
      actors,
      transitions: transitions.told,
      events: events.told,
      controls,
      dropped: { transitions: transitions.dropped, events: events.dropped },
    } satisfies Hello);
  }

  frame(): string | undefined {
    const { actors, gone } = this.#newActors();
    const [transitions, events] = [this.#newTransitions(), this.#newEvents()];
    const engines = this.#engines();
    const enginesText = JSON.stringify(engines);
    const { text: gauges } = this.#watch.sampler;
    const now = performance.now();
    const hasNews =
      actors.length + gone.length + transitions.told.length + events.told.length > 0 ||
      gauges !== this.#gauges ||
      enginesText !== this.#enginesTold;
    if (!hasNews && now - this.#toldAt < MAX_SILENCE_MS) return undefined;
    this.#gauges = gauges;
    this.#enginesTold = enginesText;
    this.#toldAt = now;
    const dropped: Dropped = { transitions: transitions.dropped, events: events.dropped };
    const rest: Omit<Frame, 'gauges'> = {
      type: 'frame',
      at: this.#toEpoch(this.#runtime.clock.now()),
      actors,
      gone,
      transitions: transitions.told,
      events: events.told,
      engines,
      dropped,
    };
    // The gauges are text already, the same for every page.
    return `${JSON.stringify(rest).slice(0, -1)},"gauges":${gauges}}`;
  }

  close(): void {
    this.#watch.leave(this.#onTick);
  }

  /** Snapshots are never changed but replaced: the same one says the same. */
  #newActors(): { actors: ActorView[]; gone: string[] } {
    const actors: ActorView[] = [];
    const left = new Set(this.#told.keys());
    for (const [id, snapshot] of snapshotsOf(this.#runtime.actors)) {
      left.delete(id);
      if (this.#told.get(id) === snapshot) continue;
      this.#told.set(id, snapshot);
      actors.push(toActorView(tellActor(id, snapshot, this.#runtime.env.redactor)));
    }
    for (const id of left) this.#told.delete(id);
    return { actors, gone: [...left] };
  }

  #newTransitions(): News<TransitionView> {
    const { recorder } = this.#watch;
    const made = recorder.recorded - this.#recorded;
    if (made === 0) return NOTHING;
    const entries = recorder.entriesSince(this.#recorded).slice(-MAX_TRANSITIONS);
    this.#recorded = recorder.recorded;
    const { redactor } = this.#runtime.env;
    const told = entries.map((entry) => toTransitionView(toMoved(entry, redactor), this.#toEpoch));
    return { told, dropped: made - told.length };
  }

  #newEvents(): News<ClientEventView> {
    const { events, emitted } = this.#watch;
    const made = emitted - this.#emitted;
    if (made === 0) return NOTHING;
    const { redactor } = this.#runtime.env;
    const told = [...events]
      .filter(({ sequence }) => sequence > this.#emitted)
      .map((event) => toEventView(event, redactor, this.#toEpoch));
    this.#emitted = emitted;
    return { told, dropped: made - told.length };
  }
}

interface News<View> {
  readonly told: View[];
  /** Made since, and gone before they could be told. */
  readonly dropped: number;
}

const NOTHING = { told: [], dropped: 0 };

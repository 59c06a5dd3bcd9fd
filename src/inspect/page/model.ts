/** All that the server told, as far as it is kept: changed by its messages alone, and bounded whatever they are. */

import type { ActorView, EngineView, Frame, Gauges, Hello, Message, TransitionView } from '../protocol.js';
import { type Entry, eventEntry, mergeEntries, transitionEntry } from './entries.js';
import { GaugeHistory } from './gauge-history.js';
import { HealthHistory } from './health.js';
import { History } from './history.js';
import { peakOf, Series } from './series.js';
import { topState } from './tones.js';

/** Transitions and events that are kept. */
export const MAX_ENTRIES = 5_000;
/** Actors that are gone and that the past may still show. */
const MAX_GONE = 2_000;
/** How far back the sparklines reach. */
export const SERIES_SECONDS = 150;

/** Two tellings of when one client was made differ by less: wall time is rounded, and may be set. */
const SAME_START_MS = 2_000;

export interface GoneActor {
  readonly actor: ActorView;
  readonly goneAt: number;
}

export class Model {
  /** Rises with every message. */
  version = 0;
  /** Rises when an actor came, went, or changed its state: with most messages it does not. */
  actorsVersion = 0;
  /** Null until the server has greeted. */
  mode: Hello['mode'] | null = null;
  packageVersion = '';
  startedAt = 0;
  /** When the last message was made, by the server's clock. */
  now = 0;
  gauges: Gauges | null = null;
  engines: readonly EngineView[] = [];
  controlsToken: string | null = null;
  lastSequence = -1;
  readonly actors = new Map<string, ActorView>();
  readonly gone = new Map<string, GoneActor>();
  readonly entries = new History<Entry>(MAX_ENTRIES);
  readonly gaugeHistory = new GaugeHistory();
  readonly health = new HealthHistory();
  readonly series = {
    checks: new Series(SERIES_SECONDS, 'mean'),
    failed: new Series(SERIES_SECONDS, 'max'),
    inFlight: new Series(SERIES_SECONDS, 'mean'),
    p50: new Series(SERIES_SECONDS, 'mean'),
    p99: new Series(SERIES_SECONDS, 'max'),
  };
  #lastEventSequence = -1;
  #knownSince = 0;

  apply(message: Message): void {
    if (message.type === 'hello') this.#greet(message);
    else this.#takeFrame(message);
    this.version += 1;
  }

  /** The most of the last minutes, of which a rate is so much. */
  peakChecksPerSecond(at: number): number {
    return Math.max(1, peakOf(this.series.checks.points(at)));
  }

  #greet(hello: Hello): void {
    // The same client again, after the stream was lost: what is held of it stays.
    const isSame = this.mode === hello.mode && Math.abs(this.startedAt - hello.startedAt) < SAME_START_MS;
    if (!isSame) this.#forget();
    this.mode = hello.mode;
    this.packageVersion = hello.version;
    this.startedAt = hello.startedAt;
    this.engines = hello.controls?.engines ?? [];
    this.controlsToken = hello.controls?.token ?? null;
    const last = Math.max(hello.transitions.at(-1)?.at ?? 0, hello.events.at(-1)?.at ?? 0);
    this.now = Math.max(hello.mode === 'recording' ? last : Math.max(last, hello.startedAt), this.now);
    this.#knownSince = hello.transitions[0]?.at ?? this.now;
    const present = new Set(hello.actors.map(({ id }) => id));
    for (const id of [...this.actors.keys()]) if (!present.has(id)) this.#lose(id, this.now);
    for (const actor of hello.actors) this.actors.set(actor.id, actor);
    this.#takeEntries(hello);
    this.#findGone(hello.transitions);
    // What made no transition since the first that is held was as it is all the while.
    if (hello.transitions.length > 0) this.#beginHealth(this.#knownSince);
    this.actorsVersion += 1;
  }

  #takeFrame(frame: Frame): void {
    this.now = Math.max(this.now, frame.at);
    for (const actor of frame.actors) this.#takeActor(actor);
    this.#takeEntries(frame);
    for (const id of frame.gone) this.#lose(id, frame.at);
    this.#beginHealth(frame.at);
    this.#takeGauges(frame.at, frame.gauges);
    this.engines = frame.engines;
  }

  #takeActor(actor: ActorView): void {
    const before = this.actors.get(actor.id);
    this.actors.set(actor.id, actor);
    this.gone.delete(actor.id);
    const isSame =
      before !== undefined &&
      before.parent === actor.parent &&
      before.status === actor.status &&
      before.active.length === actor.active.length &&
      before.active.every((path, index) => path === actor.active[index]);
    if (!isSame) this.actorsVersion += 1;
  }

  #takeEntries({ transitions, events }: Pick<Hello, 'transitions' | 'events'>): void {
    const newTransitions = transitions.filter(({ sequence }) => sequence > this.lastSequence);
    const newEvents = events.filter(({ sequence }) => sequence > this.#lastEventSequence);
    for (const entry of mergeEntries(newTransitions.map(transitionEntry), newEvents.map(eventEntry))) {
      this.entries.push(entry);
      if (entry.kind === 'event') this.#lastEventSequence = entry.event.sequence;
      else this.#noteTransition(entry.transition);
    }
  }

  #beginHealth(at: number): void {
    for (const { id, machine, active } of this.actors.values()) {
      if (machine === 'endpoint') this.health.begin(id, topState(active), at);
    }
  }

  #noteTransition(transition: TransitionView): void {
    this.lastSequence = Math.max(this.lastSequence, transition.sequence);
    if (transition.machine === 'endpoint') this.health.note(transition, this.#knownSince);
  }

  #takeGauges(at: number, gauges: Gauges): void {
    this.gauges = gauges;
    this.gaugeHistory.add(at, gauges);
    this.series.checks.add(at, gauges.checksPerSecond);
    this.series.failed.add(at, gauges.failedPerSecond);
    this.series.inFlight.add(at, gauges.inFlight);
    this.series.p50.add(at, gauges.p50Ms);
    this.series.p99.add(at, gauges.p99Ms);
  }

  #lose(id: string, at: number): void {
    const actor = this.actors.get(id);
    if (actor === undefined) return;
    this.actors.delete(id);
    this.#keepGone({ ...actor, status: actor.status === 'active' ? 'stopped' : actor.status }, at);
    this.actorsVersion += 1;
  }

  #keepGone(actor: ActorView, goneAt: number): void {
    this.gone.set(actor.id, { actor, goneAt });
    if (this.gone.size <= MAX_GONE) return;
    const [oldest] = this.gone.keys();
    if (oldest !== undefined) this.gone.delete(oldest);
  }

  /** Those that only the record tells of: gone before the greeting. */
  #findGone(transitions: readonly TransitionView[]): void {
    const unknown = new Map<string, TransitionView>();
    for (const each of transitions) {
      if (!this.actors.has(each.actor) && !this.gone.has(each.actor)) unknown.set(each.actor, each);
    }
    for (const { actor: id, machine, to, at } of unknown.values()) {
      const parent = machine === 'client' ? null : 'client';
      this.#keepGone({ id, machine, parent, active: to, context: {}, status: 'stopped' }, at);
    }
  }

  #forget(): void {
    this.actors.clear();
    this.gone.clear();
    this.entries.clear();
    this.gaugeHistory.clear();
    this.health.clear();
    for (const series of Object.values(this.series)) series.clear();
    this.gauges = null;
    this.now = 0;
    this.lastSequence = -1;
    this.#lastEventSequence = -1;
  }
}

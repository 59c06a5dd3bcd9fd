import type { Clock } from '../core/clock.js';
import { RingBuffer } from '../core/ring-buffer.js';
import { attachFlightRecord, ConnectionError, FailoverError } from '../errors.js';
import type { FlightRecord, FlightSource, FlightState, FlightTransition } from '../flight.js';
import type { Redactor } from '../observe/redact.js';
import { copyState, toSummary } from './flight-json.js';

/** Errors while the client is served are one outage for this long: a server that refuses everything is told of once in a while. */
const SERVED_OUTAGE_MS = 10_000;

/** What is kept of a transition: references to what XState made anyway and never changes. Nothing is copied until somebody asks. */
export interface Entry {
  readonly sequence: number;
  readonly atMs: number;
  readonly actor: string;
  readonly machine: string;
  readonly event: Event;
  /** Absent: the actor begins. */
  readonly before: Snapshot | undefined;
  readonly value: FlightState;
  readonly context: object;
  readonly status: string;
}

interface Event {
  readonly type: string;
}

/** As much of XState's snapshot as is kept: the whole would keep the actor's children alive. */
interface Snapshot {
  readonly value: FlightState;
  readonly context: object;
}

interface MachineSnapshot extends Snapshot {
  readonly status: string;
}

interface ActorScope {
  readonly id: string;
}

/** As much of XState's machine as makes snapshots. */
interface MachineLogic {
  readonly id: string;
  transition: (snapshot: MachineSnapshot, event: Event, scope: ActorScope) => MachineSnapshot;
  getInitialSnapshot: (scope: ActorScope, input: unknown) => MachineSnapshot;
}

/** A machine that was provided with those of its children, which no other client has. */
interface Family {
  readonly implementations: { readonly actors: object };
}

export interface FlightRecorderOptions {
  /** The most transitions kept. At least 1. */
  readonly size: number;
  readonly clock: Clock;
  /** When the client was made, on that clock, milliseconds. */
  readonly startedAtMs: number;
  readonly redactor: Redactor;
}

/** Keeps the last transitions of all of one client's statecharts, and hands them to the errors of an outage. */
export class FlightRecorder {
  readonly size: number;
  readonly startedAtMs: number;
  readonly redactor: Redactor;
  readonly #clock: Clock;
  readonly #ring: RingBuffer<Entry>;
  #begun = 0;
  /** Transitions under way, one within an effect of the other. */
  #depth = 0;
  #recorded = 0;
  #clientState: FlightState = 'idle';
  #outage: Outage | undefined;
  /** Over, but for the transitions that are under way: they are of it, and not recorded yet. */
  #ending: Outage[] = [];
  readonly #undo: (() => void)[] = [];

  constructor({ size, clock, startedAtMs, redactor }: FlightRecorderOptions) {
    this.size = size;
    this.redactor = redactor;
    this.#clock = clock;
    this.startedAtMs = startedAtMs;
    this.#ring = new RingBuffer<Entry>();
  }

  /** Transitions made since the client was. */
  get recorded(): number {
    return this.#recorded;
  }

  /** In the order they began. Those that an effect of another made come to be recorded before it. */
  entries(): Entry[] {
    return this.entriesSince(0);
  }

  /** Those made since {@link recorded} was this, as far as they are still held. */
  entriesSince(recorded: number): Entry[] {
    return this.#ring.last(this.#recorded - recorded).sort((a, b) => a.sequence - b.sequence);
  }

  /**
   * Records what this client's machine does, and what the machines of its children do. XState has an inspector for this, but that makes and
   * tells several events for each transition.
   */
  watch<Machine extends Family>(machine: Machine): Machine {
    this.#watch(machine);
    for (const child of Object.values(machine.implementations.actors) as object[]) this.#watch(child);
    return machine;
  }

  /** Records no more. The machines are as they were before `watch`. */
  unwatch(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }

  #watch(machine: object): void {
    const logic = machine as MachineLogic;
    const transition = logic.transition;
    const begin = logic.getInitialSnapshot;
    this.#undo.push(() => {
      logic.transition = transition;
      logic.getInitialSnapshot = begin;
    });
    logic.transition = (before, event, scope) => {
      // Taken before: what its effects have other actors do comes after it.
      const sequence = ++this.#begun;
      const atMs = this.#clock.now();
      this.#depth++;
      let after: MachineSnapshot = { value: before.value, context: before.context, status: 'error' };
      try {
        after = transition(before, event, scope);
        return after;
      } finally {
        // An event that changes nothing gives the snapshot back as it is; it is no transition, and uses up no number.
        if (after !== before) this.#add({ sequence, atMs }, logic.id, event, before, after, scope.id);
        else if (this.#begun === sequence) this.#begun--;
        this.#leave();
      }
    };
    logic.getInitialSnapshot = (scope, input) => {
      const began = { sequence: ++this.#begun, atMs: this.#clock.now() };
      const after = begin(scope, input);
      const event = { type: 'xstate.init', input };
      this.#add(began, logic.id, event, undefined, after, scope.id);
      return after;
    };
  }

  /** Gives an error of an outage the record of it; all others are passed over. */
  attach(error: Error): void {
    if (!(error instanceof ConnectionError || error instanceof FailoverError)) return;
    const now = this.#clock.now();
    if (this.#outage === undefined || (isServed(this.#clientState) && now - this.#outage.atMs >= SERVED_OUTAGE_MS)) {
      this.#endOutage();
      this.#outage = new Outage(this, now);
    }
    attachFlightRecord(error, this.#outage);
  }

  #add(
    { sequence, atMs }: Pick<Entry, 'sequence' | 'atMs'>,
    machine: string,
    event: Event,
    before: Snapshot | undefined,
    after: MachineSnapshot,
    actor: string,
  ): void {
    if (this.#ring.length >= this.size) this.#ring.shift();
    const { value, context, status } = after;
    this.#recorded++;
    this.#ring.push({
      sequence,
      atMs,
      actor,
      machine,
      event,
      before: before === undefined ? undefined : { value: before.value, context: before.context },
      value,
      context,
      status,
    });
    if (machine === 'client') this.#onClientState(value);
  }

  /** Served by another level, too, is served again. Idle: given up for now, and the next attempt that fails is another outage. */
  #onClientState(state: FlightState): void {
    if (state === this.#clientState) return;
    this.#clientState = state;
    if (isServed(state) || state === 'idle') this.#endOutage();
  }

  #endOutage(): void {
    if (this.#outage === undefined) return;
    this.#ending.push(this.#outage);
    this.#outage = undefined;
    if (this.#depth === 0) this.#endAll();
  }

  #leave(): void {
    if (--this.#depth === 0 && this.#ending.length > 0) this.#endAll();
  }

  #endAll(): void {
    for (const outage of this.#ending.splice(0)) outage.end();
  }
}

const isServed = (clientState: FlightState): boolean => clientState === 'open' || clientState === 'failedOver';

/**
 * The time from a first error until the client is served again. It holds what was recorded at its beginning, and at its end adds what was
 * recorded since; whoever asks for its record ends it earlier.
 */
class Outage implements FlightSource {
  readonly atMs: number;
  #recorder: FlightRecorder | undefined;
  #entries: Entry[];
  #recorded = 0;
  readonly #startedAtMs: number;
  readonly #redactor: Redactor;
  #record: FlightRecord | undefined;

  constructor(recorder: FlightRecorder, atMs: number) {
    this.atMs = atMs;
    this.#recorder = recorder;
    this.#startedAtMs = recorder.startedAtMs;
    this.#redactor = recorder.redactor;
    this.#entries = recorder.entries();
  }

  end(): void {
    const recorder = this.#recorder;
    if (recorder === undefined) return;
    this.#recorder = undefined;
    const known = new Set(this.#entries.map(({ sequence }) => sequence));
    const since = recorder.entries().filter(({ sequence }) => !known.has(sequence));
    this.#entries = [...this.#entries, ...since].sort((a, b) => a.sequence - b.sequence);
    this.#recorded = recorder.recorded;
  }

  get record(): FlightRecord {
    if (this.#record !== undefined) return this.#record;
    this.end();
    const transitions = this.#entries.map((entry) => this.#tell(entry));
    this.#entries = [];
    this.#record = Object.freeze({
      outageAtMs: this.atMs,
      startedAtMs: this.#startedAtMs,
      dropped: this.#recorded - transitions.length,
      transitions: Object.freeze(transitions),
    });
    return this.#record;
  }

  #tell({ sequence, atMs, actor, machine, event, before, value }: Entry): FlightTransition {
    return Object.freeze({
      sequence,
      atMs,
      sinceStartMs: atMs - this.#startedAtMs,
      actor,
      machine,
      event: toSummary(event, this.#redactor),
      from: before === undefined ? null : copyState(before.value),
      to: copyState(value),
    });
  }
}

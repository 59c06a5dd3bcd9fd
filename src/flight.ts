/** What the flight recorder keeps, as it is told: beside an error, and in a dump. */

/** A statechart's state, as XState writes it: a name, or names within a name. */
export type FlightState = string | { readonly [name: string]: FlightState };

/** One transition of one statechart. */
export interface FlightTransition {
  /** Counts the client's transitions, in the order they began. Numbers that are missing were dropped, or had no effect. */
  readonly sequence: number;
  /** On the client's clock, milliseconds. */
  readonly atMs: number;
  /** Since the client was made, milliseconds. */
  readonly sinceStartMs: number;
  /** `client`, `failover`, `endpoint:127.0.0.1:50051`, `connection-1`, `stream-3`. */
  readonly actor: string;
  /** `client`, `failover`, `endpoint`, `connection` or `stream`. */
  readonly machine: string;
  /** Its type, and the identifiers, counters and reasons that it bears. */
  readonly event: FlightEvent;
  /** Null: the actor began with this. */
  readonly from: FlightState | null;
  readonly to: FlightState;
}

export interface FlightEvent {
  readonly type: string;
  readonly [name: string]: string | number | boolean;
}

/** What led to an outage: the last transitions before its first error, and those after it until it ended or somebody looked. Frozen. */
export interface FlightRecord {
  /** When the first error of the outage was made, on the client's clock, milliseconds. */
  readonly outageAtMs: number;
  /** When the client was made, on the same clock. */
  readonly startedAtMs: number;
  /** Transitions that were made before this ends, and are not in it: the recorder had no room for them. */
  readonly dropped: number;
  /** Oldest first. */
  readonly transitions: readonly FlightTransition[];
}

/** Of an outage: all its errors share it, and it makes its record when it is first asked. */
export interface FlightSource {
  readonly record: FlightRecord;
}

/** Anything that JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export type JsonObject = Readonly<Record<string, Json>>;

/** A transition with all that is needed to make it again. */
export interface DumpedTransition extends Omit<FlightTransition, 'event'> {
  /** As the statechart received it; free text is redacted. */
  readonly event: { readonly type: string; readonly [name: string]: Json };
  /** `active`, but `stopped` once the actor was stopped, `error` once it failed. */
  readonly status: string;
  /** What of the statechart's context this transition changed. */
  readonly changes: JsonObject;
  /** The context before it: of the first recorded transition of an actor whose beginning was dropped. */
  readonly context?: JsonObject;
}

/** An actor as it is now. */
export interface DumpedActor {
  readonly actor: string;
  readonly machine: string;
  readonly status: string;
  readonly state: FlightState;
  readonly context: JsonObject;
}

export const DUMP_FORMAT = 'authz-flight-dump';
/** Of what a dump looks like; raised whenever a reader of the last one would misread it. */
export const DUMP_VERSION = 1;

/** What `client.dump()` gives: plain JSON, which `authz replay` reads. */
export interface FlightDump {
  readonly format: typeof DUMP_FORMAT;
  readonly version: typeof DUMP_VERSION;
  readonly package: { readonly name: string; readonly version: string };
  /** Wall time, ISO 8601. */
  readonly dumpedAt: string;
  /** On the client's clock, milliseconds. */
  readonly startedAtMs: number;
  readonly nowMs: number;
  /** The options that the client runs on. Secrets are left out: of headers the names are told, of credentials that there are some. */
  readonly options: JsonObject;
  readonly stats: JsonObject;
  readonly actors: readonly DumpedActor[];
  readonly recorder: {
    /** The most transitions that it holds. */
    readonly size: number;
    /** Transitions made since the client was, those that are dropped included. */
    readonly recorded: number;
    readonly dropped: number;
  };
  /** Oldest first. */
  readonly transitions: readonly DumpedTransition[];
}

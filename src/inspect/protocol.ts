/**
 * What the server of the inspector tells its page: newline-delimited JSON over one `GET /stream` (fetch, `authorization: Bearer <token>`),
 * first one `hello`, then a `frame` 8 times a second while something changed (at least one a second).
 */

/** A page reads no longer one, in UTF-16 units: a server might never end its line. A client's hello is shorter by far. */
export const MAX_LINE_LENGTH = 64 * 1024 * 1024;

/** One actor of the client. */
export interface ActorView {
  /** `client`, `failover`, `endpoint:127.0.0.1:50051`, `connection-1`, `stream-3`. */
  readonly id: string;
  readonly machine: 'client' | 'failover' | 'endpoint' | 'connection' | 'stream';
  readonly parent: string | null;
  /** Dotted paths of the active leaf states, e.g. `['open.steady']`. */
  readonly active: readonly string[];
  /** Identifiers, counters, reasons; redacted. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly status: 'active' | 'done' | 'error' | 'stopped';
}

/** One transition, as the flight recorder has it. */
export interface TransitionView {
  readonly sequence: number;
  /** Unix epoch, ms. */
  readonly at: number;
  readonly actor: string;
  readonly machine: ActorView['machine'];
  /** Paths of the active leaf states, as in {@link ActorView.active}; none: the actor begins. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Its type, as XState names it: `TRANSPORT_LOST`, `xstate.after.backoff.connection.reconnecting`. */
  readonly event: string;
  /** The reason that the event bears, or that the transition noted; redacted. */
  readonly cause: string | null;
}

/** One event of the client (`failover_completed`, ...), redacted. */
export interface ClientEventView {
  readonly sequence: number;
  readonly at: number;
  readonly name: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Sampled, never per message. Rates are per second, of the last second. */
export interface Gauges {
  /** Settled, failed ones included. */
  readonly checksPerSecond: number;
  readonly failedPerSecond: number;
  /** Asked for by the application, and not settled. */
  readonly inFlight: number;
  /** Answered from memory, or by joining a twin in flight. */
  readonly dedupHitsPerSecond: number;
  /** Of the last second, from being asked for to being answered; null where nothing was answered. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly endpoints: readonly EndpointGauges[];
  readonly connections: readonly ConnectionGauges[];
  readonly streams: readonly StreamGauges[];
}
export interface EndpointGauges {
  readonly id: string;
  readonly address: string;
  readonly level: number;
  readonly active: boolean;
  readonly served: boolean;
  /** As it was last reported: `unknown`, `serving`, `not_serving`, `service_unknown`. */
  readonly health?: string;
  readonly inFlight?: number;
  readonly checksPerSecond?: number;
}
export interface ConnectionGauges {
  readonly id: string;
  /** Its id. */
  readonly endpoint: string;
  /** Written, and not answered. */
  readonly inFlight: number;
  readonly checksPerSecond: number;
  /** Moving estimates, from being written to being answered; null before the first answer. */
  readonly p50Ms?: number | null;
  readonly p99Ms?: number | null;
}
export interface StreamGauges {
  readonly id: string;
  /** A handle of the application's, or one of the client's own, for `check()`. */
  readonly kind?: 'handle' | 'check';
  readonly connection: string | null;
  /** Accepted, and not written. */
  readonly queued: number;
  readonly lowWaterMark: number;
  readonly highWaterMark: number;
  /** Written, and not answered. */
  readonly inFlight?: number;
  /** Written. */
  readonly checksPerSecond: number;
  /** Refused since it was made, its buffer being full. */
  readonly dropped?: number;
}

/** What was made and could not be told: too many came at once, or the page did not read. Before a hello: of all that was made before. */
export interface Dropped {
  readonly transitions: number;
  readonly events: number;
}

export interface Hello {
  readonly type: 'hello';
  /** `recording`: of a dump; nothing follows, and the stream ends. */
  readonly mode: 'live' | 'recording';
  readonly version: string;
  readonly startedAt: number;
  readonly actors: readonly ActorView[];
  readonly transitions: readonly TransitionView[];
  readonly events: readonly ClientEventView[];
  /** Only under `authz demo --inspect`: engines that the page may kill, freeze and revive, and the token of its POSTs. */
  readonly controls: { readonly token: string; readonly engines: readonly EngineView[] } | null;
  readonly dropped?: Dropped;
}
export interface EngineView {
  readonly address: string;
  readonly state: 'running' | 'frozen' | 'dead';
}
export interface Frame {
  readonly type: 'frame';
  readonly at: number;
  /** Whole views of those that changed or came. */
  readonly actors: readonly ActorView[];
  /** Ids of those that are gone. */
  readonly gone: readonly string[];
  readonly transitions: readonly TransitionView[];
  readonly events: readonly ClientEventView[];
  readonly gauges: Gauges;
  readonly engines: readonly EngineView[];
  /** Since the message before this one. */
  readonly dropped?: Dropped;
}
export type Message = Hello | Frame;

/** One branch of a statechart's definition. */
export interface ChartTransition {
  /** The state that has it, as its dotted path; '' is the whole chart. */
  readonly source: string;
  /** Null: it changes no state. */
  readonly target: string | null;
  /** As XState names it. */
  readonly event: string;
  /** As people read it: the event, `after <delay>` or `always`. */
  readonly stimulus: string;
  /** '' without one; `else` where guarded branches come first. */
  readonly guard: string;
  readonly actions: readonly string[];
  /** The leaves where it may come to rest. */
  readonly lands: readonly string[];
}

/** Of one machine, laid out ahead of time by elkjs; served at `GET /charts.json` as Record<machine, ChartView>. Pixels. */
export interface ChartView {
  readonly machine: string;
  readonly summary: string;
  readonly width: number;
  readonly height: number;
  /** Parents before children; the first, whose path is '', is the whole chart. */
  readonly states: readonly ChartState[];
  readonly edges: readonly ChartEdge[];
}
export interface ChartState {
  readonly path: string;
  readonly label: string;
  readonly kind: 'atomic' | 'compound' | 'parallel' | 'final' | 'history';
  /** What it promises. */
  readonly promise: string;
  /** It is where its parent begins. */
  readonly isInitial: boolean;
  readonly depth: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Those that change no state. */
  readonly stays: readonly ChartTransition[];
}
/** All that leads from one state to another. */
export interface ChartEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly transitions: readonly ChartTransition[];
  /** Polyline, absolute. */
  readonly points: readonly (readonly [number, number])[];
  /** Text, a line for each transition. */
  readonly lines: readonly string[];
  readonly labelX: number;
  readonly labelY: number;
  readonly labelWidth: number;
  readonly labelHeight: number;
}

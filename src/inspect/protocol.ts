/**
 * What the server of the inspector tells its page: newline-delimited JSON over one `GET /stream` (fetch, `authorization: Bearer <token>`),
 * first one `hello`, then a `frame` 8 times a second while something changed (at least one a second).
 */

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
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly event: string;
  /** What caused it, when the event says so: a reason, an error code. */
  readonly cause: string | null;
}

/** One event of the client (`failover_completed`, ...), redacted. */
export interface ClientEventView {
  readonly sequence: number;
  readonly at: number;
  readonly name: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Sampled, never per message. Rates are per second over the last sample. */
export interface Gauges {
  readonly checksPerSecond: number;
  readonly failedPerSecond: number;
  readonly inFlight: number;
  readonly dedupHitsPerSecond: number;
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
}
export interface ConnectionGauges {
  readonly id: string;
  readonly endpoint: string;
  readonly inFlight: number;
  readonly checksPerSecond: number;
}
export interface StreamGauges {
  readonly id: string;
  readonly connection: string | null;
  readonly queued: number;
  readonly lowWaterMark: number;
  readonly highWaterMark: number;
  readonly checksPerSecond: number;
}

export interface Hello {
  readonly type: 'hello';
  /** `recording`: of a dump; nothing follows. */
  readonly mode: 'live' | 'recording';
  readonly version: string;
  readonly startedAt: number;
  readonly actors: readonly ActorView[];
  readonly transitions: readonly TransitionView[];
  readonly events: readonly ClientEventView[];
  /** Only under `authz demo --inspect`: engines that the page may kill, freeze and revive, and the token of its POSTs. */
  readonly controls: { readonly token: string; readonly engines: readonly EngineView[] } | null;
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

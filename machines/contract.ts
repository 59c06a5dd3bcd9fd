/**
 * What the machines say to one another and to the world. Events are facts (`TRANSPORT_LOST`), commands are imperatives (`CONNECT`).
 * Nothing here carries a payload, a credential or an attribute: identifiers, counters and reasons only.
 */

import type { BackoffPolicy } from './backoff.js';

export interface ReconnectPolicy extends BackoffPolicy {
  /** Consecutive failed reopenings after which a stream gives up. */
  readonly maxAttempts: number;
}

// --- stream -----------------------------------------------------------------------------------------------------------------

/** Why a stream is paused: the application asked, its outbox stays above the high-water mark, or the transport takes no more. */
export type PauseReason = 'application' | 'highWater' | 'transport';

export interface StreamConfig {
  /** How long a call may wait for a usable connection, milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long what was accepted may take to be answered after `end()`, milliseconds. */
  readonly drainTimeoutMs: number;
  readonly reconnect: ReconnectPolicy;
}

export interface StreamInput {
  readonly id: string;
  readonly kind: 'handle' | 'check';
  readonly seed: number;
  readonly config: StreamConfig;
}

export type StreamEvent =
  /** Command: open a call (the first send, a `ready()`). */
  | { readonly type: 'CONNECT' }
  /** A call of this generation takes writes. */
  | { readonly type: 'CALL_OPENED'; readonly generation: number; readonly connectionId: string }
  /** The first answer of this generation: it works. */
  | { readonly type: 'CALL_ANSWERED'; readonly generation: number }
  /** The server ended the call and nothing is owed on it. */
  | { readonly type: 'CALL_ENDED'; readonly generation: number }
  /**
   * The call died; what it owed has been put back. `immediate`: whether the first reopening is to come at once; otherwise it does where the
   * call had answered.
   */
  | { readonly type: 'CALL_LOST'; readonly generation: number; readonly reason: string; readonly immediate?: boolean }
  /** The call may serve no further request (GOAWAY, its connection drains): open the next, let this one finish. */
  | { readonly type: 'CALL_RETIRING'; readonly generation: number }
  /** Its request quota is used up. */
  | { readonly type: 'ROTATION_DUE'; readonly generation: number }
  /** The failover controller is moving the route. */
  | { readonly type: 'ROUTE_MOVING'; readonly epoch: number }
  /** A connection of the active route is usable. */
  | { readonly type: 'ROUTE_READY' }
  | { readonly type: 'PAUSE'; readonly reason: PauseReason }
  | { readonly type: 'RESUME'; readonly reason: PauseReason }
  /** Nothing was sent or owed for the idle timeout. */
  | { readonly type: 'IDLE_TIMEOUT' }
  /** Command: finish what was accepted, then close. */
  | { readonly type: 'END' }
  /** Everything accepted is settled. */
  | { readonly type: 'DRAINED' }
  /** Command: close now. */
  | { readonly type: 'CLOSE'; readonly reason: string };

// --- connection -------------------------------------------------------------------------------------------------------------

/** Why a connection takes no new work: the peer's stream limit is reached, or its endpoint is suspect. */
export type CordonReason = 'streamLimit' | 'suspect';

export interface ConnectionConfig {
  /** Dial, TLS and SETTINGS together, milliseconds. */
  readonly connectTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** Age at which it is replaced, spread over ±10 %, milliseconds. */
  readonly maxAgeMs: number;
  readonly reconnect: BackoffPolicy;
}

export interface ConnectionInput {
  readonly id: string;
  readonly address: string;
  readonly seed: number;
  /** Starts demoted: kept warm for a failover, not routed. */
  readonly standby: boolean;
  readonly config: ConnectionConfig;
}

export type ConnectionEvent =
  | { readonly type: 'CONNECT' }
  | { readonly type: 'TRANSPORT_UP' }
  | { readonly type: 'TRANSPORT_LOST'; readonly reason: string }
  | { readonly type: 'GOAWAY'; readonly reason: string }
  /** An answer is owed and nothing came for the keepalive interval, or it is to be used again after long idling. */
  | { readonly type: 'SILENT' }
  | { readonly type: 'PROBE_ANSWERED' }
  | { readonly type: 'PROBE_MISSED' }
  | { readonly type: 'AGED' }
  | { readonly type: 'CORDON'; readonly reason: CordonReason }
  | { readonly type: 'UNCORDON'; readonly reason: CordonReason }
  /** Command: its endpoint was demoted; stay warm. */
  | { readonly type: 'DEMOTE' }
  | { readonly type: 'PROMOTE' }
  | { readonly type: 'DRAIN'; readonly reason: string }
  | { readonly type: 'DRAINED' }
  | { readonly type: 'CLOSE'; readonly reason: string };

// --- endpoint ---------------------------------------------------------------------------------------------------------------

export interface EndpointConfig {
  /** Consecutive failed periodic probes that eject. */
  readonly unhealthyThreshold: number;
  /** Consecutive good probes that readmit. */
  readonly healthyThreshold: number;
  /** Consecutive missed probes of a suspect that eject. */
  readonly failoverThreshold: number;
  /** Between two probes of a suspect or of one on probation, milliseconds. */
  readonly probeIntervalMs: number;
  /** Between two periodic probes of a served endpoint, milliseconds. */
  readonly healthIntervalMs: number;
  readonly healthEnabled: boolean;
  /** Between two looks at an endpoint that is down but connected. */
  readonly recheck: BackoffPolicy;
}

export interface EndpointInput {
  readonly id: string;
  readonly address: string;
  readonly level: number;
  readonly seed: number;
  readonly config: EndpointConfig;
}

export type EndpointEvent =
  | { readonly type: 'CONNECTION_OPENED' }
  /** `remaining` open connections are left. */
  | { readonly type: 'CONNECTION_LOST'; readonly remaining: number }
  /** A dial failed; `remaining` connections are open. */
  | { readonly type: 'DIAL_FAILED'; readonly remaining: number }
  /** The server's own word. */
  | { readonly type: 'HEALTH_REPORTED'; readonly serving: boolean }
  /** A probe was answered, SERVING. `sole`: no other endpoint is served. */
  | { readonly type: 'PROBE_ANSWERED'; readonly sole: boolean }
  /** A probe was not answered in time. `stalled`: our own loop stalled meanwhile, so it proves nothing. */
  | { readonly type: 'PROBE_MISSED'; readonly sole: boolean; readonly stalled: boolean }
  /** The oldest unanswered check is older than usual and nothing came since. */
  | { readonly type: 'ANSWERS_OVERDUE'; readonly sole: boolean }
  /** Whatever its health says, checks fail one after the other, or none is answered for long. */
  | { readonly type: 'CHECKS_FAILING'; readonly sole: boolean; readonly reason: string }
  /** A check was answered, the first since they failed. */
  | { readonly type: 'CHECK_ANSWERED' }
  /** Something came from a suspect. */
  | { readonly type: 'ANSWER_ARRIVED' };

// --- failover ---------------------------------------------------------------------------------------------------------------

export interface FailoverConfig {
  /** Unbroken health of the better level before traffic returns to it, milliseconds. */
  readonly failbackDelayMs: number;
  /** How long level 0 is preferred while it is still dialling and another level is ready, milliseconds. */
  readonly preferenceMs: number;
  /** How long a move may wait for a usable connection, milliseconds. */
  readonly moveTimeoutMs: number;
}

export interface FailoverInput {
  readonly levels: number;
  readonly config: FailoverConfig;
}

export type FailoverEvent =
  | { readonly type: 'LEVEL_SERVED'; readonly level: number }
  | { readonly type: 'LEVEL_LOST'; readonly level: number; readonly reason: string }
  /** The route of this epoch has a usable connection. */
  | { readonly type: 'ROUTE_READY'; readonly epoch: number }
  | { readonly type: 'DRAIN' }
  | { readonly type: 'CLOSE' };

// --- client -----------------------------------------------------------------------------------------------------------------

export interface ClientInput {
  readonly seed: number;
  /** Bounds on living actors of each kind; a spawn past them is refused by the runtime before it gets here. */
  readonly endpoints: readonly EndpointInput[];
  readonly failover: FailoverInput;
}

/** Where traffic goes, as the failover controller tells. */
export type RouteState = 'open' | 'failedOver' | 'reconnecting';

export type ClientEvent =
  | { readonly type: 'CONNECT' }
  /** Every address failed once, or the time was up, and nothing else waits for a connection. */
  | { readonly type: 'CONNECT_ABANDONED' }
  | { readonly type: 'ROUTE_CHANGED'; readonly route: RouteState }
  | { readonly type: 'ADD_CONNECTION'; readonly input: ConnectionInput }
  | { readonly type: 'ADD_STREAM'; readonly input: StreamInput }
  | { readonly type: 'CONNECTION_CLOSED'; readonly id: string }
  | { readonly type: 'STREAM_CLOSED'; readonly id: string }
  /** Command: refuse new work, finish what is owed, close. */
  | { readonly type: 'DISCONNECT' }
  /** Nothing is owed any more. */
  | { readonly type: 'DRAINED' }
  /** Command: close now. */
  | { readonly type: 'CLOSE' };

/** The client's own statecharts, ready to be explored: what may happen in each, and what tells its states apart. */

import type {
  BackoffPolicy,
  ClientEvent,
  ConnectionEvent,
  CordonReason,
  EndpointEvent,
  FailoverContext,
  FailoverEvent,
  FailoverInput,
  PauseReason,
  RouteState,
  StreamEvent,
} from '../../machines/index.js';
import {
  clientMachine,
  connectionMachine,
  endpointMachine,
  failoverMachine,
  streamMachine,
} from '../../machines/index.js';
import { ConfigurationError } from '../errors.js';
import { type Exploration, type MachinePath, shortestPaths } from './paths.js';

/** Delays end when a path says so, so how long they are makes no difference. */
const BACKOFF: BackoffPolicy = { initialDelay: 100, maxDelay: 1_000, multiplier: 2, jitter: false };
/** The backoff has grown to its longest. */
const GROWN = 3;
const SEED = 1;
const MAX_LEVELS = 4;

const booleans = [true, false];

export interface FailoverPathsOptions {
  /** Priority levels: 1 for the primary, and one for each fallback. 1 to 4. Default 2. */
  readonly levels?: number;
}

function failoverInput(levels: number): FailoverInput {
  return { levels, config: { failbackDelayMs: 60_000, preferenceMs: 250, moveTimeoutMs: 2_000 } };
}

/** Which priority level carries traffic. States differ by what is known of each level, and by which carries traffic or is moved to. */
function failover({ levels = 2 }: FailoverPathsOptions = {}): Exploration<typeof failoverMachine, FailoverEvent> {
  if (!Number.isInteger(levels) || levels < 1 || levels > MAX_LEVELS)
    throw new ConfigurationError('levels', `must be a whole number from 1 to ${MAX_LEVELS}, got ${levels}`);
  const ofLevels = Array.from({ length: levels }, (_, level): FailoverEvent[] => [
    { type: 'LEVEL_SERVED', level },
    { type: 'LEVEL_LOST', level, reason: 'no connection' },
  ]);
  return {
    machine: failoverMachine,
    input: failoverInput(levels),
    events: ({ context: { epoch } }) => [
      ...ofLevels.flat(),
      // Of the move of now, and a late one of the move before.
      { type: 'ROUTE_READY', epoch },
      { type: 'ROUTE_READY', epoch: epoch - 1 },
      { type: 'DRAIN' },
      { type: 'CLOSE' },
    ],
    relevant: ({ levels: known, active, target }) => [known, active, target],
  };
}

/** The health of one address. */
function endpoint(): Exploration<typeof endpointMachine, EndpointEvent> {
  return {
    machine: endpointMachine,
    input: {
      id: 'endpoint:127.0.0.1:50051',
      address: '127.0.0.1:50051',
      level: 0,
      seed: SEED,
      config: {
        unhealthyThreshold: 3,
        healthyThreshold: 2,
        failoverThreshold: 2,
        probeIntervalMs: 250,
        healthIntervalMs: 30_000,
        healthEnabled: true,
        recheck: BACKOFF,
      },
    },
    events: ({ context: { connections } }) => [
      { type: 'CONNECTION_OPENED' },
      { type: 'CONNECTION_LOST', remaining: Math.max(0, connections - 1) },
      { type: 'DIAL_FAILED', remaining: connections },
      ...booleans.flatMap((sole): EndpointEvent[] => [
        { type: 'HEALTH_REPORTED', serving: sole },
        { type: 'PROBE_ANSWERED', sole },
        { type: 'PROBE_MISSED', sole, stalled: false },
        { type: 'ANSWERS_OVERDUE', sole },
        { type: 'CHECKS_FAILING', sole, reason: 'checks go unanswered' },
      ]),
      { type: 'PROBE_MISSED', sole: false, stalled: true },
      { type: 'ANSWER_ARRIVED' },
      { type: 'CHECK_ANSWERED' },
    ],
    relevant: ({ connections, failures, successes }) => [Math.min(connections, 2), Math.min(failures, 3), successes],
  };
}

/** The life of one HTTP/2 connection. */
function connection(): Exploration<typeof connectionMachine, ConnectionEvent> {
  return {
    machine: connectionMachine,
    input: {
      id: 'connection-1',
      address: '127.0.0.1:50051',
      seed: SEED,
      standby: false,
      config: { connectTimeoutMs: 2_000, drainTimeoutMs: 30_000, maxAgeMs: 3_600_000, reconnect: BACKOFF },
    },
    events: () => [
      { type: 'CONNECT' },
      { type: 'TRANSPORT_UP' },
      { type: 'TRANSPORT_LOST', reason: 'reset' },
      { type: 'GOAWAY', reason: 'goaway' },
      { type: 'SILENT' },
      { type: 'PROBE_ANSWERED' },
      { type: 'PROBE_MISSED' },
      { type: 'AGED' },
      ...(['suspect', 'streamLimit'] satisfies CordonReason[]).flatMap((reason): ConnectionEvent[] => [
        { type: 'CORDON', reason },
        { type: 'UNCORDON', reason },
      ]),
      { type: 'DEMOTE' },
      { type: 'PROMOTE' },
      { type: 'DRAIN', reason: 'shrinking' },
      { type: 'DRAINED' },
      { type: 'CLOSE', reason: 'disconnect' },
    ],
    relevant: ({ attempt, worked, demoted, cordons }) => [
      Math.min(attempt, GROWN),
      worked,
      demoted,
      [...cordons].sort(),
    ],
  };
}

/** The life of one stream handle. */
function stream(): Exploration<typeof streamMachine, StreamEvent> {
  return {
    machine: streamMachine,
    input: {
      id: 'stream-1',
      kind: 'handle',
      seed: SEED,
      config: { connectTimeoutMs: 5_000, drainTimeoutMs: 30_000, reconnect: { ...BACKOFF, maxAttempts: 2 } },
    },
    events: ({ context }) => [
      { type: 'CONNECT' },
      // Of the generation of now, and late ones of the one before.
      ...[context.generation, context.generation - 1].flatMap((generation): StreamEvent[] => [
        { type: 'CALL_OPENED', generation, connectionId: 'connection-1' },
        { type: 'CALL_ANSWERED', generation },
        { type: 'CALL_ENDED', generation },
        { type: 'CALL_LOST', generation, reason: 'reset' },
        { type: 'CALL_RETIRING', generation },
        { type: 'ROTATION_DUE', generation },
      ]),
      { type: 'ROUTE_MOVING', epoch: context.epoch + 1 },
      { type: 'ROUTE_READY' },
      ...(['application', 'highWater'] satisfies PauseReason[]).flatMap((reason): StreamEvent[] => [
        { type: 'PAUSE', reason },
        { type: 'RESUME', reason },
      ]),
      { type: 'IDLE_TIMEOUT' },
      { type: 'END' },
      { type: 'DRAINED' },
      { type: 'CLOSE', reason: 'disconnect' },
    ],
    relevant: ({ attempt, answered, pauses }) => [attempt, answered, [...pauses].sort()],
  };
}

/** The whole life of a client, without the children that it starts: each is explored on its own. */
function client(): Exploration<typeof clientMachine, ClientEvent> {
  return {
    machine: clientMachine,
    input: { seed: SEED, endpoints: [], failover: failoverInput(2) },
    events: () => [
      { type: 'CONNECT' },
      { type: 'CONNECT_ABANDONED' },
      ...(['open', 'failedOver', 'reconnecting'] satisfies RouteState[]).map((route) => ({
        type: 'ROUTE_CHANGED' as const,
        route,
      })),
      { type: 'DISCONNECT' },
      { type: 'DRAINED' },
      { type: 'CLOSE' },
    ],
    relevant: ({ route }) => [route],
  };
}

/** The statecharts of `@authz-engine/grpc-client/machines`, for {@link shortestPaths} and {@link simplePaths}. */
export const explorations = { client, failover, endpoint, connection, stream } as const;

/**
 * Every state that the failover controller can come to, each by the shortest way there: by events, and by delays that run out.
 * @throws ConfigurationError for levels beyond 1 to 4
 */
export function failoverPaths(options: FailoverPathsOptions = {}): MachinePath<FailoverContext, FailoverEvent>[] {
  return shortestPaths(failover(options));
}

/** Every state of every chart is reached, by the shortest paths that `xstate/graph` finds, and a real actor that walks them gets there. */

import { describe, expect, it } from 'vitest';
import type { AnyMachineSnapshot, AnyStateMachine, EventObject, SnapshotFrom } from 'xstate';
import { clientMachine } from '../../machines/client.js';
import { connectionMachine } from '../../machines/connection.js';
import type {
  ClientEvent,
  ConnectionEvent,
  CordonReason,
  EndpointEvent,
  FailoverEvent,
  PauseReason,
  RouteState,
  StreamEvent,
} from '../../machines/contract.js';
import { endpointMachine } from '../../machines/endpoint.js';
import { type FailoverContext, failoverMachine } from '../../machines/failover.js';
import { streamMachine } from '../../machines/stream.js';
import { pathOf } from './support/chart.js';
import { BACKOFF, ENDPOINT_CONFIG } from './support/inputs.js';
import { type Exploration, type Path, shortestPaths, simplePaths, unreached, walk } from './support/paths.js';

const LEVELS = [0, 1, 2];

const ready = (epoch: number): FailoverEvent => ({ type: 'ROUTE_READY', epoch });

const eventsOf = (levels: readonly number[], epochs: readonly number[]): FailoverEvent[] => [
  ...levels.flatMap((level): FailoverEvent[] => [
    { type: 'LEVEL_SERVED', level },
    { type: 'LEVEL_LOST', level, reason: 'no connection' },
  ]),
  ...epochs.map(ready),
  { type: 'DRAIN' },
  { type: 'CLOSE' },
];

const failover: Exploration<typeof failoverMachine, FailoverEvent> = {
  machine: failoverMachine,
  input: { levels: LEVELS.length, config: { failbackDelayMs: 10_000, preferenceMs: 500, moveTimeoutMs: 5_000 } },
  // Of the move of now, and a late one of the move before.
  events: ({ context: { epoch } }) => eventsOf(LEVELS, [epoch, epoch - 1]),
  relevant: ({ levels, active, target }) => [levels, active, target],
};

const both = [true, false];

const endpoint: Exploration<typeof endpointMachine, EndpointEvent> = {
  machine: endpointMachine,
  input: { id: 'e1', address: '127.0.0.1:1', level: 0, seed: 7, config: ENDPOINT_CONFIG },
  events: ({ context: { connections } }) => [
    { type: 'CONNECTION_OPENED' },
    { type: 'CONNECTION_LOST', remaining: Math.max(0, connections - 1) },
    { type: 'DIAL_FAILED', remaining: connections },
    ...both.flatMap((sole): EndpointEvent[] => [
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

const connection: Exploration<typeof connectionMachine, ConnectionEvent> = {
  machine: connectionMachine,
  input: {
    id: 'c1',
    address: '127.0.0.1:1',
    seed: 7,
    standby: false,
    config: { connectTimeoutMs: 2_000, drainTimeoutMs: 30_000, maxAgeMs: 60_000, reconnect: BACKOFF },
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
  relevant: ({ attempt, worked, demoted, cordons }) => [Math.min(attempt, 3), worked, demoted, [...cordons].sort()],
};

const MAX_ATTEMPTS = 2;

const stream: Exploration<typeof streamMachine, StreamEvent> = {
  machine: streamMachine,
  input: {
    id: 's1',
    kind: 'handle',
    seed: 7,
    config: { connectTimeoutMs: 5_000, drainTimeoutMs: 30_000, reconnect: { ...BACKOFF, maxAttempts: MAX_ATTEMPTS } },
  },
  events: ({ context }) => [
    { type: 'CONNECT' },
    // Of the generation of now, and late ones of the one before.
    ...[context.generation, context.generation - 1].flatMap((generation): StreamEvent[] => [
      { type: 'CALL_OPENED', generation, connectionId: 'c1' },
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

const client: Exploration<typeof clientMachine, ClientEvent> = {
  machine: clientMachine,
  input: { seed: 7, endpoints: [], failover: failover.input },
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

/** An exploration whose chart is not known in types. */
interface Charted {
  readonly machine: AnyStateMachine;
  readonly input: object;
  readonly relevant: (context: never) => readonly unknown[];
  readonly paths: readonly Path[];
}

function charted<Machine extends AnyStateMachine, Event extends EventObject>(
  exploration: Exploration<Machine, Event>,
): Charted {
  return { ...exploration, paths: shortestPaths(exploration) };
}

describe.for([charted(failover), charted(endpoint), charted(connection), charted(stream), charted(client)])(
  '$machine.id, explored from its initial state by every event and the end of every delay',
  (chart) => {
    it('reaches every state of its definition', () => {
      expect(unreached(chart.machine, chart.paths)).toEqual([]);
    });

    it('an actor that is sent the events of any shortest path: passes the states of the path and ends in its last', () => {
      for (const path of chart.paths) walk(chart, path);
    });
  },
);

describe('failover, every reachable state', () => {
  const paths = shortestPaths(failover);

  it('that carries traffic: carries it on a level that is served', () => {
    const carrying = paths.filter(({ state }) => /^(open|failedOver)/.test(pathOf(state)));
    for (const { state } of carrying) {
      const { active, levels } = state.context as FailoverContext;
      expect(levels[active]).toBe('served');
    }
    expect(carrying.length).toBeGreaterThan(LEVELS.length);
  });

  it('that has given up for now: knows of no level that is served', () => {
    const waiting = paths.filter(({ state }) => pathOf(state) === 'reconnecting');
    for (const { state } of waiting) expect((state.context as FailoverContext).levels).not.toContain('served');
    expect(waiting.length).toBeGreaterThan(0);
  });
});

describe('every simple path, walked by an actor', () => {
  it('of a failover controller of two levels to its first route: ends where the path says', () => {
    const two = {
      ...failover,
      input: { ...failover.input, levels: 2 },
      events: ({ context: { epoch } }: SnapshotFrom<typeof failoverMachine>) => eventsOf([0, 1], [epoch]),
    };
    const paths = simplePaths(two, ['open', 'failedOver.waiting', 'failedOver.steady', 'reconnecting']);
    const aim = (event: EventObject, { context }: AnyMachineSnapshot): EventObject =>
      event.type === 'ROUTE_READY' ? ready((context as FailoverContext).epoch) : event;
    for (const path of paths) walk(two, path, aim);
    expect(paths.length).toBeGreaterThan(100);
    expect(new Set(paths.map(({ state }) => pathOf(state)))).toEqual(
      new Set([
        'connecting.preferring',
        'connecting.waiting',
        'failingOver',
        'open',
        'failedOver.steady',
        'failedOver.waiting',
        'reconnecting',
        'draining',
        'closed',
      ]),
    );
  });

  it('of the client, from idle to closed: ends where the path says', () => {
    const paths = simplePaths(client, ['closed']);
    for (const path of paths) walk(client, path);
    expect(unreached(clientMachine, paths)).toEqual([]);
  });
});

import { assign, enqueueActions, setup, spawnChild, stopChild } from 'xstate';
import { connectionMachine } from './connection.js';
import type { ClientEvent, ClientInput, ConnectionInput, RouteState, StreamInput } from './contract.js';
import { endpointMachine } from './endpoint.js';
import { failoverMachine } from './failover.js';
import { streamMachine } from './stream.js';

export interface ClientContext {
  readonly input: ClientInput;
  readonly route: RouteState | 'none';
}

/** Effects; the runtime provides them. On their own they do nothing, so that the chart can be run and tested alone. */
const noEffect = (): void => undefined;

function connectionInputOf(event: ClientEvent): ConnectionInput {
  if (event.type !== 'ADD_CONNECTION') throw new TypeError(`no connection in ${event.type}`);
  return event.input;
}

function streamInputOf(event: ClientEvent): StreamInput {
  if (event.type !== 'ADD_STREAM') throw new TypeError(`no stream in ${event.type}`);
  return event.input;
}

function closedIdOf(event: ClientEvent): string {
  return event.type === 'CONNECTION_CLOSED' || event.type === 'STREAM_CLOSED' ? event.id : '';
}

/** Children are taken in, and forgotten once closed, in every living state. */
const KEEPS_CHILDREN = {
  ADD_CONNECTION: { actions: 'spawnConnection' },
  ADD_STREAM: { actions: 'spawnStream' },
  CONNECTION_CLOSED: { actions: 'forgetChild' },
  STREAM_CLOSED: { actions: 'forgetChild' },
} as const;

const FOLLOWS_ROUTE = {
  ROUTE_CHANGED: [
    { guard: 'routesPrimary', target: '#client.open', actions: 'noteRoute' },
    { guard: 'routesFallback', target: '#client.failedOver', actions: 'noteRoute' },
    { target: '#client.reconnecting', actions: 'noteRoute' },
  ],
} as const;

const ENDS = {
  DISCONNECT: '#client.draining',
  CLOSE: '#client.closed',
} as const;

/**
 * The root: one client. It spawns and stops every other actor.
 *
 * - `idle`: nothing is dialled.
 * - `connecting`: no route has been ready yet.
 * - `open`: the primary level carries traffic.
 * - `failedOver`: a fallback carries traffic.
 * - `reconnecting`: no level is served; work waits to its deadline.
 * - `draining`: `disconnect()` was called: no new work; what is owed is finished.
 * - `closed`: terminal; nothing is left.
 */
export const clientMachine = setup({
  types: {
    context: {} as ClientContext,
    events: {} as ClientEvent,
    input: {} as ClientInput,
  },
  actors: {
    connection: connectionMachine,
    stream: streamMachine,
    endpoint: endpointMachine,
    failover: failoverMachine,
  },
  actions: {
    /** The failover controller and the endpoints live: dial. */
    start: noEffect,
    /** Finish what is owed; answered by DRAINED. */
    drain: noEffect,
    /** Close every stream, connection and timer now. */
    teardown: noEffect,
    /** Tell the data plane and the application of this state. */
    reportState: noEffect,
    spawnConnection: spawnChild('connection', {
      id: ({ event }) => connectionInputOf(event).id,
      input: ({ event }) => connectionInputOf(event),
    }),
    spawnStream: spawnChild('stream', {
      id: ({ event }) => streamInputOf(event).id,
      input: ({ event }) => streamInputOf(event),
    }),
    forgetChild: stopChild(({ event }) => closedIdOf(event)),
    spawnFailover: spawnChild('failover', { id: 'failover', input: ({ context }) => context.input.failover }),
    spawnEndpoints: enqueueActions(({ context, enqueue }) => {
      for (const input of context.input.endpoints) enqueue.spawnChild('endpoint', { id: input.id, input });
    }),
    forgetRoute: enqueueActions(({ context, enqueue }) => {
      for (const { id } of context.input.endpoints) enqueue.stopChild(id);
      enqueue.stopChild('failover');
    }),
    noteRoute: assign({
      route: ({ context, event }) => (event.type === 'ROUTE_CHANGED' ? event.route : context.route),
    }),
    clearRoute: assign({ route: 'none' }),
  },
  guards: {
    routesPrimary: ({ event }) => event.type === 'ROUTE_CHANGED' && event.route === 'open',
    routesFallback: ({ event }) => event.type === 'ROUTE_CHANGED' && event.route === 'failedOver',
  },
}).createMachine({
  id: 'client',
  context: ({ input }) => ({ input, route: 'none' }),
  initial: 'idle',
  states: {
    idle: {
      entry: 'reportState',
      on: {
        CONNECT: { target: 'connecting', actions: ['spawnFailover', 'spawnEndpoints', 'start'] },
        DISCONNECT: 'closed',
        CLOSE: 'closed',
        ...KEEPS_CHILDREN,
      },
    },
    connecting: {
      entry: 'reportState',
      on: {
        CONNECT_ABANDONED: { target: 'idle', actions: ['teardown', 'forgetRoute', 'clearRoute'] },
        ...FOLLOWS_ROUTE,
        ...KEEPS_CHILDREN,
        ...ENDS,
      },
    },
    open: { entry: 'reportState', on: { ...FOLLOWS_ROUTE, ...KEEPS_CHILDREN, ...ENDS } },
    failedOver: { entry: 'reportState', on: { ...FOLLOWS_ROUTE, ...KEEPS_CHILDREN, ...ENDS } },
    reconnecting: {
      entry: 'reportState',
      on: {
        CONNECT_ABANDONED: { target: 'idle', actions: ['teardown', 'forgetRoute', 'clearRoute'] },
        ...FOLLOWS_ROUTE,
        ...KEEPS_CHILDREN,
        ...ENDS,
      },
    },
    draining: {
      entry: ['reportState', 'drain'],
      on: {
        DRAINED: 'closed',
        CLOSE: 'closed',
        ROUTE_CHANGED: { actions: 'noteRoute' },
        ...KEEPS_CHILDREN,
      },
    },
    closed: {
      entry: ['teardown', 'forgetRoute', 'clearRoute', 'reportState'],
      on: {
        CONNECTION_CLOSED: { actions: 'forgetChild' },
        STREAM_CLOSED: { actions: 'forgetChild' },
      },
    },
  },
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { clientMachine, type ClientContext } from '../../machines/client.js';
import type {
  ClientEvent,
  ClientInput,
  ConnectionInput,
  EndpointInput,
  RouteState,
  StreamInput,
} from '../../machines/contract.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { describeChart, ignoredIn, topOf, type Row, type Subject } from './support/chart.js';
import { BACKOFF, ENDPOINT_CONFIG } from './support/inputs.js';
import { assertOnRuns, edges, expectEdge, Once } from './support/walk.js';

const endpoint = (id: string, level: number): EndpointInput => ({
  id,
  address: `${id}.example:443`,
  level,
  seed: 7,
  config: ENDPOINT_CONFIG,
});

const connection = (id: string): ConnectionInput => ({
  id,
  address: 'e1.example:443',
  seed: 7,
  standby: false,
  config: { connectTimeoutMs: 5_000, drainTimeoutMs: 3_000, maxAgeMs: 60_000, reconnect: BACKOFF },
});

const stream = (id: string): StreamInput => ({
  id,
  kind: 'check',
  seed: 7,
  config: { connectTimeoutMs: 5_000, drainTimeoutMs: 3_000, reconnect: { ...BACKOFF, maxAttempts: 3 } },
});

const input: ClientInput = {
  seed: 7,
  endpoints: [endpoint('e1', 0), endpoint('e2', 1)],
  failover: { levels: 2, config: { failbackDelayMs: 10_000, preferenceMs: 500, moveTimeoutMs: 5_000 } },
};

const connect: ClientEvent = { type: 'CONNECT' };
const abandoned: ClientEvent = { type: 'CONNECT_ABANDONED' };
const disconnect: ClientEvent = { type: 'DISCONNECT' };
const drained: ClientEvent = { type: 'DRAINED' };
const close: ClientEvent = { type: 'CLOSE' };
const routed = (route: RouteState): ClientEvent => ({ type: 'ROUTE_CHANGED', route });
const addConnection = (id: string): ClientEvent => ({ type: 'ADD_CONNECTION', input: connection(id) });
const addStream = (id: string): ClientEvent => ({ type: 'ADD_STREAM', input: stream(id) });
const connectionClosed = (id: string): ClientEvent => ({ type: 'CONNECTION_CLOSED', id });
const streamClosed = (id: string): ClientEvent => ({ type: 'STREAM_CLOSED', id });

const subject: Subject<ClientEvent> = {
  machine: clientMachine,
  input,
  samples: {
    CONNECT: [{ type: 'CONNECT' }],
    CONNECT_ABANDONED: [{ type: 'CONNECT_ABANDONED' }],
    ROUTE_CHANGED: [
      { type: 'ROUTE_CHANGED', route: 'open' },
      { type: 'ROUTE_CHANGED', route: 'failedOver' },
      { type: 'ROUTE_CHANGED', route: 'reconnecting' },
    ],
    ADD_CONNECTION: [{ type: 'ADD_CONNECTION', input: connection('c1') }],
    ADD_STREAM: [{ type: 'ADD_STREAM', input: stream('s1') }],
    CONNECTION_CLOSED: [{ type: 'CONNECTION_CLOSED', id: 'c1' }],
    STREAM_CLOSED: [{ type: 'STREAM_CLOSED', id: 's1' }],
    DISCONNECT: [{ type: 'DISCONNECT' }],
    DRAINED: [{ type: 'DRAINED' }],
    CLOSE: [{ type: 'CLOSE' }],
  },
};

type State = 'idle' | 'connecting' | 'open' | 'failedOver' | 'reconnecting' | 'draining' | 'closed';

/** How each state is reached from the start: the children that live in it count. */
const WAY: Readonly<Record<State, readonly ClientEvent[]>> = {
  idle: [],
  connecting: [connect],
  open: [connect, routed('open')],
  failedOver: [connect, routed('failedOver')],
  reconnecting: [connect, routed('reconnecting')],
  draining: [connect, routed('open'), disconnect],
  closed: [connect, close],
};

const LIVING = ['idle', 'connecting', 'open', 'failedOver', 'reconnecting', 'draining'] as const;
const CONNECTED = ['connecting', 'open', 'failedOver', 'reconnecting'] as const;
const ROUTE: Readonly<Record<State, RouteState | 'none'>> = {
  idle: 'none',
  connecting: 'none',
  open: 'open',
  failedOver: 'failedOver',
  reconnecting: 'reconnecting',
  draining: 'open',
  closed: 'none',
};

type ClientRow = Row<ClientContext, ClientEvent>;

const row = (state: State, when: ClientEvent, outcome: Pick<ClientRow, 'to' | 'runs' | 'sets'> = {}): ClientRow => ({
  in: state,
  past: WAY[state],
  when,
  ...outcome,
});

const STOPS = ['teardown', 'stop e1', 'stop e2', 'stop failover'];
/** Leaving for idle or closed clears the route, if there was one. */
const clears = (state: State): Pick<ClientRow, 'sets'> => (ROUTE[state] === 'none' ? {} : { sets: { route: 'none' } });

const rows: readonly ClientRow[] = [
  row('idle', connect, {
    to: 'connecting',
    runs: ['spawn failover', 'spawn e1', 'spawn e2', 'start', 'reportState'],
  }),
  row('idle', disconnect, {
    to: 'closed',
    runs: ['teardown', 'stop nobody', 'stop nobody', 'stop nobody', 'reportState'],
  }),
  row('idle', close, { to: 'closed', runs: ['teardown', 'stop nobody', 'stop nobody', 'stop nobody', 'reportState'] }),

  ...CONNECTED.flatMap((state): ClientRow[] => [
    ...(['open', 'failedOver', 'reconnecting'] as const).map((route) =>
      row(
        state,
        routed(route),
        // The same route again changes nothing, and is not reported.
        route === state ? {} : { to: route, runs: ['reportState'], sets: { route } },
      ),
    ),
    row(state, disconnect, { to: 'draining', runs: ['reportState', 'drain'] }),
    row(state, close, { to: 'closed', runs: [...STOPS, 'reportState'], ...clears(state) }),
  ]),

  ...(['connecting', 'reconnecting'] as const).map((state) =>
    row(state, abandoned, { to: 'idle', runs: [...STOPS, 'reportState'], ...clears(state) }),
  ),

  row('draining', routed('failedOver'), { sets: { route: 'failedOver' } }),
  row('draining', drained, { to: 'closed', runs: [...STOPS, 'reportState'], ...clears('draining') }),
  row('draining', close, { to: 'closed', runs: [...STOPS, 'reportState'], ...clears('draining') }),

  // Children come and go in every living state.
  ...LIVING.flatMap((state): ClientRow[] => [
    row(state, addConnection('c1'), { runs: ['spawn c1'] }),
    row(state, addStream('s1'), { runs: ['spawn s1'] }),
    row(state, connectionClosed('c0'), { runs: ['stop nobody'] }),
    row(state, streamClosed('s0'), { runs: ['stop nobody'] }),
    { ...row(state, connectionClosed('c1'), { runs: ['stop c1'] }), past: [addConnection('c1'), ...WAY[state]] },
    { ...row(state, streamClosed('s1'), { runs: ['stop s1'] }), past: [addStream('s1'), ...WAY[state]] },
  ]),

  // Closed: only what is left of the children is swept up.
  {
    ...row('closed', connectionClosed('c1'), { runs: ['stop c1'] }),
    past: [addConnection('c1'), ...WAY.closed],
  },
  { ...row('closed', streamClosed('s1'), { runs: ['stop s1'] }), past: [addStream('s1'), ...WAY.closed] },
];

const ALLOWED = edges(
  'idle > connecting closed',
  // Back to idle when the attempt is abandoned.
  'connecting > open failedOver reconnecting idle draining closed',
  'open > failedOver reconnecting draining closed',
  'failedOver > open reconnecting draining closed',
  'reconnecting > open failedOver idle draining closed',
  'draining > closed',
);

const ids = fc.constantFrom('1', '2', '3');
const choices: fc.Arbitrary<ClientEvent> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(connect) },
  {
    weight: 6,
    arbitrary: fc.constantFrom('open' as const, 'failedOver' as const, 'reconnecting' as const).map(routed),
  },
  { weight: 4, arbitrary: ids.map((id) => addConnection(`c${id}`)) },
  { weight: 4, arbitrary: ids.map((id) => addStream(`s${id}`)) },
  { weight: 3, arbitrary: ids.map((id) => connectionClosed(`c${id}`)) },
  { weight: 3, arbitrary: ids.map((id) => streamClosed(`s${id}`)) },
  { weight: 2, arbitrary: fc.constant(abandoned) },
  { weight: 1, arbitrary: fc.constantFrom(disconnect, drained, close) },
);

const ROUTING = ['connecting', 'open', 'failedOver', 'reconnecting', 'draining'];

describe('client', () => {
  describeChart(subject, rows, []);

  it('closed + anything but the end of a child → nothing', () => {
    const swept = ['CONNECTION_CLOSED', 'STREAM_CLOSED'];
    expect(ignoredIn(subject, 'closed')).toEqual(Object.keys(subject.samples).filter((type) => !swept.includes(type)));
  });

  it('whatever happens, it reports each state once, and keeps the children it took in and no other', () => {
    assertOnRuns<ClientContext, ClientEvent, ClientEvent>(
      subject,
      choices,
      (event) => event,
      (walk) => {
        const observers = [new Once('start', 'teardown'), new Once('drain')];
        const adopted = new Set<string>();
        return (move) => {
          const moved = topOf(move.from) !== walk.top;
          expectEdge(ALLOWED, move);
          for (const observer of observers) observer.see(move.runs);
          expect(move.runs.filter((effect) => effect === 'reportState')).toHaveLength(moved ? 1 : 0);
          expect(move.runs.filter((effect) => effect === 'teardown')).toHaveLength(
            moved && ['idle', 'closed'].includes(walk.top) ? 1 : 0,
          );

          const { event } = move;
          if ('type' in event && move.from !== 'closed' && 'input' in event) adopted.add(event.input.id);
          if ('type' in event && 'id' in event) adopted.delete(event.id);
          const own = ROUTING.includes(walk.top) ? ['failover', 'e1', 'e2'] : [];
          expect([...walk.children].sort()).toEqual([...own, ...adopted].sort());

          const { route } = walk.context;
          if (['open', 'failedOver', 'reconnecting'].includes(walk.top)) expect(route).toBe(walk.top);
          if (['idle', 'connecting', 'closed'].includes(walk.top)) expect(route).toBe('none');
          expect(walk.running).toEqual([]);
        };
      },
    );
  });

  it('open with live children + CLOSE → no timer of the controller or of an endpoint is left', () => {
    const clock = new VirtualClock();
    const actor = createActor(clientMachine, { clock, input });
    actor.start();
    actor.send(connect);
    expect(clock.pendingTimers).toBeGreaterThan(0);
    actor.send(close);
    expect(clock.pendingTimers).toBe(0);
    expect(Object.keys(actor.getSnapshot().children)).toEqual([]);
  });

  it('connecting + abandoned, then CONNECT again → fresh children under the same names', () => {
    const clock = new VirtualClock();
    const actor = createActor(clientMachine, { clock, input });
    actor.start();
    actor.send(connect);
    const first = actor.getSnapshot().children['failover'];
    actor.send(abandoned);
    actor.send(connect);
    const second = actor.getSnapshot().children['failover'];
    expect(first?.getSnapshot().status).toBe('stopped');
    expect(second?.getSnapshot().status).toBe('active');
    expect(second).not.toBe(first);
  });
});

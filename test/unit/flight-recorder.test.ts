import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ActorRefFrom, createActor } from 'xstate';
import { endpointMachine, failoverMachine } from '../../machines/index.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { ConnectionError, FailoverError, TimeoutError } from '../../src/errors.js';
import type { FlightRecord } from '../../src/flight.js';
import { Redactor } from '../../src/observe/redact.js';
import { clientMachine } from '../../machines/index.js';
import { FlightRecorder } from '../../src/runtime/flight-recorder.js';
import { ENDPOINT_CONFIG } from '../machines/support/inputs.js';

const SECRET = 'c4n4ry-secret';
const FAILOVER = { levels: 2, config: { failbackDelayMs: 10_000, preferenceMs: 500, moveTimeoutMs: 5_000 } };

interface Flight {
  readonly recorder: FlightRecorder;
  readonly clock: VirtualClock;
  readonly client: ActorRefFrom<typeof clientMachine>;
}

/** A client's statecharts without effects. Three transitions are recorded: its beginning, CONNECT, and the failover's beginning. */
function connecting(size = 256): Flight {
  const clock = new VirtualClock(1_000);
  const redactor = new Redactor();
  redactor.addSecret(SECRET);
  const recorder = new FlightRecorder({ size, clock, startedAtMs: clock.now(), redactor });
  const client = createActor(
    recorder.watch(
      clientMachine.provide({
        actors: { failover: failoverMachine.provide({}), endpoint: endpointMachine.provide({}) },
      }),
    ),
    { id: 'client', clock, input: { seed: 1, endpoints: [], failover: FAILOVER } },
  );
  client.start();
  client.send({ type: 'CONNECT' });
  return { recorder, clock, client };
}

const recordOf = (error: ConnectionError | FailoverError): FlightRecord => {
  const record = error.flightRecord;
  if (record === undefined) throw new Error('no record');
  return record;
};

function attached(recorder: FlightRecorder, reason = 'refused'): ConnectionError {
  const error = new ConnectionError(reason);
  recorder.attach(error);
  return error;
}

describe('a recorder', () => {
  it('a client that begins and connects: holds its and its children’s transitions, in order', () => {
    const { recorder } = connecting();
    expect(
      recorder
        .entries()
        .map(({ sequence, actor, event, before, value }) => [sequence, actor, event.type, before?.value, value]),
    ).toEqual([
      [1, 'client', 'xstate.init', undefined, 'idle'],
      [2, 'client', 'CONNECT', 'idle', 'connecting'],
      [3, 'failover', 'xstate.init', undefined, { connecting: 'preferring' }],
    ]);
  });

  it('asked for what was made since a moment: gives that, in order, as far as it is held', () => {
    const { recorder, client } = connecting(3);
    const since = recorder.recorded;
    expect(recorder.entriesSince(since)).toEqual([]);
    client.send({ type: 'DISCONNECT' });
    const all = recorder.entries();
    const made = recorder.recorded - since;
    expect(made).toBeGreaterThan(0);
    expect(recorder.entriesSince(since)).toEqual(all.slice(-made));
    expect(recorder.entriesSince(0)).toEqual(all);
    expect(all).toHaveLength(3);
  });

  it('an event that a statechart ignores: is no transition', () => {
    const { recorder, client } = connecting();
    client.send({ type: 'CONNECT' });
    client.send({ type: 'DRAINED' });
    expect(recorder.recorded).toBe(3);
    client.send({ type: 'ROUTE_CHANGED', route: 'open' });
    expect(recorder.entries().at(-1)).toMatchObject({ sequence: 4, event: { type: 'ROUTE_CHANGED' }, value: 'open' });
  });

  it.each([1, 2, 3, 16, 17, 256])('size %i and ten times as many transitions: holds the last ones only', (size) => {
    const { recorder, client, clock } = connecting(size);
    const routes = ['open', 'reconnecting'] as const;
    const count = size * 10;
    for (let index = 0; index < count; index++) {
      clock.advance(1);
      client.send({ type: 'ROUTE_CHANGED', route: routes[index % 2] ?? 'open' });
    }
    // The failover controller looked at its preference once, at 500 ms.
    const late = count >= 500 ? 1 : 0;
    expect(recorder.recorded).toBe(3 + count + late);
    const entries = recorder.entries();
    expect(entries).toHaveLength(size);
    expect(entries.at(-1)?.atMs).toBe(1_000 + count);
    expect(entries.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: size }, (_, index) => recorder.recorded - size + 1 + index),
    );
  });

  it('two clients with recorders of their own: each holds its own, and the machines that both were made of are as before', () => {
    const transition: unknown = Reflect.get(clientMachine, 'transition');
    const [one, other] = [connecting(), connecting()];
    one.client.send({ type: 'CLOSE' });
    expect(one.recorder.recorded).toBeGreaterThan(3);
    expect(other.recorder.recorded).toBe(3);
    expect(Reflect.get(clientMachine, 'transition')).toBe(transition);
  });

  it('a transition that throws: is recorded as the actor’s error', () => {
    const clock = new VirtualClock();
    const recorder = new FlightRecorder({ size: 8, clock, startedAtMs: 0, redactor: new Redactor() });
    const machine = endpointMachine.provide({
      delays: {
        healthInterval: () => {
          throw new Error('no delay');
        },
      },
    });
    const endpoint = createActor(recorder.watch(machine), {
      id: 'e',
      clock,
      input: { id: 'e', address: '127.0.0.1:1', level: 0, seed: 1, config: ENDPOINT_CONFIG },
    });
    endpoint.subscribe({ error: () => undefined });
    endpoint.start();
    endpoint.send({ type: 'CONNECTION_OPENED' });
    expect(recorder.entries().at(-1)).toMatchObject({
      event: { type: 'CONNECTION_OPENED' },
      before: { value: 'unknown' },
      value: 'unknown',
      status: 'error',
    });
  });
});

describe('the record of an outage', () => {
  it('errors of one outage: share one frozen record, of what came before and between', () => {
    const { recorder, client, clock } = connecting();
    const first = attached(recorder);
    clock.advance(7);
    client.send({ type: 'ROUTE_CHANGED', route: 'reconnecting' });
    const second = new FailoverError('no endpoint is served', 'a', 'b');
    recorder.attach(second);
    const record = recordOf(first);
    expect(record).toMatchObject({ outageAtMs: 1_000, startedAtMs: 1_000, dropped: 0 });
    expect(record.transitions.map(({ event }) => event.type)).toEqual([
      'xstate.init',
      'CONNECT',
      'xstate.init',
      'ROUTE_CHANGED',
    ]);
    expect(record.transitions.at(-1)).toEqual({
      sequence: 4,
      atMs: 1_007,
      sinceStartMs: 7,
      actor: 'client',
      machine: 'client',
      event: { type: 'ROUTE_CHANGED', route: 'reconnecting' },
      from: 'connecting',
      to: 'reconnecting',
    });
    expect(recordOf(second)).toBe(record);
    expect(recordOf(first)).toBe(record);
    for (const part of [record, record.transitions, record.transitions[0], record.transitions[2]?.to]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('nobody asks until it is over: goes to the moment the client was served again, and no further', () => {
    const { recorder, client } = connecting();
    const error = attached(recorder);
    client.send({ type: 'ROUTE_CHANGED', route: 'failedOver' });
    client.send({ type: 'ROUTE_CHANGED', route: 'open' });
    expect(recordOf(error).transitions.at(-1)).toMatchObject({ from: 'connecting', to: 'failedOver' });
  });

  it('what came before is pushed out of the ring meanwhile: is in the record all the same, and the gap is counted', () => {
    const { recorder, client } = connecting(3);
    const error = attached(recorder);
    for (let round = 0; round < 10; round++) client.send({ type: 'ROUTE_CHANGED', route: 'reconnecting' });
    client.send({ type: 'ROUTE_CHANGED', route: 'open' });
    const record = recordOf(error);
    expect(record.transitions.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 12, 13, 14]);
    expect(record.dropped).toBe(8);
  });

  it('served, or given up, and failed again: is another outage', () => {
    const { recorder, client } = connecting();
    const records = [attached(recorder)];
    client.send({ type: 'ROUTE_CHANGED', route: 'open' });
    client.send({ type: 'ROUTE_CHANGED', route: 'reconnecting' });
    records.push(attached(recorder));
    client.send({ type: 'CONNECT_ABANDONED' });
    records.push(attached(recorder));
    expect(new Set(records.map(recordOf)).size).toBe(3);
  });

  it('errors while the client is served: one outage within ten seconds, another after', () => {
    const { recorder, client, clock } = connecting();
    client.send({ type: 'ROUTE_CHANGED', route: 'open' });
    const first = attached(recorder);
    clock.advance(9_999);
    const second = attached(recorder);
    clock.advance(1);
    const third = attached(recorder);
    expect(recordOf(second)).toBe(recordOf(first));
    expect(recordOf(third)).not.toBe(recordOf(first));
  });

  it('an error of another kind, or of no client: has none', () => {
    const { recorder } = connecting();
    const late = new TimeoutError('late', 5);
    recorder.attach(late);
    recorder.attach(new Error('other'));
    expect(late.flightRecord).toBeUndefined();
    expect(new ConnectionError('mine').flightRecord).toBeUndefined();
  });

  it('printed, copied, compared, or made JSON: does not show', () => {
    const { recorder } = connecting();
    const error = attached(recorder);
    recordOf(error);
    expect(Reflect.ownKeys(error)).not.toContain('flightRecord');
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('xstate.init');
    expect(JSON.stringify(error)).not.toContain('xstate.init');
    expect(error).toEqual(new ConnectionError('refused'));
  });

  it('reasons that hold a secret: are told without it', () => {
    const { recorder, client } = connecting();
    const failover = client.getSnapshot().children['failover'];
    failover?.send({ type: 'LEVEL_LOST', level: 0, reason: `peer said ${SECRET} and Bearer abcdef123` });
    const record = recordOf(attached(recorder));
    expect(record.transitions.at(-1)?.event).toEqual({
      type: 'LEVEL_LOST',
      level: 0,
      reason: 'peer said [redacted] and Bearer [redacted]',
    });
  });
});

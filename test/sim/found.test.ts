/** What the simulation found, each as the smallest script that showed it. */

import { expect, test } from 'vitest';
import { type AuthzClient, createClient, createPooledClient } from '../../src/client.js';
import { createSeededRandom } from '../../src/core/random.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { CancelledError, PoolExhaustedError, StreamClosedError, TimeoutError } from '../../src/errors.js';
import type { PooledClientOptions } from '../../src/options.js';
import { replyToAll, SimulatedNetwork, type SimulatedServer } from '../../src/testing/index.js';
import { Effect } from '../../src/types.js';
import { CountedClock } from './clock.js';
import { simulate } from './run.js';
import type { Setup } from './scenario.js';

const ADDRESS = '127.0.0.1:1001';

interface Stage {
  readonly clock: VirtualClock;
  readonly clientClock: CountedClock;
  readonly network: SimulatedNetwork;
  readonly server: SimulatedServer;
  readonly client: AuthzClient;
  /** Paths of the messages that the client wrote, in order. */
  readonly written: string[];
}

function stage(options: PooledClientOptions = {}): Stage {
  const clock = new VirtualClock();
  const clientClock = new CountedClock(clock);
  const written: string[] = [];
  const network = new SimulatedNetwork({
    clock,
    minLatencyMs: 1,
    observer: ({ kind, detail }) => {
      if (kind === 'write') written.push(detail.replace(/^.*\//, ''));
    },
  });
  const server = network.server(ADDRESS);
  server.handler = replyToAll(Effect.ALLOW);
  const client = createClient({
    address: ADDRESS,
    clock: clientClock,
    random: createSeededRandom(1),
    transport: network,
    timeout: 1_000,
    reconnect: { initialDelay: 100, maxDelay: 1_000 },
    ...options,
  });
  return { clock, clientClock, network, server, client, written };
}

const question = (requestId: string) => ({
  requestId,
  principal: { id: 'alice', roles: ['user'] },
  resource: { kind: 'document', id: requestId },
  actions: ['read'],
});

test('deduplication, room for one pending check, a check: it takes one place, not one for itself and one for its exchange', async () => {
  const { clock, client } = stage({ maxPendingChecks: 1, deduplication: true });
  const answer = client.check(question('a'));
  await expect(client.check(question('b'))).rejects.toThrow('maxPendingChecks: 1 checks are pending already');
  await clock.advanceAsync(100);
  await expect(answer).resolves.toMatchObject({ requestId: 'a' });
  const next = client.check(question('b'));
  await clock.advanceAsync(100);
  await expect(next).resolves.toMatchObject({ requestId: 'b' });
});

test('server without CheckBatch, disconnect() while the batch is under way: its items are still asked one by one and answered', async () => {
  const { clock, client, server } = stage();
  server.hasBatch = false;
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  const answers = client.checkBatch([question('a'), question('b')]);
  const gone = client.disconnect();
  await clock.advanceAsync(1_000);
  await gone;
  expect((await answers).map(({ error, results }) => [error, results.get('read')?.effect])).toEqual([
    [undefined, Effect.ALLOW],
    [undefined, Effect.ALLOW],
  ]);
});

test('batch turned away, asked again of a server without CheckBatch, room for one of its items: the other is in doubt, for it was sent', async () => {
  const { clock, client, server } = stage({ maxPendingChecks: 1 });
  server.handler = () => [{ kind: 'status', code: 14, message: 'overloaded' }];
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  const answers = client.checkBatch([question('a'), question('b')]);
  await clock.advanceAsync(1);
  server.hasBatch = false;
  server.handler = replyToAll(Effect.ALLOW);
  await clock.advanceAsync(100);
  expect((await answers).map(({ error }) => error)).toMatchObject([
    undefined,
    { name: 'BackpressureError', outcome: 'unknown' },
  ]);
});

test('server without CheckBatch, disconnect by force while the batch is under way: it is cancelled', async () => {
  const { clock, client, server, clientClock } = stage();
  server.hasBatch = false;
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  const answers = client.checkBatch([question('a')]);
  answers.catch(() => undefined);
  await clock.advanceAsync(0);
  const gone = client.disconnect({ force: true });
  await clock.advanceAsync(10);
  await gone;
  await expect(answers).rejects.toBeInstanceOf(CancelledError);
  expect(clientClock.pendingTimers).toBe(0);
});

test('scalePool() waiting for a connection that does not come, disconnect(): it is cancelled, and no timer is left', async () => {
  const { clock, client, clientClock, network } = stage({ connectionPool: { maxConnections: 3 } });
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  network.setLink(ADDRESS, { dial: 'silent' });
  const scaled = client.scalePool(2);
  scaled.catch(() => undefined);
  await clock.advanceAsync(10);
  const gone = client.disconnect();
  await clock.advanceAsync(10);
  await gone;
  await expect(scaled).rejects.toBeInstanceOf(CancelledError);
  expect(clientClock.pendingTimers).toBe(0);
});

test('scalePool() waiting for connect(), disconnect() as that is done: it adds nothing to a client that ends', async () => {
  const { clock, client, clientClock, network } = stage({ connectionPool: { maxConnections: 3 } });
  const gone = client.connect().then(() => client.disconnect({ force: true }));
  const scaled = client.scalePool(2);
  scaled.catch(() => undefined);
  await clock.advanceAsync(100);
  await gone;
  await expect(scaled).rejects.toThrow(Error);
  await expect(client.scalePool(2)).rejects.toBeInstanceOf(StreamClosedError);
  expect(network.openConnections).toBe(0);
  expect(clientClock.pendingTimers).toBe(0);
});

test('endpoint that was down, and comes back allowing no streams: it is the route, and a check tells of the limit at its deadline', async () => {
  const { clock, client, network, server } = stage();
  network.setLink(ADDRESS, { dial: 'refuse' });
  const early = client.check(question('early'));
  early.catch(() => undefined);
  await clock.advanceAsync(50);
  server.maxStreams = 0;
  network.setLink(ADDRESS);
  await clock.advanceAsync(900);
  expect(client.getState()).toBe('open');
  const late = client.check(question('late'));
  late.catch(() => undefined);
  await clock.advanceAsync(1_100);
  await expect(late).rejects.toBeInstanceOf(TimeoutError);
  await expect(late).rejects.toThrow("every connection is at its server's limit of concurrent streams");
  server.maxStreams = undefined;
  const answer = client.check(question('at last'));
  await clock.advanceAsync(100);
  await expect(answer).resolves.toMatchObject({ requestId: 'at last' });
});

test('unary call waiting for a connection, its deadline passed while the loop stood still: it is not sent', async () => {
  const { clock, client, written } = stage({ timeout: 50 });
  const answers = client.checkBatch([question('a')]);
  answers.catch(() => undefined);
  // The server's SETTINGS are on their way.
  await clock.advanceAsync(1);
  clock.stall(60);
  await clock.advanceAsync(100);
  await expect(answers).rejects.toMatchObject({ outcome: 'notSent' });
  expect(written).not.toContain('CheckBatch');
});

test('checks waiting for a connection, their deadline passed while the loop stood still: they are not sent', async () => {
  const { clock, client, written } = stage({ timeout: 50 });
  const told: string[] = [];
  const handle = client.createBidirectionalStream({
    onResponse: () => told.push('answered'),
    onError: ({ name }) => told.push(name),
    onEnd: () => undefined,
  });
  handle.send(question('a'));
  const answer = client.check(question('b'));
  answer.catch(() => undefined);
  // The server's SETTINGS are on their way.
  await clock.advanceAsync(1);
  clock.stall(60);
  await clock.advanceAsync(100);
  await expect(answer).rejects.toMatchObject({ outcome: 'notSent' });
  expect(told).toEqual(['TimeoutError']);
  expect(written).not.toContain('CheckStream');
});

test('check written and moved after longer than acquireTimeout, no room for it: it waits that long for a connection, and is in doubt', async () => {
  const { clock, client, server } = stage({ timeout: 5_000, connectionPool: { acquireTimeout: 500 } });
  server.handler = () => [];
  const answer = client.check(question('a'));
  answer.catch(() => undefined);
  await clock.advanceAsync(600);
  server.maxStreams = 0;
  await clock.advanceAsync(10);
  server.resetCalls(2);
  await clock.advanceAsync(400);
  expect(client.getStats().failedRequests).toBe(0);
  await clock.advanceAsync(400);
  await expect(answer).rejects.toBeInstanceOf(PoolExhaustedError);
  await expect(answer).rejects.toMatchObject({ outcome: 'unknown' });
});

test('two endpoints suspect, one of them ejected, the other answers checks but no probe: it is asked all the same', async () => {
  const OTHER = '127.0.0.1:1002';
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock });
  const client = createPooledClient([ADDRESS, OTHER], {
    clock,
    random: createSeededRandom(1),
    transport: network,
    timeout: 5_000,
  });
  for (const address of [ADDRESS, OTHER]) {
    network.server(address).handler = () => [];
    network.server(address).answersHealth = false;
  }
  void client.connect();
  await clock.advanceAsync(50);
  const lost = [client.check(question('a')), client.check(question('b'))];
  for (const answer of lost) answer.catch(() => undefined);
  await clock.advanceAsync(700);
  expect(client.getConnections().map(({ state }) => state)).toEqual(['paused', 'paused']);
  for (const address of [ADDRESS, OTHER]) network.server(address).handler = replyToAll(Effect.ALLOW);
  network.setLink(ADDRESS, { dial: 'refuse' });
  await clock.advanceAsync(800);
  const answer = client.check(question('c'));
  await clock.advanceAsync(100);
  await expect(answer).resolves.toMatchObject({ requestId: 'c' });
});

/** What is left out is as in the simplest setup. */
const SETUP: Setup = {
  seed: 1,
  layout: 'single',
  maxLatencyMs: 1,
  hasPing: false,
  sequential: false,
  timeoutMs: 1_000,
  maxRetries: 0,
  maxPendingChecks: 1_000,
  minConnections: 1,
  maxConnections: 2,
  highWaterMark: 2,
  ensureOrdering: false,
  multiplexing: false,
  maxRequestsPerStream: 1_000,
  deduplication: false,
  keepAliveIntervalMs: 1_000,
  healthIntervalMs: 1_000,
  streamIdleMs: 60_000,
  maxAttempts: 10,
  strategy: 'round_robin',
};

test('one of two primaries on probation, disconnect by force: closing them is no loss, and nothing fails over to a client that ends', async () => {
  const { failure } = await simulate({
    setup: { ...SETUP, seed: 1841087942, layout: 'levels', maxConnections: 3 },
    commands: [
      { do: 'scale', size: 3 },
      { do: 'fault', server: 1, what: { fault: 'maxStreams', maxStreams: 0 } },
      { do: 'advance', ms: 3_300 },
      { do: 'disconnect', force: true },
    ],
  });
  expect(failure).toBeUndefined();
});

test('primary frozen with a batch and a check with metadata under way, a backup: both are asked again there', async () => {
  const BACKUP = '127.0.0.1:1002';
  const { clock, client, network, server } = stage({
    timeout: 5_000,
    failover: { enabled: true, fallbackAddresses: [BACKUP] },
  });
  network.server(BACKUP).handler = replyToAll(Effect.ALLOW);
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  server.freeze();
  const batch = client.checkBatch([question('a')]);
  const unary = client.check(question('b'), { metadata: { 'x-tenant': 'one' } });
  const check = client.check(question('c'));
  const answers = Promise.all([batch.then(([first]) => first), unary, check]);
  await clock.advanceAsync(4_000);
  expect((await answers).map((answer) => answer?.results.get('read')?.effect)).toEqual([1, 1, 1]);
  expect(client.getState()).toBe('failedOver');
});

test('server without CheckStream and with room for one stream, calls of one request each: asked by another rpc, and not by one stream after the other', async () => {
  const { failure, transcript } = await simulate({
    setup: { ...SETUP, multiplexing: true, maxRequestsPerStream: 1 },
    commands: [
      { do: 'fault', server: 0, what: { fault: 'maxStreams', maxStreams: 1 } },
      { do: 'fault', server: 0, what: { fault: 'streams', exist: false } },
      { do: 'openHandle' },
      { do: 'send', handle: 0, count: 1 },
      { do: 'advance', ms: 13 },
    ],
  });
  expect(failure).toBeUndefined();
  expect(transcript.filter((line) => / write .*CheckStream r0/.test(line)).length).toBeLessThanOrEqual(2);
});

test('draining, every endpoint lost at once with checks owed: the stream made to ask them again is closed with the client', async () => {
  const { failure } = await simulate({
    setup: {
      ...SETUP,
      layout: 'levels',
      maxRetries: 1,
      maxLatencyMs: 1,
      maxPendingChecks: 7,
      highWaterMark: 100,
      multiplexing: true,
      maxRequestsPerStream: 1,
    },
    commands: [
      { do: 'check', count: 1, timeoutMs: undefined, named: false },
      { do: 'advance', ms: 3 },
      {
        do: 'fault',
        server: 0,
        what: {
          fault: 'chaos',
          chaos: {
            missing: 5,
            duplicate: 5,
            foreignId: 100,
            foreignActions: 0,
            missingActions: 0,
            malformed: 5,
            failing: 0,
            slow: 0,
          },
        },
      },
      { do: 'check', count: 1, timeoutMs: undefined, named: false },
      { do: 'check', count: 5, timeoutMs: undefined, named: false },
      { do: 'advance', ms: 301 },
      { do: 'check', count: 1, timeoutMs: undefined, named: false },
      { do: 'fault', server: 0, what: { fault: 'maxStreams', maxStreams: 1 } },
      { do: 'disconnect', force: false },
      { do: 'advance', ms: 1 },
    ],
  });
  expect(failure).toBeUndefined();
});

test("deduplication, the one who asked for longest aborts, the first one's time is up: the question is not written for nobody", async () => {
  const { failure } = await simulate({
    setup: { ...SETUP, seed: 7, highWaterMark: 100, multiplexing: true, maxRequestsPerStream: 1, deduplication: true },
    commands: [
      { do: 'connect' },
      { do: 'advance', ms: 60 },
      { do: 'fault', server: 0, what: { fault: 'flap', everyMs: 30 } },
      { do: 'check', count: 1, timeoutMs: 53, named: true },
      { do: 'abort', afterMs: 0 },
      { do: 'again', other: false },
      { do: 'check', count: 1, timeoutMs: undefined, named: false },
    ],
  });
  expect(failure).toBeUndefined();
});

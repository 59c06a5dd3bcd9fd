import { createServer, type AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  AuthzClient,
  CancelledError,
  ConfigurationError,
  ConnectionError,
  ConnectionState,
  createClient,
  createPooledClient,
  GrpcCode,
  StreamClosedError,
  TimeoutError,
  AuthzClientError,
} from '../../src/index.js';
import { startScriptedServer, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { nextEvent, question, QUICK, Recorder, recordEvents, refusal, rejection, useStage } from '../support/stage.js';

const stage = useStage();

/** A port that refuses. */
async function deadAddress(): Promise<string> {
  const server = await startScriptedServer();
  const { address } = server;
  await server.stop();
  return address;
}

describe('making a client', () => {
  test('createClient, createPooledClient and new AuthzClient each give an idle client that has dialled nothing', async () => {
    const server = await stage.server();
    const clients = [
      createClient({ address: server.address }),
      createPooledClient([server.address]),
      new AuthzClient({ address: server.address }),
    ];
    for (const client of clients) {
      expect(client).toBeInstanceOf(AuthzClient);
      expect(client.getState()).toBe('idle');
      expect(client.getConnectionState()).toBe(ConnectionState.IDLE);
      expect(client.isConnected()).toBe(false);
      expect(client.actor.getSnapshot().value).toBe('idle');
      await client.disconnect();
    }
    expect(server.connectionCount).toBe(0);
  });
});

describe('connect()', () => {
  test('on an idle client and a live server: resolves, ready, with connected and each state change told once', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const events = recordEvents(client, ['connected', 'connection_state_change', 'disconnected']);
    const connecting = client.connect();
    expect(client.getConnectionState()).toBe(ConnectionState.CONNECTING);
    await connecting;
    expect(client.isConnected()).toBe(true);
    expect(client.getConnectionState()).toBe(ConnectionState.READY);
    expect(client.getState()).toBe('open');
    expect(client.actor.getSnapshot().value).toBe('open');
    await expect
      .poll(() => events)
      .toEqual([
        ['connection_state_change', { state: 'connecting', previous: 'idle' }],
        ['connection_state_change', { state: 'ready', previous: 'connecting' }],
        ['connected', { address: server.address }],
      ]);
  });

  test('twice while connecting: both share one promise, and once connected it resolves at once', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const first = client.connect();
    expect(client.connect()).toBe(first);
    await first;
    await client.connect();
    expect(server.connectionCount).toBe(1);
  });

  test('with nobody listening: rejects as soon as the address failed once, names it and the cause, and the client is idle again', async () => {
    const address = await deadAddress();
    const client = stage.client({ address }, { timeout: 5_000 });
    const started = performance.now();
    const error = await rejection(client.connect(), ConnectionError);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(error.message).toContain(address);
    expect(error.message).toContain('ECONNREFUSED');
    expect(error).toMatchObject({ code: 'ERR_AUTHZ_CONNECTION', grpcCode: GrpcCode.UNAVAILABLE, retryable: true });
    await expect.poll(() => client.getState()).toBe('idle');
    expect(client.getConnectionState()).toBe(ConnectionState.IDLE);
    expect(client.getConnections()).toEqual([]);
  });

  test('again, after a rejection, once the server listens: resolves', async () => {
    const address = await deadAddress();
    const client = stage.client({ address });
    await rejection(client.connect());
    const server = await stage.server({}, { port: Number(address.split(':')[1]) });
    await client.connect();
    expect(client.isConnected()).toBe(true);
    expect(server.connectionCount).toBe(1);
  });

  test('with two dead addresses: waits for both and names both', async () => {
    const addresses = [await deadAddress(), await deadAddress()];
    const client = stage.pooled(addresses.map((address) => ({ address })));
    const error = await rejection(client.connect());
    for (const address of addresses) expect(error.message).toContain(address);
  });

  test('with one dead address and a live one: resolves', async () => {
    const server = await stage.server();
    const client = stage.pooled([{ address: await deadAddress() }, server]);
    await client.connect();
    expect((await client.check(question())).results.get('read')?.effect).toBe(1);
  });

  test('to a peer that accepts and never speaks: rejects within timeout, naming the address', async () => {
    const silent = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    stage.onEnd(() => silent.close());
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const client = stage.client({ address }, { timeout: 400 });
    const started = performance.now();
    const error = await rejection(client.connect(), AuthzClientError);
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(error.message).toContain(address);
    expect(error.grpcCode).toBe(GrpcCode.UNAVAILABLE);
    await expect.poll(() => client.getState()).toBe('idle');
  });

  test('cut short by disconnect(): rejects with CancelledError', async () => {
    const silent = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    stage.onEnd(() => silent.close());
    const client = stage.client({ address: `127.0.0.1:${(silent.address() as AddressInfo).port}` });
    const connecting = rejection(client.connect());
    await client.disconnect();
    expect(await connecting).toBeInstanceOf(CancelledError);
  });

  test('over a unix socket: connects and checks', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'authz-unix-'));
    stage.onEnd(() => rmSync(directory, { recursive: true, force: true }));
    const server = await stage.server();
    const relay = createServer((socket) => {
      void import('node:net').then(({ connect }) => {
        const upstream = connect(server.port, '127.0.0.1');
        socket.pipe(upstream).pipe(socket);
        socket.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
        upstream.on('error', () => socket.destroy());
      });
    });
    const file = path.join(directory, 'authz.sock');
    await new Promise<void>((resolve) => relay.listen(file, resolve));
    stage.onEnd(() => relay.close());
    const client = stage.client({ address: `unix:${file}` });
    expect((await client.check(question())).results.get('read')?.effect).toBe(1);
  });
});

describe('an idle client connects by itself', () => {
  test('at its first check', async () => {
    const client = stage.client(await stage.server());
    expect((await client.check(question())).results.get('read')?.effect).toBe(1);
    expect(client.isConnected()).toBe(true);
  });

  test('at its first stream', async () => {
    const client = stage.client(await stage.server());
    client.createBidirectionalStream(new Recorder());
    await expect.poll(() => client.isConnected()).toBe(true);
  });

  test('at its first batch', async () => {
    const client = stage.client(await stage.server());
    expect(await client.checkBatch([question()])).toHaveLength(1);
  });

  test('and where nobody listens, a check waits to its deadline and then fails UNAVAILABLE, notSent, with the reason', async () => {
    const address = await deadAddress();
    const client = stage.client({ address });
    const started = performance.now();
    const error = await rejection(client.check(question({ requestId: 'lost' }), { deadline: 300 }), ConnectionError);
    const tookMs = performance.now() - started;
    expect(tookMs).toBeGreaterThanOrEqual(299);
    expect(tookMs).toBeLessThan(1_500);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent', requestId: 'lost' });
    expect(error.message).toContain(address);
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('and a check that waits while the server starts is answered', async () => {
    const address = await deadAddress();
    const client = stage.client({ address });
    const failed = nextEvent(client, 'pool_connection_failed');
    const check = client.check(question());
    await failed;
    await stage.server({}, { port: Number(address.split(':')[1]) });
    expect((await check).results.get('read')?.effect).toBe(1);
  });
});

describe('a connected client whose server', () => {
  test('cuts the connection reconnects: transient_failure or straight back, with the pool events', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const [{ id } = { id: '' }] = client.getConnections();
    const failed = nextEvent(client, 'pool_connection_failed');
    const reconnected = nextEvent(client, 'pool_reconnected');
    server.cut();
    expect(await failed).toMatchObject({ id, address: server.address, error: expect.any(ConnectionError) as Error });
    expect(await reconnected).toEqual({ id, address: server.address });
    await expect.poll(() => client.isConnected()).toBe(true);
    expect((await client.check(question())).results.get('read')?.effect).toBe(1);
  });

  test('stops is told disconnected with a reason, is in transient_failure, and comes back when it does', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const disconnected = nextEvent(client, 'disconnected');
    await server.stop();
    expect((await disconnected).reason).toContain(server.address);
    expect(client.getConnectionState()).toBe(ConnectionState.TRANSIENT_FAILURE);
    expect(client.isConnected()).toBe(false);
    const connected = nextEvent(client, 'connected');
    await stage.server({}, { port: server.port });
    await connected;
    expect(client.getConnectionState()).toBe(ConnectionState.READY);
  });
});

describe('disconnect()', () => {
  test('on an idle client resolves, is final and idempotent', async () => {
    const client = stage.client(await stage.server());
    const first = client.disconnect();
    await first;
    await client.disconnect();
    expect(client.getConnectionState()).toBe(ConnectionState.SHUTDOWN);
    expect(client.getState()).toBe('closed');
    await rejection(client.connect(), StreamClosedError);
  });

  test('on a connected client tells disconnected once and refuses every kind of new work', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.check(question());
    const handle = client.createBidirectionalStream(new Recorder());
    const events = recordEvents(client, ['disconnected']);
    await client.disconnect();
    expect(events).toEqual([['disconnected', { reason: expect.any(String) as string }]]);
    expect(await rejection(client.check(question({ requestId: 'late' })))).toMatchObject({
      name: 'StreamClosedError',
      outcome: 'notSent',
      requestId: 'late',
    });
    await rejection(client.checkBatch([question()]), StreamClosedError);
    await rejection(client.check(question(), { metadata: { a: 'b' } }), StreamClosedError);
    await rejection(client.loadPolicies({ inline: [] }), StreamClosedError);
    await rejection(client.reloadPolicies(), StreamClosedError);
    await rejection(client.scalePool(1), StreamClosedError);
    refusal(() => client.createBidirectionalStream(new Recorder()), StreamClosedError);
    refusal(() => client.createStreamPool(1, new Recorder()), StreamClosedError);
    expect(handle.send(question())).toBe(false);
    await expect.poll(() => server.openConnections).toBe(0);
  });

  test('with answers owed waits for them', async () => {
    const asked: [WireRequest, ScriptedStream][] = [];
    const server = await stage.server({ onStreamRequest: (request, stream) => asked.push([request, stream]) });
    const client = stage.client(server);
    const check = client.check(question({ requestId: 'owed' }));
    await server.until(() => asked.length === 1, 'the request');
    let isOver = false;
    const over = client.disconnect().then(() => (isOver = true));
    expect(client.getState()).toBe('draining');
    expect(isOver).toBe(false);
    const [entry] = asked;
    entry?.[1].reply({ requestId: 'owed', results: { read: { effect: 1 } } });
    expect((await check).results.get('read')?.effect).toBe(1);
    await over;
  });

  test('with a unary check and a batch owed waits for them too', async () => {
    const answers: (() => void)[] = [];
    const held = <T>(value: T): Promise<T> => new Promise((resolve) => answers.push(() => resolve(value)));
    const server = await stage.server({
      onCheck: ({ requestId }) => held({ requestId, results: { read: { effect: 1 } } }),
      onBatch: (requests) => held({ responses: requests.map(({ requestId }) => ({ requestId })) }),
    });
    const client = stage.client(server);
    const check = client.check(question(), { metadata: { tenant: 'a' } });
    const batch = client.checkBatch([question()]);
    await expect.poll(() => answers.length).toBe(2);
    const over = client.disconnect();
    for (const answer of answers) answer();
    expect((await check).results.get('read')?.effect).toBe(1);
    expect(await batch).toHaveLength(1);
    await over;
  });

  test('at timeoutMs rejects what is left with CancelledError: unknown if written, notSent if queued', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined });
    const client = stage.client(server, { streams: { multiplexing: false } });
    const handle = client.createBidirectionalStream(new Recorder());
    const written = rejection(handle.check(question({ requestId: 'written' })));
    const queued = rejection(handle.check(question({ requestId: 'queued' })));
    await server.until(() => server.streamed.length === 1, 'the request');
    const started = performance.now();
    await client.disconnect({ timeoutMs: 100 });
    expect(performance.now() - started).toBeGreaterThanOrEqual(99);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await written).toMatchObject({ name: 'CancelledError', outcome: 'unknown', requestId: 'written' });
    expect(await queued).toMatchObject({ name: 'CancelledError', outcome: 'notSent', requestId: 'queued' });
  });

  test('with force rejects what is left now, the unary ones too', async () => {
    const server = await stage.server({
      onStreamRequest: () => undefined,
      onCheck: () => new Promise(() => undefined),
    });
    const client = stage.client(server);
    const check = rejection(client.check(question({ requestId: 'a' })));
    const unary = rejection(client.check(question({ requestId: 'b' }), { metadata: { a: 'b' } }));
    await server.until(() => server.streamed.length === 1 && server.checks.length === 1, 'both requests');
    const started = performance.now();
    await client.disconnect({ force: true });
    expect(performance.now() - started).toBeLessThan(500);
    expect(await check).toMatchObject({ name: 'CancelledError', outcome: 'unknown', requestId: 'a' });
    expect(await unary).toMatchObject({ name: 'CancelledError', outcome: 'unknown', requestId: 'b' });
  });

  test('with force, while a graceful one waits, ends both', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined });
    const client = stage.client(server);
    const check = rejection(client.check(question()));
    await server.until(() => server.streamed.length === 1, 'the request');
    const graceful = client.disconnect({ timeoutMs: 60_000 });
    await client.disconnect({ force: true });
    await graceful;
    expect(await check).toBeInstanceOf(CancelledError);
  });

  test('while no route is served rejects what waits at once', async () => {
    const address = await deadAddress();
    const client = stage.client({ address });
    const failed = nextEvent(client, 'pool_connection_failed');
    const check = rejection(client.check(question()));
    const unary = rejection(client.check(question(), { metadata: { a: 'b' } }));
    await failed;
    const started = performance.now();
    await client.disconnect();
    expect(performance.now() - started).toBeLessThan(500);
    expect(await check).toMatchObject({ name: 'CancelledError', outcome: 'notSent' });
    expect(await unary).toMatchObject({ name: 'CancelledError', outcome: 'notSent' });
  });

  test('with a stream whose answers are owed delivers them, then onEnd once', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    handle.send(question({ requestId: 'b' }));
    await client.connect();
    await client.disconnect();
    await recorder.ended();
    expect(recorder.log).toEqual(['a', 'b', 'end']);
  });

  test('of a wrong option throws or rejects with ConfigurationError and disconnects nothing', async () => {
    const client = stage.client(await stage.server());
    await client.connect();
    const wrong = async (options: object): Promise<unknown> => client.disconnect(options);
    expect(await rejection(wrong({ force: 'yes' }))).toMatchObject({ path: 'disconnect.force' });
    expect(await rejection(wrong({ timeoutMs: -1 }))).toMatchObject({ path: 'disconnect.timeoutMs' });
    await rejection(wrong({ timeoutMs: -1 }), ConfigurationError);
    expect(client.isConnected()).toBe(true);
  });

  test('by `await using`: the client is closed at the end of the block', async () => {
    const server = await stage.server();
    let outer: AuthzClient;
    {
      await using client = createClient({ ...QUICK, address: server.address });
      outer = client;
      await client.check(question());
    }
    expect(outer.getConnectionState()).toBe(ConnectionState.SHUTDOWN);
    await expect.poll(() => server.openConnections).toBe(0);
  });
});

describe('statistics', () => {
  test('count answers and failures, and resetStats() sets them to nought', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (request.requestId !== 'never') stream.reply({ requestId: request.requestId });
      },
    });
    const client = stage.client(server);
    expect(client.getStats()).toEqual({
      totalRequests: 0,
      successfulRequests: 0,
      failedRequests: 0,
      avgLatencyMs: 0,
      cacheHitRate: 0,
    });
    await Promise.all([client.check(question()), client.check(question())]);
    expect(await rejection(client.check(question({ requestId: 'never' }), { deadline: 30 }))).toBeInstanceOf(
      TimeoutError,
    );
    const stats = client.getStats();
    expect(stats).toMatchObject({ totalRequests: 3, successfulRequests: 2, failedRequests: 1 });
    expect(stats.avgLatencyMs).toBeGreaterThan(0);
    client.resetStats();
    expect(client.getStats().totalRequests).toBe(0);
  });

  test('count the items of a batch and unary checks as requests', async () => {
    const client = stage.client(await stage.server());
    await client.checkBatch([question(), question(), question()]);
    await client.check(question(), { metadata: { a: 'b' } });
    expect(client.getStats()).toMatchObject({ totalRequests: 4, successfulRequests: 4, failedRequests: 0 });
  });
});

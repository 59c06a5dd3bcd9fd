import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import { createServer as createTlsServer } from 'node:tls';

import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { GrpcCode } from '../../src/errors.js';
import { createHttp2Transport } from '../../src/transport/http2.js';
import { WINDOW_BYTES } from '../../src/transport/http2-dial.js';
import type {
  ConnectOptions,
  TransportConnection,
  WireMetadata,
  WireStatus,
  WireStream,
} from '../../src/transport/port.js';
import type { Lookup } from '../../src/transport/resolve.js';
import { RstCode } from '../../src/transport/status.js';
import { makeCertificates } from '../support/certificates.js';
import { EchoServer } from '../support/echo-server.js';
import { FrameType, grpcFrame, RawServer, RESPONSE_HEADERS, type RawConnection } from '../support/raw-server.js';
import { ConnectionRecorder, eventually, StreamRecorder } from '../support/recorder.js';
import { clientSocketsTo } from '../support/sockets.js';
import { describeTransportContract } from './transport-contract.js';

describeTransportContract('http2', createHttp2Transport, { goawayDetail: true, ping: true, streamLimitChanges: true });

const STREAM = '/test.Echo/Stream';
const UNARY = '/test.Echo/Unary';
const MAX_CONCURRENT_STREAMS = 3;
const INITIAL_WINDOW_SIZE = 4;
const MAX_HEADER_LIST_SIZE = 6;
const OPTIONS: ConnectOptions = {
  connectTimeoutMs: 5000,
  maxMessageBytes: 4 * 1024 * 1024,
  userAgent: 'http2-test',
  clock: systemClock,
};
const OK = { 'grpc-status': '0' };

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function connect(address: string, options: Partial<ConnectOptions> = {}, lookup?: Lookup) {
  const recorder = new ConnectionRecorder();
  const transport = createHttp2Transport(lookup === undefined ? {} : { lookup });
  const connection = transport.connect({ address }, { ...OPTIONS, ...options }, recorder);
  cleanups.push(async () => {
    connection.close();
    await recorder.down();
  });
  return { connection, recorder };
}

async function rawServer(settings: Readonly<Record<number, number>> = {}): Promise<RawServer> {
  const server = await RawServer.listen((peer) => {
    peer.settings(settings);
  });
  cleanups.push(() => server.close());
  return server;
}

async function connected(settings?: Readonly<Record<number, number>>, options?: Partial<ConnectOptions>) {
  const server = await rawServer(settings);
  const { connection, recorder } = connect(server.address, options);
  await recorder.up();
  const peer = await server.connection();
  return { server, connection, recorder, peer };
}

function open(connection: TransportConnection, metadata: WireMetadata = {}) {
  const recorder = new StreamRecorder();
  return { stream: connection.openStream(STREAM, metadata, recorder), recorder };
}

/** Resolves when the peer has handled everything sent so far. */
async function settled(connection: TransportConnection): Promise<void> {
  expect(await connection.ping?.(5000)).toBe(true);
}

const callsOf = (peer: RawConnection): number => peer.frames.filter(({ type }) => type === FrameType.HEADERS).length;

const rstCodesOf = (peer: RawConnection, id: number): number[] =>
  peer.frames
    .filter(({ type, streamId }) => type === FrameType.RST_STREAM && streamId === id)
    .map(({ payload }) => payload.readUInt32BE(0));

const dataFramesOf = (peer: RawConnection, id: number): Buffer[] =>
  peer.frames
    .filter(({ type, streamId, payload }) => type === FrameType.DATA && streamId === id && payload.length > 0)
    .map(({ payload }) => payload);

/** Echoes bytes on node:http2 with windows that never hold a client back; resolves to its address. */
async function wideOpenEcho(): Promise<string> {
  const windowBytes = 64 * 1024 * 1024;
  const server = createHttp2Server({ settings: { initialWindowSize: windowBytes } });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.setLocalWindowSize(windowBytes);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond(RESPONSE_HEADERS);
    stream.on('data', (chunk: Buffer) => stream.write(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

/** Lets a recorder close the connection within one of its callbacks, after recording. */
function closeWithin<Name extends string>(
  recorder: Record<Name, (...args: never[]) => void>,
  name: Name,
  connection: TransportConnection,
): void {
  const original = recorder[name].bind(recorder);
  recorder[name] = (...args) => {
    original(...args);
    connection.close();
  };
}

describe('http2: several addresses of one name', () => {
  it('the first hangs: the second is dialled beside it after 250 ms, wins, and the first is destroyed', async () => {
    const silent = await RawServer.listen(() => undefined);
    const server = await EchoServer.listen(undefined, `127.0.0.2:${silent.port}`);
    cleanups.push(
      () => silent.close(),
      () => {
        server.close();
      },
    );
    const clock = new VirtualClock();
    const { connection, recorder } = connect(`dns:///engine.test:${server.port}`, { clock }, () =>
      Promise.resolve(['127.0.0.1', '127.0.0.2']),
    );
    const hanging = await silent.connection();
    await hanging.until(() => hanging.frames.length > 0, 'the preface');
    clock.advance(249);
    expect(clientSocketsTo(server.port)).toBe(1);
    clock.advance(1);
    await recorder.up();
    await eventually(() => clientSocketsTo(server.port) === 1, 'the loser to be gone');
    expect(await connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 5000 })).toMatchObject({ ok: true });
  });

  it('the first refuses: the second is dialled at once, and no timer is waited for', async () => {
    const server = await EchoServer.listen();
    cleanups.push(() => {
      server.close();
    });
    const clock = new VirtualClock();
    const { recorder } = connect(`dns:///engine.test:${server.port}`, { clock }, () =>
      Promise.resolve(['127.0.0.2', '127.0.0.1']),
    );
    await recorder.up();
  });

  it('all refuse: down as refused', async () => {
    const server = await RawServer.listen();
    const { port } = server;
    await server.close();
    const { recorder } = connect(`dns:///engine.test:${port}`, {}, () => Promise.resolve(['127.0.0.2', '127.0.0.1']));
    expect(await recorder.down()).toMatchObject({ kind: 'refused' });
  });

  it('a lookup that never ends: down at the connect timeout; its late answer dials nothing', async () => {
    const server = await rawServer();
    let answer: (addresses: string[]) => void = () => undefined;
    const lookup = (): Promise<string[]> =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const { recorder } = connect(`dns:///engine.test:${server.port}`, { connectTimeoutMs: 20 }, lookup);
    expect(await recorder.down()).toMatchObject({ kind: 'connectTimeout' });
    answer(['127.0.0.1']);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(server.connections).toHaveLength(0);
  });

  it('a TLS server that does not agree to h2: down as tls', async () => {
    const { server: pair, ca } = makeCertificates();
    const server = createTlsServer({ cert: pair.cert, key: pair.key });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { recorder } = connect(`127.0.0.1:${port}`, { tls: { ca } });
    const cause = await recorder.down();
    expect(cause.kind).toBe('tls');
    expect(cause.message).toContain('ALPN');
    expect(clientSocketsTo(port ?? 0)).toBe(0);
  });
});

describe('http2: coalescing', () => {
  it('messages of one turn, and of all continuations of one answer: one DATA frame each', async () => {
    const { connection, peer } = await connected();
    const recorder = new StreamRecorder();
    const stream = connection.openStream(STREAM, {}, recorder);
    for (let count = 0; count < 100; count += 1) stream.write(Buffer.from(`first ${count}`));
    const id = await peer.call();
    await peer.until(() => dataFramesOf(peer, id).length > 0, 'data');
    await settled(connection);
    expect(dataFramesOf(peer, id)).toHaveLength(1);
    // Callers at promise chains of different depths, all woken by what one packet brings.
    const woken = recorder.received(1).then(async () => {
      stream.write(Buffer.from('shallow'));
      for (let depth = 0; depth < 10; depth += 1) await Promise.resolve();
      stream.write(Buffer.from('deep'));
    });
    peer.headers(id);
    peer.data(id, grpcFrame('answer'));
    await woken;
    await settled(connection);
    expect(dataFramesOf(peer, id).map(String)).toHaveLength(2);
    expect(dataFramesOf(peer, id)[1]?.toString()).toContain('deep');
  });

  it('a message and end() in one turn: one DATA frame that ends the stream', async () => {
    const { connection, peer } = await connected();
    const { stream } = open(connection);
    stream.write(Buffer.from('only'));
    stream.end();
    const frame = await peer.frame(FrameType.DATA);
    expect(frame.payload.toString()).toContain('only');
    expect(frame.flags & 1).toBe(1);
    await settled(connection);
    expect(peer.frames.filter(({ type }) => type === FrameType.DATA)).toHaveLength(1);
  });
});

describe('http2: windows', () => {
  it('as announced: the same for a call and for the connection', async () => {
    const { peer } = await connected();
    const { payload } = await peer.frame(FrameType.SETTINGS, 0);
    const values = new Map<number, number>();
    for (let at = 0; at < payload.length; at += 6) values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    expect(values.get(INITIAL_WINDOW_SIZE)).toBe(WINDOW_BYTES);
    const update = await peer.frame(FrameType.WINDOW_UPDATE, 0);
    expect(update.payload.readUInt32BE(0) + 65_535).toBe(WINDOW_BYTES);
  });

  it('both sides send all they may on many calls at once: neither waits for the other for ever', async () => {
    const server = await wideOpenEcho();
    const { connection, recorder } = connect(server);
    await recorder.up();
    const message = Buffer.alloc(16_000);
    const total = 100;
    const calls = Array.from({ length: 64 }, async () => {
      let sent = 0;
      const call = new StreamRecorder();
      const fill = (): void => {
        while (sent < total && stream.write(message) === 'accepted') sent += 1;
      };
      call.onDrain = fill;
      const stream = connection.openStream(STREAM, {}, call);
      fill();
      await call.received(total);
    });
    await Promise.all(calls);
  });
});

describe('http2: reading', () => {
  it('pause() within onMessage: the rest of the packet waits, in order, for resume(), which calls nobody itself', async () => {
    const { connection, peer } = await connected();
    const recorder = new StreamRecorder();
    const stream = connection.openStream(STREAM, {}, recorder);
    const onMessage = recorder.onMessage.bind(recorder);
    recorder.onMessage = (...message) => {
      onMessage(...message);
      stream.pause();
    };
    const id = await peer.call();
    peer.headers(id);
    peer.data(id, Buffer.concat(['a', 'b', 'c'].map((text) => grpcFrame(text))));
    await recorder.received(1);
    await settled(connection);
    expect(recorder.texts).toEqual(['a']);
    stream.resume();
    expect(recorder.texts).toEqual(['a']);
    await recorder.received(2);
    await settled(connection);
    expect(recorder.texts).toEqual(['a', 'b']);
    stream.resume();
    await recorder.received(3);
  });

  it('cancel() within onMessage: nothing of the packet comes after it but CANCELLED', async () => {
    const { connection, peer } = await connected();
    const recorder = new StreamRecorder();
    const stream = connection.openStream(STREAM, {}, recorder);
    const onMessage = recorder.onMessage.bind(recorder);
    recorder.onMessage = (...message) => {
      onMessage(...message);
      stream.cancel();
    };
    const id = await peer.call();
    peer.headers(id);
    peer.data(id, Buffer.concat(['a', 'b'].map((text) => grpcFrame(text))));
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.CANCELLED });
    await settled(connection);
    expect(recorder.texts).toEqual(['a']);
    expect(rstCodesOf(peer, id)).toEqual([RstCode.CANCEL]);
  });

  it('OK and RST_STREAM NO_ERROR while paused: the messages and OK still come', async () => {
    const { connection, peer } = await connected();
    const { stream, recorder } = open(connection);
    stream.pause();
    const id = await peer.call();
    peer.headers(id);
    peer.data(id, Buffer.concat(['a', 'b'].map((text) => grpcFrame(text))));
    peer.headers(id, OK, true);
    peer.rst(id, RstCode.NO_ERROR);
    await settled(connection);
    expect(recorder.statuses).toEqual([]);
    stream.resume();
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK, outcome: 'answered' });
    expect(recorder.texts).toEqual(['a', 'b']);
  });

  it('an error while paused with messages unread: at once, and they are dropped', async () => {
    const { connection, peer } = await connected();
    const { stream, recorder } = open(connection);
    stream.pause();
    const id = await peer.call();
    peer.headers(id);
    peer.data(id, grpcFrame('a'));
    peer.headers(id, { 'grpc-status': '13' }, true);
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL, outcome: 'answered' });
    stream.resume();
    await settled(connection);
    expect(recorder.messages).toEqual([]);
  });

  it('OK in the middle of a message: INTERNAL', async () => {
    const { connection, peer } = await connected();
    const { recorder } = open(connection);
    const id = await peer.call();
    peer.headers(id);
    peer.data(id, Buffer.concat([grpcFrame('whole'), grpcFrame('half').subarray(0, 7)]));
    peer.headers(id, OK, true);
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL, outcome: 'unknown' });
    expect(recorder.texts).toEqual(['whole']);
  });

  it('trailers without grpc-status: INTERNAL', async () => {
    const { connection, peer } = await connected();
    const { recorder } = open(connection);
    const id = await peer.call();
    peer.headers(id);
    peer.headers(id, { 'x-a': '1' }, true);
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL, outcome: 'unknown' });
  });

  it('OK while this side has not ended: the call is reset with NO_ERROR; with unsent data behind a closed window: CANCEL', async () => {
    const { connection, peer } = await connected({ [INITIAL_WINDOW_SIZE]: 0 });
    const first = open(connection);
    const firstId = await peer.call(0);
    peer.headers(firstId);
    peer.headers(firstId, OK, true);
    expect(await first.recorder.status()).toMatchObject({ code: GrpcCode.OK });
    await peer.frame(FrameType.RST_STREAM, firstId);
    expect(rstCodesOf(peer, firstId)).toEqual([RstCode.NO_ERROR]);
    const second = open(connection);
    second.stream.write(Buffer.from('never sent'));
    second.stream.end();
    const secondId = await peer.call(1);
    peer.headers(secondId);
    peer.headers(secondId, OK, true);
    expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.OK });
    await peer.frame(FrameType.RST_STREAM, secondId);
    expect(rstCodesOf(peer, secondId)).toEqual([RstCode.CANCEL]);
  });
});

describe("http2: past the peer's stream limit", () => {
  it('a call waits unsent with what was written on it, and is opened when another ends', async () => {
    const { connection, peer } = await connected({ [MAX_CONCURRENT_STREAMS]: 1 });
    const first = open(connection);
    const second = open(connection);
    second.stream.write(Buffer.from('early'));
    await new Promise((resolve) => setImmediate(resolve));
    second.stream.write(Buffer.from('later'));
    second.stream.end();
    await peer.call(0);
    await settled(connection);
    expect(callsOf(peer)).toBe(1);
    first.stream.cancel();
    const id = await peer.call(1);
    await peer.until(
      () => peer.frames.some(({ type, streamId, flags }) => streamId === id && type === FrameType.DATA && flags === 1),
      'the end',
    );
    expect(peer.dataOf(id)).toEqual(Buffer.concat([grpcFrame('early'), grpcFrame('later')]));
    peer.headers(id, { ...RESPONSE_HEADERS, ...OK }, true);
    expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.OK });
  });

  it('no streams at all: what waits ends unsent at its deadline, naming the cause; is opened when the limit is raised', async () => {
    const { connection, peer } = await connected({ [MAX_CONCURRENT_STREAMS]: 0 });
    const unary = await connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 30 });
    expect(unary).toMatchObject({ ok: false, status: { code: GrpcCode.DEADLINE_EXCEEDED, outcome: 'notSent' } });
    expect(!unary.ok && unary.status.message).toContain('the server allows no more calls');
    const cancelled = open(connection);
    const waiting = open(connection);
    cancelled.stream.cancel();
    peer.settings({ [MAX_CONCURRENT_STREAMS]: 5 });
    const id = await peer.call();
    peer.headers(id, { ...RESPONSE_HEADERS, ...OK }, true);
    expect(await waiting.recorder.status()).toMatchObject({ code: GrpcCode.OK });
    expect(cancelled.recorder.statuses).toMatchObject([{ code: GrpcCode.CANCELLED, outcome: 'notSent' }]);
    await settled(connection);
    expect(callsOf(peer)).toBe(1);
  });

  it('a waiting call that is full: bounded as any other', async () => {
    const { connection } = await connected({ [MAX_CONCURRENT_STREAMS]: 0 });
    const { stream } = open(connection);
    let accepted = 0;
    while (stream.write(Buffer.alloc(1000)) === 'accepted') accepted += 1;
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.write(Buffer.alloc(1000))).toBe('full');
    expect(accepted).toBe(1043);
  });

  it('GOAWAY, or the loss of the connection: what waits was not sent', async () => {
    const goaway = await connected({ [MAX_CONCURRENT_STREAMS]: 1 });
    const kept = open(goaway.connection);
    const first = open(goaway.connection);
    const id = await goaway.peer.call();
    goaway.peer.goaway(0x7fffffff);
    expect(await first.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
    expect(kept.recorder.statuses).toEqual([]);
    goaway.peer.headers(id, { ...RESPONSE_HEADERS, ...OK }, true);
    expect(await kept.recorder.status()).toMatchObject({ code: GrpcCode.OK });
    const lost = await connected({ [MAX_CONCURRENT_STREAMS]: 0 });
    const second = open(lost.connection);
    lost.peer.socket.resetAndDestroy();
    expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
  });
});

describe('http2: the end of a connection', () => {
  it('a second GOAWAY with a lower id: told once, and the calls above it are refused', async () => {
    const { connection, recorder, peer } = await connected();
    const first = open(connection);
    const second = open(connection);
    const id = await peer.call(0);
    await peer.call(1);
    peer.goaway(0x7fffffff);
    await recorder.until(() => recorder.events.includes('goaway'), 'goaway');
    expect(second.recorder.statuses).toEqual([]);
    peer.goaway(id);
    expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'refused' });
    expect(first.recorder.statuses).toEqual([]);
    expect(recorder.events).toEqual(['up', 'goaway']);
  });

  it('GOAWAY with an error: calls above its last id are refused, the others lost', async () => {
    const { connection, recorder, peer } = await connected();
    const first = open(connection);
    const second = open(connection);
    const id = await peer.call(0);
    await peer.call(1);
    peer.goaway(id, RstCode.INTERNAL_ERROR);
    expect(await first.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
    expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'refused' });
    expect((await recorder.down()).message).toContain('GOAWAY INTERNAL_ERROR');
  });

  it('a drained connection that the peer keeps open: down as soon as its last call ends, and no socket stays', async () => {
    const { server, connection, recorder, peer } = await connected();
    const { recorder: call } = open(connection);
    const id = await peer.call();
    peer.socket.removeAllListeners('end');
    peer.goaway(id);
    await recorder.until(() => recorder.events.includes('goaway'), 'goaway');
    peer.headers(id, { ...RESPONSE_HEADERS, ...OK }, true);
    await call.status();
    expect(await recorder.down()).toMatchObject({ kind: 'lost' });
    expect(clientSocketsTo(server.port)).toBe(0);
  });

  it('a peer that reads no more, with writes stuck: full, a ping is not answered, and close() leaves no socket', async () => {
    const { server, connection, recorder, peer } = await connected({ [INITIAL_WINDOW_SIZE]: 2 ** 31 - 1 });
    peer.windowUpdate(0, 2 ** 31 - 1 - 65_535);
    await settled(connection);
    const { stream, recorder: call } = open(connection);
    await peer.call();
    peer.socket.pause();
    let stuckTurns = 0;
    while (stuckTurns < 20) {
      stuckTurns += 1;
      while (stream.write(Buffer.alloc(500_000)) === 'accepted') stuckTurns = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // While a write is stuck node:http2 does not read either: even a FIN goes unseen.
    peer.socket.end();
    expect(await connection.ping?.(50)).toBe(false);
    connection.close();
    expect(await call.status()).toMatchObject({ code: GrpcCode.CANCELLED });
    expect(await recorder.down()).toMatchObject({ kind: 'closed' });
    expect(clientSocketsTo(server.port)).toBe(0);
  });

  it('close() within each callback: nobody is called twice, and down as closed', async () => {
    for (const where of ['onStreamLimit', 'onUp', 'onGoaway'] as const) {
      const server = await rawServer({ [MAX_CONCURRENT_STREAMS]: 5 });
      const { connection, recorder } = connect(server.address);
      closeWithin(recorder, where, connection);
      if (where === 'onGoaway') {
        await recorder.up();
        (await server.connection()).goaway(0);
      }
      expect(await recorder.down()).toMatchObject({ kind: 'closed' });
      expect(recorder.events.filter((event) => event === 'up').length).toBe(where === 'onStreamLimit' ? 0 : 1);
    }
    for (const where of ['onMessage', 'onStatus'] as const) {
      const { connection, recorder, peer } = await connected();
      const call = new StreamRecorder();
      closeWithin(call, where, connection);
      connection.openStream(STREAM, {}, call);
      const other = open(connection);
      const id = await peer.call();
      peer.headers(id);
      peer.data(id, Buffer.concat([grpcFrame('a'), grpcFrame('b')]));
      peer.headers(id, OK, true);
      expect(await recorder.down()).toMatchObject({ kind: 'closed' });
      expect(call.statuses).toHaveLength(1);
      expect(call.texts).toEqual(where === 'onMessage' ? ['a'] : ['a', 'b']);
      expect(other.recorder.statuses).toMatchObject([{ code: GrpcCode.CANCELLED }]);
    }
  });
});

describe('http2: close() in the middle of what Node does with TLS', () => {
  // Destroying a socket within its own events has crashed Node.
  it.each(['onUp', 'onMessage', 'onStatus'] as const)(
    'within %s: down as closed, and no socket stays',
    async (where) => {
      const { server: pair, ca } = makeCertificates();
      const credentials = ServerCredentials.createSsl(null, [{ cert_chain: pair.cert, private_key: pair.key }]);
      const server = await EchoServer.listen(credentials);
      cleanups.push(() => {
        server.close();
      });
      for (let round = 0; round < 5; round += 1) {
        const { connection, recorder } = connect(server.address, { tls: { ca } });
        const closing = () => {
          connection.close();
        };
        const call = new StreamRecorder();
        if (where === 'onUp') {
          recorder.onUp = closing;
        } else {
          await recorder.up();
          call[where] = closing;
          const stream = connection.openStream(STREAM, {}, call);
          for (let count = 0; count < 1000; count += 1) stream.write(Buffer.alloc(100));
          if (where === 'onStatus') stream.end();
        }
        expect(await recorder.down()).toMatchObject({ kind: 'closed' });
      }
      expect(clientSocketsTo(server.port)).toBe(0);
    },
  );
});

describe('http2: metadata', () => {
  it.each<[string, WireMetadata]>([
    ['a name that is none', { 'x y': '1' }],
    ['a pseudo-header', { ':path': '/' }],
    ['a header of connections', { connection: 'close' }],
    ['more than node:http2 can send', { 'x-a': 'a'.repeat(70_000) }],
  ])('%s: the call ends unsent, and the connection goes on', async (_, metadata) => {
    const { connection, recorder, peer } = await connected();
    const { recorder: bad } = open(connection, metadata);
    expect(await bad.status()).toMatchObject({ outcome: 'notSent' });
    const { recorder: good } = open(connection);
    peer.headers(await peer.call(), { ...RESPONSE_HEADERS, ...OK }, true);
    expect(await good.status()).toMatchObject({ code: GrpcCode.OK });
    expect(callsOf(peer)).toBe(1);
    expect(recorder.events).toEqual(['up']);
  });

  it("more than the peer's limit: unsent", async () => {
    const { connection } = await connected({ [MAX_HEADER_LIST_SIZE]: 4096 });
    const { recorder } = open(connection, { 'x-a': 'a'.repeat(4000) });
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL, outcome: 'notSent' });
  });
});

describe('yieldTurn()', () => {
  /** Yields at its first message, and notes what happens between the messages. */
  class YieldingRecorder extends StreamRecorder {
    readonly order: string[] = [];
    stream: WireStream | undefined;

    override onMessage(bytes: Uint8Array, start: number, end: number): void {
      super.onMessage(bytes, start, end);
      this.order.push(this.texts.at(-1) ?? '');
      if (this.messages.length > 1) return;
      this.stream?.yieldTurn?.();
      process.nextTick(() => this.order.push('tick'));
    }

    override onStatus(status: WireStatus): void {
      this.order.push(`status ${status.code}`);
      super.onStatus(status);
    }
  }

  async function yieldingCall() {
    const server = await rawServer();
    const { connection, recorder: connectionRecorder } = connect(server.address);
    await connectionRecorder.up();
    const recorder = new YieldingRecorder();
    recorder.stream = connection.openStream(STREAM, {}, recorder);
    const peer = await server.connection();
    const id = await peer.call();
    return { stream: recorder.stream, recorder, connectionRecorder, peer, id };
  }

  const three = Buffer.concat([grpcFrame('a'), grpcFrame('b'), grpcFrame('c')]);

  it('in the middle of three messages of one frame: the rest come once the ticks have run', async () => {
    const { recorder, peer, id } = await yieldingCall();
    peer.headers(id);
    peer.data(id, three);
    await recorder.received(3);
    expect(recorder.order).toEqual(['a', 'tick', 'b', 'c']);
  });

  it('more data before the rest is delivered: all in order', async () => {
    const { recorder, peer, id } = await yieldingCall();
    peer.socket.cork();
    peer.headers(id);
    peer.data(id, three);
    peer.data(id, Buffer.concat([grpcFrame('d'), grpcFrame('e')]));
    peer.socket.uncork();
    await recorder.received(5);
    expect(recorder.texts.join('')).toBe('abcde');
  });

  it.each([
    { what: 'OK', headers: { 'grpc-status': '0' }, code: GrpcCode.OK },
    { what: 'UNAVAILABLE', headers: { 'grpc-status': '14' }, code: GrpcCode.UNAVAILABLE },
  ])('$what right behind the messages: they are delivered first', async ({ headers, code }) => {
    const { recorder, peer, id } = await yieldingCall();
    peer.socket.cork();
    peer.headers(id);
    peer.data(id, three);
    peer.headers(id, headers, true);
    peer.socket.uncork();
    await recorder.status();
    expect(recorder.order.filter((one) => one !== 'tick')).toEqual(['a', 'b', 'c', `status ${code}`]);
  });

  it('RST_STREAM and the end of the connection right behind the messages: they are delivered first', async () => {
    const { recorder, connectionRecorder, peer, id } = await yieldingCall();
    peer.socket.cork();
    peer.headers(id);
    peer.data(id, three);
    peer.rst(id, RstCode.INTERNAL_ERROR);
    peer.socket.end();
    peer.socket.uncork();
    await recorder.status();
    expect(recorder.texts).toEqual(['a', 'b', 'c']);
    await connectionRecorder.down();
  });

  it('pause() before the rest is delivered: it waits for resume()', async () => {
    const { stream, recorder, peer, id } = await yieldingCall();
    peer.headers(id);
    peer.data(id, three);
    await recorder.received(1);
    stream.pause();
    peer.send(FrameType.PING, 0, 0, Buffer.alloc(8));
    await peer.until(() => peer.frames.some((frame) => frame.type === FrameType.PING), 'the ping ack');
    expect(recorder.texts).toEqual(['a']);
    stream.resume();
    await recorder.received(3);
    expect(recorder.texts).toEqual(['a', 'b', 'c']);
  });

  it('cancel() before the rest is delivered: nothing more comes but the status', async () => {
    const { stream, recorder, peer, id } = await yieldingCall();
    peer.headers(id);
    peer.data(id, three);
    await recorder.received(1);
    stream.cancel();
    expect(await recorder.status()).toMatchObject({ code: GrpcCode.CANCELLED });
    expect([recorder.texts, recorder.late]).toEqual([['a'], 0]);
  });
});

/**
 * What every transport owes the client, against real servers: in-process grpc-js, child processes that are killed, and raw frames. Each
 * test also checks, by its recorders, that a status and an `onDown` come exactly once and last.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';

import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import { GrpcCode } from '../../src/errors.js';
import { MAX_PENDING_BYTES, MAX_PENDING_MESSAGES } from '../../src/transport/frames.js';
import type {
  ConnectOptions,
  Transport,
  TransportConnection,
  WireMetadata,
  WireStream,
} from '../../src/transport/port.js';
import { RstCode } from '../../src/transport/status.js';
import { makeCertificates, type Certificates, type KeyPair } from '../support/certificates.js';
import { exitOf, firstLine, spawnTypeScript } from '../support/child.js';
import { EchoServer } from '../support/echo-server.js';
import { frozenListener } from '../support/frozen-listener.js';
import { FrameType, grpcFrame, RawServer, RESPONSE_HEADERS, type RawConnection } from '../support/raw-server.js';
import { ConnectionRecorder, eventually, StreamRecorder } from '../support/recorder.js';
import { clientSocketsTo } from '../support/sockets.js';

export interface TransportCapabilities {
  /** `onGoaway` comes for every GOAWAY, with its code, its text and its last stream id. */
  readonly goawayDetail: boolean;
  readonly ping: boolean;
  /** `onStreamLimit` comes as soon as the peer changes its limit; otherwise with the next call or ping. */
  readonly streamLimitChanges: boolean;
}

/** RFC 9113 6.5.2. */
const SETTINGS_MAX_CONCURRENT_STREAMS = 3;
const STREAM = '/test.Echo/Stream';
const UNARY = '/test.Echo/Unary';
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

interface Connected {
  readonly connection: TransportConnection;
  readonly recorder: ConnectionRecorder;
}

const isSettingsAck = ({ type, flags }: { type: number; flags: number }): boolean =>
  type === FrameType.SETTINGS && flags === 1;

export function describeTransportContract(
  name: string,
  createTransport: () => Transport,
  capabilities: TransportCapabilities,
): void {
  describe(`transport contract: ${name}`, () => {
    const cleanups: (() => unknown)[] = [];
    const connected: Connected[] = [];
    const streams: StreamRecorder[] = [];

    const later = (cleanup: () => unknown): void => {
      cleanups.unshift(cleanup);
    };

    const connect = (address: string, options: Partial<ConnectOptions> = {}): Connected => {
      const recorder = new ConnectionRecorder();
      const defaults = { connectTimeoutMs: 5000, maxMessageBytes: MAX_MESSAGE_BYTES, userAgent: 'contract/1' };
      const all = { ...defaults, clock: systemClock, ...options };
      const connection = createTransport().connect({ address }, all, recorder);
      const result = { connection, recorder };
      connected.push(result);
      return result;
    };

    const connectUp = async (address: string, options: Partial<ConnectOptions> = {}): Promise<Connected> => {
      const result = connect(address, options);
      await result.recorder.up();
      return result;
    };

    const open = (
      connection: TransportConnection,
      metadata: WireMetadata = {},
    ): { stream: WireStream; recorder: StreamRecorder } => {
      const recorder = new StreamRecorder();
      streams.push(recorder);
      return { stream: connection.openStream(STREAM, metadata, recorder), recorder };
    };

    const echoServer = async (credentials?: ServerCredentials, bind?: string): Promise<EchoServer> => {
      const server = await EchoServer.listen(credentials, bind);
      later(() => {
        server.close();
      });
      return server;
    };

    const rawServer = async (onConnection?: (connection: RawConnection) => void): Promise<RawServer> => {
      const server = await RawServer.listen(onConnection);
      later(() => server.close());
      return server;
    };

    /** A raw server, a connection that is up, and one call opened on it. */
    const rawCall = async () => {
      const server = await rawServer();
      const { connection, recorder: connectionRecorder } = await connectUp(server.address);
      const { stream, recorder } = open(connection);
      const peer = await server.connection();
      const id = await peer.call();
      return { server, connection, connectionRecorder, stream, recorder, peer, id };
    };

    afterEach(async () => {
      for (const { connection, recorder } of connected) {
        connection.close();
        connection.close();
        await recorder.down();
      }
      // Anything a listener is told after its end would come within these turns.
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      for (const { recorder } of connected) {
        expect(recorder.events.filter((event) => event.startsWith('down'))).toHaveLength(1);
        expect(recorder.events.at(-1)).toMatch(/^down/);
        expect(recorder.events.filter((event) => event === 'up').length).toBeLessThanOrEqual(1);
      }
      for (const stream of streams) {
        expect(stream.statuses).toHaveLength(1);
        expect(stream.late).toBe(0);
      }
      connected.length = 0;
      streams.length = 0;
      for (const cleanup of cleanups.splice(0)) await cleanup();
    });

    describe('connecting', () => {
      it('a serving server: up, and the first call is answered', async () => {
        const server = await echoServer();
        const { connection, recorder } = await connectUp(server.address);
        const { stream, recorder: call } = open(connection);
        expect(stream.write(Buffer.from('hello'))).toBe('accepted');
        await call.received(1);
        expect(call.texts).toEqual(['hello']);
        expect(recorder.events).toEqual(['up']);
      });

      it('a call opened within onUp: answered', async () => {
        const server = await echoServer();
        const call = new StreamRecorder();
        streams.push(call);
        const recorder = new ConnectionRecorder();
        recorder.onUp = () => {
          connection.openStream(STREAM, {}, call).write(Buffer.from('first'));
        };
        const options = { connectTimeoutMs: 5000, maxMessageBytes: MAX_MESSAGE_BYTES, userAgent: 'contract/1' };
        const connection = createTransport().connect(
          { address: server.address },
          { ...options, clock: systemClock },
          recorder,
        );
        connected.push({ connection, recorder });
        await call.received(1);
      });

      it('two connections to one address: two sockets', async () => {
        const server = await echoServer();
        await connectUp(server.address);
        await connectUp(server.address);
        expect(clientSocketsTo(server.port)).toBe(2);
      });

      it('nobody listens: down as refused, within 100 ms', async () => {
        const server = await rawServer();
        const { address } = server;
        await server.close();
        const started = performance.now();
        const { recorder } = connect(address);
        expect(await recorder.down()).toMatchObject({ kind: 'refused', code: 'ECONNREFUSED' });
        expect(recorder.at - started).toBeLessThan(100);
        expect(recorder.events).toEqual(['down refused']);
      });

      it('no such unix socket: down as refused', async () => {
        const { recorder } = connect(`unix:${join(tmpdir(), 'authz-no-such-socket')}`);
        expect(await recorder.down()).toMatchObject({ kind: 'refused', code: 'ENOENT' });
      });

      it('a name that does not resolve: down as resolve', async () => {
        const { recorder } = connect('dns:///no-such-host.invalid:1');
        expect(await recorder.down()).toMatchObject({ kind: 'resolve' });
      });

      it('an address that does not parse: down, and connect does not throw', async () => {
        const { recorder } = connect('::1:50051');
        expect(await recorder.down()).toMatchObject({ kind: 'resolve' });
      });

      it('a server that accepts and sends no SETTINGS: down at the connect timeout, and no socket stays', async () => {
        const server = await rawServer(() => undefined);
        const started = performance.now();
        const { recorder } = connect(server.address, { connectTimeoutMs: 150 });
        const peer = await server.connection();
        expect(await recorder.down()).toMatchObject({ kind: 'connectTimeout' });
        expect(recorder.at - started).toBeGreaterThanOrEqual(145);
        expect(recorder.at - started).toBeLessThan(1000);
        expect(clientSocketsTo(server.port)).toBe(0);
        await peer.until(() => peer.closed, 'the peer to see the end');
      });

      it('a server that stalls in the TLS handshake: down at the connect timeout, and no socket stays', async () => {
        const server = await rawServer(() => undefined);
        const { recorder } = connect(server.address, { connectTimeoutMs: 150, tls: {} });
        expect(await recorder.down()).toMatchObject({ kind: 'connectTimeout' });
        expect(clientSocketsTo(server.port)).toBe(0);
      });

      it('a host that does not answer the dial: down at the connect timeout, and no socket stays', async () => {
        const listener = await frozenListener();
        later(() => {
          listener.close();
        });
        const before = clientSocketsTo(listener.port);
        const { recorder } = connect(`127.0.0.1:${listener.port}`, { connectTimeoutMs: 300 });
        await eventually(() => clientSocketsTo(listener.port) > before, 'the dial');
        expect(await recorder.down()).toMatchObject({ kind: 'connectTimeout' });
        expect(clientSocketsTo(listener.port)).toBe(before);
      });

      it('a server that closes before SETTINGS: down as lost, before the connect timeout', async () => {
        const server = await rawServer((connection) => {
          connection.socket.end();
        });
        const { recorder } = connect(server.address);
        expect(await recorder.down()).toMatchObject({ kind: 'lost' });
      });

      it('a server that does not speak HTTP/2: down as protocol', async () => {
        const server = await rawServer((connection) => {
          connection.socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
        });
        const { recorder } = connect(server.address);
        expect(await recorder.down()).toMatchObject({ kind: 'protocol' });
      });

      it('a call before it is up: UNAVAILABLE and notSent, not synchronously', async () => {
        const server = await echoServer();
        const { connection, recorder } = connect(server.address);
        const { stream, recorder: call } = open(connection);
        expect(call.statuses).toEqual([]);
        expect(stream.write(Buffer.from('x'))).toBe('closed');
        expect(await call.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
        const result = await connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 1000 });
        expect(result).toMatchObject({ ok: false, status: { code: GrpcCode.UNAVAILABLE, outcome: 'notSent' } });
        await recorder.up();
      });

      it.runIf(hasIPv6)('an IPv6 address in brackets: up', async () => {
        const server = await echoServer(undefined, '[::1]:0');
        await connectUp(`[::1]:${server.port}`);
      });

      it('a name, of whose addresses one refuses: up', async () => {
        const server = await echoServer();
        await connectUp(`dns:///localhost:${server.port}`);
      });

      it('a unix socket: up, and the call is answered', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'authz-uds-'));
        later(() => {
          rmSync(dir, { recursive: true });
        });
        const path = join(dir, 's');
        await echoServer(undefined, `unix:${path}`);
        expect(existsSync(path)).toBe(true);
        const { connection } = await connectUp(`unix:${path}`);
        expect(await connection.unary(UNARY, Buffer.from('u'), { timeoutMs: 5000 })).toMatchObject({ ok: true });
      });
    });

    describe('ending', () => {
      it('the server process is killed under a call: UNAVAILABLE and unknown, then down as lost, at once', async () => {
        const child = spawnTypeScript(new URL('../support/echo-child.ts', import.meta.url));
        later(() => child.kill('SIGKILL'));
        const port = Number(await firstLine(child));
        const { connection, recorder } = await connectUp(`127.0.0.1:${port}`);
        const { stream, recorder: call } = open(connection);
        stream.write(Buffer.from('x'));
        await call.received(1);
        const killed = performance.now();
        child.kill('SIGKILL');
        expect(await call.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
        expect(await recorder.down()).toMatchObject({ kind: 'lost' });
        expect(recorder.at - killed).toBeLessThan(250);
        expect(stream.write(Buffer.from('y'))).toBe('closed');
        await exitOf(child);
      });

      it('the server resets TCP: UNAVAILABLE and unknown, then down as lost', async () => {
        const { connectionRecorder, recorder, peer } = await rawCall();
        peer.socket.resetAndDestroy();
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
        expect(await connectionRecorder.down()).toMatchObject({ kind: 'lost' });
      });

      it('the server closes TCP before headers: UNAVAILABLE and unknown, then down as lost', async () => {
        const { connectionRecorder, recorder, peer } = await rawCall();
        peer.socket.end();
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
        expect(await connectionRecorder.down()).toMatchObject({ kind: 'lost' });
      });

      it('the connection is lost while reading is paused: the status comes all the same', async () => {
        const { connectionRecorder, stream, recorder, peer, id } = await rawCall();
        stream.pause();
        peer.headers(id);
        peer.data(id, Buffer.concat([grpcFrame('a'), grpcFrame('b'), grpcFrame('c')]));
        peer.headers(id, { 'grpc-status': '0' }, true);
        peer.socket.end();
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
        await connectionRecorder.down();
      });

      it('answers and the end of the connection in one packet: the answers come first', async () => {
        const { connectionRecorder, recorder, peer, id } = await rawCall();
        peer.socket.cork();
        peer.headers(id);
        peer.data(id, Buffer.concat([grpcFrame('a'), grpcFrame('b')]));
        peer.headers(id, { 'grpc-status': '0' }, true);
        peer.socket.end();
        peer.socket.uncork();
        await connectionRecorder.down();
        expect(recorder.texts).toEqual(['a', 'b']);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK, outcome: 'answered' });
      });

      it.runIf(capabilities.ping)(
        'a connection error of the protocol: the peer is told, and a ping finds it dead',
        async () => {
          const { connection, connectionRecorder, recorder, peer } = await rawCall();
          peer.send(FrameType.SETTINGS, 0, 0, Buffer.alloc(5));
          await peer.frame(FrameType.GOAWAY);
          // node:http2 says nothing of its own GOAWAY and reads no more: only a ping tells.
          expect(await connection.ping?.(100)).toBe(false);
          connection.close();
          expect(await recorder.status()).toMatchObject({ code: GrpcCode.CANCELLED });
          expect(await connectionRecorder.down()).toMatchObject({ kind: 'closed' });
        },
      );

      it('close() with calls under way: each is CANCELLED, then down as closed, and no socket stays', async () => {
        const server = await echoServer();
        const { connection, recorder } = await connectUp(server.address);
        const { stream, recorder: call } = open(connection);
        stream.write(Buffer.from('x'));
        await call.received(1);
        const unary = connection.unary('/test.Echo/Never', Buffer.from('x'), { timeoutMs: 10_000 });
        connection.close();
        expect(call.statuses).toEqual([]);
        expect(recorder.causes).toEqual([]);
        expect(stream.write(Buffer.from('y'))).toBe('closed');
        expect(await recorder.down()).toMatchObject({ kind: 'closed' });
        expect(call.statuses).toMatchObject([{ code: GrpcCode.CANCELLED }]);
        expect(await unary).toMatchObject({ ok: false, status: { code: GrpcCode.CANCELLED } });
        expect(clientSocketsTo(server.port)).toBe(0);
        await server.until(() => server.events.includes('cancelled'), 'the server to see the end');
        const after = open(connection);
        expect(await after.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
      });

      it('close() in the same turn as connect(): down as closed, and nothing is left', async () => {
        const server = await rawServer();
        const { connection, recorder } = connect(server.address);
        connection.close();
        expect(recorder.causes).toEqual([]);
        expect(await recorder.down()).toMatchObject({ kind: 'closed' });
        await eventually(() => clientSocketsTo(server.port) === 0, 'no socket');
        expect(recorder.events).toEqual(['down closed']);
      });

      it('close() while waiting for SETTINGS: the socket is gone at once', async () => {
        const server = await rawServer(() => undefined);
        const { connection, recorder } = connect(server.address);
        const peer = await server.connection();
        await peer.until(() => peer.frames.length > 0, 'the preface');
        connection.close();
        expect(await recorder.down()).toMatchObject({ kind: 'closed' });
        expect(clientSocketsTo(server.port)).toBe(0);
        await peer.until(() => peer.closed, 'the peer to see the end');
      });

      it('close() while a lost connection is being reported: down as closed', async () => {
        const { server, connection, connectionRecorder, peer } = await rawCall();
        peer.socket.resetAndDestroy();
        await eventually(() => clientSocketsTo(server.port) === 0, 'the loss');
        connection.close();
        expect((await connectionRecorder.down()).kind).toMatch(/^(?:closed|lost)$/);
      });

      it('fifty connections opened and closed: no socket stays', async () => {
        const server = await echoServer();
        const all = Array.from({ length: 50 }, () => connect(server.address));
        await Promise.all(all.map(({ recorder }) => recorder.up()));
        for (const { connection } of all) connection.close();
        await Promise.all(all.map(({ recorder }) => recorder.down()));
        expect(clientSocketsTo(server.port)).toBe(0);
      });
    });

    describe("the peer's stream limit", () => {
      it('set in its first SETTINGS, then changed: told before up, and again', async () => {
        const server = await rawServer((peer) => {
          peer.settings({ [SETTINGS_MAX_CONCURRENT_STREAMS]: 7 });
        });
        const { connection, recorder } = await connectUp(server.address);
        expect(recorder.streamLimits).toEqual([7]);
        const peer = await server.connection();
        peer.settings({ [SETTINGS_MAX_CONCURRENT_STREAMS]: 0 });
        if (!capabilities.streamLimitChanges) {
          await peer.until(() => peer.frames.filter(isSettingsAck).length === 2, 'the acknowledgement');
          await connection.ping?.(1_000);
        }
        await recorder.until(() => recorder.streamLimits.length === 2, 'a second limit');
        expect(recorder.streamLimits).toEqual([7, 0]);
      });

      it('none: nothing is told', async () => {
        const server = await rawServer();
        const { recorder } = await connectUp(server.address);
        expect(recorder.streamLimits).toEqual([]);
      });
    });

    describe('GOAWAY', () => {
      it('with calls under way: goaway, they go on, new ones are refused unsent, then down', async () => {
        const server = await echoServer();
        const { connection, recorder } = await connectUp(server.address);
        const { stream, recorder: call } = open(connection);
        stream.write(Buffer.from('before'));
        await call.received(1);
        const drained = server.drain();
        await recorder.until(() => recorder.events.includes('goaway'), 'goaway');
        stream.write(Buffer.from('after'));
        await call.received(2);
        const refused = open(connection);
        expect(await refused.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
        stream.end();
        expect(await call.status()).toMatchObject({ code: GrpcCode.OK, outcome: 'answered' });
        expect(await recorder.down()).toMatchObject({ kind: 'lost' });
        expect(recorder.events).toEqual(['up', 'goaway', 'down lost']);
        await drained;
      });

      it('that excludes a call by its last stream id: that call is refused, the earlier goes on', async () => {
        const { connection, connectionRecorder, recorder: first, peer, id } = await rawCall();
        const second = open(connection);
        await peer.call(1);
        peer.goaway(id);
        expect(await second.recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'refused' });
        peer.headers(id);
        peer.data(id, grpcFrame('answer'));
        peer.headers(id, { 'grpc-status': '0' }, true);
        expect(await first.status()).toMatchObject({ code: GrpcCode.OK });
        expect(first.texts).toEqual(['answer']);
        expect(connectionRecorder.events).toContain('goaway');
      });

      it('with an error: goaway with its reason, then the calls are lost and the connection is down', async () => {
        const { connectionRecorder, recorder, peer } = await rawCall();
        peer.goaway(0x7fffffff, RstCode.ENHANCE_YOUR_CALM, 'too_many_pings');
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
        expect(await connectionRecorder.down()).toMatchObject({ kind: 'lost' });
        if (capabilities.goawayDetail) {
          expect(connectionRecorder.goaways).toEqual([
            { reason: 'GOAWAY ENHANCE_YOUR_CALM: too_many_pings', lastStreamId: 0x7fffffff, tooManyPings: true },
          ]);
        }
      });

      it('that excludes every call, so that the connection ends with it: the calls are refused, not unknown', async () => {
        const { connectionRecorder, recorder, peer } = await rawCall();
        peer.goaway(0);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'refused' });
        expect(await connectionRecorder.down()).toMatchObject({ kind: 'lost' });
      });
    });

    describe('calls', () => {
      it('ten thousand messages: all echoed, in order', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        const total = 10_000;
        let sent = 0;
        const fill = (): void => {
          while (sent < total && stream.write(Buffer.from(String(sent))) === 'accepted') sent += 1;
        };
        const drained = recorder.until(() => {
          fill();
          return recorder.messages.length === total;
        }, 'all echoes');
        fill();
        await drained;
        expect(recorder.texts).toEqual(Array.from({ length: total }, (_, index) => String(index)));
      });

      it('an empty message and one as large as the limit: both echoed', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        stream.write(Buffer.alloc(0));
        const large = Buffer.alloc(MAX_MESSAGE_BYTES, 'x');
        await recorder.received(0);
        while (stream.write(large) !== 'accepted') await recorder.until(() => recorder.drains > 0, 'drain');
        await recorder.received(2);
        expect(recorder.messages.map((message) => message.length)).toEqual([0, MAX_MESSAGE_BYTES]);
        expect(recorder.messages[1]?.equals(large)).toBe(true);
      });

      it('messages and end() in one turn: all arrive, then the half-close, then OK', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        for (const text of ['a', 'b', 'c']) stream.write(Buffer.from(text));
        stream.end();
        expect(stream.write(Buffer.from('d'))).toBe('closed');
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK, outcome: 'answered' });
        expect(recorder.texts).toEqual(['a', 'b', 'c']);
        expect(server.events.slice(0, 2)).toEqual(['open', 'half-closed']);
      });

      it('end() while earlier writes are still on their way: the half-close follows them', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        stream.write(Buffer.alloc(500_000, 'x'));
        await new Promise((resolve) => setImmediate(resolve));
        stream.end();
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK });
        expect(recorder.messages.map((message) => message.length)).toEqual([500_000]);
      });

      it('end(), then OK from the server: nothing is reset', async () => {
        const { connection, stream, recorder, peer, id } = await rawCall();
        stream.end();
        await peer.until(
          () => peer.frames.some(({ type, flags }) => type === FrameType.DATA && (flags & 1) === 1),
          'the end',
        );
        peer.headers(id);
        peer.headers(id, { 'grpc-status': '0' }, true);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK });
        open(connection);
        await peer.call(1);
        expect(peer.frames.filter(({ type }) => type === FrameType.RST_STREAM)).toEqual([]);
      });

      it('cancel(): RST_STREAM CANCEL on the wire, and CANCELLED, not synchronously', async () => {
        const { stream, recorder, peer, id } = await rawCall();
        stream.cancel();
        stream.cancel();
        expect(recorder.statuses).toEqual([]);
        expect(stream.write(Buffer.from('x'))).toBe('closed');
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.CANCELLED });
        const frame = await peer.frame(FrameType.RST_STREAM, id);
        expect(frame.payload.readUInt32BE(0)).toBe(RstCode.CANCEL);
      });

      it('an error after answers, without headers of its own: the code and message of the server', async () => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('a'));
        await recorder.received(1);
        peer.headers(id, { 'grpc-status': '8', 'grpc-message': 'too%20much', 'x-hint': 'later' }, true);
        expect(await recorder.status()).toEqual({
          code: GrpcCode.RESOURCE_EXHAUSTED,
          message: 'too much',
          outcome: 'answered',
          trailers: { 'x-hint': 'later' },
        });
      });

      it('an error in trailers only: the code of the server, answered', async () => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id, { ...RESPONSE_HEADERS, 'grpc-status': '14', 'grpc-message': 'Connection dropped' }, true);
        expect(await recorder.status()).toEqual({
          code: GrpcCode.UNAVAILABLE,
          message: 'Connection dropped',
          outcome: 'answered',
        });
      });

      it.each(['abc', '99', '-1'])('grpc-status "%s": UNKNOWN, answered', async (text) => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id, { ...RESPONSE_HEADERS, 'grpc-status': text }, true);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNKNOWN, outcome: 'answered' });
      });

      it.each([
        ['401', GrpcCode.UNAUTHENTICATED],
        ['403', GrpcCode.PERMISSION_DENIED],
        ['404', GrpcCode.UNIMPLEMENTED],
        ['429', GrpcCode.UNAVAILABLE],
        ['503', GrpcCode.UNAVAILABLE],
        ['418', GrpcCode.UNKNOWN],
        ['200', GrpcCode.UNKNOWN],
      ])('an HTTP %s page of text/html: the mapped code, answered', async (httpStatus, code) => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id, { ':status': httpStatus, 'content-type': 'text/html' });
        peer.data(id, Buffer.from('<html>no gRPC here</html>'), true);
        expect(await recorder.status()).toMatchObject({ code, outcome: 'answered' });
      });

      it.each([
        ['REFUSED_STREAM', GrpcCode.UNAVAILABLE, 'refused'],
        ['CANCEL', GrpcCode.CANCELLED, 'unknown'],
        ['ENHANCE_YOUR_CALM', GrpcCode.RESOURCE_EXHAUSTED, 'unknown'],
        ['INADEQUATE_SECURITY', GrpcCode.PERMISSION_DENIED, 'unknown'],
        ['NO_ERROR', GrpcCode.INTERNAL, 'unknown'],
        ['PROTOCOL_ERROR', GrpcCode.INTERNAL, 'unknown'],
        ['INTERNAL_ERROR', GrpcCode.INTERNAL, 'unknown'],
        ['FLOW_CONTROL_ERROR', GrpcCode.INTERNAL, 'unknown'],
      ] as const)('RST_STREAM %s before headers: the mapped code', async (rst, code, outcome) => {
        const { connection, recorder, peer, id } = await rawCall();
        peer.rst(id, RstCode[rst]);
        expect(await recorder.status()).toMatchObject({ code, outcome });
        // The connection outlives it.
        const next = open(connection);
        const nextId = await peer.call(1);
        peer.headers(nextId, { ...RESPONSE_HEADERS, 'grpc-status': '0' }, true);
        expect(await next.recorder.status()).toMatchObject({ code: GrpcCode.OK });
      });

      it('RST_STREAM REFUSED_STREAM after headers: no proof, unknown', async () => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('a'));
        await recorder.received(1);
        peer.rst(id, RstCode.REFUSED_STREAM);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
      });

      it('the end of the stream without trailers: INTERNAL', async () => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('a').subarray(0, 3), true);
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL, outcome: 'unknown' });
      });

      it.each([1, 2, 255])('a message with compression flag %i: INTERNAL, and it is not delivered', async (flag) => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('x', flag));
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.INTERNAL });
        expect(recorder.messages).toEqual([]);
        await peer.frame(FrameType.RST_STREAM, id);
      });

      it('messages cut into single bytes: delivered whole', async () => {
        const { recorder, peer, id } = await rawCall();
        peer.headers(id);
        for (const byte of Buffer.concat([grpcFrame('hello'), grpcFrame('')])) peer.data(id, Buffer.from([byte]));
        peer.headers(id, { 'grpc-status': '0' }, true);
        await recorder.status();
        expect(recorder.texts).toEqual(['hello', '']);
      });

      it('an answer larger than the limit: RESOURCE_EXHAUSTED, and the call is reset', async () => {
        const server = await rawServer();
        const { connection } = await connectUp(server.address, { maxMessageBytes: 100 });
        const { recorder } = open(connection);
        const peer = await server.connection();
        const id = await peer.call();
        peer.headers(id);
        peer.data(id, grpcFrame('x'.repeat(101)));
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.RESOURCE_EXHAUSTED, outcome: 'unknown' });
        await peer.frame(FrameType.RST_STREAM, id);
      });

      it('metadata, binary too: reaches the server; the user agent begins with ours', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { recorder } = open(connection, { 'x-tenant': 'acme', 'x-trace-bin': 'AQID', authorization: 'Bearer t' });
        await server.until(() => server.calls.length > 0, 'the call');
        expect(server.metadata).toMatchObject({
          'x-tenant': 'acme',
          'x-trace-bin': Buffer.from([1, 2, 3]),
          authorization: 'Bearer t',
        });
        expect(server.metadata['user-agent']).toMatch(/^contract\/1/);
        expect(recorder.statuses).toEqual([]);
      });

      it('metadata that no header can carry: the call ends unsent, and openStream does not throw', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const { recorder } = open(connection, { 'x-bad': 'line\nbreak' });
        expect(recorder.statuses).toEqual([]);
        expect(await recorder.status()).toMatchObject({ outcome: 'notSent' });
        expect(server.events).toEqual([]);
      });
    });

    describe('flow', () => {
      it('a peer with a zero window: accepts up to the limit, then full; drains when the window opens', async () => {
        const server = await rawServer((connection) => {
          connection.settings({ 4: 0 });
        });
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        const peer = await server.connection();
        const id = await peer.call();
        const message = Buffer.alloc(1000);
        let accepted = 0;
        while (stream.write(message) === 'accepted') accepted += 1;
        expect(accepted).toBe(Math.floor(MAX_PENDING_BYTES / 1005));
        // Nothing leaves by itself: still full after turns of the loop.
        for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        expect(stream.write(message)).toBe('full');
        expect(recorder.drains).toBe(0);
        expect(peer.dataOf(id)).toHaveLength(0);
        peer.windowUpdate(0, 10_000_000);
        peer.windowUpdate(id, 10_000_000);
        await recorder.until(() => recorder.drains > 0, 'drain');
        expect(stream.write(message)).toBe('accepted');
        await peer.until(() => peer.dataOf(id).length === (accepted + 1) * 1005, 'all data');
        expect(recorder.drains).toBe(1);
      });

      it('many small messages against a zero window: bounded by their number', async () => {
        const server = await rawServer((connection) => {
          connection.settings({ 4: 0 });
        });
        const { connection } = await connectUp(server.address);
        const { stream } = open(connection);
        let accepted = 0;
        while (stream.write(Buffer.from('x')) === 'accepted') accepted += 1;
        expect(accepted).toBe(MAX_PENDING_MESSAGES);
      });

      it('a server that does not read: full; when it reads again, drained, and every accepted message is echoed once', async () => {
        const server = await echoServer();
        server.holdReading = true;
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        await server.until(() => server.calls.length > 0, 'the call');
        let sent = 0;
        let result = 'accepted';
        for (let turns = 0; turns < 20; turns += 1) {
          do {
            result = stream.write(Buffer.from(String(sent).padStart(2000)));
            if (result === 'accepted') sent += 1;
          } while (result === 'accepted');
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(result).toBe('full');
        expect(recorder.messages).toEqual([]);
        const drains = recorder.drains;
        const [call] = server.calls;
        if (call === undefined) throw new Error('no call');
        server.read(call);
        await recorder.until(() => recorder.drains > drains, 'drain');
        await recorder.received(sent);
        expect(recorder.texts.map(Number)).toEqual(Array.from({ length: sent }, (_, index) => index));
      });

      it('a full stream whose call ends: no drain, only the status', async () => {
        const server = await rawServer((connection) => {
          connection.settings({ 4: 0 });
        });
        const { connection } = await connectUp(server.address);
        const { stream, recorder } = open(connection);
        const peer = await server.connection();
        const id = await peer.call();
        while (stream.write(Buffer.alloc(10_000)) === 'accepted');
        peer.rst(id, RstCode.CANCEL);
        await recorder.status();
        expect(recorder.drains).toBe(0);
        expect(stream.write(Buffer.from('x'))).toBe('closed');
      });

      it('pause(): the peer is held back by its window; resume(): everything comes, in order', async () => {
        const { stream, recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('first'));
        await recorder.received(1);
        stream.pause();
        const size = 10_000;
        const count = 6;
        for (let index = 0; index < count; index += 1) peer.data(id, grpcFrame(String(index).repeat(size)));
        peer.send(FrameType.PING, 0, 0, Buffer.alloc(8));
        // The answer to the PING proves that the data before it was received.
        await peer.until(() => peer.frames.some((frame) => frame.type === FrameType.PING), 'the ping ack');
        const delivered = recorder.messages.length;
        // One message may have been asked for before the pause.
        expect(delivered).toBeLessThanOrEqual(2);
        const updates = (): number =>
          peer.frames.filter((frame) => frame.type === FrameType.WINDOW_UPDATE && frame.streamId === id).length;
        expect(updates()).toBe(0);
        stream.resume();
        stream.resume();
        await recorder.received(1 + count);
        expect(recorder.texts.slice(1).map((text) => text[0])).toEqual(['0', '1', '2', '3', '4', '5']);
        peer.headers(id, { 'grpc-status': '0' }, true);
        await recorder.status();
      });

      it('OK while paused: the messages and the status wait for resume()', async () => {
        const { stream, recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('first'));
        await recorder.received(1);
        stream.pause();
        peer.data(id, Buffer.concat([grpcFrame('a'), grpcFrame('b'), grpcFrame('c')]));
        peer.headers(id, { 'grpc-status': '0' }, true);
        peer.send(FrameType.PING, 0, 0, Buffer.alloc(8));
        await peer.until(() => peer.frames.some((frame) => frame.type === FrameType.PING), 'the ping ack');
        expect(recorder.statuses).toEqual([]);
        stream.resume();
        expect(await recorder.status()).toMatchObject({ code: GrpcCode.OK });
        expect(recorder.texts).toEqual(['first', 'a', 'b', 'c']);
      });

      it('one call paused with its window used up: another on the same connection still flows', async () => {
        const { connection, stream, recorder, peer, id } = await rawCall();
        peer.headers(id);
        peer.data(id, grpcFrame('first'));
        await recorder.received(1);
        stream.pause();
        for (let index = 0; index < 4; index += 1) peer.data(id, grpcFrame('x'.repeat(16_000)));
        const other = open(connection);
        const otherId = await peer.call(1);
        peer.headers(otherId);
        for (let index = 0; index < 4; index += 1) {
          peer.data(otherId, grpcFrame('y'.repeat(16_000)));
          await other.recorder.received(index + 1);
        }
        expect(recorder.messages.length).toBeLessThanOrEqual(2);
      });
    });

    describe('unary', () => {
      it('an answer: its bytes; the deadline travels as grpc-timeout', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const result = await connection.unary(UNARY, Buffer.from('hello'), {
          timeoutMs: 5000,
          metadata: { 'x-a': '1' },
        });
        expect(result.ok && Buffer.from(result.bytes).toString()).toBe('hello');
        expect(server.deadlineMs).toBeGreaterThan(3000);
        expect(server.deadlineMs).toBeLessThanOrEqual(5001);
        expect(server.metadata['x-a']).toBe('1');
      });

      it('an error of the server: its code, its message as UTF-8, its trailers', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const options = { timeoutMs: 5000, metadata: { 'x-echo': 'yes' } };
        expect(await connection.unary(UNARY, Buffer.from('fail with trailers'), options)).toMatchObject({
          ok: false,
          status: {
            code: GrpcCode.FAILED_PRECONDITION,
            message: 'naïve: 100 %',
            outcome: 'answered',
            trailers: { 'x-echo': 'yes' },
          },
        });
        expect(await connection.unary('/test.Echo/Fail', Buffer.from(''), { timeoutMs: 5000 })).toMatchObject({
          status: { code: GrpcCode.UNAVAILABLE, message: 'not today', outcome: 'answered' },
        });
        expect(await connection.unary('/test.Echo/Missing', Buffer.from(''), { timeoutMs: 5000 })).toMatchObject({
          status: { code: GrpcCode.UNIMPLEMENTED, outcome: 'answered' },
        });
      });

      it('no answer by the deadline: DEADLINE_EXCEEDED, and the server sees the cancellation', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address);
        const started = performance.now();
        const result = await connection.unary('/test.Echo/Never', Buffer.from(''), { timeoutMs: 100 });
        expect(result).toMatchObject({ ok: false, status: { code: GrpcCode.DEADLINE_EXCEEDED, outcome: 'unknown' } });
        expect(performance.now() - started).toBeGreaterThanOrEqual(95);
        await server.until(() => server.events.includes('cancelled'), 'the cancellation');
      });

      it('an aborted signal: CANCELLED and RST_STREAM CANCEL; aborted before: unsent', async () => {
        const server = await rawServer();
        const { connection } = await connectUp(server.address);
        const controller = new AbortController();
        const { signal } = controller;
        const pending = connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 10_000, signal });
        const peer = await server.connection();
        const id = await peer.call();
        controller.abort();
        expect(await pending).toMatchObject({ ok: false, status: { code: GrpcCode.CANCELLED, outcome: 'unknown' } });
        expect((await peer.frame(FrameType.RST_STREAM, id)).payload.readUInt32BE(0)).toBe(RstCode.CANCEL);
        expect(await connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 10_000, signal })).toMatchObject({
          status: { code: GrpcCode.CANCELLED, outcome: 'notSent' },
        });
      });

      it('two answers: INTERNAL at once, not at the deadline', async () => {
        const server = await rawServer();
        const { connection } = await connectUp(server.address);
        const pending = connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 20_000 });
        const peer = await server.connection();
        const id = await peer.call();
        peer.headers(id);
        peer.data(id, Buffer.concat([grpcFrame('a'), grpcFrame('b')]));
        expect(await pending).toMatchObject({ ok: false, status: { code: GrpcCode.INTERNAL } });
      });

      it('OK without an answer: INTERNAL', async () => {
        const server = await rawServer();
        const { connection } = await connectUp(server.address);
        const pending = connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 10_000 });
        const peer = await server.connection();
        peer.headers(await peer.call(), { ...RESPONSE_HEADERS, 'grpc-status': '0' }, true);
        expect(await pending).toMatchObject({ ok: false, status: { code: GrpcCode.INTERNAL, outcome: 'answered' } });
      });

      it('RST_STREAM CANCEL once the deadline has passed: DEADLINE_EXCEEDED', async () => {
        const server = await rawServer();
        let now = 0;
        const clock = { ...systemClock, now: () => now };
        const { connection } = await connectUp(server.address, { clock });
        const pending = connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 10_000 });
        const peer = await server.connection();
        const id = await peer.call();
        now = 10_000;
        peer.rst(id, RstCode.CANCEL);
        expect(await pending).toMatchObject({ ok: false, status: { code: GrpcCode.DEADLINE_EXCEEDED } });
      });

      it('an answer that is handled after its deadline: DEADLINE_EXCEEDED, not a success', async () => {
        const server = await rawServer();
        let now = 0;
        const clock = { ...systemClock, now: () => now };
        const { connection } = await connectUp(server.address, { clock });
        const pending = connection.unary(UNARY, Buffer.from('x'), { timeoutMs: 10_000 });
        const peer = await server.connection();
        const id = await peer.call();
        now = 10_001;
        peer.headers(id);
        peer.data(id, grpcFrame('late'));
        peer.headers(id, { 'grpc-status': '0' }, true);
        expect(await pending).toMatchObject({ ok: false, status: { code: GrpcCode.DEADLINE_EXCEEDED } });
      });

      it('a message larger than the limit: out, unsent; in, RESOURCE_EXHAUSTED', async () => {
        const server = await echoServer();
        const { connection } = await connectUp(server.address, { maxMessageBytes: 1000 });
        expect(await connection.unary(UNARY, Buffer.alloc(1001), { timeoutMs: 5000 })).toMatchObject({
          status: { code: GrpcCode.RESOURCE_EXHAUSTED, outcome: 'notSent' },
        });
        expect(await connection.unary('/test.Echo/Big', Buffer.from('1001'), { timeoutMs: 5000 })).toMatchObject({
          status: { code: GrpcCode.RESOURCE_EXHAUSTED, outcome: 'unknown' },
        });
        expect(await connection.unary('/test.Echo/Big', Buffer.from('1000'), { timeoutMs: 5000 })).toMatchObject({
          ok: true,
        });
      });
    });

    describe('TLS', () => {
      let certificates: Certificates;

      beforeAll(() => {
        certificates = makeCertificates();
      });

      const tlsServer = (pair: KeyPair, clientCa: Buffer | null = null): Promise<EchoServer> =>
        echoServer(
          ServerCredentials.createSsl(clientCa, [{ cert_chain: pair.cert, private_key: pair.key }], clientCa !== null),
        );

      it('a good certificate, by name and by address: up, and answered', async () => {
        const server = await tlsServer(certificates.server);
        const tls = { ca: certificates.ca };
        for (const address of [`dns:///localhost:${server.port}`, server.address]) {
          const { connection } = await connectUp(address, { tls });
          expect(await connection.unary(UNARY, Buffer.from('s'), { timeoutMs: 5000 })).toMatchObject({ ok: true });
        }
      });

      it('a certificate for another name: down as tls; with serverName set to it: up', async () => {
        const server = await tlsServer(certificates.otherName);
        const { recorder } = connect(server.address, { tls: { ca: certificates.ca } });
        expect(await recorder.down()).toMatchObject({ kind: 'tls', code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
        await connectUp(server.address, { tls: { ca: certificates.ca, serverName: 'other.example' } });
      });

      it('an expired certificate: down as tls', async () => {
        const server = await tlsServer(certificates.expired);
        const { recorder } = connect(server.address, { tls: { ca: certificates.ca } });
        expect(await recorder.down()).toMatchObject({ kind: 'tls', code: 'CERT_HAS_EXPIRED' });
      });

      it('an unknown authority: down as tls, even where NODE_TLS_REJECT_UNAUTHORIZED says otherwise', async () => {
        const server = await tlsServer(certificates.server);
        const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
        process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
        later(() => {
          if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
          else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
        });
        const { recorder } = connect(server.address, { tls: {} });
        expect(await recorder.down()).toMatchObject({ kind: 'tls' });
        expect(recorder.events).toEqual(['down tls']);
      });

      it('mutual TLS: up with a good client certificate; down with none or a stranger’s', async () => {
        const server = await tlsServer(certificates.server, certificates.ca);
        const { ca } = certificates;
        const good = await connectUp(server.address, { tls: { ca, ...certificates.client } });
        expect(await good.connection.unary(UNARY, Buffer.from('s'), { timeoutMs: 5000 })).toMatchObject({ ok: true });
        const none = connect(server.address, { tls: { ca } });
        expect(await none.recorder.down()).toMatchObject({ kind: 'tls' });
        // Some servers send an alert, some just hang up after the handshake.
        const stranger = connect(server.address, { tls: { ca, ...certificates.stranger } });
        expect((await stranger.recorder.down()).kind).toMatch(/^(?:tls|lost)$/);
        expect(stranger.recorder.events).toHaveLength(1);
      });

      it('a plaintext server: down as tls, and nothing is sent in the clear', async () => {
        const server = await rawServer((connection) => {
          connection.settings();
        });
        const { recorder } = connect(server.address, { tls: { ca: certificates.ca } });
        expect(await recorder.down()).toMatchObject({ kind: 'tls' });
        expect(server.connections).toHaveLength(1);
      });

      it('plaintext to a TLS server: down, not as up', async () => {
        const server = await tlsServer(certificates.server);
        const { recorder } = connect(server.address, { connectTimeoutMs: 1000 });
        await recorder.down();
        expect(recorder.events).toHaveLength(1);
      });

      it('PEM that does not parse: down as tls, and connect does not throw', async () => {
        const { recorder } = connect('127.0.0.1:1', { tls: { cert: Buffer.from('no'), key: Buffer.from('no') } });
        expect(await recorder.down()).toMatchObject({ kind: 'tls' });
      });

      it('close() under TLS: no socket stays', async () => {
        const server = await tlsServer(certificates.server);
        const { connection, recorder } = await connectUp(server.address, { tls: { ca: certificates.ca } });
        connection.close();
        expect(await recorder.down()).toMatchObject({ kind: 'closed' });
        expect(clientSocketsTo(server.port)).toBe(0);
      });
    });

    it('ping is there exactly where the transport says so', async () => {
      const server = await echoServer();
      const { connection } = await connectUp(server.address);
      expect(connection.ping !== undefined).toBe(capabilities.ping);
      if (connection.ping !== undefined) expect(await connection.ping(5000)).toBe(true);
    });

    it.runIf(capabilities.ping)(
      'a ping that is not answered: false at its timeout, and false once it is down',
      async () => {
        const server = await rawServer((connection) => {
          connection.settings();
          connection.answersPings = false;
        });
        const { connection } = await connectUp(server.address);
        const started = performance.now();
        expect(await connection.ping?.(100)).toBe(false);
        expect(performance.now() - started).toBeGreaterThanOrEqual(95);
        const peer = await server.connection();
        await peer.frame(FrameType.PING);
        connection.close();
        expect(await connection.ping?.(5000)).toBe(false);
      },
    );
  });
}

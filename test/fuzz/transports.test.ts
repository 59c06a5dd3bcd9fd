/** What a peer sends as HTTP/2, through each transport: whatever it is, the port keeps its promises, and a client of it is not the worse for it. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import type { TransportConnection } from '../../src/transport/port.js';
import { collectGarbage } from '../support/gc.js';
import { FrameType, grpcFrame, RawServer, RESPONSE_HEADERS, type RawConnection } from '../support/raw-server.js';
import { ConnectionRecorder, StreamRecorder } from '../support/recorder.js';
import { clientSocketsTo } from '../support/sockets.js';
import { transportNamed } from '../support/transports.js';
import { faults, fuzz, withFaults } from './budget.js';

const TARGETS = { http2: 'http2: any frames', 'grpc-js': 'grpc-js: any frames' } as const;
const MAX_MESSAGE_BYTES = 4_096;
const STREAM = '/test.Fuzz/Stream';
const UNARY = '/test.Fuzz/Unary';
const MIB = 1024 * 1024;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One thing that the peer does. */
type Act = (peer: RawConnection) => void;

const streamId = fc.oneof({ arbitrary: fc.constantFrom(1, 3), weight: 6 }, fc.constantFrom(0, 2, 5, 99, 2 ** 31 - 1));
const word = fc.oneof(fc.constantFrom(0, 1, 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 17));
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const flags = fc.oneof({ arbitrary: fc.constantFrom(0, 1, 4, 5), weight: 4 }, fc.nat(255));
const anyPayload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

const headerValue = fc.oneof(
  fc.constantFrom('0', '13', '99', '-1', 'abc', '', '200', '500', 'application/grpc', 'text/html', '%zz%', '%E2%82'),
  fc.string({ maxLength: 12 }).map((text) => Buffer.from(text).toString('latin1')),
);
const headers = fc.oneof(
  { arbitrary: fc.constant({ ...RESPONSE_HEADERS }), weight: 3 },
  fc.dictionary(
    fc.constantFrom(':status', 'content-type', 'grpc-status', 'grpc-message', 'grpc-encoding', 'te', 'X-Bad', 'a-bin'),
    headerValue,
    { maxKeys: 4 },
  ),
);
const message = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => grpcFrame(Buffer.from(bytes))),
  fc.integer({ min: MAX_MESSAGE_BYTES - 1, max: MAX_MESSAGE_BYTES + 2 }).map((size) => grpcFrame(Buffer.alloc(size))),
  fc.tuple(fc.nat(255), word).map(([flag, size]) => Buffer.concat([Buffer.from([flag]), u32(size)])),
);
const data = fc.tuple(message, faults).map(([bytes, list]) => withFaults(bytes, list).subarray(0, 16_384));

const act: fc.Arbitrary<Act> = fc.oneof(
  { arbitrary: fc.tuple(streamId, headers, fc.boolean()).map(([id, ...rest]) => toHeaders(id, ...rest)), weight: 5 },
  {
    arbitrary: fc.tuple(streamId, data, flags).map(([id, bytes, bits]) => frame(FrameType.DATA, bits, id, bytes)),
    weight: 5,
  },
  fc.tuple(streamId, anyPayload, flags).map(([id, bytes, bits]) => frame(FrameType.HEADERS, bits, id, bytes)),
  fc.tuple(streamId, word).map(([id, code]) => frame(FrameType.RST_STREAM, 0, id, u32(code))),
  fc
    .tuple(fc.nat(8), word)
    .map(([id, value]) => frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, id]), u32(value)]))),
  fc.tuple(streamId, word).map(([id, size]) => frame(FrameType.WINDOW_UPDATE, 0, id, u32(size))),
  fc
    .tuple(word, word, anyPayload)
    .map(([last, code, debug]) => frame(FrameType.GOAWAY, 0, 0, Buffer.concat([u32(last), u32(code), debug]))),
  fc
    .tuple(fc.nat(1), fc.constantFrom(8, 8, 7))
    .map(([bits, size]) => frame(FrameType.PING, bits, 0, Buffer.alloc(size))),
  // Kinds that clients do not get, and kinds that there are not.
  fc.tuple(fc.nat(255), flags, streamId, anyPayload).map((parts) => frame(...parts)),
  fc.uint8Array({ maxLength: 60 }).map(
    (bytes): Act =>
      ({ socket }) =>
        void socket.write(bytes),
  ),
  fc.constantFrom<Act[]>(
    ({ socket }) => void socket.end(),
    ({ socket }) => void socket.resetAndDestroy(),
  ),
);

function frame(type: number, bits: number, id: number, payload: Buffer): Act {
  const act: Act = (peer) => peer.send(type, bits, id, payload);
  return told(act, `frame ${type} flags ${bits} on ${id}: ${payload.toString('hex').slice(0, 200)}`);
}

function toHeaders(id: number, fields: Record<string, string>, isEnd: boolean): Act {
  return told(
    (peer) => peer.headers(id, fields, isEnd),
    `headers on ${id}: ${JSON.stringify(fields)}${isEnd ? ', end' : ''}`,
  );
}

/** As a failure tells of it. */
function told(run: Act, text: string): Act {
  return Object.defineProperty(run, fc.toStringMethod, { value: () => text });
}

interface Input {
  /** What is sent in place of SETTINGS. */
  readonly early: readonly Act[];
  readonly acts: readonly Act[];
  /** Turns of the loop after each. */
  readonly turns: number;
}

const input: fc.Arbitrary<Input> = fc.record({
  early: fc.oneof({ arbitrary: fc.constant([]), weight: 6 }, fc.array(act, { minLength: 1, maxLength: 3 })),
  acts: fc.array(act, { minLength: 1, maxLength: 8 }),
  turns: fc.constantFrom(0, 0, 1, 3),
});

describe.each(['http2', 'grpc-js'] as const)('%s', (name) => {
  let server: RawServer;
  let greet: Act = (peer) => peer.settings();
  beforeAll(async () => {
    server = await RawServer.listen((peer) => greet(peer));
  });
  afterAll(() => server.close());

  function connect(): { connection: TransportConnection; recorder: ConnectionRecorder } {
    const recorder = new ConnectionRecorder();
    const options = {
      connectTimeoutMs: 5_000,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      userAgent: 'fuzz/1',
      clock: systemClock,
    };
    return { connection: transportNamed(name).connect({ address: server.address }, options, recorder), recorder };
  }

  fuzz(
    TARGETS[name],
    'each call ends once, the connection once and last, nothing is thrown, and no socket is left',
    input,
    async ({ early, acts, turns }) => {
      greet = (peer) => {
        if (early.length === 0) peer.settings();
        for (const each of early) each(peer);
      };
      const { connection, recorder } = connect();
      const isOver = (): boolean => recorder.causes.length > 0;
      const peer = await server.connection(server.connections.length);
      if (early.length === 0) await recorder.until(() => recorder.events.length > 0, 'up');
      const calls = [new StreamRecorder(), new StreamRecorder()];
      const [first, second] = calls.map((listener) => connection.openStream(STREAM, {}, listener));
      first?.write(Buffer.from('question'));
      const unary = connection.unary(UNARY, Buffer.from('question'), { timeoutMs: 5_000 });
      for (const each of acts) {
        each(peer);
        for (let count = 0; count < turns; count += 1) await turn();
      }
      // What it sent is here, and dealt with.
      for (let count = 0; count < 4 && !isOver(); count += 1) await turn();
      second?.end();
      first?.write(Buffer.from('another'));
      connection.close();
      const answer = await unary;
      if (!answer.ok && answer.status.code === 0) throw new Error('no answer, and a status of OK');
      await recorder.down();
      for (const call of calls) await call.status();
      await turn();
      for (const { statuses, late } of calls) {
        if (statuses.length !== 1 || late > 0) throw new Error(`${statuses.length} ends, and ${late} things after`);
      }
      for (const { messages } of calls) {
        for (const { length } of messages)
          if (length > MAX_MESSAGE_BYTES) throw new Error(`a message of ${length} bytes`);
      }
      const { events, causes } = recorder;
      if (causes.length !== 1 || !events.at(-1)?.startsWith('down')) throw new Error(`it ended as ${events.join()}`);
      if (clientSocketsTo(server.port) > 0) throw new Error('a socket is left');
      server.connections.length = 0;
    },
  );

  const isPassedOver = name === 'http2';
  const outcome = isPassedOver
    ? 'passed over, and no memory taken for it'
    : 'RESOURCE_EXHAUSTED, and no more of it taken';
  it(`a message of 4 GiB, of which 32 MiB are there: ${outcome}`, async () => {
    const held = (): number => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    greet = (peer) => peer.settings();
    const { connection, recorder } = connect();
    const peer = await server.connection(server.connections.length);
    await recorder.up();
    const sizes: number[] = [];
    const call = Object.assign(new StreamRecorder(), { onOversize: (_: Uint8Array, size: number) => sizes.push(size) });
    connection.openStream(STREAM, {}, call).write(Buffer.from('question'));
    const id = await peer.call();
    const before = held();
    peer.headers(id);
    peer.data(id, Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    const piece = Buffer.alloc(16_384);
    const isOver = (): boolean => call.statuses.length > 0 || peer.closed;
    let sent = 5;
    while (sent < 32 * MIB && !isOver()) {
      const { stream, whole } = windowsOf(peer, id);
      if (Math.min(stream, whole) >= sent + piece.length) {
        peer.data(id, piece);
        sent += piece.length;
      }
      await turn();
    }
    if (isPassedOver) {
      expect([sizes, isOver()]).toEqual([[2 ** 32 - 1], false]);
      await expect.poll(() => held() - before).toBeLessThan(MIB);
    } else {
      expect(await call.status()).toMatchObject({ code: 8 });
      expect(sent).toBeLessThan(MIB);
    }
    connection.close();
    await call.status();
  });
});

const SETTINGS_INITIAL_WINDOW_SIZE = 4;
const DEFAULT_WINDOW_BYTES = 65_535;

/** How much the peer may send in all, on this stream and on its connection. */
function windowsOf({ frames }: RawConnection, id: number): { stream: number; whole: number } {
  let [stream, whole] = [DEFAULT_WINDOW_BYTES, DEFAULT_WINDOW_BYTES];
  for (const { type, payload } of frames) {
    if (type === FrameType.SETTINGS) {
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        if (payload.readUInt16BE(at) === SETTINGS_INITIAL_WINDOW_SIZE) stream = payload.readUInt32BE(at + 2);
      }
    }
  }
  for (const { type, streamId: on, payload } of frames) {
    if (type !== FrameType.WINDOW_UPDATE) continue;
    if (on === 0) whole += payload.readUInt32BE(0);
    if (on === id) stream += payload.readUInt32BE(0);
  }
  return { stream, whole };
}

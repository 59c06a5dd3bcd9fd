/**
 * An HTTP/2 server that writes its frames itself, on `node:net`: it can misbehave exactly, where `node:http2` corrects it. It reads frame
 * headers only; what a client's HEADERS say, it does not care.
 */

import { createServer, type Server, type Socket } from 'node:net';

import { Changes } from './recorder.js';

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const ACK = 0x1;
const PREFACE_BYTES = 24;
/** What a peer takes that does not say otherwise. */
const MAX_FRAME_BYTES = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export type Headers = Readonly<Record<string, string>>;

export const RESPONSE_HEADERS: Headers = { ':status': '200', 'content-type': 'application/grpc' };

/** HPACK's simplest form: every field a literal without indexing, no Huffman code. */
function encodeHeaders(headers: Headers): Buffer {
  const parts: Buffer[] = [];
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    if (bytes.length < 127) parts.push(Buffer.from([bytes.length]), bytes);
    else if (bytes.length < 255) parts.push(Buffer.from([127, bytes.length - 127]), bytes);
    else throw new RangeError('header too long for this encoder');
  };
  for (const [name, value] of Object.entries(headers)) {
    parts.push(Buffer.from([0]));
    text(name);
    text(value);
  }
  return Buffer.concat(parts);
}

/** One message as gRPC frames it. */
export function grpcFrame(message: string | Buffer, flag = 0): Buffer {
  const bytes = Buffer.from(message);
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

export class RawConnection extends Changes {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;
  answersPings = true;
  #buffer = Buffer.alloc(0);
  #prefaceSeen = false;
  /** A silent server does not acknowledge either. */
  #speaking = false;

  constructor(socket: Socket) {
    super();
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.changed();
    });
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#parse();
    });
  }

  #parse(): void {
    if (!this.#prefaceSeen) {
      if (this.#buffer.length < PREFACE_BYTES) return;
      this.#buffer = this.#buffer.subarray(PREFACE_BYTES);
      this.#prefaceSeen = true;
    }
    while (this.#buffer.length >= 9) {
      const length = this.#buffer.readUIntBE(0, 3);
      if (this.#buffer.length < 9 + length) return;
      const frame = {
        type: this.#buffer.readUInt8(3),
        flags: this.#buffer.readUInt8(4),
        streamId: this.#buffer.readUInt32BE(5) & 0x7fffffff,
        payload: this.#buffer.subarray(9, 9 + length),
      };
      this.#buffer = this.#buffer.subarray(9 + length);
      this.frames.push(frame);
      if (frame.type === FrameType.SETTINGS && (frame.flags & ACK) === 0 && this.#speaking) {
        this.send(FrameType.SETTINGS, ACK, 0);
      }
      if (this.answersPings && frame.type === FrameType.PING && (frame.flags & ACK) === 0)
        this.send(FrameType.PING, ACK, 0, frame.payload);
      this.changed();
    }
  }

  send(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(streamId, 5);
    if (!this.socket.destroyed) this.socket.write(Buffer.concat([header, payload]));
  }

  settings(values: Readonly<Record<number, number>> = {}): void {
    const payload = Buffer.concat(
      Object.entries(values).map(([id, value]) => {
        const entry = Buffer.alloc(6);
        entry.writeUInt16BE(Number(id), 0);
        entry.writeUInt32BE(value, 2);
        return entry;
      }),
    );
    this.#speaking = true;
    this.send(FrameType.SETTINGS, 0, 0, payload);
  }

  headers(streamId: number, headers: Headers = RESPONSE_HEADERS, endStream = false): void {
    const flags = END_HEADERS | (endStream ? END_STREAM : 0);
    this.send(FrameType.HEADERS, flags, streamId, encodeHeaders(headers));
  }

  data(streamId: number, payload: Buffer, endStream = false): void {
    let offset = 0;
    for (; payload.length - offset > MAX_FRAME_BYTES; offset += MAX_FRAME_BYTES) {
      this.send(FrameType.DATA, 0, streamId, payload.subarray(offset, offset + MAX_FRAME_BYTES));
    }
    this.send(FrameType.DATA, endStream ? END_STREAM : 0, streamId, payload.subarray(offset));
  }

  rst(streamId: number, code: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.send(FrameType.RST_STREAM, 0, streamId, payload);
  }

  goaway(lastStreamId: number, code = 0, debug = ''): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    this.send(FrameType.GOAWAY, 0, 0, Buffer.concat([payload, Buffer.from(debug)]));
  }

  windowUpdate(streamId: number, increment: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(increment);
    this.send(FrameType.WINDOW_UPDATE, 0, streamId, payload);
  }

  /** The first frame of this kind, on this stream if one is named. */
  async frame(type: number, streamId?: number): Promise<Frame> {
    const find = (): Frame | undefined =>
      this.frames.find((frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId));
    await this.until(() => find() !== undefined, `frame ${type} on stream ${streamId ?? 'any'}`);
    const frame = find();
    if (frame === undefined) throw new Error('no frame');
    return frame;
  }

  /** The id of the nth call opened, from 0. */
  async call(index = 0): Promise<number> {
    const opened = (): Frame[] => this.frames.filter((frame) => frame.type === FrameType.HEADERS);
    await this.until(() => opened().length > index, `call ${index}`);
    return opened()[index]?.streamId ?? 0;
  }

  /** Everything the client sent on this stream as DATA. */
  dataOf(streamId: number): Buffer {
    const frames = this.frames.filter((frame) => frame.type === FrameType.DATA && frame.streamId === streamId);
    return Buffer.concat(frames.map((frame) => frame.payload));
  }
}

/** Where it listens: another address of the loopback for one of the same port. */
export interface Place {
  readonly host?: string;
  readonly port?: number;
}

export class RawServer extends Changes {
  readonly connections: RawConnection[] = [];
  readonly #server: Server;

  private constructor(onConnection: (connection: RawConnection) => void) {
    super();
    this.#server = createServer((socket) => {
      const connection = new RawConnection(socket);
      this.connections.push(connection);
      onConnection(connection);
      this.changed();
    });
  }

  /** `onConnection` should send SETTINGS; a server that does not is a silent one. */
  static async listen(
    onConnection: (connection: RawConnection) => void = (connection) => {
      connection.settings();
    },
    { host = '127.0.0.1', port = 0 }: Place = {},
  ): Promise<RawServer> {
    const server = new RawServer(onConnection);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject).listen(port, host, resolve);
    });
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The nth connection accepted, from 0. */
  async connection(index = 0): Promise<RawConnection> {
    await this.until(() => this.connections.length > index, `connection ${index}`);
    const connection = this.connections[index];
    if (connection === undefined) throw new Error('no connection');
    return connection;
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

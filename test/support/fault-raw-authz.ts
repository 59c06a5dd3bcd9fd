/** A check server that writes its frames itself: it answers when told, and misbehaves exactly. For clients that ask no health. */

import { decodeCheckRequest, encodeCheckResponse, type WireCheckRequest } from '../../src/engine/wire.js';
import { Effect } from '../../src/types.js';
import { FrameType, grpcFrame, RawServer, RESPONSE_HEADERS, type RawConnection } from './raw-server.js';

const END_STREAM = 0x1;

/** One request as it came in, and where. */
export interface Received {
  readonly connection: RawConnection;
  readonly streamId: number;
  readonly request: WireCheckRequest;
}

export class RawAuthzServer {
  readonly raw: RawServer;
  readonly name: string;
  /** Every request, in the order they came; one asked again is there twice. */
  readonly received: Received[] = [];
  readonly #read = new Map<string, number>();
  readonly #begun = new Set<string>();
  readonly #ended = new Set<string>();

  private constructor(name: string, raw: RawServer) {
    this.name = name;
    this.raw = raw;
  }

  static async listen(name: string): Promise<RawAuthzServer> {
    let index = 0;
    const raw = await RawServer.listen((connection) => {
      const number = index;
      index += 1;
      connection.settings();
      void connection.until(
        () => {
          server.#take(number, connection);
          return connection.closed;
        },
        'the end of the connection',
        60_000,
      );
    });
    const server = new RawAuthzServer(name, raw);
    return server;
  }

  get address(): string {
    return this.raw.address;
  }

  /** Takes in what has come on this connection since the last look. */
  #take(index: number, connection: RawConnection): void {
    const frames = connection.frames.filter(({ type }) => type === FrameType.DATA);
    for (const streamId of new Set(frames.map((frame) => frame.streamId))) {
      const key = `${index}/${streamId}`;
      const bytes = connection.dataOf(streamId);
      let offset = this.#read.get(key) ?? 0;
      while (bytes.length >= offset + 5 && bytes.length >= offset + 5 + bytes.readUInt32BE(offset + 1)) {
        const end = offset + 5 + bytes.readUInt32BE(offset + 1);
        this.received.push({ connection, streamId, request: decodeCheckRequest(bytes.subarray(offset + 5, end)) });
        offset = end;
      }
      this.#read.set(key, offset);
      const isHalfClosed = frames.some((frame) => frame.streamId === streamId && (frame.flags & END_STREAM) !== 0);
      if (isHalfClosed && !this.#ended.has(key)) {
        this.#ended.add(key);
        connection.headers(streamId, { 'grpc-status': '0' }, true);
      }
    }
  }

  /** Answers as the policies of the fault tests would. */
  answer({ connection, streamId, request }: Received): void {
    const key = `${this.raw.connections.indexOf(connection)}/${streamId}`;
    if (!this.#begun.has(key)) {
      this.#begun.add(key);
      connection.headers(streamId, RESPONSE_HEADERS);
    }
    const isViewer = request.principal?.roles.includes('viewer') ?? false;
    const decision = (effect: 1 | 2) => ({ effect, policy: this.name, rule: 'raw', matched: true });
    const results = new Map([
      ['read', decision(isViewer ? Effect.ALLOW : Effect.DENY)],
      ['write', decision(Effect.DENY)],
    ]);
    connection.data(streamId, grpcFrame(Buffer.from(encodeCheckResponse({ requestId: request.requestId, results }))));
  }

  close(): Promise<void> {
    return this.raw.close();
  }
}

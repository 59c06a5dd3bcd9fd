/** A check server that writes its frames itself: it answers when told, and misbehaves exactly. */

import { decodeCheckRequest, encodeCheckResponse, type WireCheckRequest } from '../../src/engine/wire.js';
import { Effect } from '../../src/types.js';
import {
  FrameType,
  grpcFrame,
  RawServer,
  RESPONSE_HEADERS,
  type Frame,
  type Headers,
  type Place,
  type RawConnection,
} from './raw-server.js';
import { Changes } from './recorder.js';

const END_STREAM = 0x1;

/** One request as it came in, and where. */
export interface Received {
  readonly connection: RawConnection;
  readonly streamId: number;
  readonly request: WireCheckRequest;
}

export interface RawAuthzOptions extends Place {
  /** HTTP/2 SETTINGS by number. */
  readonly settings?: Readonly<Record<number, number>>;
  /** Each check as it comes in. Default: it waits for the test. */
  readonly onRequest?: (received: Received, server: RawAuthzServer) => void;
  /** What asks no check: health, policies. Default: UNIMPLEMENTED. */
  readonly onOther?: (received: Received, server: RawAuthzServer) => void;
  /** Just after the SETTINGS. */
  readonly onConnection?: (connection: RawConnection, index: number) => void;
}

/** What is known of one call. */
interface Call {
  /** Of what came: the beginning of a message. */
  rest: Buffer;
  owed: number;
  begun: boolean;
  halfClosed: boolean;
  ended: boolean;
}

export class RawAuthzServer extends Changes {
  readonly raw: RawServer;
  readonly name: string;
  /** Every check, in the order they came; one asked again is there twice. */
  readonly received: Received[] = [];
  /** Every other request. */
  readonly others: Received[] = [];
  /** May be changed at any time. */
  onRequest: NonNullable<RawAuthzOptions['onRequest']>;
  readonly #onOther: NonNullable<RawAuthzOptions['onOther']>;
  /** How many frames of a connection were looked at. */
  readonly #seen = new Map<RawConnection, number>();
  readonly #calls = new Map<RawConnection, Map<number, Call>>();

  private constructor(name: string, raw: RawServer, options: RawAuthzOptions) {
    super();
    this.name = name;
    this.raw = raw;
    this.onRequest = options.onRequest ?? (() => undefined);
    this.#onOther = options.onOther ?? ((received) => this.refuse(received, 12));
  }

  static async listen(name = 'raw', options: RawAuthzOptions = {}): Promise<RawAuthzServer> {
    let index = 0;
    const raw = await RawServer.listen((connection) => {
      connection.settings(options.settings);
      options.onConnection?.(connection, index);
      index += 1;
      connection.onChange(() => server.#take(connection));
    }, options);
    const server = new RawAuthzServer(name, raw, options);
    return server;
  }

  get address(): string {
    return this.raw.address;
  }

  /** Ids of the checks, in the order they came. */
  get ids(): string[] {
    return this.received.map(({ request }) => request.requestId);
  }

  /** The nth check that came in, from 0. */
  async request(index = 0): Promise<Received> {
    await this.until(() => this.received.length > index, `request ${index}`);
    const received = this.received[index];
    if (received === undefined) throw new Error('no request');
    return received;
  }

  #callOf({ connection, streamId }: Pick<Received, 'connection' | 'streamId'>): Call {
    let calls = this.#calls.get(connection);
    if (calls === undefined) this.#calls.set(connection, (calls = new Map<number, Call>()));
    let call = calls.get(streamId);
    if (call === undefined) {
      call = { rest: Buffer.alloc(0), owed: 0, begun: false, halfClosed: false, ended: false };
      calls.set(streamId, call);
    }
    return call;
  }

  /** Takes in what has come on this connection since the last look. */
  #take(connection: RawConnection): void {
    for (let index = this.#seen.get(connection) ?? 0; index < connection.frames.length; index += 1) {
      this.#seen.set(connection, index + 1);
      const frame = connection.frames[index];
      if (frame?.type === FrameType.DATA) this.#takeData(connection, frame);
    }
    this.changed();
  }

  #takeData(connection: RawConnection, { streamId, flags, payload }: Frame): void {
    const call = this.#callOf({ connection, streamId });
    call.halfClosed ||= (flags & END_STREAM) !== 0;
    let bytes = Buffer.concat([call.rest, payload]);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      const end = 5 + bytes.readUInt32BE(1);
      const request = decodeCheckRequest(bytes.subarray(5, end));
      bytes = bytes.subarray(end);
      call.owed += 1;
      this.#hand({ connection, streamId, request });
    }
    call.rest = bytes;
    this.#endIfDone({ connection, streamId });
  }

  #hand(received: Received): void {
    if (received.request.principal === undefined) {
      this.others.push(received);
      this.#onOther(received, this);
    } else {
      this.received.push(received);
      this.onRequest(received, this);
    }
  }

  /** Response headers, once a call. */
  begin(at: Pick<Received, 'connection' | 'streamId'>, headers: Headers = RESPONSE_HEADERS): void {
    const call = this.#callOf(at);
    if (call.begun) return;
    call.begun = true;
    at.connection.headers(at.streamId, headers);
  }

  /** Answers as the policies of the fault tests would. */
  readonly answer = (received: Received): void => {
    this.send(received, this.messageFor(received));
  };

  /** The answer to a check, not yet framed. */
  messageFor({ request }: Received, requestId = request.requestId): Buffer {
    const isViewer = request.principal?.roles.includes('viewer') ?? false;
    const decision = (effect: 1 | 2) => ({ effect, policy: this.name, rule: 'raw', matched: true });
    const results = new Map([
      ['read', decision(isViewer ? Effect.ALLOW : Effect.DENY)],
      ['write', decision(Effect.DENY)],
    ]);
    return Buffer.from(encodeCheckResponse({ requestId, results }));
  }

  /** One message; it counts as the answer to one request. */
  send(at: Pick<Received, 'connection' | 'streamId'>, message: Buffer): void {
    this.begin(at);
    this.#callOf(at).owed -= 1;
    at.connection.data(at.streamId, grpcFrame(message));
    this.#endIfDone(at);
  }

  /** Ends the call with this status: in trailers, or in trailers only where there were no headers. */
  refuse(at: Pick<Received, 'connection' | 'streamId'>, code: number, message = ''): void {
    const call = this.#callOf(at);
    if (call.ended) return;
    call.ended = true;
    const trailers: Headers = { 'grpc-status': String(code), ...(message === '' ? {} : { 'grpc-message': message }) };
    at.connection.headers(at.streamId, call.begun ? trailers : { ...RESPONSE_HEADERS, ...trailers }, true);
  }

  /** The test ends this call itself. */
  leave(at: Pick<Received, 'connection' | 'streamId'>): void {
    this.#callOf(at).ended = true;
  }

  #endIfDone(at: Pick<Received, 'connection' | 'streamId'>): void {
    const { owed, halfClosed } = this.#callOf(at);
    if (halfClosed && owed <= 0) this.refuse(at, 0);
  }

  close(): Promise<void> {
    return this.raw.close();
  }
}

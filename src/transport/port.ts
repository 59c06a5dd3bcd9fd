/**
 * The transport port: what the client needs of a gRPC transport. Bytes in and bytes out; no protobuf, no statecharts, no retries.
 * Every implementation passes the same contract suite (`test/integration/transport-contract.ts`).
 */

import type { FramedMessage } from '../core/framed-message.js';
import type { Clock } from '../core/clock.js';
import type { GrpcCode } from '../errors.js';

/** One gRPC status, whatever its cause: a trailer, an HTTP status, an RST code, a local error. */
export interface WireStatus {
  readonly code: GrpcCode;
  readonly message: string;
  /**
   * What is known of the calls' unanswered messages: `refused` when the peer proved it did not process them (REFUSED_STREAM, GOAWAY
   * below our id), `notSent` when nothing left this process, else `unknown`; `answered` when the status came from the server itself.
   */
  readonly outcome: 'notSent' | 'refused' | 'unknown' | 'answered';
  /** ASCII trailers, names in lower case, without `grpc-status` and `grpc-message`. */
  readonly trailers?: Readonly<Record<string, string>>;
}

/** Why a connection ended. `refused` is hard evidence: the peer's kernel said that nobody listens. */
export interface DownCause {
  readonly kind:
    'refused' | 'connectTimeout' | 'tls' | 'lost' | 'keepalive' | 'protocol' | 'resolve' | 'closed' | 'other';
  readonly message: string;
  /** Node's error code where there is one: `ECONNREFUSED`, `ECONNRESET`, ... */
  readonly code?: string;
}

export interface TlsFiles {
  /** PEM contents. */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** Overrides the name that is verified (and sent as SNI). */
  readonly serverName?: string;
}

export interface ConnectOptions {
  /** Dial, TLS and SETTINGS together, milliseconds. After it the attempt is destroyed: no socket stays behind. */
  readonly connectTimeoutMs: number;
  /** Absent: plaintext. */
  readonly tls?: TlsFiles;
  /** The largest message accepted or sent, bytes. */
  readonly maxMessageBytes: number;
  readonly userAgent: string;
  readonly clock: Clock;
}

export interface GoawayDetail {
  readonly reason: string;
  readonly lastStreamId?: number;
  /** The peer was pinged more often than it likes: ping it half as often. */
  readonly tooManyPings?: boolean;
}

/** Facts about one connection. `onDown` is always the last, exactly once; after `close()` its kind is `closed`. */
export interface ConnectionListener {
  /** Usable: the peer's SETTINGS are in. At most once. */
  onUp(): void;
  /**
   * How many calls the peer allows at once (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113 5.1.2): told just before `onUp` where it sets a
   * limit, and again whenever it changes it. Calls opened past it wait inside the transport, unseen: that they are not is the caller's duty.
   */
  onStreamLimit(maxStreams: number): void;
  /** The peer drains: calls under way go on, no new one may be opened. At most once; a connection that ends with it may skip it. */
  onGoaway(detail: GoawayDetail): void;
  /**
   * The address is a name that leads elsewhere by now: another connection would go there. This one works as before. Told again and again while
   * it is so; never by a transport that looks names up only to dial.
   */
  onMoved?(): void;
  onDown(cause: DownCause): void;
}

/** Facts about one call. `onStatus` is always the last, exactly once, whatever happens to the call or its connection. */
export interface StreamListener {
  /**
   * The message is what lies in `bytes` from `start` to `end`: no view is made of it for nothing. It is the listener's to keep, unchanged.
   * @param now of the clock, milliseconds: not read for each of many messages that are delivered in a row
   */
  onMessage(bytes: Uint8Array, start: number, end: number, now: number): void;
  /**
   * A message of `size` bytes, larger than the limit, is passed over; `head` is how it begins. Where this is missing, and on transports that
   * cannot pass one over, such a message ends the call with RESOURCE_EXHAUSTED.
   */
  onOversize?(head: Uint8Array, size: number): void;
  /** A `write` said 'full' and there is room again. */
  onDrain(): void;
  /** One other than OK may overtake messages that arrived together with it; those are then dropped. */
  onStatus(status: WireStatus): void;
}

/**
 * 'accepted': the message is on its way · 'full': it was NOT taken; wait for `onDrain` · 'closed': it was NOT taken; the call takes
 * no more. What was not taken stays the caller's.
 */
export type WriteResult = 'accepted' | 'full' | 'closed';

/** One streaming call. No method throws; none calls its listener synchronously. */
export interface WireStream {
  /**
   * The bytes must not be changed afterwards. That they are no more than `maxMessageBytes` is the caller's duty. A message is always
   * taken when none is pending.
   */
  write(message: Uint8Array): WriteResult;
  /** The same for a message that has its header already, and need not be copied. */
  writeFramed(message: FramedMessage): WriteResult;
  /** Half-closes: no more writes; answers still come. */
  end(): void;
  /** Cancels (RST_STREAM CANCEL on the wire); `onStatus` follows with CANCELLED. */
  cancel(): void;
  /**
   * Stops reading: the peer is held back by flow control once its window is used up. One message that was asked for before may still
   * come. While messages wait unread, a status of OK waits behind them; any other comes at once, and they are dropped.
   */
  pause(): void;
  resume(): void;
  /**
   * Delivers what else has come in the next phase of the loop, or just before the status: the writes that follow from what was delivered
   * leave first, and the peer has work while the rest is dealt with. Where it is missing, all is delivered at once.
   */
  yieldTurn?(): void;
}

export type WireMetadata = Readonly<Record<string, string>>;

export interface UnaryOptions {
  readonly metadata?: WireMetadata;
  /** Always finite, milliseconds from now. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A unary call's end: exactly one of the two. */
export type UnaryResult =
  { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly status: WireStatus };

/** One HTTP/2 connection to one endpoint. It does not redial: a lost connection is replaced by another `connect`. */
export interface TransportConnection {
  /**
   * False as soon as it is known that no call can be opened, which may be before `onDown`: calls may learn of a loss first, and are not to
   * be opened again on what is lost. Absent where `onDown` always comes first.
   */
  readonly usable?: boolean;
  /**
   * `path` is `/package.Service/Method`. Never throws: a call that cannot be opened, because the connection is not up, drains or has
   * ended, ends with UNAVAILABLE and `notSent`.
   */
  openStream(path: string, metadata: WireMetadata, listener: StreamListener): WireStream;
  /** Never rejects. */
  unary(path: string, bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult>;
  /** Whether an open, idle connection may hold the process open. Starts as false. */
  setReferenced(referenced: boolean): void;
  /**
   * Round trip of an HTTP/2 PING; absent where the transport has none, and before `onUp`. Resolves to false when unanswered within
   * `timeoutMs`. It ends nothing by itself.
   */
  ping?(timeoutMs: number): Promise<boolean>;
  /**
   * Looks whether this end of the connection still works, and ends it as lost if it does not: for when answers are overdue. Costs the peer
   * next to nothing, and is no ping. Absent where a broken connection always ends by itself.
   */
  examine?(): void;
  /** Ends the connection and every call on it (with CANCELLED); no socket stays behind. Idempotent. */
  close(): void;
}

/** An address a transport can dial. */
export interface Target {
  /** As the user wrote it, for messages and events. */
  readonly address: string;
}

export interface Transport {
  readonly name: string;
  connect(target: Target, options: ConnectOptions, listener: ConnectionListener): TransportConnection;
}

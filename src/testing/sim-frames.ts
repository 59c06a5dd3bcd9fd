/** What goes over a simulated connection, as HTTP/2 would have it, and what is told of it. */

import type { GrpcCode } from '../errors.js';
import type { WireMetadata } from '../transport/port.js';

export type ClientFrame =
  | { readonly kind: 'dial' }
  | { readonly kind: 'headers'; readonly stream: number; readonly path: string; readonly metadata: WireMetadata }
  | { readonly kind: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly stream: number }
  | { readonly kind: 'reset'; readonly stream: number }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'close' };

export type ServerFrame =
  | { readonly kind: 'refused' }
  | { readonly kind: 'settings'; readonly maxStreams: number | undefined }
  /** The stream was answered with headers: it is being processed. */
  | { readonly kind: 'headers'; readonly stream: number }
  | { readonly kind: 'data'; readonly stream: number; readonly bytes: Uint8Array; readonly note: unknown }
  | { readonly kind: 'trailers'; readonly stream: number; readonly code: GrpcCode; readonly message: string }
  | { readonly kind: 'reset'; readonly stream: number; readonly code: number }
  /** So many messages of the stream were read: there is room for more. */
  | { readonly kind: 'window'; readonly stream: number; readonly messages: number }
  | { readonly kind: 'goaway'; readonly lastStream: number; readonly reason: string }
  | { readonly kind: 'pong'; readonly id: number }
  | { readonly kind: 'close'; readonly message: string };

/** What happened on the network, as its observer hears of it. Connections are numbered in the order of their dials. */
export interface SimulatedEvent {
  /**
   * `dial`, `up`, `goaway`, `down`: of a connection, as its client sees it · `open`, `status`: of a call, likewise · `write`: a message was
   * taken from the client · `full`: it was not, for want of room · `misuse`: the client wrote on a call that was over · `ping`: the client sent
   * an HTTP/2 PING · `receive`: a message reached the client · `request`: one reached the server · `fault`: somebody changed the network or a
   * server.
   */
  readonly kind:
    | 'dial'
    | 'up'
    | 'goaway'
    | 'down'
    | 'open'
    | 'status'
    | 'write'
    | 'full'
    | 'misuse'
    | 'ping'
    | 'receive'
    | 'request'
    | 'fault';
  /** Of the clock, milliseconds. */
  readonly at: number;
  readonly address: string;
  readonly connection: number;
  /** The HTTP/2 id of the call; 0 where it is about none. */
  readonly stream: number;
  readonly detail: string;
  /** Of a message. */
  readonly bytes?: Uint8Array;
  /** What the server's handler attached to the answer. */
  readonly note?: unknown;
}

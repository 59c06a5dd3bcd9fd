/** One call on a `node:http2` stream: gRPC's framing both ways, and exactly one status out of all the ways in which a stream can end. */

import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';

import { framed, type FramedMessage } from '../core/framed-message.js';
import { FrameReader } from './frame-reader.js';
import { FrameQueue } from './frames.js';
import type { StreamListener, WireStatus, WireStream, WriteResult } from './port.js';
import {
  brokenStatus,
  cancelledStatus,
  lostStatus,
  notSentStatus,
  RstCode,
  statusFromHeaders,
  statusFromRst,
  statusFromTrailers,
  statusWithoutTrailers,
} from './status.js';
import type { AbortableStream } from './unary.js';
import { GrpcCode } from '../errors.js';

/** The connection that a call is on. None of these is called synchronously by the call's methods. */
export interface CallHost {
  /** False once the connection is lost or about to be: a stream's end then says nothing of the call's. */
  readonly alive: boolean;
  readonly maxMessageBytes: number;
  now(): number;
  /** Just before the listener's `onStatus`. */
  onEnded(call: Http2Call): void;
  /** The HTTP/2 stream is closed: there is room for another. Its error is the session's where it is not `alive`. */
  onStreamClosed(error: Error | undefined): void;
}

/** It costs as much as a tenth of what else is done with a message, and so few are delivered within some microseconds. */
const MESSAGES_PER_CLOCK_READING = 16;

/** Response headers that a trailers-only answer mixes with its trailers. */
const NOT_TRAILERS: ReadonlySet<string> = new Set(['content-type', 'date', 'grpc-encoding', 'grpc-accept-encoding']);

type ReceivedHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

// Ticks run after all promise continuations of a callback, so that the messages of all who were waiting for one answer leave together.
const afterCallback = (fn: () => void): void => {
  process.nextTick(fn);
};

export class Http2Call implements WireStream, AbortableStream {
  readonly #listener: StreamListener;
  readonly #host: CallHost;
  readonly #deadlineAt: number;
  readonly #reader: FrameReader;
  readonly #queue: FrameQueue;
  #stream: ClientHttp2Stream | undefined;
  /** What was written, and whether it was ended, before there was a stream. */
  #early: { chunk: Buffer; done: () => void } | undefined;
  #earlyEnd = false;
  /** `ending`: this side ended it, and the status is on its way to the listener. */
  #state: 'open' | 'ending' | 'ended' = 'open';
  #waiting = false;
  #headersReceived = false;
  #paused = false;
  #delivering = false;
  /** Delivery goes on in the next phase of the loop. */
  #yielding = false;
  /** OK, which waits behind messages that wait for `resume`. */
  #held: WireStatus | undefined;

  /** @param deadlineAt on the host's clock, milliseconds. */
  constructor(listener: StreamListener, host: CallHost, deadlineAt: number) {
    this.#listener = listener;
    this.#host = host;
    this.#deadlineAt = deadlineAt;
    this.#reader = new FrameReader(host.maxMessageBytes, listener.onOversize !== undefined);
    this.#queue = new FrameQueue(this.#sink(), afterCallback);
  }

  /** Of the HTTP/2 stream; undefined while it waits for one. */
  get id(): number | undefined {
    return this.#stream?.id;
  }

  /** Neither this side nor the peer has ended it. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** The peer allows no more streams for now: `attach` comes later. */
  wait(): void {
    this.#waiting = true;
  }

  /** Gives the call its stream. Without one, only `abort` and `lose` can end it. */
  attach(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    this.#waiting = false;
    // What an error means is told by 'close', which always follows.
    let error: Error | undefined;
    stream.on('error', (first: Error) => {
      error ??= first;
    });
    stream.on('response', (headers, flags) => {
      this.#onHeaders(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    });
    stream.on('data', (chunk: Buffer) => {
      this.#onData(chunk);
    });
    stream.on('trailers', (headers: IncomingHttpHeaders) => {
      this.#onTrailers(headers);
    });
    stream.on('end', () => {
      this.#onEnd();
    });
    stream.on('close', () => {
      this.#onClose(stream.rstCode, error);
    });
    if (this.#paused) stream.pause();
    if (this.#early !== undefined) stream.write(this.#early.chunk, this.#early.done);
    if (this.#earlyEnd) stream.end();
    this.#early = undefined;
  }

  write(message: Uint8Array): WriteResult {
    return this.#queue.push(framed(message));
  }

  writeFramed(message: FramedMessage): WriteResult {
    return this.#queue.push(message);
  }

  end(): void {
    this.#queue.end();
  }

  cancel(): void {
    this.abort(cancelledStatus());
  }

  pause(): void {
    if (this.#paused || this.#state !== 'open') return;
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    process.nextTick(() => {
      this.#readOn();
    });
  }

  yieldTurn(): void {
    if (this.#yielding) return;
    this.#yielding = true;
    setImmediate(this.#catchUp);
  }

  /** Ends the call from this side, with this status. */
  abort(status: WireStatus): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#queue.close();
    this.#stream?.close(RstCode.CANCEL);
    queueMicrotask(() => {
      this.#end(this.#waiting ? whileWaiting(status) : status);
    });
  }

  /** From the connection: it is gone. */
  lose(): void {
    this.#catchUp();
    if (this.#stream === undefined) this.#settle(notSentStatus('the connection was lost before the call was sent'));
    else this.#settle(lostStatus());
  }

  /** From the connection: the peer's GOAWAY says that it did not and will not process this call. */
  refuse(reason: string): void {
    this.#catchUp();
    const message = `the server ends the connection and did not process the call (${reason})`;
    if (this.#stream === undefined) this.#settle(notSentStatus(message));
    else this.#settle({ ...statusFromRst(RstCode.REFUSED_STREAM, this.#rstContext()), message });
  }

  // -- The stream's events. None comes within a call of its methods.

  #onHeaders(headers: ReceivedHeaders, endStream: boolean): void {
    this.#headersReceived = true;
    if (this.#state !== 'open') return;
    if (endStream && headers['grpc-status'] !== undefined) {
      this.#onTrailers(headers);
      return;
    }
    const refusal = statusFromHeaders({
      httpStatus: headers[':status'] ?? 200,
      contentType: headers['content-type'] ?? '',
    });
    if (refusal !== undefined) this.abort(refusal);
    else if (endStream) this.abort(statusWithoutTrailers());
  }

  #onData(chunk: Buffer): void {
    if (this.#state !== 'open') return;
    this.#reader.feed(chunk);
    this.#deliver();
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    const reader = this.#reader;
    const listener = this.#listener;
    try {
      let now = this.#host.now();
      let count = 0;
      while (!this.#paused && !this.#yielding && this.#state === 'open') {
        if (!reader.next()) {
          const oversize = reader.takePassedOver();
          if (oversize !== undefined) {
            listener.onOversize?.(oversize.head, oversize.size);
            continue;
          }
          if (reader.problem !== undefined) this.abort(reader.problem);
          break;
        }
        if (++count % MESSAGES_PER_CLOCK_READING === 0) now = this.#host.now();
        listener.onMessage(reader.bytes, reader.start, reader.end, now);
      }
    } finally {
      this.#delivering = false;
    }
  }

  /** What waited for the next phase is delivered, at the latest before the call's end is. */
  readonly #catchUp = (): void => {
    if (!this.#yielding) return;
    this.#yielding = false;
    if (this.#state === 'open') this.#deliver();
  };

  #readOn(): void {
    if (this.#paused || this.#state !== 'open') return;
    this.#deliver();
    // A listener may have paused, or ended it, again.
    if (this.#isPausedOrOver()) return;
    if (this.#held !== undefined) this.#finish(this.#held);
    else this.#stream?.resume();
  }

  #isPausedOrOver(): boolean {
    return this.#paused || this.#state !== 'open';
  }

  #onTrailers(headers: IncomingHttpHeaders): void {
    if (this.#state !== 'open') return;
    const code = headers['grpc-status'];
    if (typeof code !== 'string') {
      this.abort(statusWithoutTrailers());
      return;
    }
    const message = headers['grpc-message'];
    this.#finish(statusFromTrailers(code, typeof message === 'string' ? message : '', trailersOf(headers)));
  }

  /** The server's own status is in. */
  #finish(status: WireStatus): void {
    this.#catchUp();
    if (status.code === GrpcCode.OK && this.#paused) {
      // All messages are in; taken over from the stream they do not depend on what still happens to it.
      while (this.#stream?.read() != null);
      if (this.#reader.hasRest) {
        this.#held = status;
        return;
      }
    }
    if (status.code === GrpcCode.OK && this.#reader.hasRest) {
      this.abort(brokenStatus('the server ended the call in the middle of a message'));
      return;
    }
    this.#settle(status);
    const stream = this.#stream;
    if (stream === undefined) return;
    // What is unread would keep the stream open, and so would what is unsent: the peer may never open its window again.
    stream.resume();
    if (!stream.writableFinished) stream.close(stream.writableEnded ? RstCode.CANCEL : RstCode.NO_ERROR);
  }

  /** A server that ends its side without trailers leaves the stream half open, and would so for ever. */
  #onEnd(): void {
    setImmediate(() => {
      if (this.#held === undefined && this.#host.alive && this.#stream?.rstCode === RstCode.NO_ERROR) {
        this.abort(statusWithoutTrailers());
      }
    });
  }

  #onClose(rstCode: number, error: Error | undefined): void {
    this.#catchUp();
    // The connection ends it, with what it knows.
    if (this.#host.alive && this.#held === undefined) {
      this.#settle(
        rstCode === RstCode.NO_ERROR && this.#headersReceived
          ? statusWithoutTrailers()
          : statusFromRst(rstCode, this.#rstContext()),
      );
    }
    this.#host.onStreamClosed(error);
  }

  // -- The end

  #settle(status: WireStatus): void {
    if (this.#state === 'open') this.#end(status);
  }

  #end(status: WireStatus): void {
    this.#state = 'ended';
    this.#queue.close();
    this.#host.onEnded(this);
    this.#listener.onStatus(status);
  }

  #rstContext(): { headersReceived: boolean; deadlinePassed: boolean } {
    return { headersReceived: this.#headersReceived, deadlinePassed: this.#host.now() >= this.#deadlineAt };
  }

  #sink(): ConstructorParameters<typeof FrameQueue>[0] {
    return {
      write: (chunk, done) => {
        if (this.#stream === undefined) this.#early = { chunk, done };
        else this.#stream.write(chunk, done);
      },
      end: () => {
        if (this.#stream === undefined) this.#earlyEnd = true;
        else this.#stream.end();
      },
      drained: () => {
        if (this.#state === 'open') this.#listener.onDrain();
      },
    };
  }
}

function whileWaiting(status: WireStatus): WireStatus {
  const message = `${status.message} while the call waited: the server allows no more calls at a time on this connection`;
  return { ...status, message, outcome: 'notSent' };
}

function trailersOf(headers: IncomingHttpHeaders): Record<string, string> {
  const result = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || name === 'grpc-status' || name === 'grpc-message' || NOT_TRAILERS.has(name)) continue;
    if (value !== undefined) result[name] = typeof value === 'string' ? value : value.join(',');
  }
  return result;
}

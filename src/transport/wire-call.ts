/** What every transport's calls have in common: exactly one status, honest backpressure, reading that can be withheld. */

import { framed, FRAME_HEADER_BYTES, type FramedMessage } from '../core/framed-message.js';
import { FrameQueue } from './frames.js';
import type { StreamListener, WireStatus, WireStream, WriteResult } from './port.js';
import { cancelledStatus, unreadableStatus } from './status.js';

/** The transport's own call, underneath. None of these calls back synchronously. */
export interface RawCall {
  /** Framed messages. `done` when they have left for the socket; it may stay out once the call is over. */
  write(chunk: Buffer, done: () => void): void;
  halfClose(): void;
  /** Resets the call on the wire. */
  cancel(): void;
  /** Asks for the next message. */
  read(): void;
}

export class WireCall implements WireStream {
  readonly #listener: StreamListener;
  readonly #onEnded: (call: WireCall) => void;
  readonly #queue: FrameQueue;
  #raw: RawCall | undefined;
  /** `ending`: this side ended it, and the status is on its way to the listener. */
  #state: 'open' | 'ending' | 'ended' = 'open';
  #paused = false;
  #reading = false;

  /** @param onEnded is told just before the listener's `onStatus`. */
  constructor(listener: StreamListener, onEnded: (call: WireCall) => void) {
    this.#listener = listener;
    this.#onEnded = onEnded;
    this.#queue = new FrameQueue({
      write: (chunk, done) => this.#raw?.write(chunk, done),
      end: () => this.#raw?.halfClose(),
      drained: () => {
        if (this.#state === 'open') listener.onDrain();
      },
    });
  }

  /** Gives the call its transport. Without one, only {@link abort} can end it. */
  attach(raw: RawCall): void {
    this.#raw = raw;
    this.#read();
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
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#read();
  }

  /** Ends the call from this side, with this status. */
  abort(status: WireStatus): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#queue.close();
    this.#raw?.cancel();
    queueMicrotask(() => {
      this.#end(status);
    });
  }

  /** From the transport: one framed message. `now` in milliseconds. */
  received(frame: Buffer, now: number): void {
    if (this.#state !== 'open') return;
    this.#reading = false;
    const flag = frame[0];
    if (flag !== 0) {
      const what =
        flag === 1 ? 'a compressed message, though no compression was agreed' : 'an invalid compression flag';
      this.abort(unreadableStatus(`the server sent ${what}`));
      return;
    }
    this.#listener.onMessage(frame, FRAME_HEADER_BYTES, frame.length, now);
    this.#read();
  }

  /** From the transport, never within a call of its methods: the call is over. Later ones, and those after `abort`, do not count. */
  settle(status: WireStatus): void {
    if (this.#state === 'open') this.#end(status);
  }

  #end(status: WireStatus): void {
    this.#state = 'ended';
    this.#queue.close();
    this.#onEnded(this);
    this.#listener.onStatus(status);
  }

  #read(): void {
    if (this.#paused || this.#reading || this.#state !== 'open' || this.#raw === undefined) return;
    this.#reading = true;
    this.#raw.read();
  }
}

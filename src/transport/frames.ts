/** gRPC's length-prefixed messages, and the queue that turns messages into few large writes under an honest limit. */

import type { WriteResult } from './port.js';

/** One compression flag byte and a 32-bit big-endian length. */
export const FRAME_HEADER_BYTES = 5;

/** Beyond either, `push` answers 'full'. One message is always taken when nothing is pending, whatever its size. */
export const MAX_PENDING_BYTES = 1024 * 1024;
export const MAX_PENDING_MESSAGES = 4096;

/** One write holds no more messages than fit in this, so that `onDrain` is not held up behind one huge write. */
const MAX_CHUNK_BYTES = 64 * 1024;

/** Frames messages, uncompressed, one after the other into one buffer. */
export function frameMessages(messages: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const message of messages) length += FRAME_HEADER_BYTES + message.length;
  const buffer = Buffer.allocUnsafe(length);
  let offset = 0;
  for (const message of messages) {
    buffer[offset] = 0;
    buffer.writeUInt32BE(message.length, offset + 1);
    buffer.set(message, offset + FRAME_HEADER_BYTES);
    offset += FRAME_HEADER_BYTES + message.length;
  }
  return buffer;
}

export interface FrameSink {
  /** Calls `done`, never synchronously, when the chunk has left for the socket. Flow control delays it. */
  write(chunk: Buffer, done: () => void): void;
  /** Half-closes, after all writes. */
  end(): void;
  /** There is room again after a 'full'. */
  drained(): void;
}

/**
 * Messages on their way to the wire. What is pushed until `defer` calls back leaves as one write; while a write is under way,
 * messages collect behind it, so that a busy stream costs one write per turn of the loop and not one per message.
 */
export class FrameQueue {
  readonly #sink: FrameSink;
  readonly #defer: (flush: () => void) => void;
  #queued: Uint8Array[] = [];
  #head = 0;
  #pendingBytes = 0;
  #pendingMessages = 0;
  #writing = false;
  #scheduled = false;
  #blocked = false;
  #state: 'open' | 'ending' | 'closed' = 'open';

  /** @param defer calls back once, soon, and not synchronously. */
  constructor(sink: FrameSink, defer: (flush: () => void) => void = queueMicrotask) {
    this.#sink = sink;
    this.#defer = defer;
  }

  /** The bytes must not be changed afterwards: they are copied only when they are written. */
  push(bytes: Uint8Array): WriteResult {
    if (this.#state !== 'open') return 'closed';
    const size = bytes.length + FRAME_HEADER_BYTES;
    const pending = this.#pendingMessages;
    if (pending > 0 && (pending >= MAX_PENDING_MESSAGES || this.#pendingBytes + size > MAX_PENDING_BYTES)) {
      this.#blocked = true;
      return 'full';
    }
    this.#queued.push(bytes);
    this.#pendingMessages += 1;
    this.#pendingBytes += size;
    this.#schedule();
    return 'accepted';
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#head === this.#queued.length) this.#finish();
  }

  /** The call is over: what is still queued is dropped. */
  close(): void {
    this.#state = 'closed';
    this.#queued = [];
    this.#head = 0;
  }

  #schedule(): void {
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#state === 'closed') return;
    const batch = this.#takeBatch();
    if (batch.length > 0) {
      this.#writing = true;
      const chunk = frameMessages(batch);
      this.#sink.write(chunk, () => {
        this.#written(batch.length, chunk.length);
      });
    }
    if (this.#state === 'ending' && this.#head === this.#queued.length) this.#finish();
  };

  #finish(): void {
    this.#state = 'closed';
    this.#sink.end();
  }

  #takeBatch(): Uint8Array[] {
    const from = this.#head;
    let bytes = 0;
    while (this.#head < this.#queued.length) {
      bytes += (this.#queued[this.#head]?.length ?? 0) + FRAME_HEADER_BYTES;
      if (bytes > MAX_CHUNK_BYTES && this.#head > from) break;
      this.#head += 1;
    }
    const batch = this.#queued.slice(from, this.#head);
    // Not after every batch, so that a long queue is not copied over and over.
    if (this.#head === this.#queued.length || this.#head >= MAX_PENDING_MESSAGES) {
      this.#queued = this.#queued.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  #written(messages: number, bytes: number): void {
    this.#writing = false;
    this.#pendingMessages -= messages;
    this.#pendingBytes -= bytes;
    if (this.#state === 'closed') return;
    if (this.#head < this.#queued.length) this.#schedule();
    if (
      this.#blocked &&
      this.#pendingBytes <= MAX_PENDING_BYTES / 2 &&
      this.#pendingMessages <= MAX_PENDING_MESSAGES / 2
    ) {
      this.#blocked = false;
      this.#sink.drained();
    }
  }
}

/** The queue that turns messages into few large writes under an honest limit. */

import type { FramedMessage } from '../core/framed-message.js';
import type { WriteResult } from './port.js';

/** Beyond either, `push` answers 'full'. One message is always taken when nothing is pending, whatever its size. */
export const MAX_PENDING_BYTES = 1024 * 1024;
export const MAX_PENDING_MESSAGES = 4096;

/** One write holds no more messages than fit in this, so that `onDrain` is not held up behind one huge write. */
const MAX_CHUNK_BYTES = 64 * 1024;

/** Messages that lie side by side in the same bytes. */
interface Run {
  readonly bytes: Uint8Array;
  readonly start: number;
  end: number;
  messages: number;
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
  #queued: Run[] = [];
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

  /** The bytes must not be changed afterwards: they are not copied, but where messages that lie apart leave together. */
  push({ bytes, start, end }: FramedMessage): WriteResult {
    if (this.#state !== 'open') return 'closed';
    const size = end - start;
    const pending = this.#pendingMessages;
    if (pending > 0 && (pending >= MAX_PENDING_MESSAGES || this.#pendingBytes + size > MAX_PENDING_BYTES)) {
      this.#blocked = true;
      return 'full';
    }
    const last = this.#queued.at(-1);
    if (last?.bytes === bytes && last.end === start && end - last.start <= MAX_CHUNK_BYTES) {
      last.end = end;
      last.messages += 1;
    } else {
      this.#queued.push({ bytes, start, end, messages: 1 });
    }
    this.#pendingMessages += 1;
    this.#pendingBytes += size;
    this.#schedule();
    return 'accepted';
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#queued.length === 0) this.#finish();
  }

  /** The call is over: what is still queued is dropped. */
  close(): void {
    this.#state = 'closed';
    this.#queued = [];
  }

  #schedule(): void {
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#state === 'closed') return;
    const runs = this.#takeChunk();
    if (runs.length > 0) {
      this.#writing = true;
      const chunk = join(runs);
      const messages = runs.reduce((sum, run) => sum + run.messages, 0);
      this.#sink.write(chunk, () => {
        this.#written(messages, chunk.length);
      });
    }
    if (this.#state === 'ending' && this.#queued.length === 0) this.#finish();
  };

  #finish(): void {
    this.#state = 'closed';
    this.#sink.end();
  }

  #takeChunk(): Run[] {
    const queued = this.#queued;
    let count = 0;
    let byteLength = 0;
    for (const { start, end } of queued) {
      byteLength += end - start;
      if (byteLength > MAX_CHUNK_BYTES && count > 0) break;
      count += 1;
    }
    if (count === queued.length) this.#queued = [];
    else return queued.splice(0, count);
    return queued;
  }

  #written(messages: number, bytes: number): void {
    this.#writing = false;
    this.#pendingMessages -= messages;
    this.#pendingBytes -= bytes;
    if (this.#state === 'closed') return;
    if (this.#queued.length > 0) this.#schedule();
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

function join(runs: readonly Run[]): Buffer {
  const [first] = runs;
  if (first !== undefined && runs.length === 1) {
    const { bytes, start, end } = first;
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  }
  const chunk = Buffer.allocUnsafe(runs.reduce((sum, { start, end }) => sum + end - start, 0));
  let offset = 0;
  for (const { bytes, start, end } of runs) {
    chunk.set(bytes.subarray(start, end), offset);
    offset += end - start;
  }
  return chunk;
}

import { fc, it as prop } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';

import { framed } from '../../src/core/framed-message.js';
import { FrameQueue, MAX_PENDING_BYTES, MAX_PENDING_MESSAGES } from '../../src/transport/frames.js';

/** A sink whose writes end when told to. */
class ManualSink {
  readonly chunks: Buffer[] = [];
  readonly events: string[] = [];
  #done: (() => void)[] = [];

  write(chunk: Buffer, done: () => void): void {
    this.chunks.push(chunk);
    this.events.push('write');
    this.#done.push(done);
  }

  end(): void {
    this.events.push('end');
  }

  drained(): void {
    this.events.push('drained');
  }

  /** Ends the oldest write under way; false when there is none. */
  flush(): boolean {
    const done = this.#done.shift();
    done?.();
    return done !== undefined;
  }

  get underWay(): number {
    return this.#done.length;
  }

  messages(): string[] {
    const all = Buffer.concat(this.chunks);
    const result: string[] = [];
    for (let offset = 0; offset < all.length;) {
      const length = all.readUInt32BE(offset + 1);
      result.push(all.subarray(offset + 5, offset + 5 + length).toString());
      offset += 5 + length;
    }
    return result;
  }
}

const turn = (): Promise<void> => Promise.resolve();

describe('FrameQueue', () => {
  it('messages of one turn: one write; those that come while it is under way: the next', async () => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    for (const text of ['a', 'b', 'c']) queue.push(framed(Buffer.from(text)));
    expect(sink.chunks).toHaveLength(0);
    await turn();
    expect(sink.chunks).toHaveLength(1);
    queue.push(framed(Buffer.from('d')));
    queue.push(framed(Buffer.from('e')));
    await turn();
    expect(sink.chunks).toHaveLength(1);
    sink.flush();
    await turn();
    expect(sink.chunks).toHaveLength(2);
    expect(sink.messages()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('messages side by side in one buffer: written from there; then one that lies elsewhere: all joined in order', async () => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    const bytes = Buffer.concat(['a', 'bc', 'd'].map((text) => framed(Buffer.from(text)).bytes));
    queue.push({ bytes, start: 0, end: 6 });
    queue.push({ bytes, start: 6, end: 13 });
    await turn();
    expect(sink.chunks[0]?.buffer).toBe(bytes.buffer);
    expect(sink.messages()).toEqual(['a', 'bc']);
    queue.push({ bytes, start: 13, end: 19 });
    queue.push(framed(Buffer.from('e')));
    queue.push({ bytes, start: 0, end: 6 });
    sink.flush();
    await turn();
    expect(sink.chunks).toHaveLength(2);
    expect(sink.messages()).toEqual(['a', 'bc', 'd', 'e', 'a']);
  });

  it('end() with a write under way: the end follows at once, for order is kept below', async () => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    queue.push(framed(Buffer.from('a')));
    await turn();
    queue.end();
    expect(sink.events).toEqual(['write', 'end']);
    expect(queue.push(framed(Buffer.from('b')))).toBe('closed');
  });

  it('end() with messages queued behind a write: the end comes after them, once', async () => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    queue.push(framed(Buffer.from('a')));
    await turn();
    queue.push(framed(Buffer.from('b')));
    queue.end();
    queue.end();
    expect(sink.events).toEqual(['write']);
    sink.flush();
    await turn();
    expect(sink.events).toEqual(['write', 'write', 'end']);
  });

  it('close(): what is queued is dropped, and nothing more happens', async () => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    while (queue.push(framed(Buffer.alloc(1000))) === 'accepted');
    queue.close();
    await turn();
    expect(sink.events).toEqual([]);
    expect(queue.push(framed(Buffer.from('b')))).toBe('closed');
  });

  it('a message beyond the limit, nothing pending: accepted; the next: full', () => {
    const queue = new FrameQueue(new ManualSink());
    expect(queue.push(framed(Buffer.alloc(MAX_PENDING_BYTES * 2)))).toBe('accepted');
    expect(queue.push(framed(Buffer.alloc(1)))).toBe('full');
  });

  prop.prop([
    fc.array(
      fc.oneof(
        fc.record({ op: fc.constant('push' as const), size: fc.constantFrom(0, 1, 300, 60_000, 70_000) }),
        fc.record({ op: fc.constant('burst' as const), size: fc.integer({ min: 1, max: 5000 }) }),
        fc.record({ op: fc.constant('flush' as const), size: fc.constant(0) }),
        fc.record({ op: fc.constant('turn' as const), size: fc.constant(0) }),
      ),
      { maxLength: 60 },
    ),
  ])('any history: bounded; every accepted message written once, in order; a full queue always drains', async (ops) => {
    const sink = new ManualSink();
    const queue = new FrameQueue(sink);
    const accepted: string[] = [];
    let blocked = 0;
    const push = (size: number): void => {
      const text = `${accepted.length}:`.padEnd(size, '.');
      const before = sink.events.filter((event) => event === 'drained').length;
      const result = queue.push(framed(Buffer.from(text)));
      if (result === 'accepted') accepted.push(text);
      else blocked = before + 1;
    };
    for (const { op, size } of ops) {
      if (op === 'push') push(size);
      else if (op === 'burst') for (let index = 0; index < size; index += 1) push(10);
      else if (op === 'flush') sink.flush();
      else await turn();
      expect(sink.underWay).toBeLessThanOrEqual(1);
      expect(accepted.length - sink.messages().length).toBeLessThanOrEqual(MAX_PENDING_MESSAGES);
    }
    do await turn();
    while (sink.flush());
    expect(sink.events.filter((event) => event === 'drained').length).toBeGreaterThanOrEqual(blocked);
    queue.end();
    await turn();
    expect(sink.messages()).toEqual(accepted);
    expect(sink.events.filter((event) => event === 'end')).toHaveLength(1);
  });
});

import { fc, it as prop } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { FrameReader } from '../../src/transport/frame-reader.js';
import { framed } from '../../src/core/framed-message.js';

const LIMIT = 1000;

const frameMessages = (messages: readonly Uint8Array[]): Buffer =>
  Buffer.concat(messages.map((message) => framed(message).bytes));

/** The next message, if there is one. */
function readOne(reader: FrameReader): Buffer | undefined {
  if (!reader.next()) return undefined;
  const { buffer, byteOffset } = reader.bytes;
  return Buffer.from(buffer, byteOffset + reader.start, reader.end - reader.start);
}

/** Everything there is to read. */
function readAll(reader: FrameReader): Buffer[] {
  const messages: Buffer[] = [];
  for (let message = readOne(reader); message !== undefined; message = readOne(reader)) messages.push(message);
  return messages;
}

function header(flag: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe('FrameReader', () => {
  it('messages whole in one chunk: each a view of it, not a copy', () => {
    const reader = new FrameReader(LIMIT);
    const chunk = frameMessages([Buffer.from('a'), Buffer.alloc(0), Buffer.from('bc')]);
    reader.feed(chunk);
    const messages = readAll(reader);
    expect(messages.map(String)).toEqual(['a', '', 'bc']);
    expect(messages[2]?.buffer).toBe(chunk.buffer);
    expect(reader.hasRest).toBe(false);
  });

  it('half a message: none, and a rest', () => {
    const reader = new FrameReader(LIMIT);
    reader.feed(frameMessages([Buffer.from('abc')]).subarray(0, 6));
    expect(reader.next()).toBe(false);
    expect(reader.problem).toBeUndefined();
    expect(reader.hasRest).toBe(true);
  });

  it('a part of a header: none, and a rest', () => {
    const reader = new FrameReader(LIMIT);
    reader.feed(Buffer.from([0, 0]));
    expect(reader.next()).toBe(false);
    expect(reader.hasRest).toBe(true);
  });

  it('a message as large as the limit: read; one larger: RESOURCE_EXHAUSTED, before its body is there', () => {
    const reader = new FrameReader(LIMIT);
    reader.feed(frameMessages([Buffer.alloc(LIMIT)]));
    expect(readAll(reader).map(({ length }) => length)).toEqual([LIMIT]);
    reader.feed(header(0, LIMIT + 1));
    expect(reader.next()).toBe(false);
    expect(reader.problem).toMatchObject({ code: GrpcCode.RESOURCE_EXHAUSTED, outcome: 'unknown' });
    expect(reader.problem?.message).toContain('1001');
  });

  it('a length of all ones: RESOURCE_EXHAUSTED, not a negative number', () => {
    const reader = new FrameReader(2 ** 31);
    reader.feed(header(0, 0xffff_ffff));
    expect(reader.next()).toBe(false);
    expect(reader.problem?.message).toContain('4294967295');
  });

  it.each([1, 2, 255])('flag %i, whole or cut: INTERNAL, after the messages before it, and for good', (flag) => {
    const bytes = Buffer.concat([frameMessages([Buffer.from('good')]), header(flag, 1), Buffer.from('x')]);
    for (const cut of [bytes.length, 10, 11]) {
      const reader = new FrameReader(LIMIT);
      reader.feed(bytes.subarray(0, cut));
      const messages = readAll(reader);
      if (cut < bytes.length) reader.feed(bytes.subarray(cut));
      messages.push(...readAll(reader));
      expect(messages.map(String)).toEqual(['good']);
      expect(reader.problem).toMatchObject({ code: GrpcCode.INTERNAL });
      expect(reader.next()).toBe(false);
    }
  });

  prop.prop([
    fc.array(fc.oneof(fc.nat(20), fc.nat(LIMIT)), { maxLength: 30 }),
    fc.infiniteStream(fc.record({ size: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.nat(600)), take: fc.nat(4) })),
  ])('any messages, cut anywhere, read as far as anyone likes in between: the same messages', (sizes, steps) => {
    const sent = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    const bytes = frameMessages(sent);
    const reader = new FrameReader(LIMIT);
    const received: Buffer[] = [];
    let offset = 0;
    for (const { size, take } of steps) {
      if (offset >= bytes.length) break;
      reader.feed(bytes.subarray(offset, offset + size));
      offset += size;
      for (let count = 0; count < take; count += 1) {
        const message = readOne(reader);
        if (message === undefined) break;
        received.push(message);
      }
    }
    received.push(...readAll(reader));
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
    expect(received.map(({ length }) => length)).toEqual(sizes);
    expect(reader.hasRest).toBe(false);
    expect(reader.problem).toBeUndefined();
  });

  prop.prop([
    fc.array(fc.oneof(fc.nat(20), fc.integer({ min: LIMIT + 1, max: 9_000 })), { maxLength: 20 }),
    fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.nat(6_000))),
  ])('any messages, the large passed over, cut anywhere: the small are read, of the large the head', (sizes, cuts) => {
    const sent = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    const bytes = frameMessages(sent);
    const reader = new FrameReader(LIMIT, true);
    const received: Buffer[] = [];
    let offset = 0;
    const read = (): void => {
      for (;;) {
        const message = readOne(reader);
        const oversize = message === undefined ? reader.takePassedOver() : undefined;
        if (message !== undefined) received.push(message);
        else if (oversize === undefined) return;
        else
          received.push(
            Buffer.concat([oversize.head, Buffer.alloc(oversize.size - oversize.head.length, oversize.head[0])]),
          );
      }
    };
    for (const cut of cuts) {
      if (offset >= bytes.length) break;
      reader.feed(bytes.subarray(offset, offset + cut));
      offset += cut;
      read();
    }
    read();
    expect(received.map(({ length }) => length)).toEqual(sizes);
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
    expect(reader.hasRest).toBe(false);
    expect(reader.problem).toBeUndefined();
  });
});

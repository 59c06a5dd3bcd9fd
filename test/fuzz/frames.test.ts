/** What a peer sends as DATA, through the frame reader. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { framed } from '../../src/core/framed-message.js';
import { FrameReader } from '../../src/transport/frame-reader.js';
import { collectGarbage } from '../support/gc.js';
import { faults, fuzz, withFaults } from './budget.js';

const LIMIT = 600;
/** Of what is passed over, no more than this is kept. */
const HEAD_BYTES = 4096;
const HEADER_BYTES = 5;
const LARGE = 1024 * 1024;

interface Reading {
  readonly messages: string[];
  /** Sizes of what is passed over, and how it begins. */
  readonly passedOver: [size: number, head: string][];
  readonly problem: boolean;
  /** Bytes behind what was read. */
  readonly rest: number;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** The frames by their definition, of all bytes at once. */
function readAtOnce(bytes: Buffer, passesOver: boolean): Reading {
  const messages: string[] = [];
  const passedOver: [number, string][] = [];
  let at = 0;
  for (;;) {
    const rest = bytes.length - at;
    if (rest < HEADER_BYTES) return { messages, passedOver, problem: false, rest };
    const size = bytes.readUInt32BE(at + 1);
    const body = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + size);
    if (bytes[at] !== 0 || (size > LIMIT && !passesOver)) return { messages, passedOver, problem: true, rest };
    if (size > LIMIT && body.length >= Math.min(size, HEAD_BYTES)) {
      passedOver.push([size, textOf(body.subarray(0, HEAD_BYTES))]);
    }
    if (body.length < size) return { messages, passedOver, problem: false, rest };
    if (size <= LIMIT) messages.push(textOf(body));
    at += HEADER_BYTES + size;
  }
}

/** The bytes in pieces of these sizes, by turns. */
class Chunks {
  readonly #bytes: Buffer;
  readonly #sizes: readonly number[];

  constructor(bytes: Buffer, sizes: readonly number[]) {
    this.#bytes = bytes;
    this.#sizes = sizes;
  }

  *[Symbol.iterator](): Generator<Buffer> {
    let at = 0;
    for (let index = 0; at < this.#bytes.length; index += 1) {
      const size = this.#sizes[index % this.#sizes.length] ?? 1;
      // A copy, between bytes that are none of the stream's: reading past an end would show.
      const chunk = Buffer.concat([Buffer.alloc(3, 0x0a), this.#bytes.subarray(at, at + size), Buffer.alloc(3, 0x0a)]);
      at += size;
      yield chunk.subarray(3, chunk.length - 3);
    }
  }
}

interface Input {
  readonly bytes: Buffer;
  readonly sizes: readonly number[];
  /** How many chunks come before the next is read. */
  readonly held: number;
  readonly passesOver: boolean;
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 900 })), {
  minLength: 1,
  maxLength: 8,
});
const asRead = { sizes, held: fc.nat(3), passesOver: fc.boolean() };

function readInChunks({ bytes, sizes: cuts, held, passesOver }: Input): void {
  const expected = readAtOnce(bytes, passesOver);
  const reader = new FrameReader(LIMIT, passesOver);
  const messages: string[] = [];
  const passedOver: [number, string][] = [];
  const isOver = (): boolean => reader.problem !== undefined;
  let delivered = 0;
  let fed = 0;
  const readAll = (): void => {
    for (;;) {
      if (reader.next()) {
        messages.push(textOf(reader.bytes.subarray(reader.start, reader.end)));
        delivered += HEADER_BYTES + reader.end - reader.start;
        continue;
      }
      const oversize = reader.takePassedOver();
      if (oversize === undefined) return;
      if (oversize.head.length > HEAD_BYTES)
        throw new Error(`kept ${oversize.head.length} bytes of what is passed over`);
      passedOver.push([oversize.size, textOf(oversize.head)]);
    }
  };
  let waiting = 0;
  for (const chunk of new Chunks(bytes, cuts)) {
    // As the transports do: what cannot be read ends the call, and nothing more is fed.
    if (isOver()) break;
    reader.feed(chunk);
    fed += chunk.length;
    waiting += 1;
    if (waiting <= held) continue;
    waiting = 0;
    readAll();
    // All but the beginning of one message has been handed on.
    if (!passesOver && !isOver() && fed - delivered > LIMIT + HEADER_BYTES) {
      throw new Error(`${fed - delivered} bytes are held`);
    }
  }
  readAll();
  expect(messages).toEqual(expected.messages);
  expect(passedOver).toEqual(expected.passedOver);
  expect(isOver()).toBe(expected.problem);
  if (!expected.problem) expect(reader.hasRest).toBe(expected.rest > 0);
  // For good: nothing is read behind what is not a frame.
  expect(reader.next()).toBe(false);
}

const header = fc
  .tuple(fc.constantFrom(0, 0, 0, 0, 1, 0x0a), fc.oneof(fc.nat(40), fc.nat(LIMIT + 40), fc.nat(0xffff_ffff)))
  .map(([flag, size]) => {
    const bytes = Buffer.alloc(HEADER_BYTES);
    bytes[0] = flag;
    bytes.writeUInt32BE(size, 1);
    return bytes;
  });
const anyBytes = fc
  .array(fc.oneof(header, fc.uint8Array({ maxLength: 40 })), { maxLength: 8 })
  .map((parts) => Buffer.concat(parts));

const streamOfMessages = fc
  .array(fc.oneof(fc.nat(40), fc.nat(LIMIT), fc.integer({ min: LIMIT - 1, max: LIMIT + 2 }), fc.constant(5000)), {
    maxLength: 6,
  })
  .map((lengths) =>
    Buffer.concat(lengths.map((length, index) => Buffer.from(framed(Buffer.alloc(length, index)).bytes))),
  );

describe('the frame reader', () => {
  fuzz(
    'frames: any bytes',
    'cut anywhere and read at any time, the messages that are there, and no more held than one',
    fc.record({ bytes: anyBytes, ...asRead }),
    readInChunks,
  );

  fuzz(
    'frames: a stream with faults',
    'the same',
    fc.record({
      bytes: fc.tuple(streamOfMessages, faults).map(([bytes, list]) => withFaults(bytes, list)),
      ...asRead,
    }),
    readInChunks,
  );

  it.each([
    ['of the limit', LARGE],
    ['of 4 GiB, which is passed over', 0xffff_ffff],
  ])('a message %s, 16 MiB in: no more memory than one message of the limit takes', async (_name, size) => {
    const held = (): number => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const reader = new FrameReader(LARGE, true);
    const before = held();
    const start = Buffer.alloc(HEADER_BYTES);
    start.writeUInt32BE(size, 1);
    reader.feed(start);
    for (let count = 0; count < 256; count += 1) {
      reader.feed(Buffer.alloc(64 * 1024));
      while (reader.next() || reader.takePassedOver() !== undefined);
    }
    await expect.poll(() => held() - before).toBeLessThan(LARGE + 128 * 1024);
    expect(reader.problem).toBeUndefined();
  });
});

/** A `CheckBatchRequest` made of checks that are encoded already: a submessage is its bytes, with a tag and a length before them. */

import { FRAME_HEADER_BYTES, type FramedMessage } from '../core/framed-message.js';

/** Field 1, of bytes. */
const ITEM_TAG = 0x0a;

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) count += 1;
  return count;
}

/** Bytes that these checks take in one message. */
export function batchLength(checks: readonly FramedMessage[]): number {
  let total = 0;
  for (const { start, end } of checks) {
    const length = end - start - FRAME_HEADER_BYTES;
    total += 1 + varintBytes(length) + length;
  }
  return total;
}

/** The checks in one message, in order. */
export function joinBatch(checks: readonly FramedMessage[]): Uint8Array {
  const batch = Buffer.allocUnsafe(batchLength(checks));
  let position = 0;
  for (const { bytes, start, end } of checks) {
    batch[position] = ITEM_TAG;
    position += 1;
    let rest = end - start - FRAME_HEADER_BYTES;
    for (; rest > 0x7f; rest >>>= 7) {
      batch[position] = (rest & 0x7f) | 0x80;
      position += 1;
    }
    batch[position] = rest;
    position += 1;
    batch.set(bytes.subarray(start + FRAME_HEADER_BYTES, end), position);
    position += end - start - FRAME_HEADER_BYTES;
  }
  return batch;
}

/** Messages as gRPC frames them on a stream. */

/** One compression flag byte, and a 32-bit big-endian length: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export const FRAME_HEADER_BYTES = 5;

/**
 * An uncompressed message with its header before it: what lies in `bytes` from `start` to `end`. Messages that are written one after the
 * other share their bytes, so that those that lie side by side go out together as they are. They are not changed any more.
 */
export interface FramedMessage {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Writes the header of a message that lies behind it in `bytes`, up to `end`. */
export function writeFrameHeader(bytes: Uint8Array, start: number, end: number): void {
  const length = end - start - FRAME_HEADER_BYTES;
  bytes[start] = 0;
  bytes[start + 1] = length >>> 24;
  bytes[start + 2] = length >>> 16;
  bytes[start + 3] = length >>> 8;
  bytes[start + 4] = length;
}

/** The message without its header. */
export function messageIn({ bytes, start, end }: FramedMessage): Uint8Array {
  return bytes.subarray(start + FRAME_HEADER_BYTES, end);
}

/** A copy with its header. */
export function framed(message: Uint8Array): FramedMessage {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  bytes.set(message, FRAME_HEADER_BYTES);
  writeFrameHeader(bytes, 0, bytes.length);
  return { bytes, start: 0, end: bytes.length };
}

/** Reads protobuf strictly: nothing beyond the end of the submessage it stands in, no text that is not UTF-8. */

import { isUtf8 } from 'node:buffer';

/** Up to this many bytes are looked through for anything but ASCII, which needs no further checks. */
const SHORT_TEXT_BYTES = 64;
const MAX_VARINT_BYTES = 10;
const MAX_GROUP_DEPTH = 100;
/** Whole numbers of so many digits are exact. */
const MAX_SAFE_DIGITS = 15;
const MAX_TAG = 0xffff_ffff;
const NOTHING = Buffer.alloc(0);

export class WireReader {
  #buffer: Buffer = NOTHING;
  #start = 0;
  #position = 0;
  #end = 0;

  reset(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
    this.#position = start;
    this.#end = end;
  }

  /** Lets the message go. */
  release(): void {
    this.#buffer = NOTHING;
    this.#position = 0;
    this.#end = 0;
  }

  get position(): number {
    return this.#position;
  }

  /** Whether the (sub)message goes on. */
  get hasMore(): boolean {
    return this.#position < this.#end;
  }

  /** Enters the submessage that follows; gives what `leave` wants back. */
  enter(): number {
    const length = this.#length();
    const outerEnd = this.#end;
    this.#end = this.#position + length;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  /** Field and wire type. */
  tag(): number {
    const tag = this.varint();
    if (tag > MAX_TAG || tag >>> 3 === 0) this.#fail('an invalid field number');
    return tag;
  }

  /** Exact up to 2⁵³; more than that is still more. */
  varint(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let factor = 0x80;
    for (let count = 1; count < MAX_VARINT_BYTES; count += 1) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
    return this.#fail('a varint of more than ten bytes');
  }

  /** The low 32 bits of a varint, signed. */
  int32(): number {
    let value = 0;
    for (let count = 0; count < MAX_VARINT_BYTES; count += 1) {
      const byte = this.#byte();
      if (count < 5) value |= (byte & 0x7f) << (7 * count);
      if (byte < 0x80) return value;
    }
    return this.#fail('a varint of more than ten bytes');
  }

  double(): number {
    this.#require(8);
    const value = this.#buffer.readDoubleLE(this.#position);
    this.#position += 8;
    return value;
  }

  text(): string {
    const length = this.#length();
    const start = this.#position;
    const end = start + length;
    this.#position = end;
    const buffer = this.#buffer;
    if (length <= SHORT_TEXT_BYTES) {
      let index = start;
      while (index < end && (buffer[index] as number) < 0x80) index += 1;
      if (index === end) return buffer.toString('latin1', start, end);
    }
    if (!isUtf8(buffer.subarray(start, end))) this.#fail('a text that is not UTF-8');
    return buffer.toString('utf8', start, end);
  }

  /** A text that is these ASCII bytes and the digits of a whole number behind them: the number. -1 for any other, which is then still to be read. */
  numbered(prefix: Uint8Array): number {
    const buffer = this.#buffer;
    // Less than 128 bytes, so its length is one byte.
    const length = buffer[this.#position] as number;
    const start = this.#position + 1;
    const end = start + length;
    if (length > 0x7f || end > this.#end) return -1;
    const number = numberAfter(prefix, buffer, start, end);
    if (number !== -1) this.#position = end;
    return number;
  }

  /** Passes over a field of any kind, unknown ones among them. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case 0:
        this.varint();
        return;
      case 1:
        this.#pass(8);
        return;
      case 2:
        this.#pass(this.#length());
        return;
      case 3:
        this.#skipGroup(tag >>> 3, depth);
        return;
      case 5:
        this.#pass(4);
        return;
      default:
        this.#fail('an invalid wire type');
    }
  }

  #skipGroup(field: number, depth: number): void {
    if (depth >= MAX_GROUP_DEPTH) this.#fail('groups nested too deep');
    for (let tag = this.tag(); (tag & 7) !== 4 || tag >>> 3 !== field; tag = this.tag()) this.skip(tag, depth + 1);
  }

  #length(): number {
    const length = this.varint();
    this.#require(length);
    return length;
  }

  #pass(byteLength: number): void {
    this.#require(byteLength);
    this.#position += byteLength;
  }

  #byte(): number {
    if (this.#position >= this.#end) this.#fail('its end');
    const byte = this.#buffer[this.#position] as number;
    this.#position += 1;
    return byte;
  }

  #require(byteLength: number): void {
    if (byteLength > this.#end - this.#position) this.#fail('its end');
  }

  #fail(what: string): never {
    throw new Error(`met ${what} at byte ${this.#position - this.#start}`);
  }
}

/** The whole number whose digits stand behind these ASCII bytes, as `WireWriter.numbered` writes them; -1 for any other text. */
export function numberAfter(prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  const digitsStart = start + prefix.length;
  const digits = end - digitsStart;
  if (digits < 1 || digits > MAX_SAFE_DIGITS) return -1;
  for (let index = 0; index < prefix.length; index += 1) if (bytes[start + index] !== prefix[index]) return -1;
  // One text a number: no leading zeros.
  if (bytes[digitsStart] === 0x30) return -1;
  let value = 0;
  for (let index = digitsStart; index < end; index += 1) {
    const digit = (bytes[index] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

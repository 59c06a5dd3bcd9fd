/** Writes protobuf straight into the outgoing buffer: no list of operations, no object per field, one pass. */

import { FRAME_HEADER_BYTES, type FramedMessage, writeFrameHeader } from '../core/framed-message.js';

/** Messages are cut one after another from slabs of this size, as Node cuts small buffers from its pool. */
const SLAB_BYTES = 32_768;
/** A text of this length has at most 126 bytes, so its length takes one byte. Up to here a loop is faster than a native call. */
const SHORT_TEXT_LENGTH = 42;
const MAX_VARINT32_BYTES = 5;
const NOTHING = new Uint8Array(0);
/** With the `u` flag pairs are one code point, so only a lone half matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export class WireWriter {
  #buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the message under way begins: its header, for which room is left. */
  #start = 0;
  #position = FRAME_HEADER_BYTES;
  /** Where the lengths of the open submessages go, from the message's start; as many as `#depth` says. */
  readonly #marks: number[] = [];
  #depth = 0;
  /** What `numbered` wrote last. */
  #lastPrefix: Uint8Array = NOTHING;
  #lastNumber = -1;
  #lastText: Uint8Array = NOTHING;

  /** The message, which is no more written to; the next one begins. */
  finish(): FramedMessage {
    const message = { bytes: this.#buffer, start: this.#start, end: this.#position };
    writeFrameHeader(this.#buffer, this.#start, this.#position);
    this.#start = this.#position;
    this.abort();
    return message;
  }

  /** Forgets what was written since the last `finish`. */
  abort(): void {
    this.#position = this.#start;
    this.#depth = 0;
    this.#reserve(FRAME_HEADER_BYTES);
    this.#position += FRAME_HEADER_BYTES;
  }

  /** Opens a submessage. `tag` here and below is the whole key, field and wire type, of one byte. */
  begin(tag: number): void {
    this.#reserve(2);
    this.#buffer[this.#position] = tag;
    this.#marks[this.#depth] = this.#position + 1 - this.#start;
    this.#depth += 1;
    // Most submessages are short: room is left for a length of one byte, and made where it takes more.
    this.#position += 2;
  }

  /** Closes the submessage opened last. */
  end(): void {
    this.#depth -= 1;
    const mark = this.#start + (this.#marks[this.#depth] ?? 0);
    const length = this.#position - mark - 1;
    if (length < 0x80) {
      this.#buffer[mark] = length;
      return;
    }
    this.#reserve(MAX_VARINT32_BYTES);
    // The buffer may have moved.
    const start = this.#position - length;
    let lengthBytes = 1;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) lengthBytes += 1;
    this.#buffer.copyWithin(start - 1 + lengthBytes, start, this.#position);
    this.#position = start - 1;
    this.#varint(length);
    this.#position += length;
  }

  /** A string field. False, with nothing written, for a text that has no UTF-8. */
  text(tag: number, value: string): boolean {
    const length = value.length;
    if (length > SHORT_TEXT_LENGTH) return this.#longText(tag, value);
    this.#reserve(2 + length);
    const buffer = this.#buffer;
    let position = this.#position + 2;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return this.#longText(tag, value);
      buffer[position] = code;
      position += 1;
    }
    buffer[this.#position] = tag;
    buffer[this.#position + 1] = length;
    this.#position = position;
    return true;
  }

  /** A string field of ASCII bytes and a whole number behind them, together less than 128 bytes. */
  numbered(tag: number, prefix: Uint8Array, value: number): void {
    const text = this.#numberedText(prefix, value);
    const { length } = text;
    this.#reserve(2 + length);
    const buffer = this.#buffer;
    const position = this.#position;
    buffer[position] = tag;
    buffer[position + 1] = length;
    for (let index = 0; index < length; index += 1) buffer[position + 2 + index] = text[index] as number;
    this.#position = position + 2 + length;
  }

  /** Numbers mostly come one after the other, and then differ in their last digits only. */
  #numberedText(prefix: Uint8Array, value: number): Uint8Array {
    const text = this.#lastText;
    const isNext = value === this.#lastNumber + 1 && prefix === this.#lastPrefix;
    this.#lastNumber = value;
    if (isNext) {
      let index = text.length - 1;
      for (; index >= prefix.length && text[index] === 0x39; index -= 1) text[index] = 0x30;
      if (index >= prefix.length) {
        text[index] = (text[index] as number) + 1;
        return text;
      }
    }
    this.#lastPrefix = prefix;
    this.#lastText = Buffer.concat([prefix, Buffer.from(String(value), 'latin1')]);
    return this.#lastText;
  }

  /** Bytes of the message under way so far. */
  get length(): number {
    return this.#position - this.#start;
  }

  /** A copy of what was written from there on, a `length` of before. */
  copySince(length: number): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, this.#start + length, this.#position);
  }

  /** Whole fields, as `copySince` gave them. */
  raw(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#buffer.set(fields, this.#position);
    this.#position += fields.length;
  }

  /** A bool or enum field whose value takes one byte. */
  byte(tag: number, value: number): void {
    this.#reserve(2);
    this.#buffer[this.#position] = tag;
    this.#buffer[this.#position + 1] = value;
    this.#position += 2;
  }

  double(tag: number, value: number): void {
    this.#reserve(9);
    this.#buffer[this.#position] = tag;
    this.#position = this.#buffer.writeDoubleLE(value, this.#position + 1);
  }

  #longText(tag: number, value: string): boolean {
    const byteLength = Buffer.byteLength(value, 'utf8');
    if (byteLength !== value.length && LONE_SURROGATE.test(value)) return false;
    this.#reserve(1 + MAX_VARINT32_BYTES + byteLength);
    this.#buffer[this.#position] = tag;
    this.#position += 1;
    this.#varint(byteLength);
    this.#position += this.#buffer.write(value, this.#position, 'utf8');
    return true;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#position] = (rest & 0x7f) | 0x80;
      this.#position += 1;
      rest >>>= 7;
    }
    this.#buffer[this.#position] = rest;
    this.#position += 1;
  }

  #reserve(byteLength: number): void {
    if (this.#position + byteLength > this.#buffer.length) this.#moveToNewSlab(byteLength);
  }

  #moveToNewSlab(byteLength: number): void {
    const written = this.#position - this.#start;
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, 2 * (written + byteLength)));
    this.#buffer.copy(slab, 0, this.#start, this.#position);
    this.#buffer = slab;
    this.#start = 0;
    this.#position = written;
  }
}

/** gRPC's length-prefixed messages out of chunks cut anywhere. */

import { GrpcCode } from '../errors.js';
import { FRAME_HEADER_BYTES } from '../core/framed-message.js';
import type { WireStatus } from './port.js';
import { brokenStatus, unreadableStatus } from './status.js';

const NOTHING: Buffer = Buffer.alloc(0);

/** Of a message that is passed over: enough to tell whose answer it is. */
const HEAD_BYTES = 4096;
/** For a length: see `#lengthAt`. */
const UNREADABLE = -1;
const OVERSIZE = -2;

/** A message larger than the limit. */
export interface Oversize {
  /** How it begins. */
  readonly head: Uint8Array;
  readonly size: number;
}

/**
 * Takes chunks and gives messages, one a call, so that reading can stop between any two of them. A message that lies whole in its chunk
 * is read from there: it costs neither a copy nor a view.
 */
export class FrameReader {
  /** The message read last, without its header: these bytes, from `start` to `end`. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  readonly #maxMessageBytes: number;
  readonly #passesOver: boolean;
  #chunk = NOTHING;
  #offset = 0;
  /** Chunks that came while reading was held back, from `#backlogHead` on. */
  #backlog: Buffer[] = [];
  #backlogHead = 0;
  /** Of a message that was cut: its header, then its body, as far as they came. */
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  #problem: WireStatus | undefined;
  /** The size of the message whose head is being collected; 0 for one within the limit. */
  #oversize = 0;
  /** Bytes of it behind its head that have not come yet. */
  #excess = 0;
  #passedOver: Oversize | undefined;

  /** @param passesOver whether a message larger than the limit is passed over, rather than a problem */
  constructor(maxMessageBytes: number, passesOver = false) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#passesOver = passesOver;
  }

  /** Why no more messages can be read, once `next` met what is not one. */
  get problem(): WireStatus | undefined {
    return this.#problem;
  }

  /** A message that `next` met and passes over: once, after it gave false. */
  takePassedOver(): Oversize | undefined {
    const passedOver = this.#passedOver;
    this.#passedOver = undefined;
    return passedOver;
  }

  /** Bytes are left: messages not asked for yet, or the beginning of one. */
  get hasRest(): boolean {
    return (
      this.#offset < this.#chunk.length ||
      this.#headerFilled > 0 ||
      this.#body !== undefined ||
      this.#backlogHead < this.#backlog.length
    );
  }

  feed(chunk: Buffer): void {
    if (this.#offset === this.#chunk.length && this.#backlogHead === this.#backlog.length) {
      this.#chunk = chunk;
      this.#offset = 0;
    } else {
      this.#backlog.push(chunk);
    }
  }

  /** Reads the next message; false where there is none yet, a `problem`, or one that is passed over. */
  next(): boolean {
    const chunk = this.#chunk;
    const start = this.#offset + FRAME_HEADER_BYTES;
    if (start <= chunk.length && this.#headerFilled === 0) {
      const length = this.#lengthAt(chunk, this.#offset);
      if (length === UNREADABLE) return false;
      const end = start + length;
      if (end <= chunk.length && length !== OVERSIZE) {
        this.#offset = end;
        this.bytes = chunk;
        this.start = start;
        this.end = end;
        return true;
      }
    }
    return this.#nextCut();
  }

  #nextCut(): boolean {
    while (this.#hasBytes()) {
      if (this.#excess > 0) {
        this.#skipExcess();
        continue;
      }
      const body = this.#body ?? this.#cutBody();
      if (body === undefined) {
        if (this.#problem !== undefined) return false;
        continue;
      }
      const end = Math.min(this.#chunk.length, this.#offset + body.length - this.#bodyFilled);
      this.#bodyFilled += this.#chunk.copy(body, this.#bodyFilled, this.#offset, end);
      this.#offset = end;
      if (this.#bodyFilled < body.length) continue;
      this.#body = undefined;
      if (this.#oversize > 0) {
        this.#passOver(body);
        return false;
      }
      this.#headerFilled = 0;
      this.bytes = body;
      this.start = 0;
      this.end = body.length;
      return true;
    }
    // Used up: the chunk, which may be a view of much more, is let go.
    this.bytes = NOTHING;
    return false;
  }

  #passOver(head: Buffer): void {
    this.#passedOver = { head, size: this.#oversize };
    this.#excess = this.#oversize - head.length;
    this.#oversize = 0;
    if (this.#excess === 0) this.#headerFilled = 0;
  }

  #skipExcess(): void {
    const count = Math.min(this.#excess, this.#chunk.length - this.#offset);
    this.#offset += count;
    this.#excess -= count;
    if (this.#excess === 0) this.#headerFilled = 0;
  }

  /** Goes on to the next chunk where this one is used up. */
  #hasBytes(): boolean {
    while (this.#offset === this.#chunk.length) {
      const next = this.#backlog[this.#backlogHead];
      this.#offset = 0;
      if (next === undefined) {
        this.#chunk = NOTHING;
        this.#backlog = [];
        this.#backlogHead = 0;
        return false;
      }
      this.#chunk = next;
      this.#backlogHead += 1;
    }
    return true;
  }

  /** Collects the header of a message that is cut; once it is whole, a buffer for the body. */
  #cutBody(): Buffer | undefined {
    while (this.#headerFilled < FRAME_HEADER_BYTES && this.#offset < this.#chunk.length) {
      this.#header[this.#headerFilled] = this.#chunk[this.#offset] as number;
      this.#headerFilled += 1;
      this.#offset += 1;
    }
    if (this.#headerFilled < FRAME_HEADER_BYTES) return undefined;
    const length = this.#lengthAt(this.#header, 0);
    if (length === UNREADABLE) return undefined;
    this.#bodyFilled = 0;
    this.#body = Buffer.allocUnsafe(length === OVERSIZE ? Math.min(this.#oversize, HEAD_BYTES) : length);
    return this.#body;
  }

  /** The length that a header gives; or UNREADABLE, and a `problem`; or OVERSIZE, and the length in `#oversize`. */
  #lengthAt(bytes: Uint8Array, at: number): number {
    const flag = bytes[at];
    if (flag !== 0) {
      const what =
        flag === 1 ? 'a compressed message, though no compression was agreed' : 'an invalid compression flag';
      this.#problem = unreadableStatus(`the server sent ${what}`);
      return UNREADABLE;
    }
    const high = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    const length = high * 256 + (bytes[at + 4] as number);
    if (length > this.#maxMessageBytes) {
      if (this.#passesOver) {
        this.#oversize = length;
        return OVERSIZE;
      }
      const message = `the server sent a message of ${length} bytes, which is larger than the limit of ${this.#maxMessageBytes}`;
      this.#problem = brokenStatus(message, GrpcCode.RESOURCE_EXHAUSTED);
      return UNREADABLE;
    }
    return length;
  }
}

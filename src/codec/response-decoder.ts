/** Bytes to answers. */

import { ProtocolError } from '../errors.js';
import type { ActionResult, ResponseMetadata } from '../types.js';
import { Effect } from '../types.js';
import { DecodedResults } from './results.js';
import type { OwnIds, WireId } from './wire-id.js';
import { numberAfter, WireReader } from './wire-reader.js';

/** An answer as the server gave it; what was asked decides what it means. */
export interface DecodedResponse {
  /** A number for one of this client's own ids. */
  readonly requestId: WireId;
  readonly results: DecodedResults;
  readonly metadata?: ResponseMetadata;
}

/** One body that was decoded before. */
interface KnownBody {
  readonly view: DataView;
  readonly results: DecodedResults;
}

/** Bodies remembered, and how long one may be: half a megabyte of bytes at most. */
const KNOWN_BODIES = 512;
const MAX_KNOWN_BYTES = 1024;
const NOTHING = new Uint8Array(0);

/** Whether the bytes from `start` on are these. */
function areAt(view: DataView, start: number, part: DataView): boolean {
  const length = part.byteLength;
  let index = 0;
  for (; index + 4 <= length; index += 4) {
    if (view.getInt32(start + index, true) !== part.getInt32(index, true)) return false;
  }
  for (; index < length; index += 1) if (view.getUint8(start + index) !== part.getUint8(index)) return false;
  return true;
}

function hashOf(view: DataView, start: number, end: number): number {
  // FNV-1a, of four bytes a step. Only a first look: the bytes themselves are compared, so a collision costs a decoding and nothing else.
  let hash = 0x811c9dc5;
  let index = start;
  for (; index + 4 <= end; index += 4) {
    hash = Math.imul(hash ^ view.getInt32(index, true), 0x01000193);
    // A product's low bits know nothing of a factor's high ones.
    hash ^= hash >>> 15;
  }
  for (; index < end; index += 1) hash = Math.imul(hash ^ view.getUint8(index), 0x01000193);
  return (hash ^ (hash >>> 15)) & (KNOWN_BODIES - 1);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Decodes `CheckResponse`s. Answers differ mostly in their request id, so a body equal byte for byte to one decoded before shares its
 * results, which nobody can change.
 */
export class ResponseDecoder {
  readonly #ownIds: OwnIds;
  readonly #reader = new WireReader();
  /** What is read, and a view of it; let go with the next. */
  #bytes: Uint8Array = NOTHING;
  #view = viewOf(NOTHING);
  /** See `#lookUp`. */
  #slot = 0;
  /** See `#ownIdEnd`. */
  #ownId = -1;
  /** Set where `#body` met an id. */
  #idInBody = false;
  /** By hash; a newcomer replaces who sits there. */
  readonly #known = new Array<KnownBody | undefined>(KNOWN_BODIES).fill(undefined);

  constructor(ownIds: OwnIds) {
    this.#ownIds = ownIds;
  }

  /**
   * Decodes the message that lies from `start` to `end`. Throws ProtocolError, with the request's id where that much could be read.
   */
  decode(bytes: Uint8Array, start = 0, end = bytes.length): DecodedResponse {
    // Servers write the fields in order, so the id stands first and the body behind it.
    const bodyStart = this.#ownIdEnd(bytes, start, end);
    if (bodyStart === -1) return this.#read(bytes, start, end);
    const known = this.#lookUp(bytes, bodyStart, end);
    return known === undefined ? this.#read(bytes, start, end) : { requestId: this.#ownId, results: known };
  }

  /** Where the message's first field ends, if that is an id of this client's making, which is then `#ownId`; otherwise -1. */
  #ownIdEnd(bytes: Uint8Array, start: number, end: number): number {
    const idStart = start + 2;
    // A length of one byte: longer ids are not ours.
    const idEnd = idStart + (bytes[start + 1] as number);
    const { bytes: prefix } = this.#ownIds;
    if (end < idStart || idEnd > end || bytes[start] !== 0x0a || prefix.length === 0) return -1;
    this.#ownId = numberAfter(prefix, bytes, idStart, idEnd);
    return this.#ownId === -1 ? -1 : idEnd;
  }

  /** The results of a body that is known; its place among the known is then, or would be, `#slot`. */
  #lookUp(bytes: Uint8Array, start: number, end: number): DecodedResults | undefined {
    if (end - start > MAX_KNOWN_BYTES) return undefined;
    // Many answers lie in one chunk.
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#slot = hashOf(this.#view, start, end);
    const known = this.#known[this.#slot];
    if (known?.view.byteLength !== end - start || !areAt(this.#view, start, known.view)) return undefined;
    return known.results;
  }

  #read(bytes: Uint8Array, start: number, end: number): DecodedResponse {
    const reader = this.#reader;
    let requestId: WireId = '';
    try {
      reader.reset(bytes, start, end);
      // What lies behind an empty message is not its id.
      if (start < end && bytes[start] === 0x0a) {
        reader.tag();
        requestId = this.#id();
      }
      const bodyStart = reader.position;
      const known = this.#lookUp(bytes, bodyStart, end);
      if (known !== undefined) return { requestId, results: known };
      this.#idInBody = false;
      const decoded = this.#body(requestId);
      // Metadata tells how long it took and never comes twice; an id in the body, even the same one, says whose answer it is.
      const mayBeKnown = end - bodyStart <= MAX_KNOWN_BYTES && decoded.metadata === undefined && !this.#idInBody;
      if (mayBeKnown) {
        const body = Uint8Array.prototype.slice.call(bytes, bodyStart, end);
        this.#known[this.#slot] = { view: viewOf(body), results: decoded.results };
      }
      return decoded;
    } catch (error) {
      throw malformed('CheckResponse', error, this.#ownIds.text(requestId));
    } finally {
      reader.release();
    }
  }

  /** The id of an answer of which nothing else need be whole; undefined where it does not come first. */
  readRequestId(bytes: Uint8Array, start = 0, end = bytes.length): WireId | undefined {
    const reader = this.#reader;
    try {
      reader.reset(bytes, start, end);
      return reader.tag() === 0x0a ? this.#id() : undefined;
    } catch {
      return undefined;
    } finally {
      reader.release();
    }
  }

  /** Decodes a `CheckBatchResponse`: the answers in its order. Throws ProtocolError, also for more than `maxAnswers`. */
  decodeBatch(bytes: Uint8Array, maxAnswers: number): DecodedResponse[] {
    const reader = this.#reader;
    const responses: DecodedResponse[] = [];
    try {
      reader.reset(bytes);
      while (reader.hasMore) {
        const tag = reader.tag();
        if (tag !== 0x0a) {
          reader.skip(tag);
          continue;
        }
        // Before they take memory: an answer takes two bytes on the wire, and hundreds here.
        if (responses.length >= maxAnswers) throw new Error(`it holds more than ${maxAnswers} answers`);
        const outerEnd = reader.enter();
        responses.push(this.#body(''));
        reader.leave(outerEnd);
      }
      return responses;
    } catch (error) {
      throw malformed('CheckBatchResponse', error);
    } finally {
      reader.release();
    }
  }

  /** What is left of a `CheckResponse`. Of a field that comes twice the last one counts, as everywhere in protobuf. */
  #body(idSoFar: WireId): DecodedResponse {
    const reader = this.#reader;
    const results = new DecodedResults();
    let requestId = idSoFar;
    let metadata: ResponseMetadata | undefined;
    while (reader.hasMore) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          requestId = this.#id();
          this.#idInBody = true;
          break;
        case 0x12:
          this.#result(results);
          break;
        case 0x1a:
          metadata = this.#metadata();
          break;
        default:
          reader.skip(tag);
      }
    }
    return metadata === undefined ? { requestId, results } : { requestId, results, metadata };
  }

  #id(): WireId {
    const { bytes } = this.#ownIds;
    const number = bytes.length === 0 ? -1 : this.#reader.numbered(bytes);
    return number === -1 ? this.#reader.text() : number;
  }

  #result(results: DecodedResults): void {
    const reader = this.#reader;
    const outerEnd = reader.enter();
    let action = '';
    let result = NO_RESULT;
    while (reader.hasMore) {
      const tag = reader.tag();
      if (tag === 0x0a) action = reader.text();
      else if (tag === 0x12) result = this.#actionResult();
      else reader.skip(tag);
    }
    reader.leave(outerEnd);
    results.set(action, result);
  }

  #actionResult(): ActionResult {
    const reader = this.#reader;
    const outerEnd = reader.enter();
    let effect: Effect = Effect.UNSPECIFIED;
    let policy = '';
    let rule = '';
    let matched = false;
    let meta: Record<string, string> | undefined;
    while (reader.hasMore) {
      const tag = reader.tag();
      switch (tag) {
        case 0x08: {
          // Compared whole: a number whose low 32 bits alone say ALLOW is not one.
          const value = reader.varint();
          effect = value === Effect.ALLOW || value === Effect.DENY ? value : Effect.UNSPECIFIED;
          break;
        }
        case 0x12:
          policy = reader.text();
          break;
        case 0x1a:
          rule = reader.text();
          break;
        case 0x20:
          matched = reader.varint() !== 0;
          break;
        case 0x2a:
          meta ??= Object.create(null) as Record<string, string>;
          this.#metaEntry(meta);
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.leave(outerEnd);
    const result: { -readonly [Key in keyof ActionResult]: ActionResult[Key] } = { effect, matched };
    if (policy !== '') result.policy = policy;
    if (rule !== '') result.rule = rule;
    if (meta !== undefined) result.meta = Object.freeze(meta);
    return Object.freeze(result);
  }

  #metaEntry(meta: Record<string, string>): void {
    const reader = this.#reader;
    const outerEnd = reader.enter();
    let key = '';
    let value = '';
    while (reader.hasMore) {
      const tag = reader.tag();
      if (tag === 0x0a) key = reader.text();
      else if (tag === 0x12) value = reader.text();
      else reader.skip(tag);
    }
    reader.leave(outerEnd);
    meta[key] = value;
  }

  #metadata(): ResponseMetadata {
    const reader = this.#reader;
    const outerEnd = reader.enter();
    let evaluationDurationUs = 0;
    let policiesEvaluated = 0;
    const matchedPolicies: string[] = [];
    let cacheHit = false;
    while (reader.hasMore) {
      const tag = reader.tag();
      switch (tag) {
        case 0x09:
          evaluationDurationUs = reader.double();
          break;
        case 0x10:
          policiesEvaluated = reader.int32();
          break;
        case 0x1a:
          matchedPolicies.push(reader.text());
          break;
        case 0x20:
          cacheHit = reader.varint() !== 0;
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.leave(outerEnd);
    return Object.freeze({
      evaluationDurationUs,
      policiesEvaluated,
      matchedPolicies: Object.freeze(matchedPolicies),
      cacheHit,
    });
  }
}

const NO_RESULT: ActionResult = Object.freeze({ effect: Effect.UNSPECIFIED, matched: false });

/** The error of a message that is not what it should be. */
export function malformed(message: string, cause: unknown, requestId = ''): ProtocolError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ProtocolError(`malformed ${message}: ${reason}`, {
    cause,
    requestId: requestId === '' ? undefined : requestId,
  });
}

/** Bytes to answers. */

import { ProtocolError } from '../errors.js';
import type { ActionResult, ResponseMetadata } from '../types.js';
import { Effect } from '../types.js';
import { DecodedResults } from './results.js';
import type { OwnIds, WireId } from './wire-id.js';
import { WireReader } from './wire-reader.js';

/** An answer as the server gave it; what was asked decides what it means. */
export interface DecodedResponse {
  /** A number for one of this client's own ids. */
  readonly requestId: WireId;
  readonly results: DecodedResults;
  readonly metadata?: ResponseMetadata;
}

/** One body that was decoded before. */
interface KnownBody {
  readonly bytes: Uint8Array;
  readonly results: DecodedResults;
}

/** Bodies remembered, and how long one may be: half a megabyte of bytes at most. */
const KNOWN_BODIES = 512;
const MAX_KNOWN_BYTES = 1024;

function hashOf(bytes: Uint8Array, start: number): number {
  // FNV-1a. Only a first look: the bytes themselves are compared, so a collision costs a decoding and nothing else.
  let hash = 0x811c9dc5;
  for (let index = start; index < bytes.length; index += 1)
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) & (KNOWN_BODIES - 1);
}

function endsWith(bytes: Uint8Array, start: number, tail: Uint8Array): boolean {
  if (bytes.length - start !== tail.length) return false;
  for (let index = 0; index < tail.length; index += 1) {
    if (bytes[start + index] !== tail[index]) return false;
  }
  return true;
}

/**
 * Decodes `CheckResponse`s. Answers differ mostly in their request id, so a body equal byte for byte to one decoded before shares its
 * results, which nobody can change.
 */
export class ResponseDecoder {
  readonly #ownIds: OwnIds;
  readonly #reader = new WireReader();
  /** By hash; a newcomer replaces who sits there. */
  readonly #known = new Array<KnownBody | undefined>(KNOWN_BODIES).fill(undefined);

  constructor(ownIds: OwnIds) {
    this.#ownIds = ownIds;
  }

  /** Throws ProtocolError, with the request's id where that much could be read. */
  decode(bytes: Uint8Array): DecodedResponse {
    const reader = this.#reader;
    let requestId: WireId = '';
    try {
      reader.reset(bytes);
      // Servers write the fields in order, so the id stands first and the body behind it.
      if (bytes[0] === 0x0a) {
        reader.tag();
        requestId = this.#id();
      }
      const bodyStart = reader.position;
      const mayBeKnown = bytes.length - bodyStart <= MAX_KNOWN_BYTES;
      const slot = mayBeKnown ? hashOf(bytes, bodyStart) : 0;
      if (mayBeKnown) {
        const known = this.#known[slot];
        if (known !== undefined && endsWith(bytes, bodyStart, known.bytes))
          return { requestId, results: known.results };
      }
      const decoded = this.#body(requestId);
      // Metadata tells how long it took and never comes twice; a second id would not be the body's.
      if (mayBeKnown && decoded.metadata === undefined && decoded.requestId === requestId) {
        this.#known[slot] = { bytes: Uint8Array.prototype.slice.call(bytes, bodyStart), results: decoded.results };
      }
      return decoded;
    } catch (error) {
      throw malformed('CheckResponse', error, this.#ownIds.text(requestId));
    } finally {
      reader.release();
    }
  }

  /** Decodes a `CheckBatchResponse`: the answers in the order of the requests. Throws ProtocolError. */
  decodeBatch(bytes: Uint8Array): DecodedResponse[] {
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

/** Between the client's data types and the bytes of `authz.v1` and `grpc.health.v1`. */

import { type FramedMessage, messageIn } from '../core/framed-message.js';
import type {
  CheckRequest,
  CheckResponse,
  HealthStatus,
  LoadPoliciesResult,
  PolicySource,
  ReloadPoliciesResult,
} from '../types.js';
import { joinBatch } from './batch-request.js';
import {
  decodeHealthCheck,
  decodeLoadPolicies,
  decodeReloadPolicies,
  encodeLoadPolicies,
  encodeReloadPolicies,
} from './management.js';
import { RequestEncoder } from './request-encoder.js';
import type { DecodedResponse } from './response-decoder.js';
import { ResponseDecoder } from './response-decoder.js';
import { OwnIds, type WireId } from './wire-id.js';

export { protoRoot } from './proto.js';
export type { DecodedResponse } from './response-decoder.js';
export { DecodedResults, FrozenResults } from './results.js';

/** An answer in the terms of its question. */
export interface BuiltResponse {
  readonly response: CheckResponse;
  /** Results for actions that were not asked, and were dropped. */
  readonly foreign: number;
}

/**
 * Encoders throw ConfigurationError with the path of what cannot be sent, decoders ProtocolError for bytes that are not the message
 * they should be. Unknown fields are passed over.
 */
export interface Codec {
  /** `wireId` goes in the place of the request's own id. */
  encodeCheckRequest(request: CheckRequest, wireId: WireId): FramedMessage;
  /** Of what lies in `bytes` from `start` to `end`; by default all. */
  decodeCheckResponse(bytes: Uint8Array, start?: number, end?: number): DecodedResponse;
  /** Whose answer it is, of one that is cut short or malformed; undefined where its id does not come first. Never throws. */
  readRequestId(bytes: Uint8Array, start?: number, end?: number): WireId | undefined;
  /** Judges by the asked actions alone: one that was not answered, or with an effect unknown here, is UNSPECIFIED. */
  buildResponse(decoded: DecodedResponse, requestId: string, actions: readonly string[]): BuiltResponse;
  /** Checks that are encoded already, in one message, in order. */
  joinBatch(checks: readonly FramedMessage[]): Uint8Array;
  /** As many as the server gave, in its order. More than `maxAnswers` are no answer to what was asked: ProtocolError. */
  decodeBatch(bytes: Uint8Array, maxAnswers: number): DecodedResponse[];
  encodeLoadPolicies(source: PolicySource): Uint8Array;
  decodeLoadPolicies(bytes: Uint8Array): LoadPoliciesResult;
  encodeReloadPolicies(options: { readonly force?: boolean }): Uint8Array;
  decodeReloadPolicies(bytes: Uint8Array): ReloadPoliciesResult;
  encodeHealthCheck(service: string): Uint8Array;
  decodeHealthCheck(bytes: Uint8Array): HealthStatus;
}

function buildResponse(decoded: DecodedResponse, requestId: string, actions: readonly string[]): BuiltResponse {
  const results = decoded.results.forActions(actions);
  const { metadata } = decoded;
  return {
    response: metadata === undefined ? { requestId, results } : { requestId, results, metadata },
    foreign: decoded.results.foreign,
  };
}

class WireCodec implements Codec {
  readonly #ownIds: OwnIds;
  readonly #decoder: ResponseDecoder;
  /** Absent while it is in use. */
  #encoder: RequestEncoder | undefined;

  constructor(ownIds: OwnIds) {
    this.#ownIds = ownIds;
    this.#decoder = new ResponseDecoder(ownIds);
    this.#encoder = new RequestEncoder(ownIds);
  }

  encodeCheckRequest(request: CheckRequest, wireId: WireId): FramedMessage {
    const encoder = this.#borrowEncoder();
    try {
      return encoder.check(request, wireId);
    } finally {
      this.#encoder = encoder;
    }
  }

  encodeHealthCheck(service: string): Uint8Array {
    const encoder = this.#borrowEncoder();
    try {
      return messageIn(encoder.singleText(service, 'serviceName'));
    } finally {
      this.#encoder = encoder;
    }
  }

  decodeCheckResponse(bytes: Uint8Array, start?: number, end?: number): DecodedResponse {
    return this.#decoder.decode(bytes, start, end);
  }

  readRequestId(bytes: Uint8Array, start?: number, end?: number): WireId | undefined {
    return this.#decoder.readRequestId(bytes, start, end);
  }

  decodeBatch(bytes: Uint8Array, maxAnswers: number): DecodedResponse[] {
    return this.#decoder.decodeBatch(bytes, maxAnswers);
  }

  readonly joinBatch = joinBatch;
  readonly buildResponse = buildResponse;
  readonly encodeLoadPolicies = encodeLoadPolicies;
  readonly decodeLoadPolicies = decodeLoadPolicies;
  readonly encodeReloadPolicies = encodeReloadPolicies;
  readonly decodeReloadPolicies = decodeReloadPolicies;
  readonly decodeHealthCheck = decodeHealthCheck;

  /** A `toJSON` in somebody's attributes may ask for another encoding in the middle of this one; it gets an encoder of its own. */
  #borrowEncoder(): RequestEncoder {
    const encoder = this.#encoder ?? new RequestEncoder(this.#ownIds);
    this.#encoder = undefined;
    return encoder;
  }
}

/** @param ownIds the ids that this client makes; by default none */
export function createCodec(ownIds = new OwnIds('')): Codec {
  return new WireCodec(ownIds);
}

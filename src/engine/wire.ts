/**
 * Bytes to checks and back, written by hand for the check path: reflection would build the nested `Struct` messages first and plain
 * objects from them after. Field numbers are those of `authz.v1`. Objects whose keys come from the wire have no prototype.
 */

import protobuf from 'protobufjs/minimal.js';
import type { Reader, Writer } from 'protobufjs/minimal.js';
import type { Attributes } from '../types.js';
import { MAX_STRUCT_DEPTH } from './limits.js';
import type { ActionDecision } from './policy-set.js';

/** A check as it came: what is missing is missing. */
export interface WireCheckRequest {
  requestId: string;
  principal: { id: string; roles: string[]; attributes?: Attributes } | undefined;
  resource: { kind: string; id: string; attributes?: Attributes } | undefined;
  actions: string[];
  context?: Attributes;
  includeMetadata: boolean;
}

export interface WireMetadata {
  readonly evaluationDurationUs: number;
  readonly policiesEvaluated: number;
  readonly matchedPolicies: Iterable<string>;
}

export interface WireCheckResponse {
  readonly requestId: string;
  readonly results: ReadonlyMap<string, ActionDecision>;
  readonly metadata?: WireMetadata;
}

/** Throws on bytes that are not this message. */
export function decodeCheckRequest(bytes: Uint8Array): WireCheckRequest {
  const reader = protobuf.Reader.create(bytes);
  return readCheckRequest(reader, reader.len);
}

/** Throws on bytes that are not this message. */
export function decodeCheckBatchRequest(bytes: Uint8Array): WireCheckRequest[] {
  const reader = protobuf.Reader.create(bytes);
  const requests: WireCheckRequest[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 0x0a) requests.push(readCheckRequest(reader, endOf(reader)));
    else reader.skipType(tag & 7);
  }
  return requests;
}

export function encodeCheckResponse(response: WireCheckResponse): Uint8Array {
  return writeCheckResponse(protobuf.Writer.create(), response).finish();
}

export function encodeCheckBatchResponse(responses: readonly WireCheckResponse[], durationUs: number): Uint8Array {
  const writer = protobuf.Writer.create();
  for (const response of responses) writeCheckResponse(writer.uint32(0x0a).fork(), response).ldelim();
  return writer.uint32(0x11).double(durationUs).finish();
}

/** Reads a length and gives where that many bytes end, which must be within the message. */
function endOf(reader: Reader): number {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError('a length reaches past the end of the message');
  return end;
}

function readCheckRequest(reader: Reader, end: number): WireCheckRequest {
  const request: WireCheckRequest = {
    requestId: '',
    principal: undefined,
    resource: undefined,
    actions: [],
    includeMetadata: false,
  };
  while (reader.pos < end) {
    const tag = reader.uint32();
    switch (tag) {
      case 0x0a:
        request.requestId = reader.string();
        break;
      case 0x12:
        request.principal = readPrincipal(reader, endOf(reader));
        break;
      case 0x1a:
        request.resource = readResource(reader, endOf(reader));
        break;
      case 0x22:
        request.actions.push(reader.string());
        break;
      case 0x2a:
        request.context = readStruct(reader, endOf(reader), 0);
        break;
      case 0x30:
        request.includeMetadata = reader.bool();
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  return atEnd(reader, end, request);
}

/** A field that ran over the end of its message is not this message. */
function atEnd<Value>(reader: Reader, end: number, value: Value): Value {
  if (reader.pos !== end) throw new RangeError('a field reaches past the end of its message');
  return value;
}

function readPrincipal(reader: Reader, end: number): NonNullable<WireCheckRequest['principal']> {
  const principal: NonNullable<WireCheckRequest['principal']> = { id: '', roles: [] };
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) principal.id = reader.string();
    else if (tag === 0x12) principal.roles.push(reader.string());
    else if (tag === 0x1a) principal.attributes = readStruct(reader, endOf(reader), 0);
    else reader.skipType(tag & 7);
  }
  return atEnd(reader, end, principal);
}

function readResource(reader: Reader, end: number): NonNullable<WireCheckRequest['resource']> {
  const resource: NonNullable<WireCheckRequest['resource']> = { kind: '', id: '' };
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) resource.kind = reader.string();
    else if (tag === 0x12) resource.id = reader.string();
    else if (tag === 0x1a) resource.attributes = readStruct(reader, endOf(reader), 0);
    else reader.skipType(tag & 7);
  }
  return atEnd(reader, end, resource);
}

function readStruct(reader: Reader, end: number, depth: number): Attributes {
  if (depth > MAX_STRUCT_DEPTH) throw new RangeError(`attributes nested more than ${MAX_STRUCT_DEPTH} deep`);
  // No prototype: a key such as `__proto__` is a key like any other.
  const struct = Object.create(null) as Attributes;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag !== 0x0a) {
      reader.skipType(tag & 7);
      continue;
    }
    const entryEnd = endOf(reader);
    let key = '';
    let value: unknown = null;
    while (reader.pos < entryEnd) {
      const entryTag = reader.uint32();
      if (entryTag === 0x0a) key = reader.string();
      else if (entryTag === 0x12) value = readValue(reader, endOf(reader), depth);
      else reader.skipType(entryTag & 7);
    }
    struct[key] = atEnd(reader, entryEnd, value);
  }
  return atEnd(reader, end, struct);
}

function readValue(reader: Reader, end: number, depth: number): unknown {
  let value: unknown = null;
  while (reader.pos < end) {
    const tag = reader.uint32();
    switch (tag) {
      case 0x08:
        reader.int32();
        value = null;
        break;
      case 0x11:
        value = reader.double();
        break;
      case 0x1a:
        value = reader.string();
        break;
      case 0x20:
        value = reader.bool();
        break;
      case 0x2a:
        value = readStruct(reader, endOf(reader), depth + 1);
        break;
      case 0x32:
        value = readList(reader, endOf(reader), depth + 1);
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  return atEnd(reader, end, value);
}

function readList(reader: Reader, end: number, depth: number): unknown[] {
  if (depth > MAX_STRUCT_DEPTH) throw new RangeError(`attributes nested more than ${MAX_STRUCT_DEPTH} deep`);
  const list: unknown[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) list.push(readValue(reader, endOf(reader), depth));
    else reader.skipType(tag & 7);
  }
  return atEnd(reader, end, list);
}

function writeCheckResponse(writer: Writer, response: WireCheckResponse): Writer {
  if (response.requestId !== '') writer.uint32(0x0a).string(response.requestId);
  for (const [action, decision] of response.results) {
    writer.uint32(0x12).fork().uint32(0x0a).string(action).uint32(0x12).fork();
    writer.uint32(0x08).uint32(decision.effect);
    if (decision.policy !== '') writer.uint32(0x12).string(decision.policy);
    if (decision.rule !== '') writer.uint32(0x1a).string(decision.rule);
    if (decision.matched) writer.uint32(0x20).bool(true);
    writer.ldelim().ldelim();
  }
  const { metadata } = response;
  if (metadata !== undefined) {
    writer.uint32(0x1a).fork();
    writer.uint32(0x09).double(metadata.evaluationDurationUs).uint32(0x10).int32(metadata.policiesEvaluated);
    for (const policy of metadata.matchedPolicies) writer.uint32(0x1a).string(policy);
    writer.ldelim();
  }
  return writer;
}

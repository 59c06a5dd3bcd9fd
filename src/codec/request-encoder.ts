/** Questions to bytes. Tags below are field << 3 | wire type of `authz.proto` and `google/protobuf/struct.proto`. */

import { isDeeplyFrozen, isFrozen } from '../core/deeply-frozen.js';
import type { JsonSink } from '../core/json.js';
import { JsonWalk } from '../core/json.js';
import { ConfigurationError } from '../errors.js';
import type { FramedMessage } from '../core/framed-message.js';
import type { Attributes, CheckRequest, Principal, Resource } from '../types.js';
import type { OwnIds, WireId } from './wire-id.js';
import { WireWriter } from './wire-writer.js';

/** Writes a `google.protobuf.Struct` as the walk over the attributes comes along. */
class StructSink implements JsonSink {
  readonly #writer: WireWriter;

  constructor(writer: WireWriter) {
    this.#writer = writer;
  }

  null(): void {
    this.#writer.byte(0x08, 0);
  }

  boolean(value: boolean): void {
    this.#writer.byte(0x20, value ? 1 : 0);
  }

  number(value: number): void {
    this.#writer.double(0x11, value);
  }

  string(value: string): boolean {
    return this.#writer.text(0x1a, value);
  }

  object(): void {
    this.#writer.begin(0x2a);
  }

  objectEnd(): void {
    this.#writer.end();
  }

  array(): void {
    this.#writer.begin(0x32);
  }

  arrayEnd(): void {
    this.#writer.end();
  }

  /** An entry of `map<string, Value> fields`. */
  member(key: string): boolean {
    this.#writer.begin(0x0a);
    if (!this.#writer.text(0x0a, key)) return false;
    this.#writer.begin(0x12);
    return true;
  }

  memberEnd(): void {
    this.#writer.end();
    this.#writer.end();
  }

  element(): void {
    this.#writer.begin(0x0a);
  }

  elementEnd(): void {
    this.#writer.end();
  }
}

/** Fields longer than this are not kept beside the object that they were made of. */
const MAX_KEPT_BYTES = 65_536;
/** In the place of fields: of a frozen object that was seen once, and of one whose fields are not kept. No field is empty. */
const SEEN = new Uint8Array(0);
const NOT_KEPT = new Uint8Array(0);
const NO_ATTRIBUTES: Attributes = Object.freeze({});

/** Not re-entrant: whoever owns one sees to it that a `toJSON` in the attributes cannot start another request on it. */
export class RequestEncoder {
  readonly #writer = new WireWriter();
  readonly #sink = new StructSink(this.#writer);
  readonly #ownIds: OwnIds;
  /** The fields of those that have attributes and are frozen all the way down. */
  readonly #principals = new WeakMap<Principal, Uint8Array>();
  readonly #resources = new WeakMap<Resource, Uint8Array>();

  constructor(ownIds: OwnIds) {
    this.#ownIds = ownIds;
  }

  /** A `CheckRequest`. Throws ConfigurationError naming the path and the rule. */
  check(request: CheckRequest, wireId: WireId): FramedMessage {
    this.#writer.abort();
    this.#request(request, wireId);
    return this.#writer.finish();
  }

  /** A message whose only field is the string 1. */
  singleText(value: string, path: string): FramedMessage {
    this.#writer.abort();
    this.#text(0x0a, value, path);
    return this.#writer.finish();
  }

  #request(request: CheckRequest, wireId: WireId): void {
    const writer = this.#writer;
    const { principal, resource, actions, context } = request;
    if (typeof wireId === 'number') writer.numbered(0x0a, this.#ownIds.bytes, wireId);
    else this.#text(0x0a, wireId, 'requestId');
    if (principal.attributes === undefined) this.#principal(principal);
    else this.#once(this.#principals, principal, this.#principal);
    if (resource.attributes === undefined) this.#resource(resource);
    else this.#once(this.#resources, resource, this.#resource);
    this.#texts(0x22, actions, 'actions');
    if (context !== undefined) this.#attributes(0x2a, context, 'context');
    if (request.includeMetadata === true) writer.byte(0x30, 1);
  }

  /**
   * Attributes are what takes long: who brings the same ones again, and cannot have changed them, need not wait for them a third time. The first
   * time they are only noted, for many are frozen that never come again, and to look through them costs more than to write them.
   */
  #once<Part extends object>(known: WeakMap<Part, Uint8Array>, part: Part, write: (part: Part) => void): void {
    const fields = known.get(part);
    if (fields !== undefined && fields.length > 0) {
      this.#writer.raw(fields);
      return;
    }
    // Asked before it is read: what is read then is what stays.
    const isFixed = fields === SEEN && isDeeplyFrozen(part);
    const before = this.#writer.length;
    write(part);
    if (fields === NOT_KEPT) return;
    const mayKeep = isFixed && this.#writer.length - before <= MAX_KEPT_BYTES;
    if (fields === SEEN) known.set(part, mayKeep ? this.#writer.copySince(before) : NOT_KEPT);
    else if (isFrozen(part)) known.set(part, SEEN);
  }

  readonly #principal = ({ id, roles, type, attributes }: Principal): void => {
    this.#writer.begin(0x12);
    this.#text(0x0a, id, 'principal.id');
    this.#texts(0x12, roles, 'principal.roles');
    if (type !== undefined) {
      this.#attributes(0x1a, attributes ?? NO_ATTRIBUTES, 'principal.attributes', 'type', type);
    } else if (attributes !== undefined) {
      this.#attributes(0x1a, attributes, 'principal.attributes');
    }
    this.#writer.end();
  };

  readonly #resource = ({ kind, id, attributes }: Resource): void => {
    this.#writer.begin(0x1a);
    this.#text(0x0a, kind, 'resource.kind');
    this.#text(0x12, id, 'resource.id');
    if (attributes !== undefined) this.#attributes(0x1a, attributes, 'resource.attributes');
    this.#writer.end();
  };

  #attributes(tag: number, attributes: Attributes, path: string, extraKey?: string, extraValue?: string): void {
    this.#writer.begin(tag);
    new JsonWalk(this.#sink, path, false).root(attributes, extraKey, extraValue);
    this.#writer.end();
  }

  /** The empty text is what an absent field means. */
  #text(tag: number, value: string, path: string): void {
    if (value !== '' && !this.#isWritten(tag, value)) throw badText(path, value);
  }

  #texts(tag: number, values: readonly string[], path: string): void {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index] as string;
      if (!this.#isWritten(tag, value)) throw badText(`${path}[${index}]`, value);
    }
  }

  #isWritten(tag: number, value: unknown): boolean {
    return typeof value === 'string' && this.#writer.text(tag, value);
  }
}

function badText(path: string, value: unknown): ConfigurationError {
  if (typeof value !== 'string') return new ConfigurationError(path, `must be a string, got ${typeof value}`);
  return new ConfigurationError(path, 'must be well-formed Unicode (it holds half of a surrogate pair)');
}

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type Codec, createCodec, protoRoot } from '../../src/codec/codec.js';
import { authzTypes } from '../../src/codec/proto.js';
import { OwnIds, type WireId } from '../../src/codec/wire-id.js';
import { FRAME_HEADER_BYTES, messageIn } from '../../src/core/framed-message.js';
import { ConfigurationError, ProtocolError } from '../../src/errors.js';
import type { CheckRequest, Principal } from '../../src/types.js';
import { Effect, HealthStatus } from '../../src/types.js';

const codec = createCodec();
const RequestType = authzTypes().lookupType('authz.v1.CheckRequest');
const ResponseType = authzTypes().lookupType('authz.v1.CheckResponse');
const BatchRequestType = authzTypes().lookupType('authz.v1.CheckBatchRequest');
const BatchResponseType = authzTypes().lookupType('authz.v1.CheckBatchResponse');

/** A request's bytes on the wire, behind their header. */
function encoded(by: Codec, request: CheckRequest, wireId: WireId): Uint8Array {
  const message = by.encodeCheckRequest(request, wireId);
  const header = Buffer.from(message.bytes).subarray(message.start, message.start + FRAME_HEADER_BYTES);
  expect([header[0], header.readUInt32BE(1)]).toEqual([0, message.end - message.start - FRAME_HEADER_BYTES]);
  return messageIn(message);
}

interface WireValue {
  kind?: string;
  nullValue?: number;
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: WireStruct;
  listValue?: { values?: WireValue[] };
}
interface WireStruct {
  fields?: Record<string, WireValue>;
}

function jsonOf(value: WireValue): unknown {
  switch (value.kind) {
    case 'nullValue':
      return null;
    case 'numberValue':
      return value.numberValue;
    case 'stringValue':
      return value.stringValue;
    case 'boolValue':
      return value.boolValue;
    case 'structValue':
      return attributesOf(value.structValue);
    case 'listValue':
      return (value.listValue?.values ?? []).map(jsonOf);
    default:
      throw new Error('a Value without a kind');
  }
}

function attributesOf(struct: WireStruct | null | undefined): Record<string, unknown> | undefined {
  if (struct === undefined || struct === null) return undefined;
  return Object.fromEntries(Object.entries(struct.fields ?? {}).map(([key, value]) => [key, jsonOf(value)]));
}

interface WireRequest {
  requestId: string;
  principal: { id: string; roles: string[]; attributes: WireStruct | null };
  resource: { kind: string; id: string; attributes: WireStruct | null };
  actions: string[];
  context: WireStruct | null;
  includeMetadata: boolean;
}

/** What an independent decoder reads. */
function readBack(message: unknown): Record<string, unknown> {
  const wire = message as WireRequest;
  const { requestId, principal, resource, actions, includeMetadata } = wire;
  return {
    requestId,
    principal: { id: principal.id, roles: principal.roles, attributes: attributesOf(principal.attributes) },
    resource: { kind: resource.kind, id: resource.id, attributes: attributesOf(resource.attributes) },
    actions,
    context: attributesOf(wire.context),
    includeMetadata,
  };
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  // Around the lengths at which a length takes another byte, or the writer another way.
  fc
    .tuple(
      fc.constantFrom('a', 'é', '漢', '😀'),
      fc.constantFrom(0, 1, 41, 42, 43, 63, 64, 127, 128, 129, 16_383, 16_384),
    )
    .map(([unit, count]) => unit.repeat(count)),
  fc.constantFrom('__proto__', 'constructor', 'toString', '\u0000'),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(text, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
function deeplyFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) deeplyFrozen(inner);
  return Object.freeze(value);
}

/** So often that whatever is remembered of a request is made, and used. */
const ROUNDS = 4;

/** A principal or resource and all that is in it. */
function partsOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(partsOf)];
}

/** As a caller may who keeps what he asked with. */
function change(part: object): void {
  if (Array.isArray(part)) part.push('more');
  else if ('id' in part && typeof part.id === 'string') part.id += '!';
  else Object.assign(part, { more: 'more' in part && part.more === 1 ? 2 : 1 });
}

const attributes = fc.dictionary(text, json, { maxKeys: 4, noNullPrototype: true });
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const request = fc
  .record({
    requestId: text,
    principal: fc.record({
      id: text,
      roles: fc.array(text, { maxLength: 4 }),
      attributes: optional(attributes),
      type: optional(text),
    }),
    resource: fc.record({ kind: text, id: text, attributes: optional(attributes) }),
    actions: fc.array(text, { maxLength: 5 }),
    context: optional(attributes),
    includeMetadata: optional(fc.boolean()),
  })
  .map((fields) => fields as CheckRequest);

function expectedOf({ principal, resource, actions, context, includeMetadata }: CheckRequest, wireId: string): unknown {
  const { id, roles, attributes: given, type } = principal;
  const sent = type === undefined || (given !== undefined && Object.hasOwn(given, 'type')) ? given : { ...given, type };
  return {
    requestId: wireId,
    principal: { id, roles, attributes: copied(sent) },
    resource: { kind: resource.kind, id: resource.id, attributes: copied(resource.attributes) },
    actions,
    context: copied(context),
    includeMetadata: includeMetadata === true,
  };
}

/** Spreading and the wire both make own properties; this makes the same of what was generated. */
function copied(value: Record<string, unknown> | undefined): unknown {
  return value === undefined ? undefined : Object.fromEntries(Object.entries(value));
}

describe('requests', () => {
  test('any request: protobufjs reads from our bytes what was asked, under the wire id', () => {
    fc.assert(
      fc.property(request, text, (asked, wireId) => {
        const read = readBack(RequestType.decode(encoded(codec, asked, wireId)));
        const expected = expectedOf(asked, wireId);
        if (!isDeepStrictEqual(read, expected)) expect(read).toEqual(expected);
        expect(isDeepStrictEqual(read, expected)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('any batch: protobufjs reads the requests in order, each under its wire id', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 5 }), (asked) => {
        const bytes = codec.joinBatch(asked.map((one, index) => codec.encodeCheckRequest(one, `wire-${index}`)));
        const { requests } = BatchRequestType.decode(bytes) as unknown as { requests: unknown[] };
        expect(
          isDeepStrictEqual(
            requests.map(readBack),
            asked.map((one, index) => expectedOf(one, `wire-${index}`)),
          ),
        ).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('batch of requests on either side of each length of a varint: all are read back', () => {
    const sizes = [1, 100, 127, 128, 16_383, 16_384, 70_000, 2];
    const asked = sizes.map((size) => ({ ...plain, context: { text: 'x'.repeat(size) } }));
    const bytes = codec.joinBatch(asked.map((one) => codec.encodeCheckRequest(one, one.requestId)));
    const { requests } = BatchRequestType.decode(bytes) as unknown as { requests: unknown[] };
    expect(requests.map(readBack)).toEqual(asked.map((one) => expectedOf(one, one.requestId)));
  });

  const plain: CheckRequest = {
    requestId: 'r1',
    principal: { id: 'u', roles: ['a'] },
    resource: { kind: 'doc', id: '1' },
    actions: ['read'],
  };

  test('messages encoded one after another: the earlier ones keep their bytes', () => {
    const sizes = [1, 50, 40_000, 3, 20_000, 20_000, 7, 70_000, 1];
    const kept = sizes.map((size) => encoded(codec, { ...plain, context: { text: 'é'.repeat(size) } }, `id${size}`));
    sizes.forEach((size, index) => {
      expect(readBack(RequestType.decode(kept[index] as Uint8Array))).toMatchObject({
        requestId: `id${size}`,
        context: { text: 'é'.repeat(size) },
      });
    });
  });

  test('attributes of 64 KiB in many nested members: read back whole', () => {
    const context = Object.fromEntries(
      Array.from({ length: 512 }, (_, index) => [
        `key ${index}`,
        { list: ['x'.repeat(100), index, { deep: [index] }] },
      ]),
    );
    const bytes = encoded(codec, { ...plain, context }, 'big');
    expect(bytes.length).toBeGreaterThan(65_536);
    expect(readBack(RequestType.decode(bytes))).toMatchObject({ context });
  });

  test('principal with a type: sent as the attribute, unless there is such an attribute', () => {
    const sent = (principal: CheckRequest['principal']): unknown =>
      readBack(RequestType.decode(encoded(codec, { ...plain, principal }, 'x')))['principal'];
    expect(sent({ id: 'u', roles: [], type: 'service' })).toMatchObject({ attributes: { type: 'service' } });
    expect(sent({ id: 'u', roles: [], type: 'service', attributes: { a: 1 } })).toMatchObject({
      attributes: { a: 1, type: 'service' },
    });
    expect(sent({ id: 'u', roles: [], type: 'service', attributes: { type: 'own' } })).toMatchObject({
      attributes: { type: 'own' },
    });
  });

  test('Date and undefined members: as JSON.stringify writes them', () => {
    const context = { at: new Date(0), gone: undefined, list: [undefined, new Date(1)] };
    expect(readBack(RequestType.decode(encoded(codec, { ...plain, context }, 'x')))['context']).toEqual(
      JSON.parse(JSON.stringify(context)),
    );
  });

  test.each<[string, CheckRequest, string]>([
    [
      'attributes',
      { ...plain, principal: { ...plain.principal, attributes: { a: { b: [0, 1, NaN] } } } },
      'principal.attributes.a.b[2]',
    ],
    [
      'resource attributes',
      { ...plain, resource: { ...plain.resource, attributes: { f: () => 1 } } },
      'resource.attributes.f',
    ],
    ['context', { ...plain, context: { n: 1n } }, 'context.n'],
    ['an ill-formed id', { ...plain, principal: { id: 'x\ud800', roles: [] } }, 'principal.id'],
    ['an ill-formed long id', { ...plain, resource: { kind: 'k', id: `${'x'.repeat(100)}\udc00` } }, 'resource.id'],
    ['an ill-formed action', { ...plain, actions: ['read', '\udfff'] }, 'actions[1]'],
    [
      'a role that is no string',
      { ...plain, principal: { id: 'u', roles: ['a', 7 as unknown as string] } },
      'principal.roles[1]',
    ],
    [
      'attributes that are null',
      { ...plain, resource: { ...plain.resource, attributes: null as unknown as Record<string, unknown> } },
      'resource.attributes',
    ],
  ])(
    'what cannot be sent in %s: a ConfigurationError with the path, and the next request is whole',
    (_name, asked, path) => {
      const own = createCodec();
      const before = Buffer.from(encoded(own, plain, 'same'));
      try {
        encoded(own, asked, 'x');
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError);
        expect((error as ConfigurationError).path).toBe(path);
      }
      expect(Buffer.from(encoded(own, plain, 'same'))).toEqual(before);
    },
  );

  test('any request, frozen all the way down: the same bytes, the first time and again, as when it is not', () => {
    fc.assert(
      fc.property(request, request, (asked, other) => {
        const own = createCodec();
        const plainBytes = encoded(createCodec(), asked, 'x');
        const frozen = deeplyFrozen(asked);
        for (let round = 0; round < ROUNDS; round += 1) {
          expect(Buffer.from(encoded(own, frozen, 'x')).equals(plainBytes)).toBe(true);
          encoded(own, other, 'between');
        }
      }),
    );
  });

  test('any request of which all but a few parts are frozen, and those change: the bytes of what it is then, as protobufjs reads them', () => {
    fc.assert(
      fc.property(request, fc.array(fc.nat(40), { maxLength: 2 }), fc.nat(ROUNDS), (asked, picks, rounds) => {
        const own = createCodec();
        const parts = partsOf(asked.principal).concat(partsOf(asked.resource));
        const loose = new Set(picks.map((pick) => parts[pick % parts.length] as object));
        for (const part of parts) if (!loose.has(part)) Object.freeze(part);
        for (let round = 0; round < rounds; round += 1) encoded(own, asked, 'x');
        const before = Buffer.from(encoded(own, asked, 'x'));
        for (const part of loose) change(part);
        for (let round = 0; round < ROUNDS; round += 1) {
          const bytes = Buffer.from(encoded(own, asked, 'x'));
          expect(bytes.equals(encoded(createCodec(), asked, 'x'))).toBe(true);
          expect(bytes.equals(before)).toBe(loose.size === 0);
          expect(isDeepStrictEqual(readBack(RequestType.decode(bytes)), expectedOf(asked, 'x'))).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test.each([1_000, 40_000, 65_000, 66_000, 200_000])(
    'frozen attributes of %i bytes, again and again: protobufjs reads them whole',
    (byteLength) => {
      const own = createCodec();
      const attributes = { text: 'é'.repeat(byteLength / 2), list: [{ a: 1 }] };
      const asked = deeplyFrozen({
        ...plain,
        principal: { id: 'ü', roles: ['漢'], attributes },
        resource: { kind: 'k', id: '😀', attributes },
      });
      for (let round = 0; round < ROUNDS; round += 1) {
        const read = readBack(RequestType.decode(encoded(own, asked, 'x')));
        expect(isDeepStrictEqual(read, expectedOf(asked, 'x'))).toBe(true);
      }
    },
  );

  test('a frozen principal: its attributes are read twice, and never again; of one that is not, each time', () => {
    const own = createCodec();
    const read = vi.spyOn(Object, 'keys');
    try {
      const timesRead = (principal: Principal): number[] =>
        Array.from({ length: ROUNDS }, () => {
          read.mockClear();
          encoded(own, { ...plain, principal }, 'x');
          return read.mock.calls.filter(([part]) => part === principal.attributes).length;
        });
      const frozen = deeplyFrozen({ id: 'alice', roles: ['r'], attributes: { a: { b: 1 } } });
      expect(timesRead(frozen)).toEqual([1, 1, 0, 0]);
      expect(timesRead({ id: 'alice', roles: ['r'], attributes: { a: { b: 1 } } })).toEqual([1, 1, 1, 1]);
      const hidden: Principal = Object.freeze({ id: 'alice', roles: ['r'], attributes: Object.freeze({ a: 1 }) });
      expect(timesRead(hidden)).toEqual([1, 1, 1, 1]);
    } finally {
      read.mockRestore();
    }
  });

  test('a frozen principal with roles or a toJSON that Object.keys leaves out: each is sent as it was then', () => {
    const own = createCodec();
    const roles = ['admin', 'editor'];
    let age = 0;
    const attributes = { toJSON: () => ({ age }) };
    Object.defineProperty(attributes, 'toJSON', { enumerable: false });
    const principal = { id: 'alice', roles, attributes: Object.freeze({ a: 1 }) };
    Object.freeze(Object.defineProperty(principal, 'roles', { enumerable: false }));
    const aging: Principal = Object.freeze({
      id: 'bob',
      roles: Object.freeze([]),
      attributes: Object.freeze(attributes),
    });
    const sent = (given: Principal): unknown =>
      readBack(RequestType.decode(encoded(own, { ...plain, principal: given }, 'x')))['principal'];
    for (let round = 0; round < ROUNDS; round += 1) {
      age = round;
      roles.push(`role ${round}`);
      expect(sent(principal)).toMatchObject({ roles });
      expect(sent(aging)).toMatchObject({ attributes: { age: round } });
    }
  });

  test('a principal whose roles or attributes change between two requests: each is sent as it was then', () => {
    const own = createCodec();
    const principalOf = (asked: CheckRequest): unknown =>
      readBack(RequestType.decode(encoded(own, asked, 'x')))['principal'];
    const roles = ['admin', 'editor'];
    const attributes = { teams: ['a', 'b'] };
    const principal = Object.freeze({ id: 'alice', roles, attributes });
    expect(principalOf({ ...plain, principal })).toMatchObject({
      roles: ['admin', 'editor'],
      attributes: { teams: ['a', 'b'] },
    });
    roles.pop();
    expect(principalOf({ ...plain, principal })).toMatchObject({ roles: ['admin'] });
    attributes.teams.pop();
    expect(principalOf({ ...plain, principal })).toMatchObject({ roles: ['admin'], attributes: { teams: ['a'] } });
    Object.freeze(roles);
    Object.freeze(attributes);
    expect(principalOf({ ...plain, principal })).toMatchObject({ roles: ['admin'], attributes: { teams: ['a'] } });
    attributes.teams.push('c');
    expect(principalOf({ ...plain, principal })).toMatchObject({ attributes: { teams: ['a', 'c'] } });
  });

  test('one frozen object as principal and as resource: each in its own fields', () => {
    const own = createCodec();
    const both = deeplyFrozen({ id: 'x', kind: 'robot', roles: ['r'], attributes: { a: 1 } });
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(
        readBack(RequestType.decode(encoded(own, { ...plain, principal: both, resource: both }, 'x'))),
      ).toMatchObject({
        principal: { id: 'x', roles: ['r'], attributes: { a: 1 } },
        resource: { kind: 'robot', id: 'x', attributes: { a: 1 } },
      });
    }
  });

  test('toJSON that encodes another request: both are whole', () => {
    let inner: Uint8Array | undefined;
    const context = {
      a: 1,
      b: {
        toJSON: () => {
          inner = encoded(codec, plain, 'inner');
          return 'value';
        },
      },
      c: 2,
    };
    const outer = encoded(codec, { ...plain, context }, 'outer');
    expect(readBack(RequestType.decode(outer))).toMatchObject({
      requestId: 'outer',
      context: { a: 1, b: 'value', c: 2 },
    });
    expect(readBack(RequestType.decode(inner ?? new Uint8Array()))).toMatchObject({
      requestId: 'inner',
      actions: ['read'],
    });
  });
});

const actionName = fc.oneof(fc.constantFrom('read', 'write', '__proto__', 'constructor', 'toString', ''), text);
const effect = fc.constantFrom(0, 1, 2);
const wireResult = fc.record({
  effect,
  policy: text,
  rule: text,
  matched: fc.boolean(),
  meta: fc.array(fc.tuple(text, text), { maxLength: 3 }),
});
const wireResponse = fc.record({
  requestId: text,
  results: fc.array(fc.tuple(actionName, wireResult), { maxLength: 5 }),
  metadata: optional(
    fc.record({
      evaluationDurationUs: fc.double({ noNaN: true }),
      policiesEvaluated: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      matchedPolicies: fc.array(text, { maxLength: 3 }),
      cacheHit: fc.boolean(),
    }),
  ),
});
type WireResponse = typeof wireResponse extends fc.Arbitrary<infer R> ? R : never;

/** By protobufjs, which must be kept from taking `__proto__` for the prototype. */
function encodeResponse({ requestId, results, metadata }: WireResponse): Uint8Array {
  const own = <T>(entries: readonly (readonly [string, T])[]): Record<string, T> => Object.fromEntries(entries);
  return ResponseType.encode({
    requestId,
    results: own(results.map(([action, result]) => [action, { ...result, meta: own(result.meta) }] as const)),
    ...(metadata !== undefined && { metadata }),
  }).finish();
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function field(number: number, wireType: number, payload: readonly number[]): number[] {
  return [...varint((number << 3) | wireType), ...payload];
}

function delimited(number: number, payload: Iterable<number>): number[] {
  const bytes = [...payload];
  return field(number, 2, [...varint(bytes.length), ...bytes]);
}

const bytesOf = (value: string): number[] => [...Buffer.from(value)];

/** One result entry: `action` to a result of these bytes. */
function entry(action: string, result: readonly number[]): number[] {
  return delimited(2, [...delimited(1, bytesOf(action)), ...delimited(2, result)]);
}

const unknownField = fc.oneof(
  fc.nat(2 ** 31 - 1).map((value) => field(9, 0, varint(value))),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((value) => field(300, 1, [...value])),
  fc.uint8Array({ maxLength: 300 }).map((value) => delimited(77, value)),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((value) => field(15, 5, [...value])),
  // A group with a field and another group in it.
  fc.constant([...field(9, 3, []), ...field(1, 0, [5]), ...field(2, 3, []), ...field(2, 4, []), ...field(9, 4, [])]),
  // A field of ours with another wire type is not ours.
  fc.constant(field(2, 0, [1])),
);

describe('answers', () => {
  test('any answer that protobufjs wrote: read as it was, key by key', () => {
    fc.assert(
      fc.property(wireResponse, (given) => {
        const decoded = codec.decodeCheckResponse(encodeResponse(given));
        expect(decoded.requestId).toBe(given.requestId);
        const byAction = new Map(given.results);
        expect([...decoded.results.keys()].sort()).toEqual([...byAction.keys()].sort());
        for (const [action, wire] of byAction) {
          const result = decoded.results.get(action);
          expect([result?.effect, result?.policy ?? '', result?.rule ?? '', result?.matched]).toEqual([
            wire.effect,
            wire.policy,
            wire.rule,
            wire.matched,
          ]);
          expect(new Map(Object.entries(result?.meta ?? {}))).toEqual(new Map(wire.meta));
        }
        expect(decoded.metadata).toEqual(given.metadata);
      }),
      { numRuns: 300 },
    );
  });

  test('any answer decoded twice, with other ids and with unknown fields anywhere: the same results', () => {
    fc.assert(
      fc.property(wireResponse, fc.array(unknownField, { maxLength: 4 }), (given, unknown) => {
        const actions = given.results.map(([action]) => action);
        const first = codec.decodeCheckResponse(encodeResponse({ ...given, requestId: 'first' }));
        const withUnknown = Buffer.from([
          ...unknown.flat(),
          ...encodeResponse({ ...given, requestId: 'second' }),
          ...unknown.flat(),
        ]);
        const second = codec.decodeCheckResponse(withUnknown);
        expect([first.requestId, second.requestId]).toEqual(['first', 'second']);
        expect(new Map(second.results)).toEqual(new Map(first.results));
        const [a, b] = [first, second].map((decoded) => codec.buildResponse(decoded, 'r', actions).response);
        expect(b).toEqual(a);
      }),
      { numRuns: 200 },
    );
  });

  test('any bytes: an answer or a ProtocolError, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          codec.decodeCheckResponse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('any answer, cut short or with a byte changed: an answer or a ProtocolError, and nothing else', () => {
    fc.assert(
      fc.property(wireResponse, fc.nat(), fc.nat(255), (given, at, byte) => {
        const whole = encodeResponse(given);
        const changed = Uint8Array.from(whole);
        if (changed.length > 0) changed[at % changed.length] = byte;
        for (const bytes of [whole.subarray(0, at % (whole.length + 1)), changed]) {
          try {
            codec.decodeCheckResponse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  const result = (...bytes: number[]): Uint8Array => Uint8Array.from(entry('read', bytes));
  const effectOf = (bytes: Uint8Array): Effect | undefined =>
    codec.decodeCheckResponse(bytes).results.get('read')?.effect;

  test.each<[string, number[]]>([
    ['7', [0x08, 7]],
    ['-1', [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['2³² + 1, whose low half is ALLOW', [0x08, 0x81, 0x80, 0x80, 0x80, 0x10]],
    ['ALLOW and then 9', [0x08, 1, 0x08, 9]],
    ['ALLOW in another wire type', [0x0d, 1, 0, 0, 0]],
    ['none', []],
  ])('effect of %s: UNSPECIFIED', (_name, bytes) => {
    expect(effectOf(result(...bytes))).toBe(Effect.UNSPECIFIED);
  });

  test('effect written with more bytes than it takes: what it says', () => {
    expect(effectOf(result(0x08, 0x81, 0x00))).toBe(Effect.ALLOW);
  });

  test('action answered twice: the last counts', () => {
    const bytes = Uint8Array.from([...entry('read', [0x08, 1]), ...entry('read', [0x08, 2])]);
    expect(effectOf(bytes)).toBe(Effect.DENY);
  });

  test.each<[string, number[]]>([
    ['a length beyond its end', [0x0a, 5, 0x61]],
    ['an entry beyond its end', [...delimited(1, bytesOf('r')), 0x12, 9, 0x0a, 1]],
    ['a result that reaches out of its entry', [0x12, 5, 0x0a, 1, 0x61, 0x12, 3, 0x08, 1, 0x20]],
    ['an id that is not UTF-8', [0x0a, 1, 0xff]],
    ['an action that is not UTF-8', delimited(2, delimited(1, [0xc3]))],
    [
      'a long text that is not UTF-8',
      delimited(
        1,
        Array.from({ length: 100 }, (_, index) => (index === 50 ? 0x80 : 0x61)),
      ),
    ],
    ['a varint without end', [0x10, ...Array.from({ length: 11 }, () => 0x80), 0]],
    ['field number 0', [0x00, 0x00]],
    ['a wire type that there is not', [0x0f]],
    ['a group that is not closed', [0x4b, 0x08, 0x01]],
    ['a group that another closes', [0x4b, 0x54]],
    ['an end of a group that was not opened', [0x4c]],
    ['groups nested 200 deep', Array.from({ length: 200 }, () => 0x4b)],
  ])('answer with %s: a ProtocolError that was answered and is not retried', (_name, bytes) => {
    const error = caught(() => codec.decodeCheckResponse(Uint8Array.from(bytes)));
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ outcome: 'answered', retryable: false, grpcCode: 13 });
    expect((error as Error).message).toMatch(/^malformed CheckResponse: met /);
  });

  test('malformed answer whose id could be read: the error says whose it is', () => {
    const bytes = Uint8Array.from([...delimited(1, bytesOf('r7')), 0x12, 50]);
    expect(caught(() => codec.decodeCheckResponse(bytes))).toMatchObject({ requestId: 'r7' });
    expect(caught(() => codec.decodeCheckResponse(Uint8Array.from([0x12, 50])))).not.toHaveProperty('requestId');
  });

  test('id of an answer that is malformed or cut short: read where it comes first, and nothing is thrown where it does not', () => {
    const start = [...delimited(1, bytesOf('r7'))];
    expect(codec.readRequestId(Uint8Array.from([...start, 0x12, 50]))).toBe('r7');
    expect(codec.readRequestId(Uint8Array.from([9, 9, ...start, 9]), 2, 2 + start.length)).toBe('r7');
    for (const bytes of [[], [0x12, 50], start.slice(0, -1), [0x0a, 0x80], [0x80]]) {
      expect(codec.readRequestId(Uint8Array.from(bytes))).toBeUndefined();
    }
  });

  test('id behind the results, or given twice: the last one counts, time and again', () => {
    const results = entry('read', [0x08, 1]);
    const behind = Uint8Array.from([...results, ...delimited(1, bytesOf('late'))]);
    const twice = (id: string): Uint8Array =>
      Uint8Array.from([...delimited(1, bytesOf(id)), ...results, ...delimited(1, bytesOf('last'))]);
    for (let round = 0; round < 2; round += 1) {
      expect(codec.decodeCheckResponse(behind).requestId).toBe('late');
      expect(codec.decodeCheckResponse(twice(`first${round}`)).requestId).toBe('last');
    }
  });

  test('id given twice, once behind results that were known under another id: the last one counts', () => {
    const id = (text: string): number[] => delimited(1, bytesOf(text));
    const results = entry('read', [0x08, 1]);
    const answer = (first: string): Uint8Array => Uint8Array.from([...id(first), ...results, ...id('last')]);
    for (const first of ['last', 'other', 'last', '']) {
      expect(codec.decodeCheckResponse(answer(first)).requestId).toBe('last');
    }
  });

  test('empty answer, whatever lies behind it in its chunk: no id and no results', () => {
    const chunk = Uint8Array.from([9, ...delimited(1, bytesOf('r7')), 9]);
    const { requestId, results } = codec.decodeCheckResponse(chunk, 1, 1);
    expect([requestId, results.size]).toEqual(['', 0]);
  });

  test('buffer that the transport uses again after decoding: what was decoded does not change', () => {
    const buffer = Buffer.from(encodeResponse(sample('a', [['read', 1]])));
    const decoded = codec.decodeCheckResponse(buffer);
    const { results } = codec.buildResponse(decoded, 'a', ['read']).response;
    buffer.fill(0x41);
    expect([decoded.requestId, results.get('read')]).toEqual(['a', { effect: 1, matched: true, policy: 'p' }]);
    const again = codec.decodeCheckResponse(encodeResponse(sample('b', [['read', 1]])));
    expect(again.results.get('read')?.effect).toBe(1);
  });

  test('one buffer for a thousand answers of one length: each is read as what it is', () => {
    const shared = Buffer.alloc(encodeResponse(sample('id', [['action 1000', 1]])).length);
    for (let index = 0; index < 1000; index += 1) {
      shared.set(encodeResponse(sample('id', [[`action ${1000 + index}`, 1]])));
      expect([...codec.decodeCheckResponse(shared).results.keys()]).toEqual([`action ${1000 + index}`]);
    }
  });

  test('thousands of different answers: each is read as what it is, whatever was remembered', () => {
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 3000; index += 1) {
        const effectNumber = (index % 3) as Effect;
        const bytes = encodeResponse(sample(`r${round}-${index}`, [[`action ${index % 1000}`, effectNumber]]));
        const decoded = codec.decodeCheckResponse(bytes);
        expect(decoded.requestId).toBe(`r${round}-${index}`);
        expect([...decoded.results].map(([action, { effect: read }]) => [action, read])).toEqual([
          [`action ${index % 1000}`, effectNumber],
        ]);
      }
    }
  });

  test('batch of more answers than are taken: ProtocolError, and just as many are read', () => {
    const bytes = Uint8Array.from([0x0a, 0, 0x0a, 0, 0x0a, 0]);
    expect(codec.decodeBatch(bytes, 3)).toHaveLength(3);
    expect(caught(() => codec.decodeBatch(bytes, 2))).toMatchObject({
      name: 'ProtocolError',
      message: 'malformed CheckBatchResponse: it holds more than 2 answers',
    });
  });

  test('batch that protobufjs wrote: the answers in its order', () => {
    fc.assert(
      fc.property(fc.array(wireResponse, { maxLength: 6 }), (given) => {
        const responses = given.map((one) => ResponseType.decode(encodeResponse(one)));
        const bytes = BatchResponseType.encode({ responses, totalDurationUs: 12.5 }).finish();
        const decoded = codec.decodeBatch(bytes, given.length);
        expect(decoded.map(({ requestId }) => requestId)).toEqual(given.map(({ requestId }) => requestId));
        decoded.forEach(({ results }, index) => {
          expect(new Map(results)).toEqual(
            new Map(codec.decodeCheckResponse(encodeResponse(given[index] as WireResponse)).results),
          );
        });
      }),
      { numRuns: 60 },
    );
    expect(caught(() => codec.decodeBatch(Uint8Array.from([0x0a, 9, 1]), 1))).toBeInstanceOf(ProtocolError);
  });
});

function sample(requestId: string, results: readonly (readonly [string, Effect])[]): WireResponse {
  return {
    requestId,
    results: results.map(([action, effectNumber]) => [
      action,
      { effect: effectNumber, policy: 'p', rule: '', matched: true, meta: [] },
    ]),
    metadata: undefined,
  };
}

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('results, built from what was asked', () => {
  const answer = (results: readonly (readonly [string, Effect])[]): ReturnType<typeof codec.decodeCheckResponse> =>
    codec.decodeCheckResponse(encodeResponse(sample('wire-7', results)));

  test('any answer to any question: exactly the asked actions, an ALLOW only where the wire had it for that action', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(actionName, effect), { maxLength: 6 }),
        fc.array(actionName, { maxLength: 6 }),
        (given, asked) => {
          const { response, foreign } = codec.buildResponse(answer(given), 'id', asked);
          const onWire = new Map(given);
          expect([...response.results.keys()]).toEqual([...new Set(asked)]);
          for (const [action, { effect: read, matched }] of response.results) {
            expect([read, matched]).toEqual(
              onWire.has(action) ? [onWire.get(action), true] : [Effect.UNSPECIFIED, false],
            );
          }
          expect(foreign).toBe([...onWire.keys()].filter((action) => !asked.includes(action)).length);
          expect(response.requestId).toBe('id');
        },
      ),
      { numRuns: 300 },
    );
  });

  test('names of Object.prototype, asked and not answered: UNSPECIFIED', () => {
    const asked = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const { response } = codec.buildResponse(answer([]), 'id', asked);
    for (const action of asked)
      expect(response.results.get(action)).toEqual({ effect: Effect.UNSPECIFIED, matched: false });
  });

  test('equal answers to equal questions: the results are shared; to another question: its own', () => {
    const [first, second] = [
      answer([
        ['read', 1],
        ['write', 2],
      ]),
      answer([
        ['read', 1],
        ['write', 2],
      ]),
    ];
    const actions = ['read', 'write'];
    const shared = codec.buildResponse(first, 'a', actions).response.results;
    expect(codec.buildResponse(second, 'b', ['read', 'write']).response.results).toBe(shared);
    actions.pop();
    const other = codec.buildResponse(second, 'b', actions);
    expect([[...other.response.results.keys()], other.foreign]).toEqual([['read'], 1]);
    expect([...shared.keys()]).toEqual(['read', 'write']);
    expect(codec.buildResponse(first, 'c', ['write', 'read']).foreign).toBe(0);
  });

  test('built results, a caller that tries to change them: TypeErrors, and nothing changed', () => {
    const { response } = codec.buildResponse(
      codec.decodeCheckResponse(
        encodeResponse({
          requestId: 'x',
          results: [['read', { effect: 2, policy: 'p', rule: 'r', matched: true, meta: [['__proto__', 'm']] }]],
          metadata: { evaluationDurationUs: 1.5, policiesEvaluated: 2, matchedPolicies: ['p'], cacheHit: true },
        }),
      ),
      'x',
      ['read', 'write'],
    );
    const results = response.results as Map<string, unknown>;
    expect(() => results.set('read', { effect: 1 })).toThrow(TypeError);
    expect(() => results.delete('read')).toThrow(TypeError);
    expect(() => results.clear()).toThrow(TypeError);
    expect(() => Object.assign(results, { get: () => ({ effect: 1 }) })).toThrow(TypeError);
    for (const action of ['read', 'write']) {
      expect(() => Object.assign(results.get(action) as object, { effect: 1 })).toThrow(TypeError);
    }
    const { meta } = results.get('read') as { meta: Record<string, string> };
    expect(() => Object.assign(meta, { a: 'b' })).toThrow(TypeError);
    expect([Object.getPrototypeOf(meta), Object.entries(meta)]).toEqual([null, [['__proto__', 'm']]]);
    expect(() => (response.metadata?.matchedPolicies as string[]).push('q')).toThrow(TypeError);
    expect(response.metadata).toEqual({
      evaluationDurationUs: 1.5,
      policiesEvaluated: 2,
      matchedPolicies: ['p'],
      cacheHit: true,
    });
    expect([...new Map(results).values()]).toMatchObject([{ effect: 2 }, { effect: 0 }]);
  });
});

describe('management and health', () => {
  const lookup = (name: string): ReturnType<typeof RequestType.lookupType> =>
    authzTypes().lookupType(`authz.v1.${name}`);

  test('policy sources: protobufjs reads the one that was given', () => {
    const read = (bytes: Uint8Array): unknown => {
      const type = lookup('LoadPoliciesRequest');
      return type.toObject(type.decode(bytes), { oneofs: true });
    };
    expect(read(codec.encodeLoadPolicies({ path: 'p.yaml' }))).toEqual({ path: 'p.yaml', source: 'path' });
    expect(read(codec.encodeLoadPolicies({ url: 'https://x' }))).toEqual({ url: 'https://x', source: 'url' });
    expect(read(codec.encodeLoadPolicies({ inline: ['a', 'b'] }))).toEqual({
      inline: { documents: ['a', 'b'] },
      source: 'inline',
    });
  });

  test.each([[{}], [{ path: 'a', url: 'b' }], [{ path: 7 }], [{ inline: [1] }], [{ inline: 'a' }]])(
    'policy source %j: a ConfigurationError',
    (source) => {
      expect(caught(() => codec.encodeLoadPolicies(source as unknown as { path: string }))).toBeInstanceOf(
        ConfigurationError,
      );
    },
  );

  test('answers to management calls, whole and empty: every field is there', () => {
    const load = lookup('LoadPoliciesResponse');
    const errors = [{ source: 'inline[2]', line: 3, reason: 'bad' }];
    expect(codec.decodeLoadPolicies(load.encode({ count: 4, errors }).finish())).toEqual({ count: 4, errors });
    expect(codec.decodeLoadPolicies(new Uint8Array())).toEqual({ count: 0, errors: [] });
    const reload = lookup('ReloadPoliciesResponse');
    expect(codec.decodeReloadPolicies(reload.encode({ success: true, count: 2, durationMs: 1.5 }).finish())).toEqual({
      success: true,
      count: 2,
      durationMs: 1.5,
    });
    expect(codec.decodeReloadPolicies(new Uint8Array())).toEqual({ success: false, count: 0, durationMs: 0 });
    expect(caught(() => codec.decodeLoadPolicies(Uint8Array.from([0x12, 9])))).toBeInstanceOf(ProtocolError);
    const reloadRequest = lookup('ReloadPoliciesRequest');
    expect(reloadRequest.decode(codec.encodeReloadPolicies({ force: true }))).toMatchObject({ force: true });
    expect(reloadRequest.decode(codec.encodeReloadPolicies({}))).toMatchObject({ force: false });
  });

  test('health: the service is field 1, and statuses are those of grpc.health.v1, others UNKNOWN', () => {
    expect([...codec.encodeHealthCheck('ab')]).toEqual([0x0a, 2, 0x61, 0x62]);
    expect(codec.encodeHealthCheck('').length).toBe(0);
    const statusOf = (...bytes: number[]): HealthStatus => codec.decodeHealthCheck(Uint8Array.from(bytes));
    expect([statusOf(), statusOf(0x08, 0), statusOf(0x08, 1), statusOf(0x08, 2), statusOf(0x08, 3)]).toEqual([
      HealthStatus.UNKNOWN,
      HealthStatus.UNKNOWN,
      HealthStatus.SERVING,
      HealthStatus.NOT_SERVING,
      HealthStatus.SERVICE_UNKNOWN,
    ]);
    expect([statusOf(0x08, 9), statusOf(0x12, 1, 0x61, 0x08, 1)]).toEqual([HealthStatus.UNKNOWN, HealthStatus.SERVING]);
    expect(caught(() => statusOf(0x08))).toBeInstanceOf(ProtocolError);
  });

  test('proto directory: found above the sources', () => {
    expect(protoRoot()).toMatch(/[\\/]proto$/);
  });
});

describe("ids of the client's own", () => {
  const plain: CheckRequest = {
    requestId: 'x',
    principal: { id: 'alice', roles: [] },
    resource: { kind: 'document', id: '1' },
    actions: ['read'],
  };
  const own = createCodec(new OwnIds('k3x-'));

  test('any number up to 15 digits: its prefix and the number on the wire, and the number again in the answer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999_999_999 }), (number) => {
        const sent = RequestType.decode(encoded(own, plain, number)) as unknown as WireRequest;
        expect(sent.requestId).toBe(`k3x-${number}`);
        const answer = encodeResponse({ requestId: sent.requestId, results: [], metadata: undefined });
        expect(own.decodeCheckResponse(answer).requestId).toBe(number);
      }),
    );
  });

  test('any run of numbers, one after the other and with leaps: each in its own digits', () => {
    const starts = fc.oneof(fc.integer({ min: 1, max: 1200 }), fc.integer({ min: 99_995, max: 100_010 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(starts, fc.integer({ min: 1, max: 150 })), { minLength: 1, maxLength: 4 }),
        (runs) => {
          for (const [start, length] of runs) {
            for (let number = start; number < start + length; number += 1) {
              const sent = RequestType.decode(encoded(own, plain, number)) as unknown as WireRequest;
              expect(sent.requestId).toBe(`k3x-${number}`);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test.each([
    'k3x-',
    'k3x-0',
    'k3x-07',
    'k3x-1a',
    'k3x-1#2',
    'k3x--1',
    'K3x-1',
    'k3',
    '',
    'k3x-1234567890123456',
    'xk3x-1',
  ])('the answer to %j, which is none of them: its text', (requestId) => {
    const answer = encodeResponse({ requestId, results: [], metadata: undefined });
    expect(own.decodeCheckResponse(answer).requestId).toBe(requestId);
  });

  test('an answer cut within its id: malformed', () => {
    const answer = encodeResponse({ requestId: 'k3x-12345', results: [], metadata: undefined });
    for (let length = 1; length < answer.length; length++) {
      expect(caught(() => own.decodeCheckResponse(answer.subarray(0, length)))).toBeInstanceOf(ProtocolError);
    }
  });
});

import path from 'node:path';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { MAX_STRUCT_DEPTH } from '../../src/engine/limits.js';
import {
  decodeCheckBatchRequest,
  decodeCheckRequest,
  encodeCheckBatchResponse,
  encodeCheckResponse,
} from '../../src/engine/wire.js';
import { Effect } from '../../src/types.js';

// The reference: protobufjs's own reflection over the very proto file.
const root = protobuf.loadSync(path.join(import.meta.dirname, '../../proto/authz/v1/authz.proto'));
const RequestType = root.lookupType('authz.v1.CheckRequest');
const BatchRequestType = root.lookupType('authz.v1.CheckBatchRequest');
const ResponseType = root.lookupType('authz.v1.CheckResponse');
const BatchResponseType = root.lookupType('authz.v1.CheckBatchResponse');
const StructType = root.lookupType('google.protobuf.Struct');

function toValue(value: unknown): object {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  return { structValue: toStruct(value as object) };
}

function toStruct(value: object): { fields: Record<string, object> } {
  return { fields: Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toValue(each)])) };
}

/** What a null-prototype object says, in plain ones. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const json = fc
  .jsonValue({ maxDepth: 4, noUnicodeString: false })
  .filter((value) => !JSON.stringify(value).includes('-0'));
const attributes = fc.dictionary(
  fc.string().filter((key) => key !== '__proto__'),
  json,
  { maxKeys: 4 },
);

describe('decoding a request', () => {
  test('gives what the reference encoder was given', () => {
    const request = fc.record({
      requestId: fc.string(),
      principal: fc.record({ id: fc.string(), roles: fc.array(fc.string(), { maxLength: 3 }), attributes }),
      resource: fc.record({ kind: fc.string(), id: fc.string(), attributes }),
      actions: fc.array(fc.string(), { maxLength: 4 }),
      context: attributes,
      includeMetadata: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), (requests) => {
        const messages = requests.map((one) => ({
          ...one,
          principal: { ...one.principal, attributes: toStruct(one.principal.attributes) },
          resource: { ...one.resource, attributes: toStruct(one.resource.attributes) },
          context: toStruct(one.context),
        }));
        const [first] = messages;
        expect(plain(decodeCheckRequest(RequestType.encode(first ?? {}).finish()))).toEqual(plain(requests[0]));
        const batch = BatchRequestType.encode({ requests: messages }).finish();
        expect(plain(decodeCheckBatchRequest(batch))).toEqual(plain(requests));
      }),
    );
  });

  test('leaves missing what is missing', () => {
    expect(decodeCheckRequest(new Uint8Array())).toEqual({
      requestId: '',
      principal: undefined,
      resource: undefined,
      actions: [],
      includeMetadata: false,
    });
  });

  test('with a key named __proto__ keeps it as a key of an object without a prototype', () => {
    // Built from its parts, because plain objects cannot carry the key.
    const value = protobuf.Writer.create()
      .uint32(0x2a)
      .bytes(StructType.encode(toStruct({ admin: true })).finish())
      .finish();
    const entry = protobuf.Writer.create().uint32(0x0a).string('__proto__').uint32(0x12).bytes(value).finish();
    const struct = protobuf.Writer.create().uint32(0x0a).bytes(entry).finish();
    const bytes = protobuf.Writer.create().uint32(0x2a).bytes(struct).finish();
    const context = decodeCheckRequest(bytes).context ?? {};
    expect(Object.getPrototypeOf(context)).toBeNull();
    expect(Object.keys(context)).toEqual(['__proto__']);
    expect(context['admin']).toBeUndefined();
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  test.each([
    ['mappings', (inner: unknown) => ({ inner })],
    ['lists', (inner: unknown) => [inner]],
  ])('with %s nested to the limit is read, and one deeper throws', (_what, wrap) => {
    const nested = (levels: number): Uint8Array => {
      let value: unknown = 'leaf';
      for (let level = 0; level < levels; level += 1) value = wrap(value);
      return RequestType.encode({ context: toStruct({ value }) }).finish();
    };
    expect(() => decodeCheckRequest(nested(MAX_STRUCT_DEPTH))).not.toThrow();
    expect(() => decodeCheckRequest(nested(MAX_STRUCT_DEPTH + 1))).toThrow(`nested more than ${MAX_STRUCT_DEPTH} deep`);
  });

  test('of any bytes either gives a request or throws an Error', () => {
    const valid = RequestType.encode({
      requestId: 'r',
      principal: { id: 'a', roles: ['b'], attributes: toStruct({ a: [1, { b: null }] }) },
      actions: ['read'],
    }).finish();
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, byte) => {
        const changed = Uint8Array.from(valid);
        changed[at] = byte;
        for (const bytes of [changed, valid.subarray(0, at)]) {
          try {
            expect(Array.isArray(decodeCheckRequest(bytes).actions)).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        }
      }),
    );
  });

  test('whose field runs over the end of its message throws', () => {
    // A principal of two bytes, in which a string claims five.
    expect(() => decodeCheckRequest(Uint8Array.of(0x12, 2, 0x0a, 5, 65, 66, 67, 68, 69))).toThrow(RangeError);
  });
});

test('encoding an answer gives what the reference decoder reads', () => {
  const decision = { effect: Effect.ALLOW, policy: 'p', rule: 'r', matched: true } as const;
  const denied = { effect: Effect.DENY, policy: '', rule: '', matched: false } as const;
  const response = {
    requestId: 'r1',
    results: new Map<string, typeof decision | typeof denied>([
      ['read', decision],
      ['ünïcode', denied],
    ]),
    metadata: { evaluationDurationUs: 1.5, policiesEvaluated: 3, matchedPolicies: ['p'] },
  };
  const expected = {
    requestId: 'r1',
    results: { read: decision, ünïcode: { effect: Effect.DENY } },
    metadata: { evaluationDurationUs: 1.5, policiesEvaluated: 3, matchedPolicies: ['p'] },
  };
  expect(ResponseType.decode(encodeCheckResponse(response)).toJSON()).toEqual({
    ...expected,
    results: { read: { ...decision, effect: 'EFFECT_ALLOW' }, ünïcode: { effect: 'EFFECT_DENY' } },
  });
  const batch = BatchResponseType.decode(encodeCheckBatchResponse([response, response], 2.5)).toJSON();
  expect(batch).toMatchObject({ responses: [{ requestId: 'r1' }, { requestId: 'r1' }], totalDurationUs: 2.5 });
});

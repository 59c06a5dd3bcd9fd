/** What a peer sends as messages, through the decoders: an ALLOW only where the bytes say ALLOW. */

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec } from '../../src/codec/codec.js';
import type { DecodedResponse } from '../../src/codec/codec.js';
import { authzTypes } from '../../src/codec/proto.js';
import { OwnIds } from '../../src/codec/wire-id.js';
import { ProtocolError } from '../../src/errors.js';
import { Effect, HealthStatus } from '../../src/types.js';
import { faults, fuzz, withFaults } from './budget.js';
import { oracleAnswer, oracleBatch, oracleHealth, Unreadable, type OracleAnswer } from './wire-oracle.js';

const ownIds = new OwnIds('k7-');
// One for all inputs: what it remembers of one message must not show in another.
const codec = createCodec(ownIds);
const ResponseType = authzTypes().lookupType('authz.v1.CheckResponse');
const MAX_ANSWERS = 20;
const POLLUTED = ['polluted', '0', 'effect', 'matched', 'meta', 'policy'];

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
}

const delimited = (field: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(bytes.length)]), bytes]);

/** Few, so that bodies come back under other ids and actions are answered twice. */
const id = fc.oneof(
  fc.constantFrom('', 'a', 'k7-1', 'k7-2', 'k7-01', 'k7-', 'k7-123456789012345', 'k7-1234567890123456', 'é'),
  fc.string({ maxLength: 8 }),
);
const action = fc.constantFrom('read', 'write', '__proto__', 'constructor', '', 'ré');
const text = fc.oneof(fc.constantFrom('', 'p', '__proto__', 'constructor'), fc.string({ maxLength: 6 }));

const effect = fc
  .oneof(fc.constantFrom(0, 1, 1, 1, 2, 3, 99, 2 ** 32 + 1, 2 ** 31), fc.nat(300))
  .map((value) => Buffer.from([0x08, ...varint(value)]));
const longVarint = fc.constantFrom(
  [0x81, 0x00],
  [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
);
/** Unknown fields, fields of ours in a wire type that is not theirs, groups, and what no message may hold. */
const oddField = fc.oneof(
  longVarint.map((bytes) => Buffer.from([0x08, ...bytes])),
  fc.constantFrom(
    Buffer.from([0x0d, 1, 0, 0, 0]),
    Buffer.from([0x10, 1]),
    Buffer.from([0x4b, 0x08, 1, 0x4c]),
    Buffer.from([0x4b]),
    Buffer.from([0x4c]),
    Buffer.from([0x00]),
    Buffer.from([0x0f]),
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0x0a, 1, 0xff]),
    Buffer.alloc(99, 0x4b),
    Buffer.alloc(400, 0x4b),
    Buffer.concat([Buffer.alloc(99, 0x4b), Buffer.alloc(99, 0x4c)]),
    Buffer.concat([Buffer.alloc(101, 0x4b), Buffer.alloc(101, 0x4c)]),
  ),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => delimited(9, bytes)),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
);
const joined = (parts: fc.Arbitrary<Buffer>, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.array(parts, { maxLength }).map((list) => Buffer.concat(list));

const metaEntry = fc
  .tuple(text, text)
  .map(([key, value]) =>
    delimited(5, Buffer.concat([delimited(1, Buffer.from(key)), delimited(2, Buffer.from(value))])),
  );
const actionResult = joined(
  fc.oneof(
    { arbitrary: effect, weight: 4 },
    text.map((policy) => delimited(2, Buffer.from(policy))),
    text.map((rule) => delimited(3, Buffer.from(rule))),
    fc.constantFrom(Buffer.from([0x20, 1]), Buffer.from([0x20, 0])),
    metaEntry,
    { arbitrary: oddField, weight: 1 },
  ),
  3,
);
const entry = joined(
  fc.oneof(
    { arbitrary: action.map((name) => delimited(1, Buffer.from(name))), weight: 4 },
    { arbitrary: actionResult.map((bytes) => delimited(2, bytes)), weight: 4 },
    { arbitrary: oddField, weight: 1 },
  ),
  4,
).map((bytes) => delimited(2, bytes));
const knownEntry = fc
  .tuple(action, fc.constantFrom(1, 2))
  .map(([name, value]) =>
    delimited(2, Buffer.concat([delimited(1, Buffer.from(name)), delimited(2, Buffer.from([0x08, value]))])),
  );
const idField = id.map((value) => delimited(1, Buffer.from(value)));
const metadata = fc.constantFrom(
  delimited(3, Buffer.from([0x10, 3, 0x20, 1])),
  delimited(3, delimited(3, Buffer.from([0xff]))),
  delimited(3, Buffer.from([0x09, 0])),
);
const answer = fc
  .tuple(
    fc.option(idField, { nil: Buffer.alloc(0) }),
    joined(
      fc.oneof(
        { arbitrary: knownEntry, weight: 5 },
        { arbitrary: entry, weight: 3 },
        { arbitrary: idField, weight: 1 },
        { arbitrary: metadata, weight: 1 },
        { arbitrary: oddField, weight: 1 },
      ),
      3,
    ),
  )
  .map((parts) => Buffer.concat(parts));

/** Undefined for what cannot be read, which is a typed error and nothing else. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof Unreadable) return undefined;
    throw error;
  }
}

function plain({ requestId, results, metadata: told }: DecodedResponse): OracleAnswer {
  return {
    requestId: ownIds.text(requestId),
    results: new Map(
      [...results].map(([name, { effect: value, policy = '', rule = '', matched, meta = {} }]) => [
        name,
        { effect: value, policy, rule, matched, meta: Object.entries(meta).sort() },
      ]),
    ),
    hasMetadata: told !== undefined,
  };
}

function expectSame(actual: unknown, expected: unknown): void {
  // The comparison that is fast; the other one tells.
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
  if (!isDeepStrictEqual(actual, expected)) throw new Error('not the same');
  for (const key of POLLUTED) if (key in {}) throw new Error(`Object.prototype has ${key}`);
}

/** Actions that protobufjs reads an ALLOW for; undefined where it does not read the bytes at all. */
function allowedByProtobufjs(bytes: Uint8Array): Set<string> | undefined {
  try {
    const { results } = ResponseType.decode(bytes) as unknown as {
      results: Record<string, { effect: number } | null>;
    };
    return new Set(Object.keys(results).filter((name) => results[name]?.effect === Effect.ALLOW));
  } catch {
    return undefined;
  }
}

/** What protobufjs read is not what the bytes say: it takes for granted that every field has the wire type it is declared with. */
function hasOddities(bytes: Uint8Array): boolean {
  try {
    const again = ResponseType.encode(ResponseType.decode(bytes)).finish();
    return !isDeepStrictEqual(
      attempt(() => oracleAnswer(again)),
      attempt(() => oracleAnswer(bytes)),
    );
  } catch {
    return true;
  }
}

let protobufjsAgreed = 0;

function decodesAsDefined(bytes: Buffer): void {
  const expected = attempt(() => oracleAnswer(bytes));
  // Alone, and among the bytes of its neighbours in a chunk.
  const chunk = Buffer.concat([Buffer.from([0x0a, 3, 0x12]), bytes, Buffer.from([0x0a, 4, 0x6b, 0x37, 0x2d, 0x31])]);
  for (const decode of [
    () => codec.decodeCheckResponse(bytes),
    () => codec.decodeCheckResponse(chunk, 3, 3 + bytes.length),
  ]) {
    const decoded = attempt(decode);
    expectSame(decoded === undefined ? undefined : plain(decoded), expected);
    if (decoded === undefined) continue;
    const asked = ['read', 'never asked of anyone', 'toString'];
    const { results } = codec.buildResponse(decoded, 'r', asked).response;
    expectSame([...results.keys()], asked);
    for (const [name, { effect: built }] of results) {
      if (built === Effect.ALLOW && expected?.results.get(name)?.effect !== 1) throw new Error(`ALLOW for ${name}`);
    }
    const allowed = allowedByProtobufjs(bytes);
    if (allowed === undefined || hasOddities(bytes)) continue;
    protobufjsAgreed += 1;
    for (const [name, { effect: value }] of decoded.results) {
      // protobufjs keeps no key of this name.
      if (name !== '__proto__' && value === Effect.ALLOW && !allowed.has(name)) throw new Error(`ALLOW for ${name}`);
    }
  }
}

describe('answers', () => {
  fuzz(
    'answers: any bytes',
    'what protobuf makes of them, or a ProtocolError; an ALLOW where they say ALLOW',
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    decodesAsDefined,
  );

  fuzz(
    'answers: messages with faults',
    'the same, whatever was read before',
    fc
      .tuple(answer, fc.boolean(), faults)
      .map(([bytes, isFaulty, list]) => (isFaulty ? withFaults(bytes, list) : bytes)),
    decodesAsDefined,
  );

  it('protobufjs was asked, too', () => {
    expect(protobufjsAgreed).toBeGreaterThan(0);
  });

  fuzz(
    'batches: messages with faults',
    'the answers in order, no more than are taken, or a ProtocolError',
    fc
      .tuple(
        joined(fc.oneof({ arbitrary: answer.map((bytes) => delimited(1, bytes)), weight: 5 }, oddField), 5),
        fc.constantFrom(0, 0, 0, 30),
        faults,
      )
      .map(([bytes, copies, list]) => withFaults(Buffer.concat([bytes, Buffer.alloc(copies, '\n\0')]), list)),
    (bytes) => {
      const expected = attempt(() => oracleBatch(bytes));
      const decoded = attempt(() => codec.decodeBatch(bytes, MAX_ANSWERS));
      const isReadable = expected !== undefined && expected.length <= MAX_ANSWERS;
      expectSame(decoded?.map(plain), isReadable ? expected : undefined);
    },
  );

  const HEALTH = [HealthStatus.UNKNOWN, HealthStatus.SERVING, HealthStatus.NOT_SERVING, HealthStatus.SERVICE_UNKNOWN];

  fuzz(
    'health and policies: any bytes',
    'a status, an outcome or a ProtocolError',
    fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      joined(fc.oneof(effect, oddField, idField), 4),
      fc.tuple(answer, faults).map(([bytes, list]) => withFaults(bytes, list)),
    ),
    (bytes) => {
      const status = attempt(() => oracleHealth(bytes));
      const expected = status === undefined ? undefined : (HEALTH[Number(status)] ?? HealthStatus.UNKNOWN);
      expectSame(
        attempt(() => codec.decodeHealthCheck(bytes)),
        expected,
      );
      const loaded = attempt(() => codec.decodeLoadPolicies(bytes));
      if (loaded !== undefined && !(Number.isInteger(loaded.count) && Array.isArray(loaded.errors)))
        throw new Error(`an outcome of ${JSON.stringify(loaded)}`);
      const reloaded = attempt(() => codec.decodeReloadPolicies(bytes));
      if (reloaded !== undefined && typeof reloaded.success !== 'boolean')
        throw new Error(`an outcome of ${JSON.stringify(reloaded)}`);
    },
  );
});

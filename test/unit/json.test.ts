import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonSink } from '../../src/core/json.js';
import { JsonWalk, MAX_JSON_DEPTH } from '../../src/core/json.js';
import { ConfigurationError } from '../../src/errors.js';

/** Builds the value again from what it is told. */
class RebuildingSink implements JsonSink {
  readonly #stack: { container: unknown[] | Record<string, unknown>; key: string | number }[] = [];
  readonly root: Record<string, unknown> = {};

  constructor() {
    this.#stack.push({ container: this.root, key: '' });
  }

  #top(): { container: unknown[] | Record<string, unknown>; key: string | number } {
    const top = this.#stack.at(-1);
    if (top === undefined) throw new Error('unbalanced');
    return top;
  }

  #put(value: unknown): void {
    const { container, key } = this.#top();
    Object.defineProperty(container, key, { value, enumerable: true, writable: true, configurable: true });
  }

  null(): void {
    this.#put(null);
  }

  boolean(value: boolean): void {
    this.#put(value);
  }

  number(value: number): void {
    this.#put(value);
  }

  string(value: string): boolean {
    if (/\p{Surrogate}/u.test(value)) return false;
    this.#put(value);
    return true;
  }

  object(): void {
    const container = {};
    this.#put(container);
    this.#stack.push({ container, key: '' });
  }

  objectEnd(): void {
    this.#stack.pop();
  }

  array(): void {
    const container: unknown[] = [];
    this.#put(container);
    this.#stack.push({ container, key: -1 });
  }

  arrayEnd(): void {
    this.#stack.pop();
  }

  member(key: string): boolean {
    this.#top().key = key;
    return !/\p{Surrogate}/u.test(key);
  }

  memberEnd(): void {
    this.#top().key = '';
  }

  element(): void {
    const top = this.#top();
    top.key = Number(top.key) + 1;
  }

  elementEnd(): void {
    this.#top();
  }
}

function rebuilt(root: unknown, extraKey?: string, extraValue?: string): Record<string, unknown> {
  const sink = new RebuildingSink();
  new JsonWalk(sink, 'attributes', false).root(root, extraKey, extraValue);
  return sink.root;
}

function failure(root: unknown): ConfigurationError {
  try {
    rebuilt(root);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const anyKey = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'type', 'length'),
);

test('any JSON object: the walk tells what JSON.stringify would write', () => {
  const { value } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
        fc.boolean(),
        fc.constant(null),
        fc.constant(undefined),
        fc.date({ noInvalidDate: true }),
        fc.constant(Object('boxed')),
        fc.constant(Object(7)),
        fc.constant(Object(false)),
      ),
      tie('object'),
      fc.array(tie('value'), { maxLength: 4 }),
    ),
    object: fc.dictionary(anyKey, tie('value'), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(fc.dictionary(anyKey, value, { maxKeys: 5 }), (root) => {
      expect(JSON.stringify(rebuilt(root))).toBe(JSON.stringify(root));
    }),
    { numRuns: 300 },
  );
});

test('anything at all: told in whole or refused with a ConfigurationError, and never another way', () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withBoxedValues: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withNullPrototype: true,
        withSparseArray: true,
        withTypedArray: true,
      }),
      (root) => {
        try {
          const told = rebuilt({ root });
          expect(JSON.stringify(told, minusZeroAsZero)).toBe(JSON.stringify({ root }));
        } catch (error) {
          if (!(error instanceof ConfigurationError)) throw error;
          expect(error.path).toMatch(/^attributes/);
        }
      },
    ),
    { numRuns: 500 },
  );
});

function minusZeroAsZero(_key: string, value: unknown): unknown {
  return Object.is(value, -0) ? 0 : value;
}

const cyclic: Record<string, unknown> = { b: [{}] };
(cyclic['b'] as unknown[])[1] = cyclic;

describe.each([
  ['NaN', { a: { b: [1, 2, NaN] } }, 'attributes.a.b[2]', 'must be a finite number, got NaN'],
  ['Infinity', { a: -Infinity }, 'attributes.a', 'must be a finite number, got -Infinity'],
  ['a BigInt', { a: [10n] }, 'attributes.a[0]', 'must be a JSON value, got a bigint'],
  ['a boxed BigInt', { a: Object(10n) as unknown }, 'attributes.a', 'must be a JSON value, got a bigint'],
  ['a function', { a: { f: () => 1 } }, 'attributes.a.f', 'must be a JSON value, got a function'],
  ['a symbol', { a: Symbol('s') }, 'attributes.a', 'must be a JSON value, got a symbol'],
  ['itself', cyclic, 'attributes.b[1]', 'must not contain itself'],
  [
    'a Map',
    { m: new Map([['k', 1]]) },
    'attributes.m',
    'must be a JSON value, got a Map or Set; use a plain object or an array',
  ],
  [
    'half a surrogate pair',
    { 'a b': { s: '\ud800' } },
    'attributes["a b"].s',
    'must be well-formed Unicode (it holds half of a surrogate pair)',
  ],
  [
    'a key of half a pair',
    { '\udc00': 1 },
    'attributes["\\udc00"]',
    'must be well-formed Unicode (it holds half of a surrogate pair)',
  ],
  ['an empty key above the fault', { '': { '9': NaN } }, 'attributes[""]["9"]', 'must be a finite number, got NaN'],
])('attributes that hold %s', (_name, root, path, reason) => {
  test('walked: refused with the exact path and the rule', () => {
    const error = failure(root);
    expect([error.path, error.message]).toEqual([path, `${path}: ${reason}`]);
  });
});

test.each([[null], [undefined], ['text'], [[1]], [new Date(0)]])('root that is no object (%s): refused', (root) => {
  expect(failure(root).message).toBe('attributes: must be an object');
});

function nested(levels: number, isArray: boolean): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = isArray ? [value] : { a: value };
  return value;
}

test('64 levels: told; 65: refused', () => {
  expect(JSON.stringify(rebuilt(nested(MAX_JSON_DEPTH, false)))).toBe(JSON.stringify(nested(64, false)));
  expect(failure(nested(65, false)).message).toMatch(/^attributes(\.a){64}: must not be nested deeper than 64 levels$/);
  rebuilt({ a: nested(63, true) });
  expect(failure({ a: nested(64, true) }).path).toBe(`attributes.a${'[0]'.repeat(63)}`);
});

test('one object in two places, not in itself: told twice', () => {
  const shared = { x: 1 };
  expect(rebuilt({ a: shared, b: [shared, shared] })).toEqual({ a: { x: 1 }, b: [{ x: 1 }, { x: 1 }] });
});

test('toJSON, a getter and a proxy that throw: a ConfigurationError with the path and the cause', () => {
  const broken = new Error('broken');
  const thrower = (): never => {
    throw broken;
  };
  const withGetter = Object.defineProperty({}, 'g', { get: thrower, enumerable: true });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const [root, path] of [
    [{ a: { toJSON: thrower } }, 'attributes.a'],
    [{ a: [withGetter] }, 'attributes.a[0].g'],
  ] as const) {
    const error = failure(root);
    expect([error.path, error.message, error.cause]).toEqual([path, `${path}: could not be read`, broken]);
  }
  expect(failure({ p: proxy }).path).toBe('attributes.p');
});

test('toJSON: it is given the key, and what it returns is told', () => {
  const keys: string[] = [];
  const value = {
    toJSON: (key: string) => {
      keys.push(key);
      return { from: key };
    },
  };
  expect(rebuilt({ a: value, b: [value] })).toEqual({ a: { from: 'a' }, b: [{ from: '0' }] });
  expect(keys).toEqual(['a', '0']);
  expect(rebuilt({ a: { toJSON: () => undefined }, b: [{ toJSON: () => undefined }] })).toEqual({ b: [null] });
});

test('extra member: added where the root has none of its own, the inherited not counting', () => {
  expect(rebuilt({ a: 1 }, 'type', 'user')).toEqual({ a: 1, type: 'user' });
  expect(rebuilt({ type: 'own' }, 'type', 'user')).toEqual({ type: 'own' });
  expect(rebuilt({ type: undefined }, 'type', 'user')).toEqual({ type: 'user' });
  expect(rebuilt({ type: null }, 'type', 'user')).toEqual({ type: null });
  expect(rebuilt(Object.create({ type: 'inherited' }), 'type', 'user')).toEqual({ type: 'user' });
  expect(rebuilt({ a: { b: 1 } }, 'type', 'user')).toEqual({ a: { b: 1 }, type: 'user' });
});

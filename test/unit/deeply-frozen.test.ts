import { expect, test } from 'vitest';
import { isDeeplyFrozen, isFrozen } from '../../src/core/deeply-frozen.js';

const { freeze } = Object;
const nested = (levels: number): object => (levels === 0 ? freeze({}) : freeze({ inner: nested(levels - 1) }));
const shared = freeze(['x']);

test.each([
  ['null', null],
  ['a text', 'x'],
  ['nothing', undefined],
  ['an empty object', freeze({})],
  ['an object without a prototype', freeze(Object.assign(Object.create(null) as object, { a: 1 }))],
  ['objects and arrays in each other', freeze({ a: freeze([1, freeze({ b: null }), 'c']), d: true })],
  ['one array in two places', freeze({ a: shared, b: shared })],
  ['as deep as attributes may be', nested(60)],
])('%s, frozen: true', (_name, value) => {
  expect(isDeeplyFrozen(value)).toBe(true);
});

const hiding = (from: object, key: string | number, property: PropertyDescriptor): object =>
  Object.defineProperty(from, key, { ...property, enumerable: false });
const itself: Record<string, unknown> = {};
itself['self'] = itself;
freeze(itself);
class Person {
  readonly name = 'x';
}

test.each([
  ['an object that is not frozen', {}],
  ['an array in it that is not frozen', freeze({ roles: ['admin'] })],
  ['something deep in it that is not frozen', freeze({ a: freeze([freeze({ b: {} })]) })],
  ['a getter', freeze(Object.defineProperty({}, 'a', { get: () => 1, enumerable: true }))],
  ['a proxy', new Proxy(freeze({ a: 1 }), {})],
  ['a proxy in it', freeze({ a: new Proxy(freeze({}), {}) })],
  ['an instance of a class', freeze(new Person())],
  ['a date', freeze(new Date(0))],
  ['a boxed number', freeze({ n: freeze(Object(1) as object) })],
  ['a map', freeze(new Map())],
  ['a function', freeze({ a: freeze(() => 1) })],
  ['a toJSON', freeze({ toJSON: freeze(() => 1) })],
  ['a toJSON that Object.keys leaves out', freeze(hiding({}, 'toJSON', { value: () => 1 }))],
  ['a toJSON of an array', freeze({ a: freeze(hiding([1], 'toJSON', { value: () => 1 })) })],
  ['an array that is not frozen, and that Object.keys leaves out', freeze(hiding({}, 'roles', { value: ['admin'] }))],
  ['a getter that Object.keys leaves out', freeze(hiding({}, 'id', { get: () => 'x' }))],
  ['a getter in an array', freeze(hiding([0], 0, { get: () => 1 }))],
  ['an array with a gap', freeze([1, , 3])],
  ['an array with a gap and a property more', freeze(Object.assign([1, , 3], { more: 2 }))],
  ['an array of a class of its own', freeze(Object.setPrototypeOf([1], { 0: 2 }))],
  ['what inherits from an object', freeze(Object.create({ type: 'x' }))],
  ['what holds itself', itself],
  ['nested deeper than attributes may be', nested(80)],
])('%s: false', (_name, value) => {
  expect(isDeeplyFrozen(value)).toBe(false);
});

test('prototypes that were given a toJSON: nothing counts as frozen, for it may answer differently each time', () => {
  const value = freeze({ a: freeze([1]) });
  for (const prototype of [Object.prototype, Array.prototype]) {
    Object.defineProperty(prototype, 'toJSON', { value: () => 1, configurable: true });
    try {
      expect(isDeeplyFrozen(value)).toBe(false);
    } finally {
      Reflect.deleteProperty(prototype, 'toJSON');
    }
    expect(isDeeplyFrozen(value)).toBe(true);
  }
});

test('a proxy that was revoked, or whose traps throw: false, and it is not asked', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const trapped = new Proxy(
    {},
    {
      isExtensible: () => {
        throw new Error('asked');
      },
    },
  );
  for (const value of [proxy, trapped]) {
    expect(isFrozen(value)).toBe(false);
    expect(isDeeplyFrozen(freeze({ a: value }))).toBe(false);
  }
});

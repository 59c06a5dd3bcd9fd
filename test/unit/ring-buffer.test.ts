import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RingBuffer } from '../../src/core/ring-buffer.js';
import { collectGarbage } from '../support/gc.js';

const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), value: fc.integer() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('unshift' as const), value: fc.integer() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('shift' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

test('any ring, any operations: it holds what an array would hold', () => {
  fc.assert(
    fc.property(fc.array(operation, { size: 'large', maxLength: 300 }), (operations) => {
      const ring = new RingBuffer<number>();
      const model: number[] = [];
      for (const step of operations) {
        if (step.kind === 'push') {
          ring.push(step.value);
          model.push(step.value);
        } else if (step.kind === 'unshift') {
          ring.unshift(step.value);
          model.unshift(step.value);
        } else if (step.kind === 'shift') {
          expect(ring.shift()).toBe(model.shift());
        } else {
          ring.clear();
          model.length = 0;
        }
        expect(ring.length).toBe(model.length);
        expect(ring.peek()).toBe(model[0]);
      }
      expect([...ring]).toEqual(model);
      for (const count of [0, 1, 20, model.length, model.length + 1]) {
        expect(ring.last(count)).toEqual(model.slice(Math.max(0, model.length - count)));
      }
    }),
  );
});

test('full ring, push: it doubles and keeps the order across the wrap', () => {
  const ring = new RingBuffer<number>(16);
  for (let value = 0; value < 16; value += 1) ring.push(value);
  ring.shift();
  ring.shift();
  for (let value = 16; value < 20; value += 1) ring.push(value);
  expect(ring.capacity).toBe(32);
  expect([...ring]).toEqual(Array.from({ length: 18 }, (_, index) => index + 2));
});

test('large ring, last value shifted: the memory is given back and it works on', () => {
  const ring = new RingBuffer<number>();
  for (let value = 0; value < 5000; value += 1) ring.push(value);
  expect(ring.capacity).toBe(8192);
  while (ring.length > 0) ring.shift();
  expect(ring.capacity).toBe(16);
  ring.push(7);
  expect(ring.shift()).toBe(7);
});

test('ring of objects, one shifted: the ring does not keep it alive', async () => {
  const ring = new RingBuffer<object>();
  const seen = new FinalizationRegistry<string>(() => undefined);
  let value: object | undefined = { big: new Array(10).fill(1) };
  const weak = new WeakRef(value);
  seen.register(value, 'value');
  ring.push(value);
  ring.push({});
  ring.shift();
  value = undefined;
  // A WeakRef that was read stays alive to the end of its turn.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(weak.deref()).toBeUndefined();
  expect(ring.length).toBe(1);
});

test('ring with a wrap, iterated: nothing is taken out', () => {
  const ring = new RingBuffer<string>();
  ring.push('b');
  ring.unshift('a');
  expect([...ring]).toEqual(['a', 'b']);
  expect(ring.length).toBe(2);
});

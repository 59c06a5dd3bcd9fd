import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RenewedMap } from '../../src/core/renewed-map.js';

test('any keys set and deleted, over many renewals: the same as in a Map, in the same order', () => {
  const step = fc.record({ key: fc.nat(40), isSet: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const renewed = new RenewedMap<number, number>();
      const model = new Map<number, number>();
      for (let round = 0; round < 100; round += 1) {
        for (const [index, { key, isSet }] of steps.entries()) {
          if (isSet) {
            renewed.set(key, round * 100 + index);
            model.set(key, round * 100 + index);
          } else {
            expect(renewed.delete(key)).toBe(model.delete(key));
          }
        }
      }
      expect(renewed.size).toBe(model.size);
      expect([...renewed.values()]).toEqual([...model.values()]);
      for (let key = 0; key <= 40; key += 1) {
        expect(renewed.get(key)).toBe(model.get(key));
        expect(renewed.has(key)).toBe(model.has(key));
      }
    }),
    { numRuns: 50 },
  );
});

test('entries, clear(): empty, and usable again', () => {
  const renewed = new RenewedMap<string, number>();
  renewed.set('a', 1);
  renewed.clear();
  expect([renewed.size, renewed.get('a')]).toEqual([0, undefined]);
  renewed.set('a', 2);
  expect(renewed.get('a')).toBe(2);
});

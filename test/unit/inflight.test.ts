import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InflightTable } from '../../src/data/inflight.js';

interface Item {
  wireId: string;
}

const item = (wireId: string): Item => ({ wireId });

test('requests written, answered out of order: each is given once and the rest stay in write order', () => {
  const table = new InflightTable<Item>();
  const items = ['a', 'b', 'c', 'd'].map(item);
  for (const one of items) expect(table.add(one)).toBe(true);
  expect(table.settle('c')).toBe(items[2]);
  expect(table.settle('c')).toBeUndefined();
  expect(table.take('a')).toBe(items[0]);
  expect(table.oldest()).toBe(items[1]);
  expect(table.size).toBe(2);
  expect(table.drain()).toEqual([items[1], items[3]]);
  expect(table.size).toBe(0);
  expect(table.oldest()).toBeUndefined();
});

test('request given up, its late answer: a tombstone once, then unknown', () => {
  const table = new InflightTable<Item>();
  const late = item('late');
  table.add(late);
  expect(table.abandon(late)).toBe(true);
  expect(table.abandon(late)).toBe(false);
  expect(table.take('late')).toBeUndefined();
  expect(table.isTombstone('late')).toBe(true);
  expect(table.isTombstone('late')).toBe(false);
});

test('id in flight or given up, another request with it: refused, so that the late answer cannot settle it', () => {
  const table = new InflightTable<Item>();
  const first = item('id');
  table.add(first);
  expect(table.isTaken('id')).toBe(true);
  expect(table.add(item('id'))).toBe(false);
  table.abandon(first);
  expect(table.isTaken('id')).toBe(true);
  expect(table.add(item('id'))).toBe(false);
  expect(table.take('id')).toBeUndefined();
  expect(table.isTombstone('id')).toBe(true);
  expect(table.isTaken('id')).toBe(false);
  expect(table.add(item('id'))).toBe(true);
});

test('another request under the same id in the table, abandon of the first: the other stays', () => {
  const table = new InflightTable<Item>();
  const first = item('id');
  table.add(first);
  table.settle('id');
  const second = item('id');
  table.add(second);
  expect(table.abandon(first)).toBe(false);
  expect(table.settle('id')).toBe(second);
});

test('answered request, a second answer: known as a duplicate while among the last 256', () => {
  const table = new InflightTable<Item>();
  table.add(item('twice'));
  expect(table.recentlySettled('twice')).toBe(false);
  table.settle('twice');
  expect(table.recentlySettled('twice')).toBe(true);
  for (let index = 0; index < 256; index += 1) {
    table.add(item(`n${index}`));
    table.settle(`n${index}`);
  }
  expect(table.recentlySettled('twice')).toBe(false);
});

test('any requests given up and late answers: never more tombstones than allowed, and the youngest are known', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ id: fc.nat(12), isLateAnswer: fc.boolean() }), { maxLength: 120 }), (steps) => {
      const table = new InflightTable<Item>(4);
      // Every tombstone by the number of later ones: it is known for as long as there are fewer than four.
      let model: { id: string; isConsumed: boolean }[] = [];
      for (const { id: number, isLateAnswer } of steps) {
        const id = String(number);
        const known = model.find((one) => one.id === id && !one.isConsumed);
        if (isLateAnswer) {
          expect(table.isTombstone(id)).toBe(known !== undefined);
          if (known !== undefined) known.isConsumed = true;
        } else {
          const one = item(id);
          expect(table.add(one)).toBe(known === undefined);
          if (known === undefined) {
            table.abandon(one);
            model = [...model, { id, isConsumed: false }].slice(-4);
          }
        }
        expect(table.tombstones).toBe(model.filter(({ isConsumed }) => !isConsumed).length);
        expect(table.size).toBe(0);
      }
    }),
  );
});

test('table without room for tombstones, a request given up: it is forgotten', () => {
  const table = new InflightTable<Item>(0);
  const one = item('a');
  table.add(one);
  table.abandon(one);
  expect([table.size, table.tombstones, table.isTombstone('a')]).toEqual([0, 0, false]);
});

test('dead call, drained: tombstones and settled ids are forgotten with it', () => {
  const table = new InflightTable<Item>();
  const gone = item('gone');
  for (const one of [gone, item('done'), item('live')]) table.add(one);
  table.abandon(gone);
  table.settle('done');
  expect(table.drain().map(({ wireId }) => wireId)).toEqual(['live']);
  expect([table.isTaken('gone'), table.recentlySettled('done')]).toEqual([false, false]);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { WireId } from '../../src/codec/wire-id.js';
import { type InflightEntry, InflightTable } from '../../src/data/inflight.js';

type Item = InflightEntry;

const item = (wireId: WireId): Item => ({ wireId, inflightNext: null, inflightPrevious: null });

test('requests written, answered out of order: each is given once and the rest stay in write order', () => {
  const table = new InflightTable<Item>();
  const items = ['a', 'b', 'c', 'd'].map(item);
  for (const one of items) expect(table.add(one)).toBe(true);
  expect(table.take('c')).toBe(items[2]);
  expect(table.take('c')).toBeUndefined();
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

test('one request in flight, others given up or none: it is the sole one only where no late answer can come', () => {
  const table = new InflightTable<Item>();
  const [first, second] = [item('first'), item('second')];
  expect(table.sole).toBeUndefined();
  table.add(first);
  expect(table.sole).toBe(first);
  table.add(second);
  expect(table.sole).toBeUndefined();
  table.abandon(second);
  expect(table.sole).toBeUndefined();
  table.isTombstone('second');
  expect(table.sole).toBe(first);
});

test('id in flight or given up, another request with it: refused, so that the late answer cannot settle it', () => {
  const table = new InflightTable<Item>();
  const first = item('id');
  table.add(first);
  expect(table.add(item('id'))).toBe(false);
  table.abandon(first);
  expect(table.add(item('id'))).toBe(false);
  expect(table.take('id')).toBeUndefined();
  expect(table.isTombstone('id')).toBe(true);
  expect(table.add(item('id'))).toBe(true);
});

test('another request under the same id in the table, abandon of the first: the other stays', () => {
  const table = new InflightTable<Item>();
  const first = item('id');
  table.add(first);
  table.take('id');
  const second = item('id');
  table.add(second);
  expect(table.abandon(first)).toBe(false);
  expect(table.take('id')).toBe(second);
});

test('answered request, a second answer: known as a duplicate while among the last 256', () => {
  const table = new InflightTable<Item>();
  table.add(item('twice'));
  expect(table.recentlySettled('twice')).toBe(false);
  table.take('twice');
  expect(table.recentlySettled('twice')).toBe(true);
  for (let index = 0; index < 256; index += 1) {
    table.add(item(`n${index}`));
    table.take(`n${index}`);
  }
  expect(table.recentlySettled('twice')).toBe(false);
});

test('any requests given up and late answers: the youngest are known, and never more than twice as many', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ id: fc.nat(20), isLateAnswer: fc.boolean() }), { maxLength: 120 }), (steps) => {
      const table = new InflightTable<Item>(4);
      /** The ids given up and not yet answered late, oldest first. */
      let model: string[] = [];
      for (const { id: number, isLateAnswer } of steps) {
        const id = String(number);
        const age = model.length - model.indexOf(id);
        const isRemembered = isLateAnswer ? table.isTombstone(id) : !table.add(item(id));
        if (!model.includes(id)) expect(isRemembered).toBe(false);
        else if (age <= 4) expect(isRemembered).toBe(true);
        else if (age > 8) expect(isRemembered).toBe(false);
        if (isLateAnswer || !isRemembered) model = model.filter((one) => one !== id);
        if (isLateAnswer || isRemembered) continue;
        const added = table.oldest();
        expect(added?.wireId).toBe(id);
        expect(added !== undefined && table.abandon(added)).toBe(true);
        expect(table.size).toBe(0);
        model.push(id);
      }
    }),
  );
});

test('as many requests as one call carries, all given up: every late answer is known', () => {
  const table = new InflightTable<Item>();
  const items = Array.from({ length: 10_000 }, (_, index) => item(`n${index}`));
  for (const one of items) table.add(one);
  for (const one of items) table.abandon(one);
  expect(items.filter(({ wireId }) => !table.isTombstone(wireId))).toEqual([]);
});

test('dead call, drained: tombstones and settled ids are forgotten with it', () => {
  const table = new InflightTable<Item>();
  const gone = item('gone');
  for (const one of [gone, item('done'), item('live')]) table.add(one);
  table.abandon(gone);
  table.take('done');
  expect(table.drain().map(({ wireId }) => wireId)).toEqual(['live']);
  expect([table.isTombstone('gone'), table.recentlySettled('done')]).toEqual([false, false]);
  expect(table.add(item('gone'))).toBe(true);
});

test('any numbers and texts added, taken and given up: as in a Map, and the oldest first', () => {
  // Few of the low bits differ, so that many meet in one place.
  const id = fc.oneof(
    fc.record({ place: fc.nat(3), turn: fc.nat(2 ** 40) }).map(({ place, turn }) => turn * 64 + place),
    fc.nat(30).map(String),
  );
  const step = fc.record({ id, kind: fc.constantFrom('add', 'add', 'take', 'abandon') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new InflightTable<Item>();
      const model = new Map<WireId, Item>();
      const used = new Set<WireId>();
      for (const { id: wireId, kind } of steps) {
        if (kind === 'add') {
          if (used.has(wireId)) continue;
          used.add(wireId);
          const added = item(wireId);
          expect(table.add(added)).toBe(true);
          model.set(wireId, added);
        } else {
          const [eldest] = model.keys();
          const chosen = used.has(wireId) ? wireId : (eldest ?? wireId);
          const known = model.get(chosen);
          if (kind === 'take') expect(table.take(chosen)).toBe(known);
          else if (known !== undefined) expect(table.abandon(known)).toBe(true);
          model.delete(chosen);
        }
        expect(table.size).toBe(model.size);
        expect(table.oldest()).toBe(model.values().next().value);
      }
      expect(table.drain()).toEqual([...model.values()]);
    }),
  );
});

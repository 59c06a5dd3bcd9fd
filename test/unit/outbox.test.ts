import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OutboxItem } from '../../src/data/outbox.js';
import { Outbox } from '../../src/data/outbox.js';

interface Item extends OutboxItem {
  id: number;
}

const item = (id: number, byteLength = 1): Item => ({ id, byteLength, queued: false });
const NO_EDGES = { onHighWater: (): void => undefined, onLowWater: (): void => undefined };
const LIMITS = { highWaterMark: 6, lowWaterMark: 3, maxBufferSize: 10, maxBufferBytes: 100 };

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('offer' as const), index: fc.nat(79) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove' as const), index: fc.nat(79) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const) }) },
);

test('any outbox, any offers, takes, removals and drains: order, counts, bounds and edges are those of a plain list', () => {
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 400, size: 'max' }),
      fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 80, maxLength: 80 }),
      (commands, sizes) => {
        const limits = { highWaterMark: 40, lowWaterMark: 20, maxBufferSize: 60, maxBufferBytes: 900 };
        const edges: string[] = [];
        const outbox = new Outbox<Item>(limits, {
          onHighWater: () => edges.push('high'),
          onLowWater: () => edges.push('low'),
        });
        const items = sizes.map((size, id) => item(id, size));
        const expectedEdges: string[] = [];
        let model: Item[] = [];
        let isHigh = false;
        let peak = 0;
        const bytes = (): number => model.reduce((sum, one) => sum + one.byteLength, 0);
        for (const step of commands) {
          const chosen = step.kind === 'offer' || step.kind === 'remove' ? items[step.index] : undefined;
          if (step.kind === 'offer' && chosen !== undefined) {
            const fits = !model.includes(chosen) && model.length < 60 && bytes() + chosen.byteLength <= 900;
            expect(outbox.offer(chosen)).toBe(fits);
            if (fits) model.push(chosen);
          } else if (step.kind === 'remove' && chosen !== undefined) {
            expect(outbox.remove(chosen)).toBe(model.includes(chosen));
            model = model.filter((one) => one !== chosen);
          } else if (step.kind === 'take') {
            expect(outbox.peek()).toBe(model[0]);
            expect(outbox.take()).toBe(model.shift());
          } else {
            expect(outbox.drain()).toEqual(model);
            model = [];
          }
          if (!isHigh && model.length >= 40) {
            isHigh = true;
            expectedEdges.push('high');
          } else if (isHigh && model.length <= 20) {
            isHigh = false;
            expectedEdges.push('low');
          }
          peak = Math.max(peak, model.length);
          expect([outbox.length, outbox.bytes, outbox.isHigh, outbox.peakLength]).toStrictEqual([
            model.length,
            bytes(),
            isHigh,
            peak,
          ]);
          expect(edges.length).toBe(expectedEdges.length);
          expect(items.every((one) => one.queued === model.includes(one))).toBe(true);
        }
        expect(edges).toEqual(expectedEdges);
      },
    ),
    { numRuns: 40 },
  );
});

test('outbox below its high water mark, filled and emptied: one edge up at the mark, one down at the low mark', () => {
  const edges: string[] = [];
  const outbox = new Outbox<Item>(LIMITS, {
    onHighWater: () => edges.push(`high at ${outbox.length}`),
    onLowWater: () => edges.push(`low at ${outbox.length}`),
  });
  for (let id = 0; id < 8; id += 1) outbox.offer(item(id));
  expect(edges).toEqual(['high at 6']);
  for (let count = 0; count < 8; count += 1) outbox.take();
  expect(edges).toEqual(['high at 6', 'low at 3']);
});

test('outbox at maxBufferSize, offer: refused and nothing changed', () => {
  const outbox = new Outbox<Item>(LIMITS, NO_EDGES);
  for (let id = 0; id < 10; id += 1) expect(outbox.offer(item(id))).toBe(true);
  const extra = item(99);
  expect(outbox.offer(extra)).toBe(false);
  expect([outbox.length, outbox.bytes, extra.queued]).toEqual([10, 10, false]);
});

test('outbox whose bytes would exceed the bound, offer: refused; after a removal: accepted', () => {
  const outbox = new Outbox<Item>(LIMITS, NO_EDGES);
  const large = item(1, 60);
  outbox.offer(large);
  expect(outbox.offer(item(2, 41))).toBe(false);
  outbox.remove(large);
  expect(outbox.bytes).toBe(0);
  expect(outbox.offer(item(2, 100))).toBe(true);
});

test('item removed from the middle, taken through: it is passed over', () => {
  const outbox = new Outbox<Item>(LIMITS, NO_EDGES);
  const items = [0, 1, 2, 3].map((id) => item(id));
  for (const one of items) outbox.offer(one);
  outbox.remove(items[0] as Item);
  outbox.remove(items[2] as Item);
  expect(outbox.peek()).toBe(items[1]);
  expect(outbox.drain()).toEqual([items[1], items[3]]);
});

test('item removed and offered again: it stands at the end, once', () => {
  const outbox = new Outbox<Item>(LIMITS, NO_EDGES);
  const [a, b] = [item(0), item(1)];
  for (const one of [a, b]) outbox.offer(one);
  outbox.remove(a);
  expect(outbox.offer(a)).toBe(true);
  expect([outbox.take(), outbox.take(), outbox.take()]).toEqual([b, a, undefined]);
});

test('low water edge that offers again: the outbox is consistent', () => {
  const outbox: Outbox<Item> = new Outbox<Item>(LIMITS, {
    onHighWater: () => undefined,
    onLowWater: () => {
      for (let id = 100; id < 103; id += 1) outbox.offer(item(id));
    },
  });
  for (let id = 0; id < 6; id += 1) outbox.offer(item(id));
  for (let count = 0; count < 3; count += 1) outbox.take();
  expect(outbox.length).toBe(6);
  expect(outbox.isHigh).toBe(true);
  expect(outbox.drain().map(({ id }) => id)).toEqual([3, 4, 5, 100, 101, 102]);
});

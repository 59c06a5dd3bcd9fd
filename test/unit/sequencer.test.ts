import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Sequencer } from '../../src/data/sequencer.js';

test('places completed or skipped in any order: delivered strictly in the order of reservation', () => {
  fc.assert(
    fc.property(
      fc
        .array(fc.boolean(), { minLength: 1, maxLength: 120, size: 'max' })
        .chain((skips) =>
          fc.tuple(
            fc.constant(skips),
            fc.shuffledSubarray([...skips.keys()], { minLength: skips.length, maxLength: skips.length }),
          ),
        ),
      ([skips, order]) => {
        const delivered: number[] = [];
        const sequencer = new Sequencer<number>((value) => delivered.push(value));
        for (const index of skips.keys()) expect(sequencer.reserve()).toBe(index);
        const done = new Set<number>();
        for (const sequence of order) {
          if (skips[sequence] === true) sequencer.skip(sequence);
          else sequencer.complete(sequence, sequence);
          done.add(sequence);
          let reached = 0;
          while (done.has(reached)) reached += 1;
          expect(delivered).toEqual([...skips.keys()].filter((index) => index < reached && skips[index] !== true));
          expect(sequencer.outstanding).toBe(skips.length - reached);
          expect(sequencer.held).toBe([...done].filter((index) => index >= reached && skips[index] !== true).length);
        }
        expect(sequencer.outstanding).toBe(0);
      },
    ),
  );
});

test('receiver that reserves and completes: that comes after it, in order, not inside it', () => {
  const log: string[] = [];
  const sequencer = new Sequencer<string>((value) => {
    log.push(`begin ${value}`);
    if (value === 'a') {
      sequencer.complete(sequencer.reserve(), 'd');
      sequencer.complete(second, 'b');
    }
    log.push(`end ${value}`);
  });
  const first = sequencer.reserve();
  const second = sequencer.reserve();
  const third = sequencer.reserve();
  sequencer.complete(third, 'c');
  sequencer.complete(first, 'a');
  expect(log).toEqual(['begin a', 'end a', 'begin b', 'end b', 'begin c', 'end c', 'begin d', 'end d']);
});

test('receiver that throws, others due behind it: they are delivered, the error comes out, the sequencer goes on', () => {
  const delivered: number[] = [];
  const sequencer = new Sequencer<number>((value) => {
    delivered.push(value);
    if (value === 0) throw new Error('broken');
  });
  for (let count = 0; count < 4; count += 1) sequencer.reserve();
  sequencer.complete(1, 1);
  sequencer.complete(2, 2);
  expect(() => sequencer.complete(0, 0)).toThrow('broken');
  expect(delivered).toEqual([0, 1, 2]);
  sequencer.complete(3, 3);
  expect(delivered).toEqual([0, 1, 2, 3]);
});

test('place that has its value, completed or skipped again: the first stands', () => {
  const delivered: string[] = [];
  const sequencer = new Sequencer<string>((value) => delivered.push(value));
  sequencer.reserve();
  sequencer.reserve();
  sequencer.complete(1, 'first');
  sequencer.complete(1, 'second');
  sequencer.skip(1);
  sequencer.complete(0, 'zero');
  sequencer.complete(0, 'again');
  expect(delivered).toEqual(['zero', 'first']);
  expect(sequencer.held).toBe(0);
});

test('place that was skipped, completed afterwards: nothing is delivered for it', () => {
  const delivered: string[] = [];
  const sequencer = new Sequencer<string>((value) => delivered.push(value));
  sequencer.reserve();
  sequencer.reserve();
  sequencer.skip(1);
  sequencer.complete(1, 'late');
  sequencer.complete(0, 'zero');
  expect(delivered).toEqual(['zero']);
});

test('place that was never reserved, completed: a RangeError', () => {
  const sequencer = new Sequencer<string>(() => undefined);
  expect(() => sequencer.complete(0, 'x')).toThrow(RangeError);
});

test('thousands held behind one, that one completed: all delivered in order', () => {
  const delivered: number[] = [];
  const sequencer = new Sequencer<number>((value) => delivered.push(value));
  for (let index = 0; index < 5000; index += 1) sequencer.reserve();
  for (let index = 4999; index > 0; index -= 1) sequencer.complete(index, index);
  expect(sequencer.held).toBe(4999);
  sequencer.complete(0, 0);
  expect(delivered).toEqual(Array.from({ length: 5000 }, (_, index) => index));
});

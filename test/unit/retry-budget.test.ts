import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { RetryBudget } from '../../src/data/retry-budget.js';

function taken(budget: RetryBudget, atMost = 100_000): number {
  let count = 0;
  while (count < atMost && budget.tryTake()) count += 1;
  return count;
}

test('fresh budget, retries at once: one second of the free rate', () => {
  const budget = new RetryBudget({ clock: new VirtualClock() });
  expect(taken(budget)).toBe(10);
});

test('a thousand checks, retries: a fifth of them and the free rate, and then none', () => {
  const budget = new RetryBudget({ clock: new VirtualClock() });
  for (let check = 0; check < 1000; check += 1) budget.onCheck();
  expect(taken(budget)).toBe(210);
  expect(budget.tryTake()).toBe(false);
});

test('spent budget, time passing: the free rate comes back and does not pile up', () => {
  const clock = new VirtualClock();
  const budget = new RetryBudget({ clock });
  taken(budget);
  clock.advance(500);
  expect(taken(budget)).toBe(5);
  clock.advance(3_600_000);
  expect(taken(budget)).toBe(10);
});

test('checks longer than ten seconds ago: they pay for nothing any more', () => {
  const clock = new VirtualClock();
  const budget = new RetryBudget({ clock, perSecond: 0 });
  for (let check = 0; check < 100; check += 1) budget.onCheck();
  clock.advance(5000);
  for (let check = 0; check < 50; check += 1) budget.onCheck();
  clock.advance(5500);
  expect(taken(budget)).toBe(10);
  for (let check = 0; check < 100; check += 1) budget.onCheck();
  clock.advance(63_000);
  expect(taken(budget)).toBe(0);
});

test('rate below one a second: it saves up for a whole retry', () => {
  const clock = new VirtualClock();
  const budget = new RetryBudget({ clock, ratio: 0, perSecond: 0.5 });
  expect(taken(budget)).toBe(1);
  clock.advance(1900);
  expect(budget.tryTake()).toBe(false);
  clock.advance(101);
  expect(budget.tryTake()).toBe(true);
});

test('any traffic, retries wanted all the time: never more than the ratio of the checks and the free rate allow', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ checks: fc.nat(200), waitMs: fc.nat(4000) }), { maxLength: 40 }), (steps) => {
      const clock = new VirtualClock(777);
      const budget = new RetryBudget({ clock, ratio: 0.2, perSecond: 10 });
      let checks = 0;
      let retries = 0;
      for (const step of steps) {
        for (let check = 0; check < step.checks; check += 1) budget.onCheck();
        checks += step.checks;
        retries += taken(budget);
        expect(retries).toBeLessThanOrEqual(checks * 0.2 + 10 + (clock.now() - 777) / 100 + 1e-6);
        clock.advance(step.waitMs);
      }
    }),
  );
});

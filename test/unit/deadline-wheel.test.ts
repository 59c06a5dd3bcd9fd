import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { WheelEntry } from '../../src/core/deadline-wheel.js';
import { DeadlineWheel } from '../../src/core/deadline-wheel.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';

interface Entry extends WheelEntry {
  id: number;
  addedAt: number;
}

function entry(deadlineAt: number, id = 0, addedAt = 0): Entry {
  return { id, addedAt, deadlineAt, wheelNext: null, wheelPrevious: null, wheelSlot: -1 };
}

const command = fc.oneof(
  // Deadlines before now, within a turn and some turns ahead of a wheel of 16 slots.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('add' as const), inMs: fc.double({ min: -50, max: 1000, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), index: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 400 }) }) },
);

test('any wheel, any adds, removes and passing of time: each entry expires once, in time, or was removed', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80, size: 'large' }), (commands) => {
      const clock = new VirtualClock(12_345.6);
      const due = new Map<number, Entry>();
      const wheel = new DeadlineWheel<Entry>(
        clock,
        (expired) => {
          expect(clock.now()).toBeGreaterThanOrEqual(expired.deadlineAt);
          expect(due.delete(expired.id)).toBe(true);
          expect(expired.wheelSlot).toBe(-1);
        },
        { resolutionMs: 8, slots: 16 },
      );
      const entries: Entry[] = [];
      for (const step of commands) {
        if (step.kind === 'add') {
          const added = entry(clock.now() + step.inMs, entries.length, clock.now());
          entries.push(added);
          due.set(added.id, added);
          wheel.add(added);
        } else if (step.kind === 'remove') {
          const chosen = entries[step.index];
          if (chosen !== undefined) {
            wheel.remove(chosen);
            due.delete(chosen.id);
          }
        } else {
          clock.advance(step.ms);
          for (const { deadlineAt, addedAt } of due.values()) {
            expect(Math.max(deadlineAt, addedAt) + 8).toBeGreaterThan(clock.now() - 1e-4);
          }
        }
        expect(wheel.size).toBe(due.size);
        expect(clock.pendingTimers).toBe(due.size === 0 ? 0 : 1);
      }
      clock.advance(2000);
      expect(wheel.size).toBe(0);
      expect(clock.pendingTimers).toBe(0);
    }),
  );
});

test('entry with a past deadline, added: it expires at the next tick and not in add', () => {
  const clock = new VirtualClock(100);
  const onExpired = vi.fn();
  const wheel = new DeadlineWheel<Entry>(clock, onExpired);
  wheel.add(entry(3));
  expect(onExpired).not.toHaveBeenCalled();
  clock.advance(8);
  expect(onExpired).toHaveBeenCalledTimes(1);
});

test('callback that adds an entry with a past deadline: that one waits for the next tick', () => {
  const clock = new VirtualClock();
  const expiredAt: number[] = [];
  const wheel = new DeadlineWheel<Entry>(clock, ({ id }) => {
    expiredAt.push(clock.now());
    if (id === 0) wheel.add(entry(0, 1));
  });
  wheel.add(entry(1, 0));
  clock.advance(100);
  expect(expiredAt).toEqual([8, 16]);
});

test('callback that removes another due entry: it does not expire', () => {
  const clock = new VirtualClock();
  const second = entry(5, 2);
  const expired: number[] = [];
  const wheel = new DeadlineWheel<Entry>(clock, ({ id }) => {
    expired.push(id);
    wheel.remove(second);
  });
  wheel.add(entry(5, 1));
  wheel.add(second);
  clock.advance(20);
  expect(expired).toEqual([1]);
  expect(wheel.size).toBe(0);
});

test('callback that throws, others due with it: they expire, the error comes out, the wheel goes on', () => {
  const clock = new VirtualClock();
  const expired: number[] = [];
  const wheel = new DeadlineWheel<Entry>(clock, ({ id }) => {
    expired.push(id);
    if (id === 1) throw new Error('broken');
  });
  for (const id of [1, 2]) wheel.add(entry(5, id));
  wheel.add(entry(50, 3));
  expect(() => clock.advance(10)).toThrow('broken');
  expect(expired).toEqual([1, 2]);
  clock.advance(60);
  expect(expired).toEqual([1, 2, 3]);
});

test('entries for later, a nearer one added: the one timer is set to the nearer', () => {
  const clock = new VirtualClock();
  const wheel = new DeadlineWheel<Entry>(clock, () => undefined);
  wheel.add(entry(5000));
  expect(clock.nextDeadline()).toBe(5000);
  wheel.add(entry(100));
  expect(clock.nextDeadline()).toBe(104);
  wheel.add(entry(3000));
  expect(clock.nextDeadline()).toBe(104);
  expect(clock.pendingTimers).toBe(1);
});

test('event loop held up past several turns of the wheel: everything due expires at once', () => {
  let nowMs = 0;
  let wake: (() => void) | undefined;
  const expired: number[] = [];
  const wheel = new DeadlineWheel<Entry>(
    {
      now: () => nowMs,
      setTimeout: (fn) => (wake = fn),
      clearTimeout: () => (wake = undefined),
      soon: () => undefined,
    },
    ({ id }) => expired.push(id),
    { resolutionMs: 8, slots: 16 },
  );
  for (const [id, deadlineAt] of [20, 500, 900, 5000].entries()) wheel.add(entry(deadlineAt, id));
  nowMs = 1000;
  wake?.();
  expect(expired.sort()).toEqual([0, 1, 2]);
  expect(wheel.size).toBe(1);
});

test('timer that fires early: nothing expires before its deadline', () => {
  let nowMs = 0;
  const wakes: (() => void)[] = [];
  const expired: number[] = [];
  const wheel = new DeadlineWheel<Entry>(
    { now: () => nowMs, setTimeout: (fn) => wakes.push(fn), clearTimeout: () => undefined, soon: () => undefined },
    ({ id }) => expired.push(id),
  );
  wheel.add(entry(16, 7));
  nowMs = 15.7;
  wakes.shift()?.();
  expect(expired).toEqual([]);
  nowMs = 16;
  wakes.shift()?.();
  expect(expired).toEqual([7]);
});

test('entries on the wheel, stopped: none expires, no timer is left, and they can be added again', () => {
  const clock = new VirtualClock();
  const onExpired = vi.fn();
  const wheel = new DeadlineWheel<Entry>(clock, onExpired);
  const first = entry(5);
  wheel.add(first);
  wheel.add(entry(50_000));
  wheel.stop();
  expect([wheel.size, clock.pendingTimers, first.wheelSlot]).toEqual([0, 0, -1]);
  clock.advance(100);
  expect(onExpired).not.toHaveBeenCalled();
  wheel.add(first);
  clock.advance(8);
  expect(onExpired).toHaveBeenCalledExactlyOnceWith(first);
});

test('entry on the wheel, added again: refused', () => {
  const wheel = new DeadlineWheel<Entry>(new VirtualClock(), () => undefined);
  const once = entry(5);
  wheel.add(once);
  expect(() => wheel.add(once)).toThrow('on a wheel already');
});

test('entry without an end, time passing: it never expires and can be removed', () => {
  const clock = new VirtualClock();
  const onExpired = vi.fn();
  const wheel = new DeadlineWheel<Entry>(clock, onExpired);
  const endless = entry(Infinity);
  wheel.add(endless);
  clock.advance(1e7);
  expect(onExpired).not.toHaveBeenCalled();
  wheel.remove(endless);
  expect(clock.pendingTimers).toBe(0);
});

test('options out of range: a RangeError', () => {
  const clock = new VirtualClock();
  expect(() => new DeadlineWheel(clock, () => undefined, { slots: 1000 })).toThrow(RangeError);
  expect(() => new DeadlineWheel(clock, () => undefined, { resolutionMs: 0 })).toThrow(RangeError);
});

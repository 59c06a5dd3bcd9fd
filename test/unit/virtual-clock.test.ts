import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../src/core/virtual-clock.js';

test('timer that sets itself again every 10 ms, advance by 100: it fires ten times, each at its own time', () => {
  const clock = new VirtualClock();
  const firedAt: number[] = [];
  const tick = (): void => {
    firedAt.push(clock.now());
    clock.setTimeout(tick, 10);
  };
  clock.setTimeout(tick, 10);
  clock.advance(100);
  expect(firedAt).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect(clock.now()).toBe(100);
  expect(clock.pendingTimers).toBe(1);
  expect(clock.nextDeadline()).toBe(110);
});

test('any timers, some cleared, time moved on: the rest fire once, by deadline and then by age', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ delayMs: fc.integer({ min: 0, max: 20 }), isCleared: fc.boolean() }), { maxLength: 60 }),
      fc.integer({ min: 0, max: 25 }),
      (timers, advanceMs) => {
        const clock = new VirtualClock(1000);
        const fired: number[] = [];
        const handles = timers.map(({ delayMs }, index) =>
          clock.setTimeout(() => {
            expect(clock.now()).toBe(1000 + delayMs);
            fired.push(index);
          }, delayMs),
        );
        timers.forEach(({ isCleared }, index) => {
          if (isCleared) clock.clearTimeout(handles[index]);
        });
        const live = timers.map((timer, index) => ({ ...timer, index })).filter(({ isCleared }) => !isCleared);
        expect(clock.pendingTimers).toBe(live.length);
        clock.advance(advanceMs);
        const due = live.filter(({ delayMs }) => delayMs <= advanceMs);
        due.sort((a, b) => a.delayMs - b.delayMs || a.index - b.index);
        expect(fired).toEqual(due.map(({ index }) => index));
        expect(clock.pendingTimers).toBe(live.length - due.length);
      },
    ),
  );
});

test('soon callbacks that add others, advance: all run in order before time moves', () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.setTimeout(() => log.push(`timer at ${clock.now()}`), 5);
  clock.soon(() => {
    log.push(`first at ${clock.now()}`);
    clock.soon(() => log.push(`third at ${clock.now()}`));
  });
  clock.soon(() => log.push(`second at ${clock.now()}`));
  clock.advance(5);
  expect(log).toEqual(['first at 0', 'second at 0', 'third at 0', 'timer at 5']);
  expect(clock.pendingSoon).toBe(0);
});

test('timer that asks for soon, another timer at the same time: soon comes between them', () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.setTimeout(() => {
    log.push('one');
    clock.soon(() => log.push('soon'));
  }, 5);
  clock.setTimeout(() => log.push('two'), 5);
  clock.advanceTo(5);
  expect(log).toEqual(['one', 'soon', 'two']);
});

test('two timers at one time, the first clears the second: the second does not fire', () => {
  const clock = new VirtualClock();
  let fired = false;
  const handles: unknown[] = [];
  clock.setTimeout(() => clock.clearTimeout(handles[0]), 5);
  handles.push(clock.setTimeout(() => (fired = true), 5));
  clock.advance(10);
  expect(fired).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test('fired timer, cleared afterwards and twice: nothing is counted wrong', () => {
  const clock = new VirtualClock();
  const handle = clock.setTimeout(() => undefined, 1);
  clock.advance(1);
  clock.clearTimeout(handle);
  clock.clearTimeout(handle);
  clock.clearTimeout(undefined);
  expect(clock.pendingTimers).toBe(0);
  expect(clock.nextDeadline()).toBeUndefined();
});

test('endless timer, any advance: it is none', () => {
  const clock = new VirtualClock();
  clock.setTimeout(() => expect.unreachable(), Infinity);
  clock.advance(1e12);
  expect(clock.pendingTimers).toBe(0);
});

test('promise chain that a timer starts, advanceAsync: it has run before the next timer fires', async () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.setTimeout(() => {
    void (async () => {
      for (let step = 0; step < 5; step += 1) await Promise.resolve();
      log.push(`chain at ${clock.now()}`);
      clock.setTimeout(() => log.push(`chained at ${clock.now()}`), 2);
    })();
  }, 1);
  clock.setTimeout(() => log.push(`timer at ${clock.now()}`), 2);
  await clock.advanceAsync(10);
  expect(log).toEqual(['chain at 1', 'timer at 2', 'chained at 3']);
  expect(clock.now()).toBe(10);
});

test('callback that throws, advance: the error comes out and the clock can be advanced on', () => {
  const clock = new VirtualClock();
  let later = false;
  clock.setTimeout(() => {
    throw new Error('broken');
  }, 1);
  clock.setTimeout(() => (later = true), 2);
  expect(() => clock.advance(5)).toThrow('broken');
  expect(clock.now()).toBe(1);
  clock.advance(1);
  expect(later).toBe(true);
});

test('clock being advanced, advanced by a callback: refused', () => {
  const clock = new VirtualClock();
  clock.setTimeout(() => clock.advance(1), 1);
  expect(() => clock.advance(5)).toThrow('being advanced already');
});

test('timers of 0 ms that set each other, advance: an error instead of a loop without end', () => {
  const clock = new VirtualClock();
  const again = (): void => void clock.setTimeout(again, 0);
  again();
  expect(() => clock.advance(1)).toThrow('time stands still at 0 ms');
});

test('time to come, advanceTo a time that is past: nothing moves back', () => {
  const clock = new VirtualClock(50);
  clock.advanceTo(10);
  expect(clock.now()).toBe(50);
});

test('timers due at different times, a stall past both: nothing fires in it; both do late, in order, with the next advance', () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  clock.setTimeout(() => log.push(`second at ${clock.now()}`), 20);
  clock.setTimeout(() => log.push(`first at ${clock.now()}`), 10);
  clock.setTimeout(() => log.push(`third at ${clock.now()}`), 60);
  clock.stall(50);
  expect(log).toEqual([]);
  clock.advance(0);
  expect(log).toEqual(['first at 50', 'second at 50']);
  clock.advance(20);
  expect(log.at(-1)).toBe('third at 60');
  expect(clock.now()).toBe(70);
});

import { describe, expect, it } from 'vitest';

import { VirtualClock } from '../../src/core/virtual-clock.js';
import { NameWatch } from '../../src/transport/name-watch.js';
import type { Lookup } from '../../src/transport/resolve.js';

const HALF_A_MINUTE_MS = 30_000;

function watch(lookup: Lookup) {
  const clock = new VirtualClock();
  const told: number[] = [];
  const options = { name: 'engine.test', ip: '10.0.0.1', lookup, clock, onMoved: () => told.push(clock.now()) };
  return { clock, told, watch: new NameWatch(options) };
}

const leadsTo =
  (...ips: string[]): Lookup =>
  () =>
    Promise.resolve(ips);

describe('the watch of a name', () => {
  it('it leads elsewhere: told after each look-up', async () => {
    const { clock, told } = watch(leadsTo('10.0.0.2', '10.0.0.3'));
    await clock.advanceAsync(3 * HALF_A_MINUTE_MS);
    expect(told).toEqual([1, 2, 3].map((count) => count * HALF_A_MINUTE_MS));
  });

  it('it leads here, nowhere, or cannot be looked up: nothing is told, and it is looked up again', async () => {
    let asked = 0;
    for (const answer of [
      leadsTo('10.0.0.2', '10.0.0.1'),
      leadsTo(),
      () => Promise.reject(new Error('no resolver answers')),
    ]) {
      const { clock, told } = watch((name) => {
        asked += 1;
        return answer(name);
      });
      await clock.advanceAsync(2 * HALF_A_MINUTE_MS);
      expect(told).toEqual([]);
    }
    expect(asked).toBe(6);
  });

  it('a look-up that does not end: no other is begun beside it', async () => {
    let asked = 0;
    const { clock } = watch(() => {
      asked += 1;
      return new Promise(() => undefined);
    });
    await clock.advanceAsync(10 * HALF_A_MINUTE_MS);
    expect([asked, clock.pendingTimers]).toEqual([1, 0]);
  });

  it('stopped, before a look-up or during one: nothing is told any more, and no timer is left', async () => {
    const idle = watch(leadsTo('10.0.0.2'));
    idle.watch.stop();
    await idle.clock.advanceAsync(HALF_A_MINUTE_MS);
    expect([idle.told, idle.clock.pendingTimers]).toEqual([[], 0]);

    let answer: (ips: string[]) => void = () => undefined;
    const asking = watch(() => new Promise((resolve) => (answer = resolve)));
    await asking.clock.advanceAsync(HALF_A_MINUTE_MS);
    asking.watch.stop();
    answer(['10.0.0.2']);
    await asking.clock.advanceAsync(HALF_A_MINUTE_MS);
    expect([asking.told, asking.clock.pendingTimers]).toEqual([[], 0]);
  });
});

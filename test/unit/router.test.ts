import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSeededRandom } from '../../src/core/random.js';
import type { Routable } from '../../src/data/router.js';
import { Router } from '../../src/data/router.js';
import { LoadBalancingStrategy } from '../../src/types.js';

const STRATEGIES = Object.values(LoadBalancingStrategy);

const member = (id: string, weight = 1, inFlight = 0, ewmaLatencyMs = 1): Routable => ({
  id,
  weight,
  inFlight,
  ewmaLatencyMs,
});

function routerOf(strategy: LoadBalancingStrategy, members: readonly Routable[], seed = 1): Router<Routable> {
  const router = new Router<Routable>(strategy, createSeededRandom(seed));
  router.setMembers(members);
  return router;
}

function counts(router: Router<Routable>, picks: number): Record<string, number> {
  const result: Record<string, number> = Object.fromEntries(router.members.map(({ id }) => [id, 0]));
  for (let pick = 0; pick < picks; pick += 1) {
    const id = router.pick()?.id ?? 'none';
    result[id] = (result[id] ?? 0) + 1;
  }
  return result;
}

describe.each(STRATEGIES)('%s', (strategy) => {
  test('no members, pick: undefined', () => {
    expect(new Router(strategy, Math.random).pick()).toBeUndefined();
    const router = routerOf(strategy, [member('a')]);
    router.setMembers([]);
    expect(router.pick()).toBeUndefined();
  });

  test('any members and weights, picks: only members with a weight, and all of equal rank when none has one', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            weight: fc.constantFrom(0, 0, 1, 2, 0.5),
            inFlight: fc.nat(5),
            ewmaLatencyMs: fc.constantFrom(0, 1, 50),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        fc.integer(),
        (rows, seed) => {
          const members = rows.map((row, index) => ({ id: `m${index}`, ...row }));
          const router = routerOf(strategy, members, seed);
          const hasWeight = members.some(({ weight }) => weight > 0);
          for (let pick = 0; pick < 30; pick += 1) {
            const picked = router.pick();
            expect(members).toContain(picked);
            if (hasWeight) expect(picked?.weight).toBeGreaterThan(0);
          }
        },
      ),
    );
  });

  test('four equal members, every weight 0: each gets its share', () => {
    const shares = counts(
      routerOf(
        strategy,
        ['a', 'b', 'c', 'd'].map((id) => member(id, 0)),
      ),
      4000,
    );
    for (const share of Object.values(shares)) expect(share).toBeGreaterThan(850);
  });

  test('one of four members has weight 0: none for it, and the others share equally', () => {
    const members = ['a', 'b', 'c', 'd'].map((id) => member(id, id === 'b' ? 0 : 1));
    const shares = counts(routerOf(strategy, members), 3000);
    expect(shares['b']).toBe(0);
    for (const id of ['a', 'c', 'd']) expect(shares[id]).toBeGreaterThan(850);
  });

  test('weight set to 0 between picks: no new work from the next pick on', () => {
    const members = ['a', 'b'].map((id) => member(id));
    const router = routerOf(strategy, members);
    router.pick();
    (members[0] as Routable).weight = 0;
    expect(counts(router, 50)).toEqual({ a: 0, b: 50 });
  });

  test('one member leaves and comes back at every pick: the others are still served equally', () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => member(id)) as [Routable, Routable, Routable, Routable];
    const router = routerOf(strategy, [a, b, c, d]);
    const shares: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
    for (let pick = 0; pick < 3000; pick += 1) {
      router.setMembers(pick % 2 === 0 ? [a, b, c] : [a, b, c, d]);
      const id = router.pick()?.id ?? '';
      shares[id] = (shares[id] ?? 0) + 1;
    }
    const [lowest, highest] = [
      Math.min(...['a', 'b', 'c'].map((id) => shares[id] ?? 0)),
      Math.max(...Object.values(shares)),
    ];
    expect(lowest).toBeGreaterThan(600);
    expect(highest).toBeLessThan(1350);
  });

  test('list of members, changed by its owner afterwards: the router keeps what it was given', () => {
    const members = [member('a')];
    const router = routerOf(strategy, members);
    members.push(member('b'));
    expect(counts(router, 5)).toEqual({ a: 5 });
  });
});

test('round robin over three: each in turn', () => {
  const router = routerOf(
    'round_robin',
    ['a', 'b', 'c'].map((id) => member(id)),
  );
  expect(Array.from({ length: 7 }, () => router.pick()?.id).join('')).toBe('abcabca');
});

test('round robin, the next in turn leaves: the one after it is next', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => member(id)) as [Routable, Routable, Routable];
  const router = routerOf('round_robin', [a, b, c]);
  router.pick();
  router.setMembers([a, c]);
  expect(router.pick()).toBe(c);
  router.setMembers([b, a, c]);
  expect(router.pick()).toBe(a);
});

test('least connections: the fewest in flight, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 10 }), (inFlights) => {
      const members = inFlights.map((inFlight, index) => member(`m${index}`, 1, inFlight));
      expect(routerOf('least_connections', members).pick()?.inFlight).toBe(Math.min(...inFlights));
    }),
  );
});

test('weighted 5:1:1, one round: in proportion and spread out as nginx spreads it', () => {
  const router = routerOf('weighted', [member('a', 5), member('b', 1), member('c', 1)]);
  expect(Array.from({ length: 14 }, () => router.pick()?.id).join('')).toBe('aabacaaaabacaa');
});

test('weighted, any whole weights, as many picks as their sum: exactly in proportion', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 6 }), (weights) => {
      fc.pre(weights.some((weight) => weight > 0));
      const router = routerOf(
        'weighted',
        weights.map((weight, index) => member(`m${index}`, weight)),
      );
      const sum = weights.reduce((total, weight) => total + weight, 0);
      expect(Object.values(counts(router, sum))).toEqual(weights);
    }),
  );
});

test('random, uneven eligibility: every eligible member is as likely', () => {
  const members = ['a', 'b', 'c', 'd', 'e'].map((id, index) => member(id, index < 3 ? 0 : 1));
  const shares = counts(routerOf('random', members), 4000);
  expect(Math.abs((shares['d'] ?? 0) - 2000)).toBeLessThan(200);
});

test('p2c of two: the one expected to answer sooner', () => {
  const slow = member('slow', 1, 1, 50);
  const busy = member('busy', 1, 9, 5);
  // 2 × 50 against 10 × 5.
  expect(counts(routerOf('p2c', [slow, busy]), 20)).toEqual({ slow: 0, busy: 20 });
  busy.inFlight = 30;
  expect(counts(routerOf('p2c', [slow, busy]), 20)).toEqual({ slow: 20, busy: 0 });
});

test('p2c, a newcomer that nobody has measured: it is judged by its load, not sent everything', () => {
  const known = member('known', 1, 2, 5);
  const newcomer = member('new', 1, 3, 0);
  expect(counts(routerOf('p2c', [known, newcomer]), 20)).toEqual({ known: 20, new: 0 });
  newcomer.inFlight = 1;
  expect(counts(routerOf('p2c', [known, newcomer]), 20)).toEqual({ known: 0, new: 20 });
});

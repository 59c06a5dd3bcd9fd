import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { DedupCache } from '../../src/data/dedup.js';

interface Exchange {
  name: string;
}

function setUp(capacity = 3, ttlMs = 1000): { cache: DedupCache<Exchange, string>; clock: VirtualClock } {
  const clock = new VirtualClock(5000);
  return { clock, cache: new DedupCache<Exchange, string>({ capacity, ttlMs, clock }) };
}

/** Leads and is answered. */
function learn(cache: DedupCache<Exchange, string>, id: string, question: string, value: string): void {
  const exchange = { name: value };
  expect(cache.ask(id, question).kind).toBe('lead');
  cache.begin(id, question, exchange);
  cache.answered(id, question, exchange, value);
}

test('unknown id, asked: lead; answered, asked again: the answer', () => {
  const { cache } = setUp();
  learn(cache, 'id', 'q', 'yes');
  expect(cache.ask('id', 'q')).toEqual({ kind: 'hit', value: 'yes' });
  expect([cache.has('id'), cache.get('id')]).toEqual([true, 'yes']);
  expect(cache.stats()).toEqual({ size: 1, capacity: 3, hits: 1, misses: 1, evictions: 0, joined: 0, conflicts: 0 });
});

test('question in flight, asked again under its id: joins that exchange', () => {
  const { cache } = setUp();
  const exchange = { name: 'x' };
  cache.ask('id', 'q');
  cache.begin('id', 'q', exchange);
  const verdict = cache.ask('id', 'q');
  expect(verdict.kind === 'join' && verdict.exchange).toBe(exchange);
  expect([cache.has('id'), cache.get('id'), cache.stats().joined]).toEqual([false, null, 1]);
});

test('answer kept for one question, another asked under its id: conflict, the id evicted, nothing kept of the other', () => {
  const { cache } = setUp();
  learn(cache, 'id', 'q1', 'yes');
  expect(cache.ask('id', 'q2')).toEqual({ kind: 'conflict' });
  expect([cache.has('id'), cache.get('id')]).toEqual([false, null]);
  const exchange = { name: 'q2' };
  cache.begin('id', 'q2', exchange);
  cache.answered('id', 'q2', exchange, 'no');
  expect([cache.has('id'), cache.get('id')]).toEqual([false, null]);
  expect(cache.stats()).toMatchObject({ conflicts: 1, evictions: 1, size: 0 });
  // Neither is in flight any more.
  learn(cache, 'id', 'q1', 'yes again');
  expect(cache.get('id')).toBe('yes again');
});

test('two questions in flight under one id, answered in either order: neither is kept, and the id is free afterwards', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { cache } = setUp();
    const exchanges = [{ name: 'q0' }, { name: 'q1' }];
    cache.ask('id', 'q0');
    cache.begin('id', 'q0', exchanges[0] as Exchange);
    expect(cache.ask('id', 'q1').kind).toBe('conflict');
    cache.begin('id', 'q1', exchanges[1] as Exchange);
    for (const index of order) {
      cache.answered('id', `q${index}`, exchanges[index] as Exchange, 'yes');
      expect(cache.has('id')).toBe(false);
    }
    learn(cache, 'id', 'q1', 'later');
  }
});

test('conflict whose second question was refused before it began: the first is still not kept', () => {
  const { cache } = setUp();
  const exchange = { name: 'q1' };
  cache.ask('id', 'q1');
  cache.begin('id', 'q1', exchange);
  cache.ask('id', 'q2');
  cache.answered('id', 'q1', exchange, 'yes');
  expect(cache.get('id')).toBeNull();
});

test('two questions in flight under one id, each asked again: each joins its own', () => {
  const { cache } = setUp();
  const [first, second] = [{ name: 'q1' }, { name: 'q2' }];
  cache.ask('id', 'q1');
  cache.begin('id', 'q1', first);
  cache.ask('id', 'q2');
  cache.begin('id', 'q2', second);
  expect(cache.ask('id', 'q1')).toEqual({ kind: 'join', exchange: first });
  expect(cache.ask('id', 'q2')).toEqual({ kind: 'join', exchange: second });
});

test('exchange abandoned, asked again: lead, nothing kept', () => {
  const { cache } = setUp();
  const exchange = { name: 'x' };
  cache.ask('id', 'q');
  cache.begin('id', 'q', exchange);
  cache.abandoned('id', exchange);
  expect(cache.ask('id', 'q').kind).toBe('lead');
  // Its answer comes after all.
  cache.answered('id', 'q', exchange, 'yes');
  expect(cache.get('id')).toBeNull();
});

test('answer older than its time to live: absent everywhere, and asked anew, even for another question', () => {
  const { cache, clock } = setUp(3, 1000);
  learn(cache, 'id', 'q', 'yes');
  clock.advance(999);
  expect(cache.has('id')).toBe(true);
  clock.advance(1);
  expect([cache.has('id'), cache.get('id'), cache.stats().size]).toEqual([false, null, 0]);
  learn(cache, 'id', 'other', 'no');
  expect(cache.stats()).toMatchObject({ conflicts: 0, evictions: 0 });
});

test('full cache, another answer: the one unused longest makes room, looking up not counting as use', () => {
  const { cache } = setUp(3);
  for (const id of ['a', 'b', 'c']) learn(cache, id, 'q', id);
  cache.ask('a', 'q');
  cache.get('b');
  cache.has('b');
  learn(cache, 'd', 'q', 'd');
  expect(['a', 'b', 'c', 'd'].map((id) => cache.has(id))).toEqual([true, false, true, true]);
  expect(cache.stats()).toMatchObject({ size: 3, capacity: 3, evictions: 1 });
});

test('exchange in flight, cleared: its answer is not kept, nobody joins it, and the counters stay', () => {
  const { cache } = setUp();
  learn(cache, 'old', 'q', 'yes');
  const [before, after] = [{ name: 'before' }, { name: 'after' }];
  cache.ask('id', 'q');
  cache.begin('id', 'q', before);
  cache.clear();
  expect(cache.has('old')).toBe(false);
  expect(cache.ask('id', 'q').kind).toBe('lead');
  cache.begin('id', 'q', after);
  cache.answered('id', 'q', before, 'by the old policies');
  expect(cache.get('id')).toBeNull();
  cache.answered('id', 'q', after, 'by the new policies');
  expect(cache.get('id')).toBe('by the new policies');
  expect(cache.stats().misses).toBe(3);
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      id: fc.nat(2),
      question: fc.nat(1),
      isRefused: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), index: fc.nat(5), isError: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 600 }) }) },
);

test('any asking, answering, clearing and passing of time: an answer never crosses questions, clearings or its time', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'large' }), (steps) => {
      const { cache, clock } = setUp(2, 1000);
      interface Flight extends Exchange {
        id: string;
        question: string;
        epoch: number;
      }
      let flights: Flight[] = [];
      let epoch = 0;
      let asked = 0;
      for (const one of steps) {
        if (one.kind === 'ask') {
          const [id, question] = [`id${one.id}`, `q${one.question}`];
          const verdict = cache.ask(id, question);
          asked += 1;
          const underId = flights.filter((flight) => flight.id === id);
          if (verdict.kind === 'hit') {
            const [keptQuestion, keptEpoch, answeredAt] = verdict.value.split('|');
            expect([keptQuestion, Number(keptEpoch)]).toEqual([question, epoch]);
            expect(clock.now() - Number(answeredAt)).toBeLessThan(1000);
            expect(underId.some((flight) => flight.question !== question)).toBe(false);
          } else if (verdict.kind === 'join') {
            expect(verdict.exchange).toMatchObject({ id, question, epoch });
            expect(flights).toContain(verdict.exchange);
          } else {
            if (verdict.kind === 'lead') expect(underId.some((flight) => flight.question !== question)).toBe(false);
            if (!one.isRefused) {
              const flight = { name: '', id, question, epoch };
              flights.push(flight);
              cache.begin(id, question, flight);
            }
          }
        } else if (one.kind === 'answer') {
          const flight = flights[one.index];
          if (flight === undefined) continue;
          flights = flights.filter((other) => other !== flight);
          if (one.isError) cache.abandoned(flight.id, flight);
          else cache.answered(flight.id, flight.question, flight, `${flight.question}|${flight.epoch}|${clock.now()}`);
        } else if (one.kind === 'clear') {
          cache.clear();
          epoch += 1;
        } else {
          clock.advance(one.ms);
        }
        for (const id of ['id0', 'id1', 'id2']) {
          const questions = new Set(flights.filter((flight) => flight.id === id).map(({ question }) => question));
          if (questions.size > 1) expect([cache.has(id), cache.get(id)]).toEqual([false, null]);
        }
        const stats = cache.stats();
        expect(stats.size).toBeLessThanOrEqual(2);
        expect(stats.hits + stats.misses + stats.joined + stats.conflicts).toBe(asked);
      }
    }),
    { numRuns: 300 },
  );
});

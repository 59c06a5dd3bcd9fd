import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveSeed, draw, nextBackoff, type BackoffPolicy } from '../../machines/backoff.js';
import { expectWithinBackoff } from './support/walk.js';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const attempts = fc.integer({ min: 1, max: 100_000 });
const policies: fc.Arbitrary<BackoffPolicy> = fc
  .record({
    initialDelay: fc.integer({ min: 0, max: 60_000 }),
    extra: fc.integer({ min: 0, max: 600_000 }),
    multiplier: fc.double({ min: 1, max: 10, noNaN: true }),
    jitter: fc.boolean(),
  })
  .map(({ initialDelay, extra, multiplier, jitter }) => ({
    initialDelay,
    maxDelay: initialDelay + extra,
    multiplier,
    jitter,
  }));

describe('nextBackoff', () => {
  it('any attempt → a finite wait under its ceiling, in the upper half of it with jitter', () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 200 }), seeds, (policy, attempt, seed) => {
        expectWithinBackoff(policy, attempt, nextBackoff(policy, attempt, seed).delayMs);
      }),
    );
  });

  it('attempts without end → never past maxDelay, and always a number', () => {
    fc.assert(
      fc.property(policies, attempts, seeds, (policy, attempt, seed) => {
        const { delayMs } = nextBackoff(policy, attempt, seed);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(policy.maxDelay);
      }),
      { examples: [[{ initialDelay: 0, maxDelay: 1_000, multiplier: 2, jitter: false }, 5_000, 0]] },
    );
  });

  it('without jitter, one attempt more → never a shorter wait, and the seed is left alone', () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 200 }), seeds, (given, attempt, seed) => {
        const policy = { ...given, jitter: false };
        const wait = nextBackoff(policy, attempt, seed);
        expect(nextBackoff(policy, attempt + 1, seed).delayMs).toBeGreaterThanOrEqual(wait.delayMs);
        expect(wait.seed).toBe(seed);
      }),
    );
  });

  it('the same seed → the same wait; the seed it gives → another', () => {
    fc.assert(
      fc.property(attempts, seeds, (attempt, seed) => {
        const policy = { initialDelay: 1_000, maxDelay: 30_000, multiplier: 2, jitter: true };
        const wait = nextBackoff(policy, attempt, seed);
        expect(nextBackoff(policy, attempt, seed)).toEqual(wait);
        expect(wait.seed).not.toBe(seed);
      }),
    );
  });

  it('an attempt before the first → the first wait', () => {
    const policy = { initialDelay: 100, maxDelay: 1_000, multiplier: 2, jitter: false };
    expect(nextBackoff(policy, 0, 1).delayMs).toBe(100);
    expect(nextBackoff(policy, 1, 1).delayMs).toBe(100);
    expect(nextBackoff(policy, 2, 1).delayMs).toBe(200);
  });
});

describe('draw', () => {
  it('any seed → a value in [0, 1) and a 32-bit seed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const next = draw(seed);
        expect(next.value).toBeGreaterThanOrEqual(0);
        expect(next.value).toBeLessThan(1);
        expect(next.seed).toBe(next.seed >>> 0);
      }),
    );
  });

  it('ten thousand draws in a row → spread evenly over ten parts', () => {
    const counts = Array.from({ length: 10 }, () => 0);
    let seed = 1;
    for (let index = 0; index < 10_000; index++) {
      const next = draw(seed);
      seed = next.seed;
      const part = Math.floor(next.value * 10);
      counts[part] = (counts[part] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(900);
    expect(Math.max(...counts)).toBeLessThan(1_100);
  });
});

describe('deriveSeed', () => {
  it('the same parent and name → the same seed, of 32 bits', () => {
    fc.assert(
      fc.property(fc.integer(), fc.string(), (seed, name) => {
        const derived = deriveSeed(seed, name);
        expect(derived).toBe(deriveSeed(seed, name));
        expect(derived).toBe(derived >>> 0);
      }),
    );
  });

  it('numbered siblings → all different seeds', () => {
    fc.assert(
      fc.property(seeds, fc.stringMatching(/^[a-z]{0,12}$/), (seed, name) => {
        const siblings = Array.from({ length: 100 }, (_, index) => deriveSeed(seed, `${name}#${String(index)}`));
        expect(new Set(siblings).size).toBe(siblings.length);
      }),
    );
  });
});

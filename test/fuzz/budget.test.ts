import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';
import { DEFAULT_INPUTS, SHARES } from './budget.js';

test('the inputs of a run: shared out among what is fuzzed, no share is nobody’s, and npm test has 50,000 of them', () => {
  const folder = import.meta.dirname;
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(path.join(folder, name), 'utf8'));
  const unused = Object.keys(SHARES).filter((target) => !sources.some((source) => source.includes(`'${target}'`)));
  expect(unused).toEqual([]);
  expect(Object.values(SHARES).reduce<number>((sum, share) => sum + share, 0)).toBeCloseTo(1);
  expect(DEFAULT_INPUTS).toBeGreaterThanOrEqual(50_000);
});

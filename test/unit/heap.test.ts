import { expect, test } from 'vitest';

import { withinHeap } from '../../src/core/heap.js';
import { DEFAULT_OPTIONS } from '../../src/index.js';

const MIB = 1024 * 1024;

test('a heap with room for more than usual: as many as usual', () => {
  expect(withinHeap(100_000, 8 * 1024, 4_096 * MIB)).toBe(100_000);
});

test('a heap with room for fewer: as many as fit, and at least one', () => {
  expect(withinHeap(100_000, 8 * 1024, 64 * MIB)).toBe(8_192);
  expect(withinHeap(100_000, 8 * 1024, 4_096)).toBe(1);
});

test('the heap is not given: that of this process', () => {
  expect(withinHeap(Infinity, 1)).toBeGreaterThan(16 * MIB);
  expect(DEFAULT_OPTIONS.maxPendingChecks).toBe(withinHeap(100_000, 8 * 1024));
});

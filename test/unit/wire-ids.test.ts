import { describe, expect, test } from 'vitest';
import { OwnIds } from '../../src/codec/wire-id.js';
import { WireIds } from '../../src/data/wire-ids.js';

const make = (): WireIds => new WireIds(new OwnIds('k3x-'));

describe('an id that a request brings', () => {
  test('free: as it is; in use: with a suffix, each its own', () => {
    const ids = make();
    expect([ids.take('a'), ids.take('a'), ids.takeAlone('a'), ids.take('b')]).toEqual(['a', 'a#1', 'a#2', 'b']);
  });

  test('released with an answer still to come: a suffix for a stream, none for a call of its own', () => {
    const ids = make();
    ids.release(ids.take('a'), true);
    expect([ids.take('a'), ids.takeAlone('a')]).toEqual(['a#1', 'a']);
  });

  test('released with nothing to come: free again', () => {
    const ids = make();
    ids.release(ids.take('a'), false);
    expect(ids.take('a')).toBe('a');
  });

  test('that looks like one made here: always with a suffix, for its number may be in flight', () => {
    const ids = make();
    const number = ids.make();
    expect([ids.take(`k3x-${number}`), ids.takeAlone('k3x-99')]).toEqual(['k3x-1#1', 'k3x-99#2']);
  });

  test('released twice, or never taken: nothing lingers', () => {
    const ids = make();
    ids.release('a', true);
    expect(ids.take('a')).toBe('a');
  });
});

test('ids made here: never one twice', () => {
  const ids = make();
  expect(new Set(Array.from({ length: 1000 }, () => ids.make())).size).toBe(1000);
});

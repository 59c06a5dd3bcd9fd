import { describe, expect, test } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { CheckEvidence } from '../../src/runtime/check-evidence.js';
import type { WireStatus } from '../../src/transport/port.js';

/** Our loop never stood still. */
const ALWAYS = -Infinity;
const status = (code: GrpcCode, outcome: WireStatus['outcome']): WireStatus => ({ code, message: '', outcome });
const UNAVAILABLE = status(GrpcCode.UNAVAILABLE, 'answered');

describe('failures', () => {
  test('as many in a row as the threshold: said once, and again after as many more', () => {
    const evidence = new CheckEvidence(3);
    const said = [1, 2, 3, 4, 5, 6].map((now) => evidence.noteFailure(UNAVAILABLE, now, now));
    expect(said).toEqual([false, false, true, false, false, true]);
  });

  test('an answer between them: they are counted anew', () => {
    const evidence = new CheckEvidence(2);
    expect(evidence.noteFailure(UNAVAILABLE, 1, 1)).toBe(false);
    evidence.noteAnswer(2);
    expect(evidence.noteFailure(UNAVAILABLE, 3, 3)).toBe(false);
    expect(evidence.noteFailure(UNAVAILABLE, 4, 4)).toBe(true);
  });

  test('calls that were under way together: they count as one', () => {
    const evidence = new CheckEvidence(2);
    expect([1, 2, 3].map((since) => evidence.noteFailure(UNAVAILABLE, since, 10))).toEqual([false, false, false]);
    expect(evidence.noteFailure(UNAVAILABLE, 10, 11)).toBe(true);
  });

  test.each([
    ['UNAVAILABLE that the server or a proxy said', UNAVAILABLE, true],
    ['INTERNAL by a reset', status(GrpcCode.INTERNAL, 'unknown'), true],
    ['CANCELLED by a reset', status(GrpcCode.CANCELLED, 'unknown'), true],
    ['a lost connection', status(GrpcCode.UNAVAILABLE, 'unknown'), false],
    ['a refused call', status(GrpcCode.UNAVAILABLE, 'refused'), false],
    ['what the server says of one question', status(GrpcCode.INTERNAL, 'answered'), false],
    ['a deadline', status(GrpcCode.DEADLINE_EXCEEDED, 'unknown'), false],
    ['a caller that may not ask', status(GrpcCode.PERMISSION_DENIED, 'answered'), false],
    ['a server that asks for calm', status(GrpcCode.RESOURCE_EXHAUSTED, 'unknown'), false],
  ])('%s: counts as a failure of the path: %3$s', (_what, each, counts) => {
    expect(new CheckEvidence(1).noteFailure(each, 1, 1)).toBe(counts);
  });
});

describe('silence', () => {
  test('enough is owed and nothing answered: as long as since the oldest was written', () => {
    expect(new CheckEvidence(3).silentMs(1_000, 3, 400, ALWAYS)).toBe(600);
  });

  test('an answer came meanwhile: since then', () => {
    const evidence = new CheckEvidence(3);
    evidence.noteAnswer(700);
    expect(evidence.silentMs(1_000, 3, 400, ALWAYS)).toBe(300);
  });

  test('less is owed than proves anything: none', () => {
    expect(new CheckEvidence(3).silentMs(1_000, 2, 400, ALWAYS)).toBe(0);
  });

  test('what was owed has expired, and others are owed: since the first of them', () => {
    const evidence = new CheckEvidence(1);
    evidence.silentMs(500, 1, 400, ALWAYS);
    expect(evidence.silentMs(1_000, 1, 900, ALWAYS)).toBe(600);
  });

  test('nothing was owed for a moment: since what is owed now', () => {
    const evidence = new CheckEvidence(1);
    evidence.silentMs(500, 1, 400, ALWAYS);
    expect(evidence.silentMs(600, 0, 600, ALWAYS)).toBe(0);
    expect(evidence.silentMs(1_000, 1, 900, ALWAYS)).toBe(100);
  });

  test('our own loop stood still: since it went on', () => {
    const evidence = new CheckEvidence(1);
    expect(evidence.silentMs(1_000, 1, 400, 950)).toBe(50);
    expect(evidence.silentMs(1_200, 1, 400, 950)).toBe(250);
  });
});

import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createQuestions, type KnownQuestion } from '../../src/cli/demo/questions.js';
import { Tally } from '../../src/cli/demo/tally.js';
import { loadPolicyDirectory, type PolicySet } from '../../src/engine/index.js';
import { ConnectionError } from '../../src/errors.js';
import { type ActionResult, type CheckResponse, Effect } from '../../src/types.js';

const POLICIES = fileURLToPath(new URL('../../examples/policies', import.meta.url));
let policies: PolicySet;
let questions: readonly KnownQuestion[];
beforeAll(async () => {
  policies = await loadPolicyDirectory(POLICIES);
  questions = createQuestions(policies);
});

function rightAnswer(number: number, question: number): CheckResponse {
  return {
    requestId: Tally.requestId(number),
    results: new Map<string, ActionResult>(questions[question]?.expected ?? []),
  };
}

/** With this change to the first action's result. */
function wrongAnswer(number: number, question: number, change: Partial<ActionResult>): CheckResponse {
  const [[action, result] = ['', undefined], ...others] = [...(questions[question]?.expected ?? [])];
  if (result === undefined) throw new Error('a question without actions');
  return {
    requestId: Tally.requestId(number),
    results: new Map<string, ActionResult>([[action, { ...result, ...change }], ...others]),
  };
}

describe('the questions', () => {
  it('made twice: the same', () => {
    expect(createQuestions(policies)).toEqual(questions);
  });

  it('of the example policies: every rule decides some, and so does the default', () => {
    const deciding = new Set(
      questions.flatMap(({ expected }) => [...expected.values()].map(({ policy, rule }) => `${policy}/${rule}`)),
    );
    expect([...deciding].sort()).toEqual([
      '/',
      'admin/purge-needs-second-approver',
      'admin/superuser-does-everything',
      'admin/suspended-does-nothing',
      'document/admin-does-everything',
      'document/confidential-needs-clearance',
      'document/editor-writes',
      'document/owner-manages-own',
      'document/viewer-reads',
      'invoice/clerk-prepares',
      'invoice/director-approves',
      'invoice/manager-approves-within-limit',
      'invoice/nobody-approves-their-own',
      'report/analyst-in-business-hours',
      'report/auditor-reads-always',
      'report/bulk-export-from-office-only',
    ]);
  });

  it('any seed: each asks at least one action, and none twice', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { question, expected } of createQuestions(policies, seed)) {
          expect(question.actions.length).toBeGreaterThan(0);
          expect([...expected.keys()]).toEqual([...question.actions]);
        }
      }),
      { numRuns: 5 },
    );
  });
});

describe('the tally', () => {
  it('any number of answers to each check, right or wrong, and errors: told as they were', () => {
    const fate = fc.record({ answers: fc.nat(3), isWrong: fc.boolean(), fails: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fate, { maxLength: 50 }), (fates) => {
        const tally = new Tally(questions, fates.length);
        fates.forEach((_fate, number) => tally.onSent(number, 0));
        fates.forEach(({ answers, isWrong, fails }, number) => {
          const answer = isWrong ? wrongAnswer(number, number, { rule: 'no such rule' }) : rightAnswer(number, number);
          for (let count = 0; count < answers; count++) tally.onAnswer(answer, 1);
          if (fails) tally.onError(new ConnectionError('lost', { requestId: Tally.requestId(number) }));
        });
        const answered = fates.filter(({ answers }) => answers > 0);
        expect(tally.result()).toMatchObject({
          sent: fates.length,
          answered: answered.length,
          lost: fates.length - answered.length,
          answeredTwice: fates.filter(({ answers }) => answers > 1).length,
          wrong: answered.filter(({ isWrong }) => isWrong).length,
          errors: fates.filter(({ fails }) => fails).length,
          unknown: 0,
        });
        expect(tally.inFlight).toBe(fates.filter(({ answers, fails }) => answers === 0 && !fails).length);
      }),
    );
  });

  it('an error, then a late answer: settled once', () => {
    const tally = new Tally(questions, 2);
    tally.onSent(0, 0);
    tally.onSent(1, 0);
    tally.onError(new ConnectionError('lost', { requestId: Tally.requestId(0) }));
    tally.onAnswer(rightAnswer(0, 0), 1);
    expect(tally.inFlight).toBe(1);
  });

  it.each<[string, Partial<ActionResult>]>([
    ['another effect', { effect: Effect.UNSPECIFIED }],
    ['another policy', { policy: 'other' }],
    ['another rule', { rule: 'other' }],
    ['a default where a rule decides', { matched: false, policy: '', rule: '' }],
  ])('an answer with %s: wrong', (_name, change) => {
    const tally = new Tally(questions, 1);
    const decided = questions.findIndex(({ expected }) => [...expected.values()][0]?.matched === true);
    tally.onSent(decided, 0);
    tally.onAnswer(wrongAnswer(0, decided, change), 1);
    expect(tally.result()).toMatchObject({ answered: 1, wrong: 1 });
  });

  it('an answer that leaves out an action, has one more, or stands for an error: wrong', () => {
    const tally = new Tally(questions, 3);
    for (let number = 0; number < 3; number++) tally.onSent(0, 0);
    const { results } = rightAnswer(0, 0);
    tally.onAnswer({ requestId: Tally.requestId(0), results: new Map([...results].slice(1)) }, 1);
    const more: ActionResult = { effect: Effect.DENY, matched: false };
    tally.onAnswer({ requestId: Tally.requestId(1), results: new Map([...results, ['more', more]]) }, 1);
    tally.onAnswer({ requestId: Tally.requestId(2), results, error: new Error('no') }, 1);
    expect(tally.result().wrong).toBe(3);
  });

  it.each(['demo-1', 'demo-', 'demo-00', 'demo--1', 'x-0', '', 'demo-999999999999'])(
    'one check sent, an answer to %j: unknown',
    (requestId) => {
      const tally = new Tally(questions, 2);
      tally.onSent(0, 0);
      tally.onAnswer({ requestId, results: new Map() }, 1);
      expect(tally.result()).toMatchObject({ unknown: 1, answered: 0 });
    },
  );

  it('answers after 1, 2 and 10 ms: the percentiles and the longest pause say so', () => {
    const tally = new Tally(questions, 3);
    for (let number = 0; number < 3; number++) tally.onSent(0, 100);
    [1, 2, 10].forEach((latency, number) => tally.onAnswer(rightAnswer(number, 0), 100 + latency));
    const { p50, max } = tally.latencies();
    expect(p50).toBeCloseTo(2, 1);
    expect(max).toBeCloseTo(10, 1);
    expect(tally.longestPauseMs).toBe(8);
  });
});

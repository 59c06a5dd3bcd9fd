import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { EndlessTally } from '../../src/cli/demo/endless-tally.js';
import { judgeLive } from '../../src/cli/demo/live-report.js';
import { createQuestions, type KnownQuestion } from '../../src/cli/demo/questions.js';
import { loadPolicyDirectory } from '../../src/engine/index.js';
import { type ActionResult, type CheckResponse } from '../../src/types.js';

const POLICIES = fileURLToPath(new URL('../../examples/policies', import.meta.url));
let known: KnownQuestion;
beforeAll(async () => {
  const [first] = createQuestions(await loadPolicyDirectory(POLICIES));
  if (first === undefined) throw new Error('no questions');
  known = first;
});

/** Asks once. The request id. */
function asked(tally: EndlessTally, nowMs = 0): string {
  const requestId = tally.nextRequestId;
  tally.onAsked(known, nowMs);
  return requestId;
}

const answer = (requestId: string, results = known.expected): CheckResponse => ({
  requestId,
  results: new Map<string, ActionResult>(results),
});

describe('the endless tally', () => {
  it('any number of answers and failures of each check, in any order: told as they were, and only what is open is kept', () => {
    const event = fc.constantFrom('right', 'wrong', 'failure');
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 3 }), { maxLength: 40 }), (fates) => {
        const tally = new EndlessTally();
        const ids = fates.map(() => asked(tally));
        const none = new Map<string, never>();
        fates.forEach((fate, index) => {
          const requestId = ids[index] ?? '';
          for (const each of fate) {
            if (each === 'failure') tally.onFailure(new Error('no engine'), requestId);
            else tally.onAnswer(answer(requestId, each === 'right' ? known.expected : none), 1);
          }
        });
        const firsts = fates.map(([first]) => first);
        const open = firsts.filter((first) => first === undefined).length;
        expect(tally.outstanding).toBe(open);
        expect(tally.result()).toMatchObject({
          asked: fates.length,
          answered: firsts.filter((first) => first === 'right' || first === 'wrong').length,
          failed: firsts.filter((first) => first === 'failure').length,
          lost: open,
          settledTwice: fates.reduce((sum, fate) => sum + Math.max(0, fate.length - 1), 0),
          unknown: 0,
          wrong: firsts.filter((first) => first === 'wrong').length,
        });
      }),
    );
  });

  it.each(['demo-1', 'demo-', 'demo-00', 'demo--1', 'x-0', '', 'demo-9999999999999999'])(
    'one check asked, an answer to %j: unknown',
    (requestId) => {
      const tally = new EndlessTally();
      asked(tally);
      tally.onAnswer(answer(requestId), 1);
      expect(tally.result()).toMatchObject({ unknown: 1, answered: 0, settledTwice: 0, lost: 1 });
    },
  );

  it('an error of no check: in the samples, and nothing is settled', () => {
    const tally = new EndlessTally();
    asked(tally);
    tally.onFailure(new TypeError('odd'), undefined);
    expect(tally.result()).toMatchObject({ failed: 0, lost: 1, samples: ['TypeError: odd'] });
  });

  it('an answer after 4 ms: the latencies say so', () => {
    const tally = new EndlessTally();
    tally.onAnswer(answer(asked(tally, 100)), 104);
    expect(tally.latencies().max).toBeCloseTo(4, 1);
  });
});

describe('the claims of the demo that goes on', () => {
  const judged = (play: (tally: EndlessTally) => void): (readonly [string, boolean])[] => {
    const tally = new EndlessTally();
    play(tally);
    const report = judgeLive({
      url: 'http://127.0.0.1:1/#token=x',
      engines: { primary: '127.0.0.1:2', backup: '127.0.0.1:3' },
      checksPerSecond: 1,
      streams: 1,
      durationMs: 1,
      tally: tally.result(),
      latencyMs: tally.latencies(),
      failovers: 0,
      failbacks: 0,
    });
    expect(report.ok).toBe(report.claims.every(({ ok }) => ok));
    return report.claims.filter(({ ok }) => !ok).map(({ name, detail }) => [name, detail.includes('demo-0')] as const);
  };

  it('all answered, or failed with an error: hold', () => {
    expect(
      judged((tally) => {
        tally.onAnswer(answer(asked(tally)), 1);
        tally.onFailure(new Error('no engine'), asked(tally));
      }),
    ).toEqual([]);
  });

  it.each<[string, (tally: EndlessTally, requestId: string) => void, readonly [string, boolean]]>([
    ['one never settled', () => undefined, ['every check settled', false]],
    [
      'one answered twice',
      (tally, requestId) => {
        tally.onAnswer(answer(requestId), 1);
        tally.onAnswer(answer(requestId), 1);
      },
      ['none settled twice', true],
    ],
    [
      'one answered wrongly',
      (tally, requestId) => tally.onAnswer(answer(requestId, new Map()), 1),
      ['every decision is right', true],
    ],
  ])('%s: the claim that says otherwise does not hold, and tells which', (_name, play, broken) => {
    expect(judged((tally) => play(tally, asked(tally)))).toEqual([broken]);
  });
});

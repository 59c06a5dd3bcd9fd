/** The whole client over a simulated network and a virtual clock, under faults. See `scenario.ts` for what can happen. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { simulate } from './run.js';
import { scenarioArb } from './scenario.js';
import { type Sighting, SIGHTINGS } from './sightings.js';

const RUNS = Number(process.env['SIM_RUNS'] ?? 2_000);
/** The same runs every time, unless told otherwise: `npm run test:soak` looks for new ones. */
const SEED = Number(process.env['SIM_SEED'] ?? 1);
const { SIM_PATH: path } = process.env;
/** Fewer may well miss something. */
const RUNS_THAT_SEE_ALL = 1_000;
/** Of the transcript of a failing run. */
const MAX_LINES = 400;

test(
  'client over a simulated network, any commands and faults: every invariant holds at every step, and all comes right once the faults stop',
  { timeout: 0 },
  async () => {
    const startedAt = performance.now();
    const seen = new Map<Sighting, number>();
    const result = await fc.check(
      fc.asyncProperty(scenarioArb, async (scenario) => {
        const { failure, seen: now } = await simulate(scenario);
        if (failure !== undefined) throw failure;
        for (const sighting of now) seen.set(sighting, (seen.get(sighting) ?? 0) + 1);
      }),
      {
        numRuns: RUNS,
        seed: SEED,
        endOnFailure: process.env['SIM_SHRINK'] === 'no',
        ...(path === undefined ? {} : { path }),
      },
    );
    const perSecond = (1_000 * result.numRuns) / (performance.now() - startedAt);
    process.stderr.write(`${result.numRuns} runs, ${Math.round(perSecond)} a second, seed ${result.seed}\n`);
    if (!result.failed) {
      const missed = SIGHTINGS.filter((sighting) => !seen.has(sighting));
      if (result.numRuns >= RUNS_THAT_SEE_ALL) expect(missed, 'never happened in any run').toEqual([]);
      return;
    }
    const [scenario] = result.counterexample ?? [];
    const lines = scenario === undefined ? [] : (await simulate(scenario)).transcript;
    expect.fail(
      [
        `after ${result.numRuns} runs and ${result.numShrinks} shrinks: ${String(result.errorInstance)}`,
        `SIM_SEED=${result.seed} SIM_PATH=${result.counterexamplePath ?? ''} npx vitest run test/sim/simulation.test.ts`,
        JSON.stringify(scenario),
        ...(lines.length > MAX_LINES ? [`(${lines.length - MAX_LINES} lines before)`] : []),
        ...lines.slice(-MAX_LINES),
      ].join('\n'),
    );
  },
);

test('any scenario, run twice: the traces are the same', async () => {
  await fc.assert(
    fc.asyncProperty(scenarioArb, async (scenario) => {
      const [first, second] = [await simulate(scenario), await simulate(scenario)];
      expect(second.hash).toBe(first.hash);
    }),
    { numRuns: Math.ceil(RUNS / 40), seed: SEED },
  );
});

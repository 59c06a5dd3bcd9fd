/**
 * Runs the simulation for as long as wanted, with a new seed for every part: `npm run test:soak -- --runs 200000 [--seed 1]`.
 * Tells how far it is, and stops at the first run that fails, with the line that replays it.
 */

import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

/** Of one process: a fresh one now and then keeps what a failing run may have left behind from the next. */
const RUNS_PER_PART = 2_000;
const TEST = 'test/sim/simulation.test.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '20000' }, seed: { type: 'string' } },
});
const runs = Number(values.runs);
const firstSeed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(firstSeed)) {
  process.stderr.write('usage: npm run test:soak -- [--runs <whole number>] [--seed <whole number>]\n');
  process.exit(2);
}

/**
 * @param {number} seed
 * @param {number} partRuns
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function runPart(seed, partRuns) {
  return new Promise((resolve) => {
    const vitest = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', TEST], {
      env: { ...process.env, SIM_RUNS: String(partRuns), SIM_SEED: String(seed), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
    };
    vitest.stdout.on('data', keep);
    vitest.stderr.on('data', keep);
    vitest.on('close', (code) => {
      resolve({ code, output });
    });
  });
}

const startedAt = performance.now();
for (let done = 0, seed = firstSeed; done < runs; seed = (seed + 1) % 2 ** 31) {
  const partRuns = Math.min(RUNS_PER_PART, runs - done);
  const { code, output } = await runPart(seed, partRuns);
  if (code !== 0) {
    process.stdout.write(`${output}\nfailed after ${done} to ${done + partRuns} runs, in the part with seed ${seed}\n`);
    process.exit(1);
  }
  done += partRuns;
  const seconds = (performance.now() - startedAt) / 1_000;
  const left = Math.round((seconds / done) * (runs - done));
  process.stdout.write(
    `${done} of ${runs} runs, ${Math.round(done / seconds)} a second, about ${left} s left, seed ${seed}\n`,
  );
}

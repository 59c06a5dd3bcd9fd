// Fuzzes for longer than `npm test` does: npm run test:fuzz -- [--inputs 1000000] [--seed N]. The same seed and number give the same inputs.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const VITEST = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));

/** @type {(name: string, text: string, least: number) => number} */
const wholeNumber = (name, text, least) => {
  const value = /^-?\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= 2 ** 31 - 1) return value;
  process.stderr.write(`fuzz: --${name} must be a whole number from ${least} to ${2 ** 31 - 1}\n`);
  return process.exit(2);
};

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(randomInt(2 ** 31 - 1)) },
  },
});
const inputs = wholeNumber('inputs', values.inputs, 1);
const seed = wholeNumber('seed', values.seed, -(2 ** 31));
const again = `npm run test:fuzz -- --inputs ${inputs} --seed ${seed}`;

process.stdout.write(`${inputs} inputs; the same again: ${again}\n`);
const startedAt = performance.now();
const { status } = spawnSync(process.execPath, [VITEST, 'run', 'test/fuzz'], {
  cwd: ROOT,
  stdio: 'inherit',
  env: { ...process.env, AUTHZ_FUZZ_INPUTS: String(inputs), AUTHZ_FUZZ_SEED: String(seed) },
});
const seconds = Math.round((performance.now() - startedAt) / 1000);
process.stdout.write(
  status === 0
    ? `${inputs} inputs in ${seconds} s: every property holds\n`
    : `a property does not hold; again: ${again}\n`,
);
process.exitCode = status ?? 1;

/**
 * Plants bugs in a copy of the sources, one at a time, and tells whether the simulation finds them: `npm run test:mutations [-- --only <text>]`.
 * The list is `test/sim/mutations.ts`. Fails when one is not found, and when one no longer applies.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import ts from 'typescript';

const COPIED = ['src', 'machines', 'proto', 'test/sim', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
/** A bug that takes more runs than these to show is not found. */
const RUNS = 2_000;
/** One that makes the client spin is found by that. */
const TIMEOUT_MS = 180_000;

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

/** @returns {Promise<import('../test/sim/mutations.js').Mutation[]>} */
async function readMutations() {
  const source = readFileSync('test/sim/mutations.ts', 'utf8');
  const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext } });
  /** @type {unknown} */
  const module = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
  return /** @type {{ MUTATIONS: import('../test/sim/mutations.js').Mutation[] }} */ (module).MUTATIONS;
}

/**
 * @param {string} folder
 * @param {number} runs
 */
function simulate(folder, runs) {
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', 'test/sim/simulation.test.ts', '-t', 'any commands and faults'],
    {
      cwd: folder,
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, SIM_RUNS: String(runs), SIM_SHRINK: 'no', NO_COLOR: '1' },
    },
  );
  const output = `${stdout}${stderr}`;
  const why = /after (\d+) runs and \d+ shrinks: (.*)/.exec(output);
  if (why !== null) return { passed: false, why: `after ${why[1]} runs: ${why[2]}` };
  if (error !== undefined) return { passed: false, why: `did not end: ${error.message}` };
  return { passed: status === 0, why: status === 0 ? '' : output.slice(-2_000) };
}

const mutations = (await readMutations()).filter(({ name }) => name.includes(values.only));
const folder = mkdtempSync(join(tmpdir(), 'authz-mutations-'));
let missed = 0;
try {
  for (const path of COPIED) cpSync(path, join(folder, path), { recursive: true });
  symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
  const clean = simulate(folder, 100);
  if (!clean.passed) throw new Error(`without any planted bug: ${clean.why}`);
  for (const { name, file, find, replace } of mutations) {
    const path = join(folder, file);
    const source = readFileSync(path, 'utf8');
    if (source.split(find).length !== 2) {
      process.stdout.write(`DOES NOT APPLY  ${name}: its text does not stand once in ${file}\n`);
      missed++;
      continue;
    }
    writeFileSync(
      path,
      source.replace(find, () => replace),
    );
    const { passed, why } = simulate(folder, RUNS);
    writeFileSync(path, source);
    if (passed) missed++;
    process.stdout.write(`${passed ? 'NOT FOUND' : 'found'}  ${name}${passed ? '' : `  ${why}`}\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.stdout.write(`${mutations.length - missed} of ${mutations.length} found\n`);
process.exitCode = missed === 0 ? 0 : 1;

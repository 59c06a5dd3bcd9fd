/** How long the package takes to load in a new process, beside grpc-js alone. By turns, each in a process of its own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { median } from '../lib/statistics.js';
import { finish, readSettings, report } from '../lib/worker.js';

const run = promisify(execFile);
const settings = readSettings();

/**
 * @param {string} specifier
 * @returns {Promise<number>} milliseconds
 */
async function importOnce(specifier) {
  const program = `const startedMs = performance.now(); await import(${JSON.stringify(specifier)}); console.log(performance.now() - startedMs);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('..', import.meta.url),
  });
  return Number(stdout);
}

const ours = new URL('../../dist/src/index.js', import.meta.url).href;
const theirs = '@grpc/grpc-js';
// Once beforehand: what is measured is a cold process, not a cold disk.
await Promise.all([importOnce(ours), importOnce(theirs)]);
const times = { ours: /** @type {number[]} */ ([]), theirs: /** @type {number[]} */ ([]) };
for (let trial = 0; trial < settings.trials; trial++) {
  times.ours.push(await importOnce(ours));
  times.theirs.push(await importOnce(theirs));
}
report({ importMs: median(times.ours), grpcJsImportMs: median(times.theirs) });
finish();

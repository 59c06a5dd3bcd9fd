#!/usr/bin/env node
/** Runs the workloads, ours and the rivals' by turns, each in processes of its own, and holds the results against the floors. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { judgeFloors } from './lib/floors.js';
import { runClient, startServer } from './lib/processes.js';
import { createProgress } from './lib/progress.js';
import { summarize } from './lib/statistics.js';
import { ratios, renderReport } from './lib/table.js';
import { workloads } from './lib/workloads.js';

/** @typedef {import('./lib/workloads.js').Workload} Workload */

const SERVER = 'servers/fast-server.js';
/** Beyond warm-up and window: process start, connecting, the last answers. */
const RUN_GRACE_MS = 20_000;
const TRIAL_LIMIT_MS = 15_000;
/** `--quick` starts no further run after this, to end within a minute. */
const QUICK_BUDGET_MS = 45_000;

/** @typedef {{ rounds: number, seconds: number, warmUpSeconds: number, quick: boolean, only: Workload[], json: boolean }} Options */

/** @returns {Options} */
function readOptions() {
  const names = workloads.map(({ name }) => name);
  const program = new Command('bench')
    .description(
      'Measures this client beside grpc-js and others, and checks the floors. Exits with 1 when a floor or a run fails.',
    )
    .option('--seconds <n>', 'length of each measured run (default: 3, quick: 1)', positive)
    .option('--rounds <n>', 'runs of each workload (default: 3, quick: 2)', positiveInteger)
    .option('--quick', 'fewer workloads and shorter runs: ends within 60 seconds', false)
    .option('--only <names>', 'comma-separated workloads to run', (list) => list.split(',').map(named))
    .option('--json', 'print the results as JSON, and nothing else, on stdout', false)
    .addHelpText(
      'after',
      `\nWorkloads:\n${workloads.map(({ name, title }) => `  ${name.padEnd(22)} ${title}`).join('\n')}`,
    )
    .parse();
  /** @type {{ seconds?: number, rounds?: number, quick: boolean, only?: Workload[], json: boolean }} */
  const given = program.opts();

  /** @param {string} name */
  function named(name) {
    const workload = workloads.find((each) => each.name === name.trim());
    if (workload === undefined) throw new InvalidArgumentError(`There is no "${name}"; there are ${names.join(', ')}.`);
    return workload;
  }

  return {
    seconds: given.seconds ?? (given.quick ? 1 : 3),
    rounds: given.rounds ?? (given.quick ? 2 : 3),
    warmUpSeconds: given.quick ? 0.5 : 1,
    quick: given.quick,
    json: given.json,
    only: given.only ?? workloads.filter(({ inQuick }) => inQuick || !given.quick),
  };
}

/** @param {string} text */
function positive(text) {
  const value = Number(text);
  if (!(value > 0 && value <= 3600)) throw new InvalidArgumentError('It must be more than 0 and at most 3600.');
  return value;
}

/** @param {string} text */
function positiveInteger(text) {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

/**
 * @param {Workload} workload
 * @param {Options} options
 * @returns {Promise<import('./lib/meter.js').Measured>}
 */
async function runOnce(workload, options) {
  const trials = (options.quick ? workload.quickTrials : workload.trials) ?? 1;
  const settings = {
    ...workload.settings,
    trials,
    warmUpMs: options.warmUpSeconds * 1000,
    measureMs: options.seconds * 1000,
  };
  if (workload.withoutServer) return runClient(workload.script, settings, { timeoutMs: trials * TRIAL_LIMIT_MS });

  // A server each: none inherits the garbage of another's client.
  const server = await startServer(SERVER);
  try {
    /** @type {Promise<number>[]} */
    const cpuUs = [];
    const measured = await runClient(
      workload.script,
      { ...settings, address: server.address },
      {
        timeoutMs: settings.warmUpMs + settings.measureMs + RUN_GRACE_MS,
        onMeasuring: () => void cpuUs.push(server.cpuUs()),
        onMeasured: () => void cpuUs.push(server.cpuUs()),
      },
    );
    const [before, after] = await Promise.all(cpuUs);
    const { elapsedMs } = measured;
    if (before === undefined || after === undefined || elapsedMs === undefined) return measured;
    return { ...measured, serverBusyPercent: (after - before) / (elapsedMs * 10) };
  } finally {
    await server.stop();
  }
}

/**
 * @param {Options} options
 * @returns {Promise<Map<string, import('./lib/floors.js').Result>>}
 */
async function runAll(options) {
  const startedMs = performance.now();
  const progress = createProgress(options.rounds * options.only.length);
  /** @type {Map<string, import('./lib/floors.js').Result>} */
  const results = new Map(options.only.map(({ name }) => [name, { runs: [], figures: {}, errors: [] }]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const workload of options.only) {
      const result = results.get(workload.name);
      if (result === undefined || result.errors.length > 0) continue;
      progress.begin(`round ${round} of ${options.rounds}, ${workload.title}`);
      if (options.quick && result.runs.length > 0 && performance.now() - startedMs > QUICK_BUDGET_MS) {
        progress.done('left out, to end within a minute');
        continue;
      }
      try {
        const measured = await runOnce(workload, options);
        result.runs.push(measured);
        progress.done(outcome(measured));
      } catch (error) {
        result.errors.push(error instanceof Error ? error.message : String(error));
        progress.done('failed');
      }
    }
  }
  progress.stop();
  for (const result of results.values()) result.figures = summarize(result.runs);
  return results;
}

/** @param {import('./lib/meter.js').Measured} measured */
function outcome({ checksPerSecond, firstAnswerP99Ms, longestSilenceMs, lost }) {
  if (checksPerSecond !== undefined) return `${Math.round(checksPerSecond).toLocaleString('en')} checks/s`;
  if (firstAnswerP99Ms !== undefined) return `first answer within ${firstAnswerP99Ms.toFixed(2)} ms (p99)`;
  return `longest silence ${longestSilenceMs?.toFixed(0)} ms, ${lost} lost`;
}

const options = readOptions();
// `process.exit` ends the child processes too.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
if (options.only.some(({ kind }) => kind === 'ours') && !existsSync(new URL('../dist/src/index.js', import.meta.url))) {
  console.error('The package is not built: run `npm run build` first, or `npm run bench`, which does.');
  process.exit(1);
}

const [loadBefore = 0] = loadavg();
const results = await runAll(options);
const verdicts = judgeFloors(results);
const document = {
  takenAt: new Date().toISOString(),
  node: process.version,
  platform: platform(),
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  loadBefore,
  rounds: options.rounds,
  seconds: options.seconds,
  workloads: Object.fromEntries(results),
  ratios: Object.fromEntries(ratios(results).map(({ name, value }) => [name, value])),
  floors: verdicts,
};
const json = `${JSON.stringify(document, null, 2)}\n`;
mkdirSync(new URL('results/', import.meta.url), { recursive: true });
writeFileSync(new URL('results/latest.json', import.meta.url), json);
const failed =
  verdicts.some(({ verdict }) => verdict === 'fail') || [...results.values()].some(({ errors }) => errors.length > 0);
process.exitCode = failed ? 1 : 0;
process.stdout.write(options.json ? json : renderReport(results, verdicts, loadBefore));

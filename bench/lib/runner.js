/** Runs a plan: heats by turns, then scenarios, one after the other. Nothing else of ours runs meanwhile. */
import { Pair, Server, runScenario } from './processes.js';
import { summarize } from './statistics.js';

/** @typedef {import('./aims.js').Result} Result */
/** @typedef {import('./options.js').Options} Options */
/** @typedef {import('./progress.js').Progress} Progress */

/** Processes are started anew after so many rounds: V8 compiles differently each time, and the spread should tell. */
const ROUNDS_PER_PROCESS = 3;
/** Until the load is steady again after a rest. */
const RAMP_MS = 80;
/** A scenario reports at least this often; a fault may take its full recovery limit. */
const SCENARIO_LIMIT_MS = 120_000;
/** `--quick` starts no further round, and no further scenario, after these. */
const QUICK_HEAT_BUDGET_MS = 34_000;
const QUICK_BUDGET_MS = 50_000;

/**
 * @param {import('./plan.js').Plan} plan
 * @param {Options} options
 * @param {Progress} progress
 * @returns {Promise<Map<string, Result>>}
 */
export async function runPlan(plan, options, progress) {
  /** @type {Map<string, Result>} */
  const results = new Map();
  // Since the process began: a build counts.
  const isLate = (/** @type {number} */ budgetMs) => options.quick && performance.now() > budgetMs;
  for (const heat of plan.heats) {
    for (const { key, workload, transport } of heat) {
      const { name, title, kind, load, client } = workload;
      results.set(key, { ...newResult({ name, title, kind }, transport), heat: workload.heat, load, client });
    }
    for (let round = 1; round <= options.rounds; round += ROUNDS_PER_PROCESS) {
      const rounds = Math.min(ROUNDS_PER_PROCESS, options.rounds - round + 1);
      await runHeat(heat, rounds, results, options, progress, () => isLate(QUICK_HEAT_BUDGET_MS));
    }
  }
  for (const planned of plan.scenarios) {
    const result = newResult(planned.scenario, planned.transport);
    results.set(planned.key, result);
    progress.begin(titleOf(result));
    if (isLate(QUICK_BUDGET_MS)) progress.done('left out, to end within a minute');
    else await runPlannedScenario(planned, result, progress);
  }
  for (const result of results.values()) result.figures = summarize(result.runs);
  return results;
}

/**
 * @param {{ name: string, title: string, kind: Result['kind'] }} of
 * @param {string | undefined} transport
 * @returns {Result}
 */
function newResult({ name, title, kind }, transport) {
  return { name, title, kind, ...(transport !== undefined && { transport }), runs: [], figures: {}, errors: [] };
}

/**
 * @param {readonly import('./plan.js').PlannedWorkload[]} heat
 * @param {number} rounds
 * @param {ReadonlyMap<string, Result>} results
 * @param {Options} options
 * @param {Progress} progress
 * @param {() => boolean} isLate
 */
async function runHeat(heat, rounds, results, options, progress, isLate) {
  progress.begin(`starting ${heat.length} clients and their servers`);
  const runners = await Promise.all(
    heat.map(async ({ key, workload, transport }) => {
      const result = /** @type {Result} */ (results.get(key));
      const settings = { ...workload.load, ...(transport !== undefined && { transport }) };
      const pair = await Pair.start(workload.server, workload.script, settings).catch(
        (/** @type {unknown} */ error) => {
          result.errors.push(messageOf(error));
        },
      );
      return { result, pair };
    }),
  );
  try {
    for (let round = 1; round <= rounds; round++) {
      if (round > 1 && isLate()) return;
      for (const { result, pair } of runners) {
        progress.begin(titleOf(result));
        if (pair === undefined || result.errors.length > 0) {
          progress.done('failed');
          continue;
        }
        try {
          const { figures, functions } = await pair.measure({
            rampMs: round === 1 ? options.warmUpSeconds * 1000 : RAMP_MS,
            measureMs: options.seconds * 1000,
            profile: options.profile,
          });
          result.runs.push(figures);
          if (functions !== undefined) result.functions = functions;
          progress.done(`${Math.round(figures['checksPerSecond'] ?? NaN).toLocaleString('en')} checks/s`);
        } catch (error) {
          result.errors.push(messageOf(error));
          progress.done('failed');
        }
      }
    }
  } finally {
    await Promise.all(runners.flatMap(({ pair }) => pair?.stop() ?? []));
  }
}

/**
 * @param {import('./plan.js').PlannedScenario} planned
 * @param {Result} result
 * @param {Progress} progress
 */
async function runPlannedScenario({ scenario, trials, transport }, result, progress) {
  const [script, ...args] = scenario.server ?? [];
  /** @type {Server | undefined} */
  let server;
  try {
    server = script === undefined ? undefined : await Server.start(script, args);
    const settings = {
      ...scenario.settings,
      trials,
      ...(server && { address: server.address }),
      ...(transport !== undefined && { transport }),
    };
    await runScenario(scenario.script, settings, {
      timeoutMs: SCENARIO_LIMIT_MS,
      execArgv: scenario.execArgv ?? [],
      onReport: (figures) => {
        result.runs.push(figures);
        if (trials > 1) progress.note(`${titleOf(result)}, ${result.runs.length} of ${trials}`);
      },
    });
    progress.done(outcome(result.runs.at(-1) ?? {}));
  } catch (error) {
    result.errors.push(messageOf(error));
    progress.done('failed');
  } finally {
    await server?.stop();
  }
}

/** @param {Result} result */
function titleOf({ title, transport }) {
  return transport === undefined ? title : `${title}, ${transport}`;
}

/** @param {import('./worker.js').Measured} figures */
function outcome(figures) {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toFixed(2)}`)
    .join(', ');
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

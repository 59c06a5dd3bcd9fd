/** What one run of the benchmark does, from what was asked for. */
import { aims, keyOf } from './aims.js';
import { failoverScenarios, scenarios } from './scenarios.js';
import { workloads } from './workloads.js';

/**
 * @typedef {object} PlannedWorkload
 * @property {string} key
 * @property {import('./workloads.js').Workload} workload
 * @property {string} [transport]
 */

/**
 * @typedef {object} PlannedScenario
 * @property {string} key
 * @property {import('./scenarios.js').Scenario} scenario
 * @property {number} trials
 * @property {string} [transport]
 */

/**
 * @typedef {object} Plan
 * @property {PlannedWorkload[][]} heats
 * @property {PlannedScenario[]} scenarios
 */

/** @returns {string[]} everything that `--only` takes */
export function selectableNames() {
  return [
    ...new Set([
      ...workloads.map(({ heat }) => heat),
      ...workloads.map(({ name }) => name),
      ...scenarios.map(({ name }) => name),
      ...selectableAims().map(({ id }) => id),
    ]),
  ];
}

/** The aims of `failover` are measured by that command alone. */
function selectableAims() {
  const known = new Set([...workloads, ...scenarios].map(({ name }) => name));
  return aims.filter(({ needs }) => needs.every((name) => known.has(name)));
}

/**
 * @param {readonly string[]} names from `selectableNames()`
 * @returns {Set<string>} of workloads and scenarios
 */
function expand(names) {
  return new Set(
    names.flatMap((name) => [
      name,
      ...workloads.filter(({ heat }) => heat === name).map((workload) => workload.name),
      ...aims.filter(({ id }) => id === name).flatMap(({ needs }) => needs),
    ]),
  );
}

/**
 * @param {import('./options.js').Options} options
 * @returns {Plan}
 */
export function makePlan({ command, quick, only, repeat, transports }) {
  if (command === 'failover') {
    return { heats: [], scenarios: plannedScenarios(failoverScenarios(repeat), false, transports) };
  }
  const selected = only === undefined ? undefined : expand(only);
  const isWanted = (/** @type {string} */ name, /** @type {boolean} */ isByDefault) =>
    selected === undefined ? isByDefault : selected.has(name);
  const wanted = workloads.filter(({ name, inQuick }) => isWanted(name, inQuick || !quick));
  const heats = [...new Set(wanted.map(({ heat }) => heat))].map((heat) =>
    wanted.filter((workload) => workload.heat === heat).flatMap((workload) => plannedWorkloads(workload, transports)),
  );
  const wantedScenarios = scenarios.filter(({ name, quickTrials }) => isWanted(name, quickTrials > 0 || !quick));
  return { heats, scenarios: plannedScenarios(wantedScenarios, quick, transports) };
}

/**
 * @param {import('./workloads.js').Workload} workload
 * @param {readonly (string | undefined)[]} transports
 * @returns {PlannedWorkload[]}
 */
function plannedWorkloads(workload, transports) {
  return overTransports(workload.kind === 'ours' ? transports : [undefined], (transport) => ({
    key: keyOf(workload.name, workload.kind, transport),
    workload,
  }));
}

/**
 * @param {readonly import('./scenarios.js').Scenario[]} wanted
 * @param {boolean} quick
 * @param {readonly (string | undefined)[]} transports
 * @returns {PlannedScenario[]}
 */
function plannedScenarios(wanted, quick, transports) {
  return wanted.flatMap((scenario) =>
    overTransports(scenario.ignoresTransport ? [undefined] : transports, (transport) => ({
      key: keyOf(scenario.name, scenario.kind, transport),
      scenario,
      trials: quick ? Math.max(1, scenario.quickTrials) : scenario.trials,
    })),
  );
}

/**
 * @template T
 * @param {readonly (string | undefined)[]} transports
 * @param {(transport: string | undefined) => T} make
 * @returns {(T & { transport?: string })[]}
 */
function overTransports(transports, make) {
  return transports.map((transport) => ({ ...make(transport), ...(transport !== undefined && { transport }) }));
}

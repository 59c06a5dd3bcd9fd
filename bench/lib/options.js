/** The command line. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import { selectableNames } from './plan.js';
import { scenarios } from './scenarios.js';
import { workloads } from './workloads.js';
import { aims } from './aims.js';

/**
 * @typedef {object} Options
 * @property {'failover' | undefined} command
 * @property {number} rounds
 * @property {number} seconds of each window
 * @property {number} warmUpSeconds
 * @property {boolean} quick
 * @property {string[] | undefined} only
 * @property {number} repeat
 * @property {(string | undefined)[]} transports undefined: the client's default
 * @property {boolean} profile
 * @property {boolean} json
 * @property {boolean} build
 * @property {string | undefined} out
 */

/** @returns {Options} */
export function readOptions() {
  const program = new Command('bench')
    .description(
      'Measures this client beside grpc-js and others, and checks the floors. Exits with 1 when a floor or a run fails.',
    )
    .addArgument(
      new Argument('[command]', 'failover: every fault over and over, under load (long)').choices(['failover']),
    )
    .option('--quick', 'fewer workloads and shorter windows: ends within 60 seconds', false)
    .option('--only <names>', 'comma-separated: workloads, heats, scenarios or aims', names)
    .option('--transport <names>', 'comma-separated: run ours over each (default: what the client defaults to)', list)
    .option('--rounds <n>', 'windows of each workload (default: 6, quick: 3)', positiveInteger)
    .option('--seconds <n>', 'length of each window (default: 1.5, quick: 0.35)', positive)
    .option('--repeat <n>', 'failover: how often each fault is made', positiveInteger, 100)
    .option('--profile', "sample each client's CPU, and tell the functions it goes to", false)
    .option('--json', 'print the results as JSON, and nothing else, on stdout', false)
    .option('--build', 'build the package first, if its sources are newer than what is built', false)
    .option(
      '--out <directory>',
      'where report, charts and JSON are written (default: bench/results; with --only: nowhere)',
    )
    .addHelpText('after', describeNames)
    .parse();
  /** @type {{ seconds?: number, rounds?: number, repeat: number, quick: boolean, only?: string[], transport?: string[], profile: boolean, json: boolean, build: boolean, out?: string }} */
  const given = program.opts();
  const { quick, only, repeat, profile, json, build } = given;
  return {
    command: program.args[0] === 'failover' ? 'failover' : undefined,
    rounds: given.rounds ?? (quick ? 3 : 6),
    seconds: given.seconds ?? (quick ? 0.35 : 1.5),
    warmUpSeconds: quick ? 0.6 : 1.5,
    quick,
    only,
    repeat,
    transports: given.transport ?? [undefined],
    profile,
    json,
    build,
    out: given.out,
  };
}

function describeNames() {
  const heats = [...new Set(workloads.map(({ heat }) => heat))];
  const sections = [
    ...heats.map((heat) => ({
      title: `Workloads of the heat ${heat}`,
      items: workloads.filter((workload) => workload.heat === heat),
    })),
    { title: 'Scenarios', items: scenarios },
    {
      title: 'Aims (each runs what it needs)',
      items: aims.filter(({ needs }) => needs.length > 1).map(({ id, aim }) => ({ name: id, title: aim })),
    },
  ];
  return sections
    .map(({ title, items }) =>
      ['', `${title}:`, ...items.map((item) => `  ${item.name.padEnd(32)} ${item.title}`)].join('\n'),
    )
    .join('\n');
}

/** @param {string} text */
function list(text) {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new InvalidArgumentError('It must have a name.');
  return [...new Set(items)];
}

/** @param {string} text */
function names(text) {
  const known = new Set(selectableNames());
  const unknown = list(text).filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`There is no "${unknown.join('", "')}"; --help lists what there is.`);
  return list(text);
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

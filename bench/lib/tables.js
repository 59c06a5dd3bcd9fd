/** The tables of a report, apart from how they are drawn. Figures are medians, and their spread is half the range of the rounds. */
import { percentile } from './statistics.js';

/**
 * @typedef {object} Table
 * @property {string} title
 * @property {string} [note]
 * @property {string[]} head the first column is text, the others are figures
 * @property {string[][]} rows
 */

/** @typedef {import('./aims.js').Result} Result */
/** @typedef {import('./statistics.js').Figure} Figure */

/**
 * @param {number | null | undefined} value
 * @param {number} [digits] default: as many as the size of the value calls for
 */
export function number(value, digits) {
  if (value === undefined || value === null || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const shown = digits ?? (Number.isInteger(value) || size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
  return value.toLocaleString('en', { minimumFractionDigits: shown, maximumFractionDigits: shown });
}

/** @param {Figure | undefined} figure */
function spread(figure) {
  return figure === undefined ? '–' : `${number(((figure.max - figure.min) / figure.median) * 50, 0)} %`;
}

/**
 * @param {import('./aims.js').Verdict} verdict
 * @param {number | null} limit
 */
function limitText({ want, unit }, limit) {
  if (limit === null) return '–';
  return `${want === 'atLeast' ? '≥' : '≤'} ${number(limit)}${unit === '' ? '' : ` ${unit}`}`;
}

/**
 * @param {import('./document.js').Document} document
 * @returns {Table}
 */
export function aimsTable({ aims }) {
  const marks = { pass: 'pass', fail: 'FAIL', none: '–', skipped: 'skipped' };
  return {
    title: 'Aims',
    note: 'The floor is what is promised: a run that misses one fails. The goal is what is striven for.',
    head: ['aim', 'measured', 'rounds', 'floor', 'goal', 'floor kept', 'goal met'],
    rows: aims
      .filter(({ verdict }) => verdict !== 'skipped')
      .map((verdict) => [
        verdict.transport === undefined ? verdict.aim : `${verdict.aim}, ${verdict.transport}`,
        verdict.value === null ? (verdict.reason ?? '–') : `${number(verdict.value)} ${verdict.unit}`.trimEnd(),
        verdict.min === verdict.max ? '–' : `${number(verdict.min)} to ${number(verdict.max)}`,
        limitText(verdict, verdict.floor),
        limitText(verdict, verdict.goal),
        marks[verdict.verdict],
        verdict.goalMet === null ? '–' : verdict.goalMet ? 'yes' : 'no',
      ]),
  };
}

const heatTitles = new Map([
  ['steady', 'Steady load'],
  ['one-at-a-time', 'One at a time'],
  ['in-flight', 'More and fewer in flight'],
  ['size', 'Requests of 2 KiB, with attributes'],
  ['connections', 'Several connections'],
  ['engine', 'Against the embedded engine'],
]);

/**
 * @param {import('./document.js').Document} document
 * @returns {Table[]} one a heat
 */
export function heatTables({ results }) {
  const all = Object.values(results);
  const heats = [...new Set(all.flatMap(({ heat }) => heat ?? []))];
  return heats.map((heat) => ({
    title: heatTitles.get(heat) ?? heat,
    head: [
      'workload',
      'checks/s',
      '±',
      'client µs/check',
      'client busy',
      'server busy',
      'GC',
      'p50 ms',
      'p99 ms',
      'RSS MB',
    ],
    rows: all.filter((result) => result.heat === heat && result.runs.length > 0).map(heatRow),
  }));
}

/** @param {Result} result */
function heatRow({ kind, title, transport, figures }) {
  const median = (/** @type {string} */ name) => figures[name]?.median;
  return [
    `${kind === 'ours' ? '* ' : ''}${title}${transport === undefined ? '' : `, ${transport}`}`,
    number(median('checksPerSecond'), 0),
    spread(figures['checksPerSecond']),
    number(median('clientCpuUsPerCheck'), 2),
    `${number(median('clientBusyPercent'), 0)} %`,
    `${number(median('serverBusyPercent'), 0)} %`,
    `${number(median('gcSharePercent'), 1)} %`,
    number(median('p50Ms'), 3),
    number(median('p99Ms'), 3),
    number(median('rssMb'), 0),
  ];
}

/**
 * @param {import('./document.js').Document} document
 * @returns {Table[]}
 */
export function scenarioTables({ results }) {
  const done = Object.values(results).filter(({ heat, runs }) => heat === undefined && runs.length > 0);
  const faults = done.filter(({ figures }) => figures['longestSilenceMs'] !== undefined);
  const others = done.filter((result) => !faults.includes(result));
  /** @type {Table[]} */
  const tables = [];
  if (faults.length > 0) {
    tables.push({
      title: 'Faults under the load of 64 callers and one stream',
      note: 'The silence is the longest time without an answer after the fault; before it, the same of 300 ms without one. Lost: an error the application saw, or never settled.',
      head: [
        'fault',
        'times',
        'silence before p50 ms',
        'silence p50 ms',
        'silence p99 ms',
        'slowest check ms',
        'answered',
        'errors',
        'lost',
        'settled twice',
      ],
      rows: faults.map(faultRow),
    });
  }
  if (others.length > 0) {
    tables.push({
      title: 'Scenarios',
      head: ['scenario and figure', 'value'],
      rows: others.flatMap((result) =>
        Object.entries(result.figures)
          .filter(([name]) => name !== 'trials')
          .map(([name, { median }]) => [`${titleOf(result)}: ${name}`, number(median)]),
      ),
    });
  }
  return tables;
}

/** @param {Result} result */
function titleOf({ title, transport }) {
  return transport === undefined ? title : `${title}, ${transport}`;
}

/** @param {Result} result */
function faultRow(result) {
  const silences = result.runs.map((run) => run['longestSilenceMs'] ?? NaN);
  const total = (/** @type {string} */ name) => result.runs.reduce((sum, run) => sum + (run[name] ?? 0), 0);
  return [
    titleOf(result),
    number(result.runs.length),
    number(result.figures['steadySilenceMs']?.median, 0),
    number(percentile(silences, 50), 0),
    number(percentile(silences, 99), 0),
    number(result.figures['slowestCheckMs']?.max, 0),
    ...['answered', 'errors', 'lost', 'settledTwice'].map((name) => number(total(name))),
  ];
}

/**
 * @param {import('./document.js').Document} document
 * @returns {Table[]} where the CPU goes, if it was asked for
 */
export function profileTables({ results }) {
  return Object.values(results).flatMap((result) =>
    result.functions === undefined
      ? []
      : [
          {
            title: `CPU of ${titleOf(result)}`,
            head: ['function', 'own time', 'where'],
            rows: result.functions.map(({ name, where, sharePercent }) => [
              name,
              `${number(sharePercent, 1)} %`,
              where,
            ]),
          },
        ],
  );
}

/**
 * @param {import('./document.js').Document} document
 * @returns {string[]}
 */
export function errorLines({ results }) {
  return Object.entries(results).flatMap(([key, { errors }]) => errors.map((error) => `${key}: ${error}`));
}

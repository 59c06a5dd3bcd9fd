/** The report on the terminal. */
import { ratio } from './floors.js';
import { workloads } from './workloads.js';

/**
 * @param {readonly (readonly string[])[]} rows the first is the head; the first column is text, the others are figures
 * @returns {string}
 */
function table(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
  );
  lines.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width)),
  );
  return lines.map((cells) => cells.join('  ')).join('\n');
}

/**
 * @param {number | undefined} value
 * @param {number} digits
 */
function number(value, digits) {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {import('./statistics.js').Figure | undefined} figure */
function spread(figure) {
  return figure === undefined ? '–' : `${number(((figure.max - figure.min) / figure.median) * 50, 0)} %`;
}

/** @param {import('./floors.js').Results} results */
function throughput(results) {
  const rows = [['workload', 'checks/s', '±', 'client µs/check', 'server busy', 'p50 ms', 'p99 ms', 'RSS MB']];
  for (const { name, title, kind } of workloads) {
    const figures = results.get(name)?.figures;
    if (figures?.['checksPerSecond'] === undefined) continue;
    rows.push([
      `${kind === 'ours' ? '*' : ' '} ${title}`,
      number(figures['checksPerSecond'].median, 0),
      spread(figures['checksPerSecond']),
      number(figures['clientCpuUsPerCheck']?.median, 2),
      `${number(figures['serverBusyPercent']?.median, 0)} %`,
      number(figures['p50Ms']?.median, 3),
      number(figures['p99Ms']?.median, 3),
      number(figures['rssMb']?.median, 0),
    ]);
  }
  return rows.length > 1 ? [`${table(rows)}\n* ours; figures are medians, ± half the range of all rounds`] : [];
}

/** @param {import('./floors.js').Results} results */
function events(results) {
  const sections = [];
  const creation = results.get('stream-creation')?.figures;
  if (creation?.['trials'] !== undefined) {
    const row = (/** @type {string} */ title, /** @type {string} */ figure) => [
      title,
      number(creation[`${figure}P50Ms`]?.median, 3),
      number(creation[`${figure}P99Ms`]?.median, 3),
    ];
    sections.push(
      table([
        ['stream creation', 'p50 ms', 'p99 ms'],
        row('createBidirectionalStream returns', 'returned'),
        row('first answer, a new call', 'firstAnswer'),
        row('first answer, a reused call', 'reusedFirstAnswer'),
      ]),
    );
  }
  const failover = results.get('failover')?.figures;
  if (failover?.['trials'] !== undefined) {
    const rounds = results.get('failover')?.runs.length ?? 0;
    sections.push(
      table([
        ['primary SIGKILLed under load', 'kills', 'median silence ms', 'worst ms', 'lost', 'settled twice'],
        [
          '64 callers and one stream',
          number(failover['trials'].median * rounds, 0),
          number(failover['silenceP50Ms']?.median, 1),
          number(failover['longestSilenceMs']?.max, 1),
          number(failover['lost']?.max, 0),
          number(failover['settledTwice']?.max, 0),
        ],
      ]),
    );
  }
  return sections;
}

/**
 * @param {import('./floors.js').Results} results
 * @returns {{ name: string, value: number }[]} ours over theirs, those that were measured
 */
export function ratios(results) {
  return [
    { name: 'check() / grpc-js unary', value: ratio(results, 'check', 'grpc-js-unary') },
    { name: 'check() / grpc-js, 1 stream', value: ratio(results, 'check', 'grpc-js-stream') },
    { name: 'check() / grpc-js, 8 streams', value: ratio(results, 'check', 'grpc-js-eight-streams') },
    { name: 'check() / node:http2 + protobufjs', value: ratio(results, 'check', 'http2-protobufjs') },
    {
      name: 'check(), 512 in flight / node:http2 + protobufjs',
      value: ratio(results, 'check-wide', 'http2-protobufjs'),
    },
    { name: 'send(), 1 stream / grpc-js, 1 stream', value: ratio(results, 'one-stream', 'grpc-js-stream') },
    { name: 'send(), 8 streams / grpc-js, 8 streams', value: ratio(results, 'eight-streams', 'grpc-js-eight-streams') },
    {
      name: 'send(), 8 streams / node:http2 + protobufjs',
      value: ratio(results, 'eight-streams', 'http2-protobufjs'),
    },
    {
      name: 'client CPU per check: check() / grpc-js unary',
      value: ratio(results, 'check', 'grpc-js-unary', 'clientCpuUsPerCheck'),
    },
    {
      name: 'one at a time, p50: check() / grpc-js unary',
      value: ratio(results, 'check-serial', 'grpc-js-unary-serial', 'p50Ms'),
    },
  ].filter(({ value }) => Number.isFinite(value));
}

/**
 * @param {import('./floors.js').Results} results
 * @param {readonly import('./floors.js').Verdict[]} verdicts
 * @param {number} loadBefore runnable processes before the first run
 * @returns {string}
 */
export function renderReport(results, verdicts, loadBefore) {
  const sections = [...throughput(results), ...events(results)];
  if (loadBefore >= 1) {
    sections.unshift(
      `The machine was busy before the first run (load ${number(loadBefore, 1)}): trust the ratios and the CPU per check.`,
    );
  }
  const measuredRatios = ratios(results);
  if (measuredRatios.length > 0) {
    sections.push(
      table([
        ['ratio, median of the rounds', ''],
        ...measuredRatios.map(({ name, value }) => [name, `${number(value, value < 1 ? 3 : 1)} ×`]),
      ]),
    );
  }
  const errors = [...results].flatMap(([name, { errors }]) => errors.map((error) => `${name}: ${error}`));
  if (errors.length > 0) sections.push(`errors\n${errors.join('\n')}`);
  const marks = { pass: 'pass', fail: 'FAIL', skipped: 'skip' };
  sections.push(
    ['floors', ...verdicts.map(({ floor, measured, verdict }) => `${marks[verdict]}  ${floor}: ${measured}`)].join(
      '\n',
    ),
  );
  return `${sections.join('\n\n')}\n`;
}

/** The report on the terminal. */
import { aimsTable, errorLines, heatTables, number, profileTables, scenarioTables } from './tables.js';

/**
 * @param {import('./tables.js').Table} table
 * @returns {string}
 */
function draw({ title, head, rows }) {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return [title.toUpperCase(), ...lines].join('\n');
}

/**
 * @param {import('./document.js').Document} document
 * @returns {string}
 */
export function renderTerminal(document) {
  const { machine, aims, tookSeconds } = document;
  const sections = [
    ...heatTables(document).map(draw),
    ...scenarioTables(document).map(draw),
    ...profileTables(document).map(draw),
  ];
  if (machine.loadBefore >= 1) {
    sections.unshift(
      `The machine was busy before the first run (load ${number(machine.loadBefore, 1)}): trust the ratios and the CPU per check.`,
    );
  }
  const errors = errorLines(document);
  if (errors.length > 0) sections.push(`ERRORS\n${errors.join('\n')}`);
  const measured = aims.filter(({ verdict }) => verdict !== 'skipped');
  if (measured.length > 0) sections.push(draw(aimsTable(document)));
  const missed = measured.filter(({ verdict }) => verdict === 'fail').length;
  sections.push(
    `${missed === 0 ? 'Every floor that was measured is kept.' : `${missed} floors are missed.`} Took ${tookSeconds} s. * ours; medians, ± half the range of the rounds.`,
  );
  return `${sections.join('\n\n')}\n`;
}

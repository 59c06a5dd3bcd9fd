/** The report as a page: `results/report.md`. */
import { aimsTable, errorLines, heatTables, number, profileTables, scenarioTables } from './tables.js';

/**
 * @param {import('./tables.js').Table} table
 * @returns {string}
 */
function draw({ title, note, head, rows }) {
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/^\* (.*)$/, '**$1**')).join(' | ')} |`;
  const rule = `| ${head.map((_, column) => (column === 0 ? '---' : '--:')).join(' | ')} |`;
  return [`## ${title}`, '', ...(note === undefined ? [] : [note, '']), line(head), rule, ...rows.map(line)].join('\n');
}

/**
 * @param {import('./document.js').Document} document
 * @param {readonly { file: string, title: string }[]} charts beside the report
 * @returns {string}
 */
export function renderMarkdown(document, charts) {
  const { machine, mode, rounds, seconds, takenAt, tookSeconds, requestBytes, transports } = document;
  const names = transports.map((transport) => transport ?? "the client's default");
  const errors = errorLines(document);
  const sections = [
    '# Benchmark report',
    [
      `Taken ${takenAt.slice(0, 16).replace('T', ' ')} UTC in ${tookSeconds} s (${mode}) on ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB, ${machine.platform},`,
      `Node ${machine.node}; load before the first run ${number(machine.loadBefore, 1)}. Transport: ${names.join(', ')}.`,
      `${rounds} rounds, windows of ${seconds} s, by turns. Figures are medians; ± is half the range of the rounds.`,
      `A request is ${requestBytes.small} bytes, or ${number(requestBytes.large)} with attributes. Ours are **bold**. [What is measured, and how](../README.md).`,
    ].join('\n'),
    ...charts.map(({ file, title }) => `![${title}](${file})`),
    ...[aimsTable(document), ...heatTables(document), ...scenarioTables(document), ...profileTables(document)]
      .filter(({ rows }) => rows.length > 0)
      .map(draw),
    ...(errors.length > 0 ? [['## Errors', '', '```text', ...errors, '```'].join('\n')] : []),
  ];
  return `${sections.join('\n\n')}\n`;
}

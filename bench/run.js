#!/usr/bin/env node
/** Runs the workloads, ours and the rivals' by turns, each in processes of its own, and holds the results against the floors. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { judgeAims } from './lib/aims.js';
import { buildIfStale } from './lib/build.js';
import { loadPackage } from './lib/built.js';
import { renderCharts } from './lib/charts.js';
import { describeMachine, hasFailed, makeDocument, toJson } from './lib/document.js';
import { renderMarkdown } from './lib/markdown.js';
import { readOptions } from './lib/options.js';
import { makePlan } from './lib/plan.js';
import { createProgress } from './lib/progress.js';
import { runPlan } from './lib/runner.js';
import { renderTerminal } from './lib/terminal.js';
import { transportOption } from './ours/options.js';

/**
 * @param {string} complaint
 * @returns {never}
 */
function refuse(complaint) {
  console.error(complaint);
  process.exit(1);
}

/** @param {readonly (string | undefined)[]} transports */
async function checkPackage(transports) {
  if (!existsSync(new URL('../dist/src/index.js', import.meta.url))) {
    refuse('The package is not built: run `npm run build` first, or `npm run bench`, which does.');
  }
  const { createClient } = await loadPackage();
  for (const transport of transports) {
    try {
      // Options are checked when a client is made; nothing is dialled yet.
      createClient({ address: '127.0.0.1:1', ...transportOption(transport) });
    } catch (error) {
      refuse(error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * @param {string} directory
 * @param {import('./lib/document.js').Document} document
 */
function writeReport(directory, document) {
  mkdirSync(directory, { recursive: true });
  const write = (/** @type {string} */ file, /** @type {string} */ text) =>
    writeFileSync(path.join(directory, file), text);
  const charts = renderCharts(document);
  for (const { file, svg } of charts) write(file, svg);
  write('report.md', renderMarkdown(document, charts));
  write('latest.json', toJson(document));
}

// `process.exit` ends the child processes too.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const options = readOptions();
if (options.build) buildIfStale();
await checkPackage(options.transports);
const machine = describeMachine();
const plan = makePlan(options);
const progress = createProgress(options.rounds * plan.heats.flat().length + plan.scenarios.length);
const results = await runPlan(plan, options, progress);
progress.stop();
const document = await makeDocument({
  options,
  machine,
  tookMs: performance.now(),
  verdicts: judgeAims(results, options.transports),
  results,
});

// A part of the benchmark does not replace the report of the whole.
const isWhole = options.only === undefined && options.command === undefined;
const directory = options.out ?? (isWhole ? fileURLToPath(new URL('results', import.meta.url)) : undefined);
if (directory !== undefined) writeReport(directory, document);
process.exitCode = hasFailed(document) ? 1 : 0;
process.stdout.write(options.json ? toJson(document) : renderTerminal(document));

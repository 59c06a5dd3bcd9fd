/**
 * Writes into docs/explanation/reliability.md which tests prove which row of the fault matrix, as the tests' titles say. With `--check` it
 * writes nothing, and exits with 1 where the page says something else. Fails where a row has no test, and where a test names no row.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

import { faultMatrix } from './fault-matrix.js';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'explanation', 'reliability.md');
const BEGIN = '<!-- matrix: by scripts/reliability.js -->';
const END = '<!-- end of matrix -->';
/** A title in a test file: `'row 7: …'`, `'rows 7 and 8: …'`. */
const TITLE = /['"`]rows? (\d+(?:(?:, | and )\d+)*):/g;

/** @returns {Map<number, Map<string, number>>} the files of each row's tests, and how many titles there */
function findProofs() {
  /** @type {Map<number, Map<string, number>>} */
  const proofs = new Map();
  for (const entry of readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.test.ts')) continue;
    const path = join(entry.parentPath, entry.name);
    const file = relative(root, path).split(sep).join('/');
    for (const [, numbers = ''] of readFileSync(path, 'utf8').matchAll(TITLE)) {
      for (const number of numbers.split(/, | and /).map(Number)) {
        /** @type {Map<string, number>} */
        const files = proofs.get(number) ?? new Map();
        files.set(file, (files.get(file) ?? 0) + 1);
        proofs.set(number, files);
      }
    }
  }
  return proofs;
}

function matrix() {
  const proofs = findProofs();
  const rows = Object.keys(faultMatrix).map(Number);
  const unproven = rows.filter((row) => !proofs.has(row));
  if (unproven.length > 0) throw new Error(`no test is titled by these rows: ${unproven.join(', ')}`);
  const unknown = [...proofs.keys()].filter((row) => !rows.includes(row));
  if (unknown.length > 0) throw new Error(`tests are titled by rows that there are not: ${unknown.join(', ')}`);
  const lines = ['| row | what happens | what is promised | proven by |', '| --: | --- | --- | --- |'];
  for (const [row, { fault, promise }] of Object.entries(faultMatrix)) {
    const files = [...(proofs.get(Number(row)) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    const cells = files.map(
      ([file, count]) => `[${file.replace(/^test\//, '')}](../../${file})${count > 1 ? ` (${count})` : ''}`,
    );
    lines.push(`| ${row} | ${fault} | ${promise} | ${cells.join('<br>')} |`);
  }
  return lines.join('\n');
}

const text = readFileSync(page, 'utf8');
const [head = '', rest] = text.split(BEGIN);
const [, tail] = rest?.split(END) ?? [];
if (tail === undefined) throw new Error(`${page} has no place for the matrix`);
const written = `${head}${BEGIN}\n\n<!-- prettier-ignore -->\n${matrix()}\n\n${END}${tail}`;
if (process.argv.includes('--check')) {
  if (written !== text) {
    console.error('docs/explanation/reliability.md tells of other tests than there are: npm run docs:reliability');
    process.exitCode = 1;
  }
} else {
  writeFileSync(page, written);
}

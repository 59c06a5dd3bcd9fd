/** Reads the Markdown pages of the project: their code blocks, tables, links, and what the comments before a block say of running it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** Drawn from the machines by a script, and held against them by a test of its own. */
const GENERATED = 'docs/reference/machines.md';

export interface CodeBlock {
  /** Relative to the project. */
  readonly page: string;
  /** Of the first line of code, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** What `<!-- run: a, b -->` above the block asks for. */
  readonly needs: readonly string[];
  /** What the block after it shows as its output, when that stands under `<!-- prints -->`. */
  readonly prints: string | undefined;
}

/** Every page that somebody wrote. */
export function pages(): string[] {
  const found = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'inspect-bridge/README.md', ...found.sort()].filter(
    (page) => page !== GENERATED,
  );
}

export function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

const FENCE = /^```(\w*)$/;
const COMMENT = /^<!-- (.*) -->$/;

export function codeBlocks(page: string): CodeBlock[] {
  const lines = read(page).split('\n');
  const blocks: (CodeBlock & { comment: string })[] = [];
  let comment = '';
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const language = FENCE.exec(line)?.[1];
    if (language === undefined) {
      if (line.trim() !== '') comment = COMMENT.exec(line)?.[1] ?? '';
      continue;
    }
    const end = lines.indexOf('```', index + 1);
    if (end === -1) throw new Error(`${page}:${index + 1}: the block does not end`);
    const needs = comment.startsWith('run: ') ? comment.slice('run: '.length).split(', ') : [];
    blocks.push({
      page,
      line: index + 2,
      language,
      code: lines.slice(index + 1, end).join('\n'),
      needs,
      prints: undefined,
      comment,
    });
    comment = '';
    index = end;
  }
  return blocks.map((block, index) => {
    const next = blocks[index + 1];
    return next?.comment === 'prints' ? { ...block, prints: next.code } : block;
  });
}

export interface Table {
  readonly line: number;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

export function tables(page: string): Table[] {
  const lines = read(page).split('\n');
  const found: Table[] = [];
  for (let index = 0; index < lines.length; index++) {
    if (!(lines[index] ?? '').startsWith('|')) continue;
    const start = index;
    while ((lines[index] ?? '').startsWith('|')) index++;
    const [header = '', , ...rows] = lines.slice(start, index);
    found.push({ line: start + 1, header: cells(header), rows: rows.map(cells) });
  }
  return found;
}

/** The text between backquotes of a cell; the cell where there are none. */
export function codeOf(cell: string): string {
  return /`([^`]*)`/.exec(cell)?.[1] ?? cell;
}

/** As GitHub makes them of headings. */
export function anchors(page: string): Set<string> {
  const found = new Set<string>();
  let isCode = false;
  for (const line of read(page).split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    const heading = isCode ? undefined : /^#+ (.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let count = 1; found.has(anchor); count++) anchor = `${slug}-${count}`;
    found.add(anchor);
  }
  return found;
}

export interface Link {
  readonly line: number;
  readonly target: string;
}

export function links(page: string): Link[] {
  let isCode = false;
  return read(page)
    .split('\n')
    .flatMap((text, index) => {
      if (text.startsWith('```')) isCode = !isCode;
      if (isCode) return [];
      return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => ({ line: index + 1, target: match[1] ?? '' }));
    });
}

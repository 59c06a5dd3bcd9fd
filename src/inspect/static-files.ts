/** The page, built ahead of time: a few files, and no others. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Refusal } from './gate.js';

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'charts.json': 'application/json; charset=utf-8',
};

/** Beside this module once it is compiled. From the sources, that of the last build. */
export const PAGE_DIRECTORY = import.meta.filename.endsWith('.ts')
  ? path.join(import.meta.dirname, '../../dist/src/inspect/page')
  : path.join(import.meta.dirname, 'page');

export interface StaticFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** @throws Refusal for a path that is none of theirs, and where the page was not built */
export async function readStaticFile(directory: string, urlPath: string): Promise<StaticFile> {
  const name = urlPath === '/' ? 'index.html' : urlPath.slice(1);
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) throw new Refusal(404, 'path', 'there is nothing here; the page is at /');
  try {
    return { type, bytes: await readFile(path.join(directory, name)) };
  } catch {
    throw new Refusal(503, 'path', `${name} was not built: run npm run build`);
  }
}

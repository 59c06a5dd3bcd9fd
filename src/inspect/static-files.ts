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
const PAGE_DIRECTORY = import.meta.filename.endsWith('.ts')
  ? path.join(import.meta.dirname, '../../dist/src/inspect/page')
  : path.join(import.meta.dirname, 'page');

interface StaticFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** Reads each file once: whatever is asked for, and however often, there is one copy of it in memory. */
export class StaticFiles {
  readonly #directory: string;
  readonly #read = new Map<string, StaticFile>();

  constructor(directory = PAGE_DIRECTORY) {
    this.#directory = directory;
  }

  /** @throws Refusal for a path that is none of theirs, and where the page was not built */
  async at(urlPath: string): Promise<StaticFile> {
    const name = urlPath === '/' ? 'index.html' : urlPath.slice(1);
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (type === undefined) throw new Refusal(404, 'path', 'there is nothing here; the page is at /');
    let file = this.#read.get(name);
    if (file === undefined) {
      file = { type, bytes: await this.#bytesOf(name) };
      this.#read.set(name, file);
    }
    return file;
  }

  async #bytesOf(name: string): Promise<Buffer> {
    try {
      return await readFile(path.join(this.#directory, name));
    } catch {
      throw new Refusal(503, 'path', `${name} was not built: run npm run build`);
    }
  }
}

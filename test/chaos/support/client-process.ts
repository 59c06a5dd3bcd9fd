/** Clients in processes of their own, which a test may confine. They use the build, as a service does. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import ts from 'typescript';

import { ROOT } from '../../support/cli.js';
import { Daemon } from './daemon.js';

/** What every child gets as its only argument, beside settings of its own. */
export interface ChildSettings {
  /** The URL of the package's entry. */
  readonly library: string;
}

export interface Confinement {
  /** Of node. */
  readonly flags?: readonly string[];
  /** What starts node: `prlimit ...`, say. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A module of `test/chaos/children`, which says one JSON object a line and reads commands, one a line. */
export class ClientProcess {
  readonly #daemon: Daemon;
  readonly #directory: string;
  #heard = 0;

  constructor(name: string, settings: object, { flags = [], under = [], env = {} }: Confinement = {}) {
    this.#directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-client-'));
    // One file of JavaScript: a loader would need memory and descriptors of its own, and those are what is short.
    const file = path.join(this.#directory, 'child.mjs');
    const source = readFileSync(fileURLToPath(new URL(`../children/${name}.ts`, import.meta.url)), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
    });
    writeFileSync(file, outputText);
    const library = pathToFileURL(path.join(ROOT, 'dist', 'src', 'index.js')).href;
    const command = [...under, process.execPath, ...flags, file, JSON.stringify({ library, ...settings })];
    this.#daemon = new Daemon(command, { env });
  }

  /** The next object it says. */
  async hear<Said>(limitMs?: number): Promise<Said> {
    const line = await this.#daemon.line(this.#heard, limitMs);
    this.#heard += 1;
    return JSON.parse(line) as Said;
  }

  async ask<Said>(command: string, limitMs?: number): Promise<Said> {
    this.#daemon.tell(command);
    return await this.hear<Said>(limitMs);
  }

  signal(signal: NodeJS.Signals): void {
    this.#daemon.kill(signal);
  }

  /** Tells it no more; resolves when it has ended by itself. */
  async end(): Promise<{ readonly code: number | null; readonly output: string }> {
    this.#daemon.endInput();
    await this.#daemon.until(() => this.#daemon.hasEnded, 'its end');
    const { code } = await this.#daemon.ended;
    return { code, output: this.#daemon.output };
  }

  async close(): Promise<void> {
    await this.#daemon.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Embedded engines and clients in child processes of the test. */

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll } from 'vitest';
import { startEngine, type Engine, type EngineOptions } from '../../src/engine/index.js';
import { exitOf } from './child.js';
import { Changes } from './recorder.js';

export const NOTES = `
name: notes
resource: note
rules:
  - {name: viewers-read, actions: [read], effect: allow, roles: [viewer]}
  - {name: nobody-deletes, actions: [delete], effect: deny, roles: '*'}
`;

export interface TestEngine extends Engine {
  /** Its policy directory, for tests that change it. */
  readonly directory: string;
}

/** An engine with {@link NOTES} in a directory of its own, which goes when the engine stops. */
export async function startTestEngine(options: Partial<EngineOptions> = {}): Promise<TestEngine> {
  const directory = mkdtempSync(path.join(tmpdir(), 'authz-api-'));
  writeFileSync(path.join(directory, 'notes.yaml'), NOTES);
  const engine = await startEngine({ policies: directory, ...options });
  return {
    directory,
    address: engine.address,
    port: engine.port,
    get policyCount() {
      return engine.policyCount;
    },
    get stats() {
      return engine.stats;
    },
    setHealth: (status) => engine.setHealth(status),
    stop: async (stopOptions) => {
      await engine.stop(stopOptions);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const ROOT = path.join(import.meta.dirname, '../..');
let compiledRoot: string | undefined;

// Of the test file that imports this.
afterAll(() => {
  if (compiledRoot !== undefined) rmSync(compiledRoot, { recursive: true, force: true });
});

/**
 * The sources without their types, once for all children of this process: stripping them in each child would cost it a second. They lie
 * below `node_modules`, where the packages and the proto files are found from.
 */
function compile(): string {
  if (compiledRoot !== undefined) return compiledRoot;
  const cache = path.join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const out = mkdtempSync(path.join(cache, 'authz-children-'));
  writeFileSync(path.join(out, 'package.json'), '{"type":"module"}');
  buildSync({
    absWorkingDir: ROOT,
    entryPoints: ['machines/**/*.ts', 'src/**/*.ts', 'test/support/**/*.ts'],
    outbase: ROOT,
    outdir: out,
    format: 'esm',
    platform: 'node',
    target: 'es2023',
    // As the compiler does with this repository's options, whatever tsconfig.json says besides.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  compiledRoot = out;
  return out;
}

/** A child that runs a program of `test/support`, and what it printed. */
export class ChildProgram extends Changes {
  readonly lines: string[] = [];
  errors = '';
  readonly pid: number;
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcessWithoutNullStreams;

  /** @param name of the file, without its `.ts` */
  constructor(name: string, args: readonly string[]) {
    super();
    this.#child = spawn(process.execPath, [path.join(compile(), 'test/support', `${name}.js`), ...args]);
    this.pid = this.#child.pid ?? 0;
    this.exited = exitOf(this.#child);
    let rest = '';
    this.#child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
      this.changed();
    });
    this.#child.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    void this.exited.then(() => this.changed());
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The line that starts with `word`, once it is printed. */
  async line(word: string): Promise<string> {
    const find = (): string | undefined => this.lines.find((line) => line.startsWith(word));
    await this.until(() => find() !== undefined || !this.running, `the line "${word}" of the child`);
    const line = find();
    if (line === undefined)
      throw new Error(`the child ended without "${word}": ${this.lines.join('|')} ${this.errors}`);
    return line;
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Embedded engines and clients in child processes of the test. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEngine, type Engine, type EngineOptions } from '../../src/engine/index.js';
import { exitOf, spawnTypeScript } from './child.js';
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

/** A child that runs a TypeScript program, and what it printed. */
export class ChildProgram extends Changes {
  readonly lines: string[] = [];
  errors = '';
  readonly pid: number;
  readonly exited: Promise<number | null>;
  readonly #child: ReturnType<typeof spawnTypeScript>;

  constructor(file: URL, args: readonly string[]) {
    super();
    this.#child = spawnTypeScript(file, args);
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

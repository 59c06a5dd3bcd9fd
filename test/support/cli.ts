/** The built command line as real processes. */

import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const EXAMPLE_POLICIES = fileURLToPath(new URL('../../examples/policies', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

const POLL_MS = 20;
const LIMIT_MS = 30_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves when the condition holds; rejects when it does not come to. */
export async function until(what: string, condition: () => boolean, limitMs = LIMIT_MS): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${limitMs} ms`);
    await delay(POLL_MS);
  }
}

/** Without what would change the command line's behaviour. */
function inheritedEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AUTHZ_')));
}

/** A running command line. */
export class CliProcess {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  #hasEnded = false;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}, main = MAIN) {
    this.#child = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inheritedEnvironment(), ...environment },
    });
    this.#child.stdout.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    this.#child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true;
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the command line did not start');
    return this.#child.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when stdout matches; rejects when the process ends without. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    await until(`stdout ~ ${String(pattern)}`, () => pattern.test(this.stdout) || this.#hasEnded);
    const match = pattern.exec(this.stdout);
    if (match === null) throw new Error(`ended without ${String(pattern)}: ${this.stdout}${this.stderr}`);
    return match;
  }

  /** Of the processes that it started and that still run. */
  childPids(): number[] {
    try {
      return execFileSync('pgrep', ['-P', String(this.pid)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map(Number);
    } catch {
      // pgrep's way of saying: none.
      return [];
    }
  }
}

/** Starts one once the build is there: a build beside the tests takes it away for a moment. */
export async function startCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliProcess> {
  await until('dist/src/cli/main.js (npm run build)', () => existsSync(MAIN));
  return new CliProcess(args, environment);
}

/** Runs one to its end. */
export async function runCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return (await startCli(args, environment)).ended;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

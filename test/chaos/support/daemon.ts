/** Programs that run beside a test, none of which outlives it. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { hasProgram } from '../../support/programs.js';
import { eventually } from '../../support/recorder.js';

/** Enough to say why it failed. */
const OUTPUT_LIMIT = 64 * 1024;
const START_LIMIT_MS = 20_000;

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What the kernel sends it when this process dies, however. One that has workers of its own is told to end them. Default SIGKILL. */
  readonly orphanSignal?: 'SIGKILL' | 'SIGTERM';
}

export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<Daemon>();

process.on('exit', () => {
  for (const daemon of running) daemon.kill('SIGKILL');
});

export class Daemon {
  readonly ended: Promise<DaemonEnd>;
  /** What it has printed, both ways; the end of it, where that is much. */
  output = '';
  /** The same of stdout alone, in whole lines. */
  readonly lines: string[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #what: string;
  #hasEnded = false;

  constructor(command: readonly string[], options: DaemonOptions = {}) {
    this.#what = command.join(' ');
    const [program = '', ...args] = [...tether(options.orphanSignal ?? 'SIGKILL'), ...command];
    // A group of its own, so that its workers can be killed with it.
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...options.env },
    });
    running.add(this);
    this.#child.stdin.on('error', () => undefined);
    let line = '';
    this.#child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const pieces = (line + chunk).split('\n');
      line = pieces.pop() ?? '';
      this.lines.push(...pieces);
      this.#keep(chunk);
    });
    this.#child.stderr.setEncoding('utf8').on('data', (chunk: string) => this.#keep(chunk));
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#hasEnded = true;
        running.delete(this);
        resolve({ code, signal });
      };
      this.#child.once('error', (error) => {
        this.#keep(`${String(error)}\n`);
        end(null, null);
      });
      this.#child.once('close', end);
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#what} did not start: ${this.output}`);
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** To the process itself; SIGKILL also to whatever it started. */
  kill(signal: NodeJS.Signals): void {
    if (this.#hasEnded || this.#child.pid === undefined) return;
    try {
      process.kill(signal === 'SIGKILL' ? -this.#child.pid : this.#child.pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }

  /** A line to its stdin. */
  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  /** Waits for something to hold; fails when the process ends before. */
  async until(condition: () => boolean | Promise<boolean>, what: string, limitMs = START_LIMIT_MS): Promise<void> {
    await eventually(async () => (await condition()) || this.#hasEnded, `${what} of ${this.#what}`, limitMs);
    if (!(await condition())) throw new Error(`${this.#what} ended without ${what}: ${this.output}`);
  }

  /** Resolves with the nth line of stdout, from 0. */
  async line(index: number, limitMs?: number): Promise<string> {
    await this.until(() => this.lines.length > index, `line ${index}`, limitMs);
    return this.lines[index] ?? '';
  }

  /** SIGKILL; resolves when it is gone. */
  async destroy(): Promise<void> {
    this.kill('SIGKILL');
    await this.ended;
  }

  #keep(chunk: string): void {
    this.output = (this.output + chunk).slice(-OUTPUT_LIMIT);
  }
}

/** Linux can kill a child when its parent dies; elsewhere `exit` above has to do. */
function tether(signal: string): string[] {
  return hasProgram('setpriv') ? ['setpriv', '--pdeathsig', signal.replace('SIG', ''), '--'] : [];
}

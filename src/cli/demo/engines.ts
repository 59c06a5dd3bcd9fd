/** The demo's engines: processes of their own, that can be killed in earnest and never outlive the demo. */

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CliError, oneLine } from '../failure.js';
import type { ServeReady } from '../serve.js';
import { FreezeGuard } from './freeze-guard.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const START_LIMIT_MS = 20_000;
/** A port is not always free again at the very moment its owner was killed. */
const REBIND_LIMIT_MS = 5_000;
const REBIND_DELAY_MS = 100;
const MAX_KEPT_OUTPUT = 4_096;

/** One engine of the demo. */
export interface EngineProcess {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly policies: number;
  /** Resolves when it is gone, whoever ended it. */
  readonly ended: Promise<void>;
  /** SIGKILL: no goodbye, not even from a frozen one. Resolves when the kernel has buried it. */
  kill(): Promise<void>;
  /** SIGSTOP: it keeps its port and connections and says nothing more, like a machine that hangs. Not on Windows, which has no such signal. */
  freeze(): Promise<void>;
  /** SIGCONT: it goes on where it stood. */
  thaw(): void;
}

/** All engines of one demo. */
export class Engines {
  readonly #policies: string;
  readonly #onUnexpectedEnd: (error: CliError) => void;
  readonly #main: string;
  readonly #children = new Set<ChildProcess>();
  #isStopping = false;
  // Whatever ends this process in an orderly way kills them; if it is killed itself, they see their channel close (`serve`).
  readonly #killAtExit = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  /**
   * @param onUnexpectedEnd told of each engine that ended and was not killed here
   * @param main the command line whose `serve` is run
   */
  constructor(policies: string, onUnexpectedEnd: (error: CliError) => void, main = MAIN) {
    this.#policies = policies;
    this.#onUnexpectedEnd = onUnexpectedEnd;
    this.#main = main;
    process.on('exit', this.#killAtExit);
  }

  /** @param port 0: any free one */
  async start(name: string, port = 0): Promise<EngineProcess> {
    const giveUpAt = performance.now() + REBIND_LIMIT_MS;
    for (;;) {
      try {
        return await this.#start(name, port);
      } catch (error) {
        const isInUse = error instanceof CliError && error.message.includes('address in use');
        if (!isInUse || port === 0 || performance.now() > giveUpAt) throw error;
        await delay(REBIND_DELAY_MS);
      }
    }
  }

  /** Kills what is left. Resolves when they are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#children].map(bury));
    process.off('exit', this.#killAtExit);
  }

  async #start(name: string, port: number): Promise<EngineProcess> {
    if (this.#isStopping) throw new CliError(`the ${name} engine is not started: the demo is ending`);
    const args = [this.#main, 'serve', '--policies', this.#policies, '--port', String(port), '--json'];
    // A process group of its own: Ctrl-C is for the demo, which then ends them.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true });
    this.#children.add(child);
    let isServing = false;
    const guard = new FreezeGuard();
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.once('exit', (code, signal) => {
      this.#children.delete(child);
      guard.dismiss();
      if (!isServing || this.#isStopping) return;
      this.#onUnexpectedEnd(new CliError(`the ${name} engine ended by itself (${signal ?? `exit code ${code ?? 0}`})`));
    });
    try {
      const ready = await readiness(child, name);
      isServing = true;
      return {
        name,
        address: ready.address,
        port: ready.port,
        pid: ready.pid,
        policies: ready.policies,
        ended,
        kill: () => {
          isServing = false;
          return bury(child);
        },
        freeze: async () => {
          await guard.post(ready.pid);
          if (child.kill('SIGSTOP')) return;
          guard.dismiss();
          throw new CliError(`the ${name} engine ended meanwhile`);
        },
        thaw: () => {
          child.kill('SIGCONT');
          guard.dismiss();
        },
      };
    } catch (error) {
      await bury(child);
      throw error;
    }
  }
}

/** What `serve --json` prints once it takes connections. */
function readiness(child: ChildProcess, name: string): Promise<ServeReady> {
  return new Promise((resolve, reject) => {
    let output = '';
    let complaint = '';
    const limit = setTimeout(() => {
      reject(new CliError(`the ${name} engine was not ready within ${START_LIMIT_MS} ms; is the machine overloaded?`));
    }, START_LIMIT_MS);
    // Read on after the first line: a full pipe would stop the engine.
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (output.length < MAX_KEPT_OUTPUT) output += chunk;
      if (!output.includes('\n')) return;
      clearTimeout(limit);
      resolve(JSON.parse(output.slice(0, output.indexOf('\n'))) as ServeReady);
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      if (complaint.length < MAX_KEPT_OUTPUT) complaint += chunk;
    });
    child.once('error', (cause) => {
      clearTimeout(limit);
      reject(new CliError(`cannot start the ${name} engine: ${cause.message}`, { cause }));
    });
    // `close` and not `exit`: what it said on stderr has come by then.
    child.once('close', (code) => {
      clearTimeout(limit);
      const why = complaint === '' ? `exit code ${code ?? 'none'}` : oneLine(complaint.trim()).replace(/^authz: /, '');
      reject(new CliError(`the ${name} engine did not start: ${why}`));
    });
  });
}

function bury(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

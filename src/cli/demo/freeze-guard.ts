/** What ends a frozen engine when the demo is gone. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A running engine sees the demo's end by its channel, and ends too (`serve`). A frozen one sees nothing: if the demo is killed, it would
 * keep its port until somebody found it. So a shell waits beside it, on a pipe from the demo: a line is a dismissal, and the pipe's end without
 * one is the end of the demo.
 */
const WAIT = 'read -r line || kill -KILL "$1"';

export class FreezeGuard {
  #shell: ChildProcess | undefined;

  /**
   * Resolves when it stands. One at a time.
   * @throws when there is no shell
   */
  async post(pid: number): Promise<void> {
    // Out of reach of the terminal's Ctrl-C, like the engines.
    const shell = spawn('/bin/sh', ['-c', WAIT, 'sh', String(pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // A guard that somebody else killed has no ear for its dismissal.
    shell.stdin.on('error', () => undefined);
    await once(shell, 'spawn');
    this.#shell = shell;
  }

  dismiss(): void {
    this.#shell?.stdin?.end('\n');
    this.#shell = undefined;
  }
}

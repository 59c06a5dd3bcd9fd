/**
 * The one referenced handle. Timers and sockets of the client never hold the process open; while something is outstanding (a connect, a check,
 * an unanswered send, a pending `next()`, a disconnect) this does, and never otherwise.
 */
export class ProcessHold {
  #count = 0;
  #handle: NodeJS.Timeout | undefined;

  get isHeld(): boolean {
    return this.#handle !== undefined;
  }

  acquire(): void {
    this.#count++;
    this.#handle ??= setInterval(noop, 2 ** 31 - 1);
  }

  release(): void {
    this.#count--;
    if (this.#count > 0 || this.#handle === undefined) return;
    clearInterval(this.#handle);
    this.#handle = undefined;
  }
}

const noop = (): void => undefined;

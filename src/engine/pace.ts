/** When answers leave: after a latency, and not while they are held. */
export class Pace {
  /** Milliseconds each answer is held back. What is under way keeps its own. */
  latencyMs: number;
  #isHeld = false;
  readonly #held = new Set<() => void>();

  constructor(latencyMs: number) {
    this.latencyMs = latencyMs;
  }

  /** Answers leave at once, just now. */
  get isImmediate(): boolean {
    return this.latencyMs === 0 && !this.#isHeld;
  }

  /**
   * Runs `send` when its answer may leave, never before it returns.
   * @param send a function of this answer's own
   * @returns what forgets it
   */
  schedule(send: () => void): () => void {
    const timer = setTimeout(() => {
      if (this.#isHeld) this.#held.add(send);
      else send();
    }, this.latencyMs);
    return () => {
      clearTimeout(timer);
      this.#held.delete(send);
    };
  }

  /** No answer leaves until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  /** What was held leaves now, in its order. */
  release(): void {
    this.#isHeld = false;
    const held = [...this.#held];
    this.#held.clear();
    for (const send of held) send();
  }
}

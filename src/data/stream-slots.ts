/** How many calls are open on one transport connection, against its peer's limit (SETTINGS_MAX_CONCURRENT_STREAMS). */
export class StreamSlots {
  readonly #onChange: () => void;
  #limit = Infinity;
  #used = 0;

  /** @param onChange told when the last free slot is taken, when one comes free again, and when the limit moves */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Calls that can be opened now. */
  get free(): number {
    return Math.max(0, this.#limit - this.#used);
  }

  setLimit(limit: number): void {
    this.#limit = limit;
    this.#onChange();
  }

  take(): void {
    this.#used++;
    if (this.#used >= this.#limit) this.#onChange();
  }

  release(): void {
    const wasFull = this.#used >= this.#limit;
    this.#used--;
    if (wasFull) this.#onChange();
  }
}

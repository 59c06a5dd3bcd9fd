/** The newest of what came, bounded: when it is full, the oldest go. */

export class History<T> {
  readonly #limit: number;
  #items: T[] = [];
  #start = 0;
  #dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#items.length - this.#start;
  }

  /** How many went: the number of the first that is held, counting from 0 ever since. */
  get dropped(): number {
    return this.#dropped;
  }

  push(item: T): void {
    this.#items.push(item);
    if (this.length <= this.#limit) return;
    this.#start += 1;
    this.#dropped += 1;
    // Now and then, so that an item costs no shifting of all others.
    if (this.#start >= Math.max(64, this.#limit / 4)) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
  }

  /** 0 is the oldest that is held; -1 the newest. */
  at(index: number): T | undefined {
    const position = index < 0 ? this.#items.length + index : this.#start + index;
    return position < this.#start ? undefined : this.#items[position];
  }

  clear(): void {
    this.#dropped += this.length;
    this.#items = [];
    this.#start = 0;
  }

  /** Oldest first. */
  toArray(): T[] {
    return this.#items.slice(this.#start);
  }
}

/** A double-ended queue in a ring: no shifting of elements, no allocation per element. */

const MIN_CAPACITY = 16;
/** A ring that grew past this gives its memory back once it is empty. */
const SHRINK_ABOVE_CAPACITY = 1024;

function powerOfTwoAtLeast(capacity: number): number {
  let power = MIN_CAPACITY;
  while (power < capacity) power *= 2;
  return power;
}

export class RingBuffer<T> {
  readonly #initialCapacity: number;
  #slots: (T | undefined)[];
  #mask: number;
  #head = 0;
  #length = 0;

  /** `initialCapacity` is rounded up to a power of two, at least 16. Default 16. */
  constructor(initialCapacity = MIN_CAPACITY) {
    this.#initialCapacity = powerOfTwoAtLeast(initialCapacity);
    this.#slots = new Array<T | undefined>(this.#initialCapacity).fill(undefined);
    this.#mask = this.#initialCapacity - 1;
  }

  get length(): number {
    return this.#length;
  }

  /** Slots allocated. */
  get capacity(): number {
    return this.#slots.length;
  }

  push(value: T): void {
    if (this.#length > this.#mask) this.#grow();
    this.#slots[(this.#head + this.#length) & this.#mask] = value;
    this.#length += 1;
  }

  unshift(value: T): void {
    if (this.#length > this.#mask) this.#grow();
    this.#head = (this.#head - 1) & this.#mask;
    this.#slots[this.#head] = value;
    this.#length += 1;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const value = this.#slots[this.#head];
    // The slot is cleared so that the ring does not keep the value alive.
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.#length -= 1;
    if (this.#length === 0 && this.#slots.length > SHRINK_ABOVE_CAPACITY) this.clear();
    return value;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head];
  }

  clear(): void {
    if (this.#slots.length > this.#initialCapacity) {
      this.#slots = new Array<T | undefined>(this.#initialCapacity).fill(undefined);
      this.#mask = this.#initialCapacity - 1;
    } else {
      this.#slots.fill(undefined);
    }
    this.#head = 0;
    this.#length = 0;
  }

  /** First to last. What is pushed while iterating is visited too. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#length; index += 1) {
      yield this.#slots[(this.#head + index) & this.#mask] as T;
    }
  }

  /** The last `count`, first to last; all of them where there are not so many. */
  last(count: number): T[] {
    const length = Math.min(count, this.#length);
    const first = this.#head + this.#length - length;
    return Array.from({ length }, (_, index) => this.#slots[(first + index) & this.#mask] as T);
  }

  #grow(): void {
    const grown = new Array<T | undefined>(this.#slots.length * 2).fill(undefined);
    for (let index = 0; index < this.#length; index += 1) {
      grown[index] = this.#slots[(this.#head + index) & this.#mask];
    }
    this.#slots = grown;
    this.#mask = grown.length - 1;
    this.#head = 0;
  }
}

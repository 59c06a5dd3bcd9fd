/** Hands values on in the order in which their places were reserved, in whatever order they are completed. */

const EMPTY = Symbol('empty');
const SKIPPED = Symbol('skipped');
const INITIAL_CAPACITY = 16;
/** A window that grew past this gives its memory back once nothing is outstanding. */
const SHRINK_ABOVE_CAPACITY = 1024;

export class Sequencer<T> {
  readonly #deliver: (value: T) => void;
  /** The places from `#head` on, in a ring. Values completed in turn never enter it. */
  #slots: (T | typeof EMPTY | typeof SKIPPED)[] = new Array<T | typeof EMPTY>(INITIAL_CAPACITY).fill(EMPTY);
  /** The next place to deliver. */
  #head = 0;
  /** The next place to reserve. */
  #tail = 0;
  #held = 0;
  #isDelivering = false;

  /** `deliver` may reserve, complete and skip; what becomes due meanwhile follows after it, not inside it. */
  constructor(deliver: (value: T) => void) {
    this.#deliver = deliver;
  }

  /** Values completed that wait for an earlier place. */
  get held(): number {
    return this.#held;
  }

  /** Places reserved and not yet delivered or skipped past. */
  get outstanding(): number {
    return this.#tail - this.#head;
  }

  reserve(): number {
    const sequence = this.#tail;
    this.#tail += 1;
    return sequence;
  }

  /**
   * Gives a place its value. A place that has one already, or was skipped, keeps what it has. What `deliver` throws is thrown on, after
   * everything due was delivered. Throws a RangeError for a place that was never reserved.
   */
  complete(sequence: number, value: T): void {
    if (!this.#isOpen(sequence)) return;
    this.#held += 1;
    this.#fill(sequence, value);
  }

  /** Gives a place up: those behind it need not wait for it. As {@link complete} otherwise. */
  skip(sequence: number): void {
    if (this.#isOpen(sequence)) this.#fill(sequence, SKIPPED);
  }

  #isOpen(sequence: number): boolean {
    if (!(sequence < this.#tail)) throw new RangeError(`place ${sequence} was never reserved`);
    if (sequence < this.#head) return false;
    // A place beyond the ring has not been filled.
    if (sequence - this.#head >= this.#slots.length) return true;
    return this.#slots[sequence & (this.#slots.length - 1)] === EMPTY;
  }

  #fill(sequence: number, value: T | typeof SKIPPED): void {
    if (sequence - this.#head >= this.#slots.length) this.#grow(sequence - this.#head + 1);
    this.#slots[sequence & (this.#slots.length - 1)] = value;
    if (sequence === this.#head && !this.#isDelivering) this.#deliverDue();
  }

  #deliverDue(): void {
    this.#isDelivering = true;
    let thrown: { readonly error: unknown } | undefined;
    for (;;) {
      const slot = this.#head & (this.#slots.length - 1);
      const value = this.#slots[slot];
      if (value === EMPTY) break;
      this.#slots[slot] = EMPTY;
      this.#head += 1;
      if (value === SKIPPED) continue;
      this.#held -= 1;
      try {
        this.#deliver(value as T);
      } catch (error) {
        // One receiver's fault must not hold up the values behind it.
        thrown ??= { error };
      }
    }
    this.#isDelivering = false;
    if (this.#head === this.#tail && this.#slots.length > SHRINK_ABOVE_CAPACITY) {
      this.#slots = new Array<T | typeof EMPTY>(INITIAL_CAPACITY).fill(EMPTY);
    }
    if (thrown !== undefined) throw thrown.error;
  }

  #grow(needed: number): void {
    const capacity = this.#slots.length;
    let grownCapacity = capacity;
    while (grownCapacity < needed) grownCapacity *= 2;
    const grown = new Array<T | typeof EMPTY | typeof SKIPPED>(grownCapacity).fill(EMPTY);
    for (let offset = 0; offset < capacity; offset += 1) {
      const sequence = this.#head + offset;
      grown[sequence & (grownCapacity - 1)] = this.#slots[sequence & (capacity - 1)] as
        T | typeof EMPTY | typeof SKIPPED;
    }
    this.#slots = grown;
  }
}

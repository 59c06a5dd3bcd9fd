/**
 * What the clients that take an async iterable of requests are given: it yields while fewer than `inFlight` are unanswered, and waits
 * otherwise. An iterator by hand, because an async generator would cost the rival two more promises a request.
 */
export class RequestSource {
  #room;
  #meter;
  #make;
  /** @type {((next: IteratorResult<object>) => void) | undefined} */
  #waiting;

  /**
   * @param {import('../lib/worker.js').Meter} meter
   * @param {number} inFlight
   * @param {() => object} make
   */
  constructor(meter, inFlight, make) {
    this.#meter = meter;
    this.#room = inFlight;
    this.#make = make;
  }

  /** An answer has come. */
  answered() {
    this.#room++;
    this.resume();
  }

  /** Asked again when the meter runs anew. */
  resume() {
    const resolve = this.#waiting;
    if (resolve === undefined || !this.#meter.running || this.#room === 0) return;
    this.#waiting = undefined;
    resolve(this.#take());
  }

  /** @returns {IteratorResult<object>} */
  #take() {
    this.#room--;
    this.#meter.ask();
    return { value: this.#make(), done: false };
  }

  /** @returns {AsyncIterator<any>} */
  [Symbol.asyncIterator]() {
    return {
      next: () => {
        if (this.#meter.running && this.#room > 0) return Promise.resolve(this.#take());
        return new Promise((resolve) => {
          this.#waiting = resolve;
        });
      },
      // connect-node asks for both.
      return: () => Promise.resolve({ value: undefined, done: true }),
      throw: (/** @type {unknown} */ error) =>
        Promise.reject(error instanceof Error ? error : new Error(String(error))),
    };
  }
}

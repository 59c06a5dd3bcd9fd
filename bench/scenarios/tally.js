/** What came of the checks of one fault, as the application saw it. */
import { Latencies, fail } from '../lib/worker.js';

export class Tally {
  running = true;
  answered = 0;
  /** Rejected, or reported through `onError`. */
  errors = 0;
  /** Neither answered nor an error when the time was up. */
  unsettled = 0;
  settledTwice = 0;
  longestSilenceMs = 0;
  /** The same without a fault, for comparison: what the machine's other work and our own pauses make. */
  steadySilenceMs = 0;
  latencies = new Latencies();
  #steadyMs = Infinity;
  #faultMs = Infinity;
  #lastAnswerMs = performance.now();

  /** Streams are open and code is warm: from now on silence counts as the machine's. */
  steady() {
    this.#steadyMs = performance.now();
  }

  /** From now on silence counts, if it lasts into the time after the fault. */
  fault() {
    this.#faultMs = performance.now();
  }

  /** @param {boolean} allowed */
  answer(allowed) {
    if (!allowed) fail(new Error('both engines allow everything, and a check was not allowed'));
    this.answered++;
    const nowMs = performance.now();
    const silenceMs = nowMs - this.#lastAnswerMs;
    this.#lastAnswerMs = nowMs;
    if (nowMs > this.#faultMs) this.longestSilenceMs = Math.max(this.longestSilenceMs, silenceMs);
    else if (nowMs > this.#steadyMs) this.steadySilenceMs = Math.max(this.steadySilenceMs, silenceMs);
  }

  /**
   * The runner shows what is said here when a run fails.
   * @param {unknown} error
   */
  error(error) {
    if (this.errors++ === 0) console.error(error);
  }

  /** Silence that has not ended counts too. */
  close() {
    if (this.#faultMs < Infinity) {
      this.longestSilenceMs = Math.max(this.longestSilenceMs, performance.now() - this.#lastAnswerMs);
    }
  }

  /** @returns {number} how long ago the last answer was */
  get silenceMs() {
    return performance.now() - this.#lastAnswerMs;
  }
}

/** Times one message in 64 on streams, by request id. */
const SAMPLE_EVERY = 64;

export class Sampler {
  /** @type {Map<string, number>} */
  #startedMs = new Map();
  #latencies;
  #every;
  #sent = 0;

  /**
   * @param {import('./worker.js').Latencies} latencies
   * @param {number} inFlight one at a time, each is timed
   */
  constructor(latencies, inFlight) {
    this.#latencies = latencies;
    this.#every = inFlight === 1 ? 1 : SAMPLE_EVERY;
  }

  /** @param {string} requestId */
  sent(requestId) {
    if (this.#sent++ % this.#every === 0) this.#startedMs.set(requestId, performance.now());
  }

  /** @param {string} requestId */
  answered(requestId) {
    const startedMs = this.#startedMs.get(requestId);
    if (startedMs === undefined) return;
    this.#startedMs.delete(requestId);
    this.#latencies.since(startedMs);
  }
}

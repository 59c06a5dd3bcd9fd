/** Keeps handles busy with `send` and `onResponse`: each answer makes room for the next request, and backpressure is heeded. */
import { fail } from '../lib/meter.js';
import { nextRequest } from '../lib/work.js';

const SAMPLE_EVERY = 64;

/**
 * @typedef {import('../../src/index.js').BidirectionalStreamHandle} Handle
 * @typedef {import('../../src/index.js').CheckResponse} CheckResponse
 */

/**
 * @param {import('../lib/meter.js').Meter} meter
 * @param {(response: CheckResponse) => boolean} isAllowed
 * @param {number} inFlight over all handles together
 */
export function createStreamLoad(meter, isAllowed, inFlight) {
  /** @type {Map<string, number>} when sampled requests were sent; timing each one would cost more than it tells */
  const sampled = new Map();
  /** @type {readonly Handle[]} */
  let handles = [];
  let unanswered = 0;
  let sent = 0;
  let turn = 0;

  /** Handles of a pool share their callbacks, so the load is spread in turn, passing over those that are full. */
  function fill() {
    let refusals = 0;
    while (meter.running && unanswered < inFlight && refusals < handles.length) {
      const handle = handles[turn++ % handles.length];
      if (handle === undefined || !handle.isWritable()) {
        refusals++;
        continue;
      }
      const request = nextRequest();
      if (sent++ % SAMPLE_EVERY === 0) sampled.set(request.requestId, performance.now());
      if (!handle.send(request)) fail(new Error('a writable handle refused a request'));
      unanswered++;
      refusals = 0;
    }
  }

  return {
    callbacks: {
      onResponse: (/** @type {CheckResponse} */ response) => {
        unanswered--;
        const startedMs = sampled.get(response.requestId);
        if (startedMs !== undefined) {
          sampled.delete(response.requestId);
          meter.latencies.since(startedMs);
        }
        meter.settle(isAllowed(response));
        fill();
      },
      onError: fail,
      onEnd: () => fail(new Error('a handle ended by itself')),
      onBackpressure: (/** @type {boolean} */ paused) => {
        if (!paused) fill();
      },
    },
    /** @param {readonly Handle[]} opened */
    start(opened) {
      handles = opened;
      fill();
    },
  };
}

/** The load of the clients whose unary call gives a promise: a fixed number of callers, each awaiting its answer before it asks again. */
import { Meter, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';

/**
 * @param {import('../lib/worker.js').Settings} settings
 * @param {(request: object) => Promise<import('./messages.js').Answer>} check
 * @param {(answer: import('./messages.js').Answer) => boolean} isAllowed
 * @param {(request: ReturnType<ReturnType<typeof createRequests>>) => object} toMessage
 */
export function serveUnaryCallers(settings, check, isAllowed, toMessage) {
  const nextRequest = createRequests(settings.size);
  const meter = new Meter();
  const caller = async () => {
    while (meter.running) {
      const startedMs = performance.now();
      const allowed = isAllowed(await check(toMessage(nextRequest())));
      meter.latencies.since(startedMs);
      meter.settle(allowed);
    }
  };
  serve(meter, () => Promise.all(Array.from({ length: settings.inFlight }, caller)));
}

/** The load of the clients whose stream is a function from an async iterable to an async iterable. */
import { Sampler } from '../lib/sampler.js';
import { Meter, fail, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { RequestSource } from './request-source.js';

/**
 * @param {import('../lib/worker.js').Settings} settings
 * @param {(requests: RequestSource) => AsyncIterable<import('./messages.js').Answer>} checkStream
 * @param {(answer: import('./messages.js').Answer) => boolean} isAllowed
 * @param {(request: ReturnType<ReturnType<typeof createRequests>>) => object} toMessage
 */
export function serveIteratedStreams(settings, checkStream, isAllowed, toMessage) {
  const nextRequest = createRequests(settings.size);
  const meter = new Meter();
  const sampler = new Sampler(meter.latencies, settings.inFlight);
  const make = () => {
    const request = nextRequest();
    sampler.sent(request.requestId);
    return toMessage(request);
  };

  /** @param {RequestSource} source */
  const consume = async (source) => {
    for await (const answer of checkStream(source)) {
      sampler.answered(answer.requestId);
      meter.answer(isAllowed(answer));
      source.answered();
    }
    throw new Error('a stream ended by itself');
  };

  const sources = Array.from({ length: settings.streams }, () => {
    const source = new RequestSource(meter, Math.max(1, Math.floor(settings.inFlight / settings.streams)), make);
    consume(source).catch(fail);
    return source;
  });
  serve(meter, () => {
    for (const source of sources) source.resume();
    return meter.drained();
  });
}

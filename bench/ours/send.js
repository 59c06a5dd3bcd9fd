/** One handle, or a pool of them: `send` and `onResponse`. Each answer makes room for the next request, and backpressure is heeded. */
import { loadPackage } from '../lib/built.js';
import { Sampler } from '../lib/sampler.js';
import { Meter, fail, readSettings, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { clientOptions } from './options.js';

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const nextRequest = createRequests(settings.size);
const client = createClient(clientOptions(settings));
await client.connect();
const meter = new Meter();
const sampler = new Sampler(meter.latencies, settings.inFlight);
let turn = 0;

const callbacks = {
  onResponse: (/** @type {import('../../src/index.js').CheckResponse} */ response) => {
    sampler.answered(response.requestId);
    meter.answer(isAllowed(response));
    fill();
  },
  onError: fail,
  onEnd: () => fail(new Error('a handle ended by itself')),
  onBackpressure: (/** @type {boolean} */ paused) => {
    if (!paused) fill();
  },
};
const handles =
  settings.streams === 1
    ? [client.createBidirectionalStream(callbacks)]
    : client.createStreamPool(settings.streams, callbacks);

/** Handles of a pool share their callbacks, so the load is spread in turn, passing over those that are full. */
function fill() {
  let refusals = 0;
  while (meter.running && meter.unanswered < settings.inFlight && refusals < handles.length) {
    const handle = handles[turn++ % handles.length];
    if (handle === undefined || !handle.isWritable()) {
      refusals++;
      continue;
    }
    const request = nextRequest();
    sampler.sent(request.requestId);
    meter.ask();
    if (!handle.send(request)) fail(new Error('a writable handle refused a request'));
    refusals = 0;
  }
}

serve(meter, () => {
  fill();
  return meter.drained();
});

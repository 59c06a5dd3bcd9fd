/** CheckStream with callbacks: each answer makes room for the next request, and `drain` is waited for. */
import { Meter, fail, readSettings, report } from '../lib/meter.js';
import { nextRequest } from '../lib/work.js';
import { createService, isAllowed } from './service.js';

const settings = readSettings();
const service = createService(settings.address);
const meter = new Meter();
const inFlightPerStream = Math.max(1, Math.floor(settings.inFlight / settings.streams));

/** @type {Map<string, number>} when sampled requests were sent; timing each one would cost more than it tells */
const sampled = new Map();
const SAMPLE_EVERY = inFlightPerStream === 1 ? 1 : 64;

function runStream() {
  const call = service.checkStream();
  let inFlight = 0;
  let full = false;
  let sent = 0;

  const fill = () => {
    while (meter.running && !full && inFlight < inFlightPerStream) {
      const request = nextRequest();
      if (sent++ % SAMPLE_EVERY === 0) sampled.set(request.requestId, performance.now());
      inFlight++;
      full = !call.write(request);
    }
  };
  call.on('drain', () => {
    full = false;
    fill();
  });
  call.on('data', (/** @type {import('./service.js').Answer} */ answer) => {
    inFlight--;
    const startedMs = sampled.get(answer.requestId);
    if (startedMs !== undefined) {
      sampled.delete(answer.requestId);
      meter.latencies.since(startedMs);
    }
    meter.settle(isAllowed(answer));
    fill();
  });
  call.on('error', fail);
  fill();
}

for (let stream = 0; stream < settings.streams; stream++) runStream();
report(await meter.measure(settings));

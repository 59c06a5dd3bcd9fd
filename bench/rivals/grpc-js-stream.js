/** CheckStream with callbacks: each answer makes room for the next request, and `drain` is waited for. */
import { Sampler } from '../lib/sampler.js';
import { Meter, fail, readSettings, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { createServices, isAllowed } from './service.js';
import { toMessage } from './struct.js';

const settings = readSettings();
const nextRequest = createRequests(settings.size);
const services = createServices(settings.address, settings.connections);
const meter = new Meter();
const sampler = new Sampler(meter.latencies, settings.inFlight);
const inFlightPerStream = Math.max(1, Math.floor(settings.inFlight / settings.streams));

/**
 * @param {import('./service.js').AuthzServiceClient} service
 * @returns {() => void} fills it
 */
function openStream(service) {
  const call = service.checkStream();
  let inFlight = 0;
  let full = false;

  const fill = () => {
    while (meter.running && !full && inFlight < inFlightPerStream) {
      const request = nextRequest();
      sampler.sent(request.requestId);
      meter.ask();
      inFlight++;
      full = !call.write(toMessage(request));
    }
  };
  call.on('drain', () => {
    full = false;
    fill();
  });
  call.on('data', (/** @type {import('./service.js').Answer} */ answer) => {
    inFlight--;
    sampler.answered(answer.requestId);
    meter.answer(isAllowed(answer));
    fill();
  });
  call.on('error', fail);
  return fill;
}

const streams = Array.from({ length: settings.streams }, (_, index) =>
  openStream(/** @type {import('./service.js').AuthzServiceClient} */ (services[index % services.length])),
);
serve(meter, () => {
  for (const fill of streams) fill();
  return meter.drained();
});

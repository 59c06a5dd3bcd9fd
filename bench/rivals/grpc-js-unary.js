/** One unary call per check, a fixed number in flight. */
import { Meter, fail, readSettings, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { createService, isAllowed } from './service.js';
import { toMessage } from './struct.js';

const settings = readSettings();
const nextRequest = createRequests(settings.size);
const service = createService(settings.address);
const meter = new Meter();

function call() {
  meter.ask();
  const startedMs = performance.now();
  service.check(toMessage(nextRequest()), (error, answer) => {
    if (error || !answer) fail(error);
    meter.latencies.since(startedMs);
    meter.answer(isAllowed(answer));
    if (meter.running) call();
  });
}

serve(meter, () => {
  for (let caller = 0; caller < settings.inFlight; caller++) call();
  return meter.drained();
});

/** One unary call per check, a fixed number in flight. */
import { Meter, fail, readSettings, report } from '../lib/meter.js';
import { nextRequest } from '../lib/work.js';
import { createService, isAllowed } from './service.js';

const settings = readSettings();
const service = createService(settings.address);
const meter = new Meter();

function call() {
  if (!meter.running) return;
  const startedMs = performance.now();
  service.check(nextRequest(), (error, answer) => {
    if (!meter.running) return;
    if (error || !answer) fail(error);
    meter.latencies.since(startedMs);
    meter.settle(isAllowed(answer));
    call();
  });
}

for (let caller = 0; caller < settings.inFlight; caller++) call();
report(await meter.measure(settings));

/** `client.check()`: a fixed number of callers, each awaiting its answer before it asks again. */
import { loadPackage } from '../lib/built.js';
import { Meter, readSettings, serve } from '../lib/worker.js';
import { createBodies } from '../lib/work.js';
import { lookAt } from './inspector-page.js';
import { clientOptions } from './options.js';

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const nextBody = createBodies(settings.size);
const client = createClient(clientOptions(settings));
await client.connect();
if (settings.page !== undefined) await lookAt(client, settings.page);
const meter = new Meter();

async function caller() {
  while (meter.running) meter.settle(isAllowed(await client.check(nextBody())));
}

/** One caller in 64 times its checks: timing every one would cost more than it tells. */
async function timedCaller() {
  while (meter.running) {
    const startedMs = performance.now();
    const answer = await client.check(nextBody());
    meter.latencies.since(startedMs);
    meter.settle(isAllowed(answer));
  }
}

serve(meter, () =>
  Promise.all(Array.from({ length: settings.inFlight }, (_, index) => (index % 64 === 0 ? timedCaller() : caller()))),
);

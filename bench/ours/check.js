/** `client.check()` with default options: a fixed number of callers, each awaiting its answer before it asks again. */
import { loadPackage } from '../lib/built.js';
import { Meter, fail, readSettings, report } from '../lib/meter.js';
import { nextBody } from '../lib/work.js';

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const client = createClient({ address: settings.address });
await client.connect();
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

for (let index = 0; index < settings.inFlight; index++) (index % 64 === 0 ? timedCaller() : caller()).catch(fail);
report(await meter.measure(settings));

/** A pool of eight handles, `send` and `onResponse`, default options. */
import { loadPackage } from '../lib/built.js';
import { Meter, readSettings, report } from '../lib/meter.js';
import { createStreamLoad } from './stream-load.js';

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const client = createClient({ address: settings.address });
await client.connect();
const meter = new Meter();
const load = createStreamLoad(meter, isAllowed, settings.inFlight);
load.start(client.createStreamPool(settings.streams, load.callbacks));
report(await meter.measure(settings));

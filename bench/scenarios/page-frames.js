/** How evenly the page of the inspector is drawn while it shows a thousand actors that come and go under load: in a real browser. */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadInspect, loadPackage } from '../lib/built.js';
import { fail, finish, readSettings, report } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { transportOption } from '../ours/options.js';
import { launchChromium } from '../../scripts/chromium.js';

const STREAMS = 1_000;
const CONNECTIONS = 4;
/** Each of them begins, is opened, and ends: seven transitions. */
const REPLACED_AT_A_TIME = 4;
const REPLACE_EVERY_MS = 100;
const CHECKS_PER_TURN = 40;
const WARM_UP_MS = 3_000;
const WATCH_MS = 10_000;
/** A frame that comes later than this is seen to be late: three of a screen's sixty a second. */
const LATE_MS = 50;

const { createClient } = await loadPackage();
const { startInspector } = await loadInspect();
const settings = readSettings();
const nextRequest = createRequests('small');
const client = createClient({
  address: settings.address,
  streamPool: { maxConcurrentStreams: STREAMS + 2 * REPLACED_AT_A_TIME },
  connectionPool: { minConnections: CONNECTIONS, maxConnections: CONNECTIONS },
  ...transportOption(settings.transport),
});
await client.connect();

async function openStream() {
  const handle = client.createBidirectionalStream({
    onResponse: () => undefined,
    onError: fail,
    onEnd: () => undefined,
  });
  await handle.check(nextRequest());
  return handle;
}

const handles = await Promise.all(Array.from({ length: STREAMS }, openStream));
let isWatched = true;

async function replaceStreams() {
  while (isWatched) {
    for (const handle of handles.splice(0, REPLACED_AT_A_TIME)) handle.end();
    handles.push(...(await Promise.all(Array.from({ length: REPLACED_AT_A_TIME }, openStream))));
    await sleep(REPLACE_EVERY_MS);
  }
}

async function keepAsking() {
  while (isWatched) {
    await Promise.all(Array.from({ length: CHECKS_PER_TURN }, () => client.check(nextRequest())));
    await sleep(5);
  }
}

const inspector = await startInspector(client);
const browser = await launchChromium();
const page = await browser.newPage({ viewport: { width: 1_360, height: 850 } });
await page.goto(inspector.url);
await page.getByText('live', { exact: true }).waitFor();
const load = Promise.all([replaceStreams(), keepAsking()]);
await sleep(WARM_UP_MS);
/** @type {number[]} the gaps between frames, in ms */
const gaps = await page.evaluate(`new Promise((resolve) => {
  const gaps = [];
  let last = performance.now();
  const endsAt = last + ${WATCH_MS};
  const step = (now) => {
    gaps.push(now - last);
    last = now;
    if (now < endsAt) requestAnimationFrame(step);
    else resolve(gaps);
  };
  requestAnimationFrame(step);
})`);
const actors = client.dump().actors.length;
isWatched = false;
await load;
await browser.close();
await inspector.close();
await client.disconnect({ force: true });

const sorted = gaps.toSorted((one, other) => one - other);
const at = (/** @type {number} */ share) => sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
report({
  actors,
  framesPerSecond: gaps.length / (WATCH_MS / 1_000),
  frameP50Ms: at(0.5),
  frameP99Ms: at(0.99),
  longestFrameMs: at(1),
  lateFrames: gaps.filter((gap) => gap > LATE_MS).length,
});
finish();

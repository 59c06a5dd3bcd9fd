/** What a check costs that is answered from the deduplication cache: the same ids and questions over and over, without context or attributes. */
import { loadPackage } from '../lib/built.js';
import { median } from '../lib/statistics.js';
import { fail, finish, readSettings, report } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { clientOptions } from '../ours/options.js';

const CACHED = 64;
const HITS_PER_TRIAL = 50_000;
/** Answers awaited together: one by one, the turn of the microtask queue is most of what is measured. */
const TOGETHER = 64;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const client = createClient({ ...clientOptions(settings), deduplication: { cacheSize: CACHED } });
await client.connect();
const nextRequest = createRequests('small');
const requests = Array.from({ length: CACHED }, nextRequest);
await Promise.all(requests.map((request) => client.check(request)));

/** @returns {Promise<number>} microseconds a hit, each awaited by itself */
async function awaitEach() {
  const startedMs = performance.now();
  for (let hit = 0; hit < HITS_PER_TRIAL; hit++) {
    const answer = await client.check(/** @type {ReturnType<typeof nextRequest>} */ (requests[hit % CACHED]));
    if (!isAllowed(answer)) fail(new Error('a cached answer is not what was answered'));
  }
  return ((performance.now() - startedMs) * 1000) / HITS_PER_TRIAL;
}

/** @returns {Promise<number>} microseconds a hit */
async function awaitTogether() {
  const startedMs = performance.now();
  for (let hit = 0; hit < HITS_PER_TRIAL; hit += TOGETHER) {
    const answers = await Promise.all(requests.map((request) => client.check(request)));
    if (!answers.every((answer) => isAllowed(answer))) fail(new Error('a cached answer is not what was answered'));
  }
  return ((performance.now() - startedMs) * 1000) / HITS_PER_TRIAL;
}

const each = [];
const together = [];
for (let trial = 0; trial <= settings.trials; trial++) {
  each.push(await awaitEach());
  together.push(await awaitTogether());
}
const { hits } = client.getDeduplicationCacheStats();
if (hits < 2 * HITS_PER_TRIAL * settings.trials) fail(new Error(`only ${hits} checks were hits`));
// The first of each was the warm-up.
report({ hitUs: median(each.slice(1)), hitTogetherUs: median(together.slice(1)) });
finish();

/** How many steps the statecharts take while checks flow: what an inspector counts during 100,000 of them, once all streams are open. */
import { loadPackage } from '../lib/built.js';
import { fail, finish, readSettings, report } from '../lib/worker.js';
import { createBodies } from '../lib/work.js';
import { clientOptions } from '../ours/options.js';

const WARM_UP_CHECKS = 50_000;
const CHECKS = 100_000;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const nextBody = createBodies('small');
let microsteps = 0;
let events = 0;
const client = createClient({
  ...clientOptions(settings),
  inspect: ({ type }) => {
    if (type === '@xstate.microstep') microsteps++;
    if (type === '@xstate.event') events++;
  },
});
await client.connect();

/** @param {number} checks */
async function run(checks) {
  let left = checks;
  const caller = async () => {
    while (left-- > 0) if (!isAllowed(await client.check(nextBody()))) fail(new Error('a check was not allowed'));
  };
  await Promise.all(Array.from({ length: settings.inFlight }, caller));
}

await run(WARM_UP_CHECKS);
// Connecting takes steps: an inspector that saw none does not see.
if (microsteps === 0) fail(new Error('the inspector saw no step'));
microsteps = events = 0;
await run(CHECKS);
report({ transitions: microsteps, machineEvents: events, checks: CHECKS });
finish();

/**
 * A primary and a backup engine, 64 callers and one stream, default options and failover on, and a fault. Tells of each trial the longest time
 * without an answer after the fault, how many checks were lost (rejected, reported or never settled) and how many settled twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPackage } from '../lib/built.js';
import { Server } from '../lib/processes.js';
import { finish, readSettings, report } from '../lib/worker.js';
import { transportOption } from '../ours/options.js';
import { startLoad } from './fault-load.js';
import { faults } from './faults.js';
import { Tally } from './tally.js';

/** Long enough for the backup to be connected and for the load to be steady. */
const WARM_UP_MS = 200;
const BEFORE_MS = 300;
/** The fault is over when answers have come without a pause for this long... */
const STEADY_MS = 300;
/** ...but not earlier than this after it: a soft fault is not noticed at once... */
const AFTER_MS = 500;
/** ...and it has failed when they have not by then. */
const RECOVERY_LIMIT_MS = 40_000;
/** Past every check's own deadline (`timeout`, 5 s): what is unsettled then never settles. */
const SETTLE_LIMIT_MS = 6_000;
const LOOK_EVERY_MS = 20;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const makePrimary = faults[/** @type {import('./faults.js').FaultName} */ (settings.fault)];

/** @param {Tally} tally */
async function recovery(tally) {
  const struckMs = performance.now();
  let steadySinceMs = struckMs;
  for (;;) {
    await sleep(LOOK_EVERY_MS);
    const nowMs = performance.now();
    if (tally.silenceMs > LOOK_EVERY_MS) steadySinceMs = nowMs;
    const afterMs = nowMs - struckMs;
    if (afterMs > RECOVERY_LIMIT_MS || (afterMs > AFTER_MS && nowMs - steadySinceMs > STEADY_MS)) return;
  }
}

/**
 * @param {Server} backup
 * @returns {Promise<Tally>}
 */
async function trial(backup) {
  const primary = await makePrimary();
  const client = createClient({
    address: primary.address,
    ...(settings.fault !== 'cut' && { failover: { enabled: true, fallbackAddresses: [backup.address] } }),
    ...transportOption(settings.transport),
  });
  client.on('error', () => undefined);
  await client.connect();
  const tally = new Tally();
  const settled = startLoad(client, isAllowed, tally, settings.inFlight);
  await sleep(WARM_UP_MS);
  tally.steady();
  await sleep(BEFORE_MS);
  if (tally.answered === 0) throw new Error('no check was answered before the fault');
  tally.fault();
  await primary.strike();
  await recovery(tally);
  tally.close();
  tally.running = false;
  await settled(SETTLE_LIMIT_MS);
  await client.disconnect({ force: true });
  await primary.stop();
  return tally;
}

const backup = await Server.start('servers/engine-server.js');
for (let index = 0; index < settings.trials; index++) {
  const tally = await trial(backup);
  const { longestSilenceMs, steadySilenceMs, answered, errors, unsettled, settledTwice } = tally;
  report({
    longestSilenceMs,
    steadySilenceMs,
    slowestCheckMs: tally.latencies.summary().maxMs,
    answered,
    errors,
    lost: errors + unsettled,
    settledTwice,
  });
}
await backup.stop();
finish();

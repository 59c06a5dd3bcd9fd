/**
 * A primary and a backup engine, 64 callers and one stream, and SIGKILL to the primary. Each trial tells the longest time without
 * an answer after the kill, how many checks were lost (rejected, reported or never settled) and how many settled twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPackage } from '../lib/built.js';
import { fail, readSettings, report } from '../lib/meter.js';
import { startServer } from '../lib/processes.js';
import { nextBody, nextRequest } from '../lib/work.js';

const STREAM_IN_FLIGHT = 16;
/** Long enough for the backup to be connected and for the load to be steady. */
const BEFORE_KILL_MS = 500;
const AFTER_KILL_MS = 1_500;
/** Past every check's own deadline (`timeout`, 5 s): what is unsettled then never settles. */
const SETTLE_LIMIT_MS = 6_000;
const RETRY_MS = 5;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();

/** What came of the checks of one trial. */
class Tally {
  running = true;
  answered = 0;
  lost = 0;
  settledTwice = 0;
  killedMs = Infinity;
  longestSilenceMs = 0;
  #lastAnswerMs = performance.now();

  /** @param {import('../../src/index.js').CheckResponse} response */
  answer(response) {
    if (!isAllowed(response)) fail(new Error('both engines allow everything, and a check was not allowed'));
    this.answered++;
    this.endSilence();
  }

  /** Only silence that lasts into the time after the kill counts. */
  endSilence() {
    const nowMs = performance.now();
    if (nowMs > this.killedMs) this.longestSilenceMs = Math.max(this.longestSilenceMs, nowMs - this.#lastAnswerMs);
    this.#lastAnswerMs = nowMs;
  }

  /** @param {unknown} error */
  lose(error) {
    if (this.lost++ === 0) console.error(error);
  }
}

/** @typedef {import('../../src/index.js').AuthzClient} Client */

/**
 * @param {Client} client
 * @param {Tally} tally
 */
async function runCaller(client, tally) {
  while (tally.running) {
    try {
      tally.answer(await client.check(nextBody()));
    } catch (error) {
      tally.lose(error);
      await sleep(RETRY_MS);
    }
  }
}

/**
 * A promise settles once whatever its maker does; a callback does not. So one stream runs beside the callers, and each of its ids is accounted for.
 * @param {Client} client
 * @param {Tally} tally
 * @returns {Promise<void>} when every id is settled
 */
function runStream(client, tally) {
  /** @type {Set<string>} */
  const open = new Set();
  return new Promise((resolve) => {
    const settle = (/** @type {string | undefined} */ requestId) => {
      if (requestId === undefined || !open.delete(requestId)) tally.settledTwice++;
      fill();
    };
    const handle = client.createBidirectionalStream({
      onResponse: (response) => {
        tally.answer(response);
        settle(response.requestId);
      },
      onError: (error) => {
        tally.lose(error);
        if ('requestId' in error) settle(String(error.requestId));
      },
      onEnd: () => {
        tally.lost += open.size;
        resolve();
      },
    });
    const fill = () => {
      while (tally.running && open.size < STREAM_IN_FLIGHT) {
        const request = nextRequest();
        open.add(request.requestId);
        if (!handle.send(request)) {
          open.delete(request.requestId);
          setTimeout(fill, RETRY_MS);
          return;
        }
      }
      if (!tally.running) handle.end();
    };
    fill();
  });
}

/** @returns {Promise<Tally>} */
async function trial() {
  const [primary, backup] = await Promise.all([
    startServer('servers/engine-server.js'),
    startServer('servers/engine-server.js'),
  ]);
  const client = createClient({
    address: primary.address,
    failover: { enabled: true, fallbackAddresses: [backup.address] },
  });
  client.on('error', () => undefined);
  await client.connect();
  const tally = new Tally();
  let settled = 0;
  const work = [
    ...Array.from({ length: settings.inFlight }, () => runCaller(client, tally)),
    runStream(client, tally),
  ].map((each) =>
    each.then(() => {
      settled++;
    }),
  );

  await sleep(BEFORE_KILL_MS);
  if (tally.answered === 0) throw new Error('no check was answered before the kill');
  tally.killedMs = performance.now();
  primary.kill();
  await sleep(AFTER_KILL_MS);
  tally.endSilence();
  tally.running = false;
  await Promise.race([Promise.all(work), sleep(SETTLE_LIMIT_MS)]);
  tally.lost += work.length - settled;
  await client.disconnect({ force: true });
  await backup.stop();
  return tally;
}

/** @type {Tally[]} */
const tallies = [];
for (let index = 0; index < settings.trials; index++) tallies.push(await trial());
const silences = tallies.map((tally) => tally.longestSilenceMs).sort((a, b) => a - b);
report({
  trials: settings.trials,
  answered: sum((tally) => tally.answered),
  silenceP50Ms: silences[Math.floor(silences.length / 2)] ?? Infinity,
  longestSilenceMs: silences.at(-1) ?? Infinity,
  lost: sum((tally) => tally.lost),
  settledTwice: sum((tally) => tally.settledTwice),
});

/** @param {(tally: Tally) => number} figure */
function sum(figure) {
  return tallies.reduce((total, tally) => total + figure(tally), 0);
}

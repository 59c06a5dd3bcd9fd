/**
 * How long a new stream takes on a client that is connected: until `createBidirectionalStream` returns, and until the first answer
 * is in. Reuse is off, so that each trial opens a call of its own; the trials with reuse are told apart.
 */
import { loadPackage } from '../lib/built.js';
import { Latencies, fail, readSettings, report } from '../lib/meter.js';
import { nextRequest } from '../lib/work.js';

const WARM_UP_TRIALS = 20;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();

/** @param {boolean} enableStreamReuse */
async function measureCreation(enableStreamReuse) {
  const client = createClient({ address: settings.address });
  client.configureStreamPool({ enableStreamReuse });
  await client.connect();
  const returned = new Latencies();
  const answered = new Latencies();

  /** @returns {Promise<void>} when the stream has ended, so that one is open at a time */
  const trial = () =>
    new Promise((resolve) => {
      const startedMs = performance.now();
      const handle = client.createBidirectionalStream({
        onResponse: (response) => {
          answered.since(startedMs);
          if (!isAllowed(response)) fail(new Error('the server allows everything, and a check was not allowed'));
          handle.end();
        },
        onError: fail,
        onEnd: resolve,
      });
      returned.since(startedMs);
      handle.send(nextRequest());
    });

  for (let index = 0; index < WARM_UP_TRIALS; index++) await trial();
  returned.clear();
  answered.clear();
  for (let index = 0; index < settings.trials; index++) await trial();
  await client.disconnect();
  return { returned: returned.summary(), answered: answered.summary() };
}

const fresh = await measureCreation(false);
const reused = await measureCreation(true);
report({
  trials: settings.trials,
  returnedP50Ms: fresh.returned.p50Ms,
  returnedP99Ms: fresh.returned.p99Ms,
  firstAnswerP50Ms: fresh.answered.p50Ms,
  firstAnswerP99Ms: fresh.answered.p99Ms,
  reusedFirstAnswerP50Ms: reused.answered.p50Ms,
  reusedFirstAnswerP99Ms: reused.answered.p99Ms,
});

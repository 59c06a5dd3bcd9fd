/**
 * How long a new stream takes on a client that is connected: until `createBidirectionalStream` returns, and until the first answer is in. Reuse is
 * off, so that each trial opens a call of its own; the trials with reuse are told apart. And how long `send` takes on a stream that is open.
 */
import { loadPackage } from '../lib/built.js';
import { Latencies, fail, finish, readSettings, report } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { clientOptions } from '../ours/options.js';

const WARM_UP_TRIALS = 20;
const WARM_UP_SENDS = 1_000;
const SENDS = 2_000;
const BATCHES = 3;

const { createClient, isAllowed } = await loadPackage();
const settings = readSettings();
const nextRequest = createRequests('small');

/** @param {boolean} enableStreamReuse */
async function measureCreation(enableStreamReuse) {
  const client = createClient({ ...clientOptions(settings), streamPool: { enableStreamReuse } });
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
  for (const latencies of [returned, answered]) latencies.clear();
  for (let index = 0; index < settings.trials / BATCHES; index++) await trial();
  await client.disconnect();
  return { returned: returned.summary(), answered: answered.summary() };
}

/** @returns {Promise<Latencies>} of `send` itself, the answer awaited before the next */
async function measureSends() {
  const client = createClient(clientOptions(settings));
  await client.connect();
  const sends = new Latencies();
  /** @type {() => void} */
  let onAnswer = () => undefined;
  const handle = client.createBidirectionalStream({
    onResponse: () => onAnswer(),
    onError: fail,
    onEnd: () => undefined,
  });
  for (let index = 0; index < WARM_UP_SENDS + SENDS; index++) {
    const answered = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      onAnswer = resolve;
    });
    const request = nextRequest();
    const startedMs = performance.now();
    handle.send(request);
    if (index >= WARM_UP_SENDS) sends.since(startedMs);
    await answered;
  }
  await client.disconnect();
  return sends;
}

// In batches, each with percentiles of its own: a machine that is busy for a moment spoils one of them.
for (let batch = 0; batch < BATCHES; batch++) {
  const fresh = await measureCreation(false);
  const reused = await measureCreation(true);
  const sends = (await measureSends()).summary();
  report({
    returnedP50Ms: fresh.returned.p50Ms,
    returnedP99Ms: fresh.returned.p99Ms,
    firstAnswerP50Ms: fresh.answered.p50Ms,
    firstAnswerP99Ms: fresh.answered.p99Ms,
    reusedFirstAnswerP50Ms: reused.answered.p50Ms,
    reusedFirstAnswerP99Ms: reused.answered.p99Ms,
    sendP50Ms: sends.p50Ms,
    sendP99Ms: sends.p99Ms,
  });
}
finish();

/**
 * A peer that opens a stream and never reads it, and an application that heeds no hint: 200,000 requests of about 1 KiB, without regard to what
 * `send` or `write` return. The subject is our handle, our `check()`, or a stream of grpc-js. Tells what is held on the heap half-way and at the
 * end, garbage left out, and how the process grew. Needs `--expose-gc`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPackage } from '../lib/built.js';
import { finish, readSettings, report } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { clientOptions } from '../ours/options.js';
import { createService } from '../rivals/service.js';
import { toMessage } from '../rivals/struct.js';

const REQUESTS = 200_000;
const PER_TURN = 1_000;

const settings = readSettings();
const nextRequest = createRequests('small');
/** The same string in each: what grows is what the client makes of it, not the application. */
const context = { note: 'x'.repeat(900) };
let accepted = 0;
let refused = 0;

/** @type {Record<string, () => Promise<() => void>>} each connects and gives the function that sends one */
const subjects = {
  send: async () => {
    const client = await connect();
    const handle = client.createBidirectionalStream({
      onResponse: () => undefined,
      // An accepted request is reported at its deadline at the latest.
      onError: () => undefined,
      onEnd: () => undefined,
    });
    return () => {
      if (handle.send({ ...nextRequest(), context })) accepted++;
      else refused++;
    };
  },
  check: async () => {
    const client = await connect();
    return () => {
      accepted++;
      client.check({ ...nextRequest(), context }).catch((/** @type {unknown} */ error) => {
        if (error instanceof Error && error.name === 'BackpressureError') {
          accepted--;
          refused++;
        }
      });
    };
  },
  'grpc-js': () => {
    const call = createService(settings.address).checkStream();
    call.on('error', () => undefined);
    call.on('data', () => undefined);
    return Promise.resolve(() => {
      accepted++;
      call.write(toMessage({ ...nextRequest(), context }));
    });
  },
};

async function connect() {
  const { createClient } = await loadPackage();
  const client = createClient({ ...clientOptions(settings), timeout: 60_000 });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const send = await subjects[settings.subject]?.();
if (send === undefined) throw new Error(`there is no subject "${settings.subject}"`);
const rssMb = () => process.memoryUsage.rss() / 1024 ** 2;
const heldMb = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
};

/** @param {number} count */
async function sendMany(count) {
  for (let sent = 0; sent < count; sent += PER_TURN) {
    for (let index = 0; index < PER_TURN; index++) send?.();
    await sleep(0);
  }
}

const rssBefore = rssMb();
const before = heldMb();
await sendMany(REQUESTS / 2);
const halfWay = heldMb();
await sendMany(REQUESTS / 2);
const rssAfter = rssMb();
report({
  heldHalfWayMb: halfWay - before,
  heldMb: heldMb() - before,
  rssGrowthMb: rssAfter - rssBefore,
  requests: REQUESTS,
  accepted,
  refused,
});
finish();

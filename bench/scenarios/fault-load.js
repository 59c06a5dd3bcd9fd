/** 64 callers of `check()` and one stream, whose answers a tally keeps the books of. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createBodies, createRequests } from '../lib/work.js';

const STREAM_IN_FLIGHT = 16;
const RETRY_MS = 5;

/**
 * @typedef {import('../../src/index.js').AuthzClient} Client
 * @typedef {typeof import('../../src/index.js').isAllowed} IsAllowed
 */

/**
 * @param {Client} client
 * @param {IsAllowed} isAllowed
 * @param {import('./tally.js').Tally} tally
 */
async function runCaller(client, isAllowed, tally) {
  const nextBody = createBodies('small');
  while (tally.running) {
    const startedMs = performance.now();
    try {
      tally.answer(isAllowed(await client.check(nextBody())));
      tally.latencies.since(startedMs);
    } catch (error) {
      tally.error(error);
      await sleep(RETRY_MS);
    }
  }
}

/**
 * A promise settles once whatever its maker does; a callback does not. So one stream runs beside the callers, and each of its ids is accounted for.
 * @param {Client} client
 * @param {IsAllowed} isAllowed
 * @param {import('./tally.js').Tally} tally
 * @returns {Promise<void>} when every id is settled
 */
function runStream(client, isAllowed, tally) {
  const nextRequest = createRequests('small');
  /** @type {Set<string>} */
  const open = new Set();
  return new Promise((resolve) => {
    const settle = (/** @type {string} */ requestId) => {
      if (!open.delete(requestId)) tally.settledTwice++;
      fill();
    };
    const handle = client.createBidirectionalStream({
      onResponse: (response) => {
        tally.answer(isAllowed(response));
        settle(response.requestId);
      },
      onError: (error) => {
        tally.error(error);
        if ('requestId' in error) settle(String(error.requestId));
      },
      onEnd: () => {
        tally.unsettled += open.size;
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

/**
 * @param {Client} client
 * @param {IsAllowed} isAllowed
 * @param {import('./tally.js').Tally} tally
 * @param {number} callers
 * @returns {(limitMs: number) => Promise<void>} waits, once the tally no longer runs, until all is settled, at most that long
 */
export function startLoad(client, isAllowed, tally, callers) {
  let settled = 0;
  const work = [
    ...Array.from({ length: callers }, () => runCaller(client, isAllowed, tally)),
    runStream(client, isAllowed, tally),
  ].map((each) =>
    each.then(() => {
      settled++;
    }),
  );
  return async (limitMs) => {
    await Promise.race([Promise.all(work), sleep(limitMs)]);
    tally.unsettled += work.length - settled;
  };
}

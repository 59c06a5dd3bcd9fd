/** Our own event loop is kept busy, while the engines, in processes of their own, go on: their answers lie in the kernel, unread. */

import { expect, test } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import type { Transport } from '../../src/index.js';
import { HEALTH_CHECK } from '../../src/runtime/paths.js';
import { createHttp2Transport } from '../../src/transport/http2.js';
import { Bench } from '../support/fault-bench.js';
import { answererOf, faultOf, question } from '../support/fault-engine.js';

const bench = new Bench();

function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Time for what was written to leave. */
async function fewTurns(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

/** The default transport; tells when a health check of this address has left. */
function watching(address: string, onProbe: () => void): Transport {
  const inner = createHttp2Transport();
  return {
    name: 'watching',
    connect: (target, options, listener) => {
      const connection = inner.connect(target, options, listener);
      const unary = connection.unary.bind(connection);
      connection.unary = (path, bytes, callOptions) => {
        if (target.address === address && path === HEALTH_CHECK) void fewTurns().then(onProbe);
        return unary(path, bytes, callOptions);
      };
      return connection;
    },
  };
}

test('row 42: a slow primary with a backup + the loop busy through each probe: none is held against it, and traffic stays', async () => {
  const [slow, beta] = await Promise.all([bench.engine('slow', { latencyMs: 4_000 }), bench.engine('beta')]);
  let stalls = 0;
  const { client, events } = bench.failoverClient([slow, beta], {
    timeout: 20_000,
    // One miss would do: on this machine many a probe is answered before the loop is busy.
    failover: { failoverThreshold: 1 },
    // Longer than a probe of a suspect may take.
    transport: watching(slow.address, () => {
      stalls += 1;
      standStill(300);
    }),
  });
  await client.connect();
  const asked = Array.from({ length: 20 }, (_, index) => client.check(question(index)));
  const responses = await Promise.all(asked);
  expect(stalls).toBeGreaterThanOrEqual(5);
  expect(responses.map((response, index) => faultOf(index, response)).filter(Boolean)).toEqual([]);
  expect(new Set(responses.map(answererOf))).toEqual(new Set(['slow']));
  expect(events.count('failover_started')).toBe(0);
  expect(events.count('pool_connection_failed')).toBe(0);
}, 60_000);

test('row 42: an answer in time + the loop busy past the deadline: DEADLINE_EXCEEDED, and what has longer is answered', async () => {
  const engine = await bench.engine('steady', { latencyMs: 50 });
  const { client, events } = bench.client({ address: engine.address, timeout: 10_000 });
  await client.connect();
  await client.check(question(0));
  const late = [1, 2, 3].map((index) => client.check(question(index), { deadline: 100 }));
  const patient = [4, 5, 6].map((index) => client.check(question(index)));
  const outcomes = Promise.allSettled(late);
  await fewTurns();
  standStill(400);
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { name: 'TimeoutError', grpcCode: GrpcCode.DEADLINE_EXCEEDED, outcome: 'unknown' },
    });
  }
  const responses = await Promise.all(patient);
  expect(responses.map((response, index) => faultOf(4 + index, response)).filter(Boolean)).toEqual([]);
  expect(events.count('pool_connection_failed')).toBe(0);
});

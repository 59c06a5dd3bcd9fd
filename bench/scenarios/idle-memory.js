/** What an open stream, a connection and a cached answer hold on the heap while nothing happens. Needs `--expose-gc`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadPackage } from '../lib/built.js';
import { fail, finish, readSettings, report } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { transportOption } from '../ours/options.js';
import { createService, createServices } from '../rivals/service.js';

const STREAMS = 1_000;
const CONNECTIONS = 50;
const TEN = 10;
const CACHED = 500;
const SETTLE_MS = 50;

const { createClient } = await loadPackage();
const settings = readSettings();
const { address } = settings;
const nextRequest = createRequests('small');

/** @returns {Promise<number>} bytes of live objects and of the buffers behind them */
async function heldBytes() {
  // What was just closed or answered lets go of its last objects over some turns of the loop.
  for (let pass = 0; pass < 3; pass++) {
    await sleep(SETTLE_MS);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @param {import('../../src/index.js').PooledClientOptions} options */
function connectClient(options) {
  const client = createClient({ address, ...options, ...transportOption(settings.transport) });
  return client.connect().then(() => client);
}

/**
 * Each has had one answer: only then is it open on the wire.
 * @param {import('../../src/index.js').AuthzClient} client
 * @param {number} count
 */
async function openHandles(client, count) {
  const handles = Array.from({ length: count }, () =>
    client.createBidirectionalStream({ onResponse: () => undefined, onError: fail, onEnd: () => undefined }),
  );
  await Promise.all(handles.map((handle) => handle.check(nextRequest())));
}

/** @returns {Promise<{ streamBytes: number, tenStreamsBytes: number }>} */
async function measureStreams() {
  const client = await connectClient({
    streamPool: { maxConcurrentStreams: STREAMS + TEN + 1 },
    connectionPool: { maxConnections: 1 },
  });
  await openHandles(client, 1);
  const before = await heldBytes();
  await openHandles(client, TEN);
  const withTen = await heldBytes();
  await openHandles(client, STREAMS);
  const withAll = await heldBytes();
  await client.disconnect({ force: true });
  return { streamBytes: (withAll - withTen) / STREAMS, tenStreamsBytes: withTen - before };
}

/** @returns {Promise<number>} bytes a connection */
async function measureConnections() {
  const client = await connectClient({ connectionPool: { minConnections: 1, maxConnections: CONNECTIONS + 1 } });
  const before = await heldBytes();
  await client.scalePool(CONNECTIONS + 1);
  while (client.getPoolStats().totalConnections < CONNECTIONS + 1) await sleep(SETTLE_MS);
  const after = await heldBytes();
  await client.disconnect({ force: true });
  return (after - before) / CONNECTIONS;
}

/** @returns {Promise<number>} bytes of a full cache */
async function measureCache() {
  const client = await connectClient({ deduplication: { cacheSize: CACHED } });
  await client.check(nextRequest());
  const before = await heldBytes();
  await Promise.all(Array.from({ length: CACHED }, () => client.check(nextRequest())));
  const after = await heldBytes();
  const { size } = client.getDeduplicationCacheStats();
  if (size !== CACHED) fail(new Error(`the cache holds ${size} instead of ${CACHED}`));
  await client.disconnect({ force: true });
  return after - before;
}

/** @returns {Promise<{ streamBytes: number, connectionBytes: number }>} the same of grpc-js */
async function measureGrpcJs() {
  const service = createService(address);
  /** @param {import('../rivals/service.js').AuthzServiceClient} of */
  const open = (of) =>
    new Promise((resolve) => {
      const call = of.checkStream();
      call.on('error', () => undefined);
      call.once('data', resolve);
      call.write(nextRequest());
    });
  await open(service);
  const before = await heldBytes();
  await Promise.all(Array.from({ length: STREAMS }, () => open(service)));
  const withStreams = await heldBytes();
  service.close();
  const services = createServices(address, CONNECTIONS);
  const beforeConnections = await heldBytes();
  const deadline = Date.now() + 10_000;
  await Promise.all(
    services.map(
      (each) =>
        new Promise((resolve, reject) => {
          each.waitForReady(deadline, (error) => (error ? reject(error) : resolve(undefined)));
        }),
    ),
  );
  const withConnections = await heldBytes();
  return {
    streamBytes: (withStreams - before) / STREAMS,
    connectionBytes: (withConnections - beforeConnections) / CONNECTIONS,
  };
}

if (globalThis.gc === undefined) fail(new Error('run it with --expose-gc'));
const { streamBytes, tenStreamsBytes } = await measureStreams();
const connectionBytes = await measureConnections();
const cacheBytes = await measureCache();
const grpcJs = await measureGrpcJs();
report({
  streamKb: streamBytes / 1024,
  tenStreamsMb: tenStreamsBytes / 1024 ** 2,
  connectionKb: connectionBytes / 1024,
  cacheMb: cacheBytes / 1024 ** 2,
  grpcJsStreamKb: grpcJs.streamBytes / 1024,
  grpcJsConnectionKb: grpcJs.connectionBytes / 1024,
});
finish();

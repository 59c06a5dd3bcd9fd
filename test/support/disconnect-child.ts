/**
 * A client brought into one state, then disconnected. Prints `state <name>` when it is there; on a line from its parent it disconnects, with
 * `force` when that is the line, and prints `gone <json>`: how long it took and what the process still holds. Then it has nothing left to do.
 * Arguments: state, address, and where needed the backup's address.
 */

import { createHook } from 'node:async_hooks';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { AuthzClient, type AuthzClientOptions, type BidirectionalStreamHandle } from '../../src/index.js';

const [state = '', address = '', backup = ''] = process.argv.slice(2);

const request = (requestId: string) => ({
  requestId,
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'note', id: 'n1' },
  actions: ['read'],
});

// Its parent's next line is what this process lives for: the client alone would let it end.
const lines = createInterface({ input: process.stdin });
// `getActiveResourcesInfo` passes over timers that are unreferenced; the hook sees every one. Those of grpc-js are its own: the backoff of a
// subchannel that was closed under it runs out by itself, unreferenced, within a second.
const BY_GRPC_JS = /at setTimeout \(node:timers[^\n]*\n[^\n]*grpc-js\/build/;
const timers = new Set<number>();
createHook({
  init: (id, type) => {
    if (type === 'Timeout' && !BY_GRPC_JS.test(new Error().stack ?? '')) timers.add(id);
  },
  destroy: (id) => timers.delete(id),
}).enable();
const listeners = (): number => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
const listenersBefore = listeners();
const baseline = resources();
const options: AuthzClientOptions = {
  address,
  timeout: 5_000,
  reconnect: { initialDelay: 60_000, maxDelay: 60_000, jitter: false },
  ...(backup === '' ? {} : { failover: { enabled: true, fallbackAddresses: [backup] } }),
};
const client = new AuthzClient(options);
const settled: string[] = [];

function resources(): string[] {
  // Pipes are the child's own line to its parent.
  return process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY/.test(name));
}

function watch(name: string, promise: Promise<unknown>): void {
  promise.then(
    () => settled.push(`${name} ok`),
    (error: unknown) => settled.push(`${name} ${error instanceof Error ? error.name : 'unknown'}`),
  );
}

function stream(): BidirectionalStreamHandle {
  return client.createBidirectionalStream({
    onResponse: () => undefined,
    onError: (error) => settled.push(`stream ${error.name}`),
    onEnd: () => settled.push('stream end'),
  });
}

async function open(): Promise<BidirectionalStreamHandle> {
  const handle = stream();
  await handle.check(request('warm'));
  return handle;
}

const STATES: Readonly<Record<string, () => Promise<void>>> = {
  idle: () => Promise.resolve(),
  // A peer that accepts and never speaks.
  connecting: () => {
    watch('connect', client.connect());
    watch('check', client.check(request('c')));
    return Promise.resolve();
  },
  open: async () => {
    await client.connect();
    client.createHealthMonitoringStream(50);
    await open();
  },
  busy: async () => {
    await client.connect();
    watch('check', client.check(request('hold')));
    watch('unary', client.check(request('hold'), { metadata: { a: 'b' } }));
    stream().send(request('hold-2'));
  },
  paused: async () => {
    const handle = await open();
    handle.pause();
    for (let index = 0; index < 10; index++) handle.send(request(`p${index}`));
    const iterator = handle[Symbol.asyncIterator]();
    watch('iterator', iterator.next());
  },
  draining: async () => {
    const handle = await open();
    handle.send(request('hold'));
    handle.end();
  },
  // The server is stopped by the parent.
  reconnecting: async () => {
    const handle = await open();
    const lost = new Promise((resolve) => client.once('disconnected', resolve));
    process.stdout.write('ready\n');
    await lost;
    handle.send(request('r'));
    watch('check', client.check(request('c')));
  },
  // The primary is stopped by the parent.
  failedOver: async () => {
    const handle = await open();
    const moved = new Promise((resolve) => client.once('failover_completed', resolve));
    process.stdout.write('ready\n');
    await moved;
    await handle.check(request('f'));
  },
};

await STATES[state]?.();
process.stdout.write(`state ${client.getState()}\n`);

const [line] = (await once(lines, 'line')) as [string];
const started = performance.now();
await client.disconnect(line === 'force' ? { force: true } : { timeoutMs: 300 });
const tookMs = performance.now() - started;

/** What the process holds beyond what it held at first. */
function leftOver(): string[] {
  const left = resources();
  left.push(...Array.from(timers, () => 'timer'));
  for (let more = listeners() - listenersBefore; more > 0; more--) left.push('listener');
  for (const name of baseline) {
    const index = left.indexOf(name);
    if (index !== -1) left.splice(index, 1);
  }
  return left;
}

// Handles that were closed are reaped in the next few turns of the loop; no time is to pass.
for (let turn = 0; turn < 5 || (turn < 20 && leftOver().length > 0); turn++) {
  await new Promise((resolve) => setImmediate(resolve));
}
const left = leftOver();
process.stdout.write(`gone ${JSON.stringify({ tookMs, left, settled, state: client.getState() })}\n`);
await once(lines, 'line');
lines.close();

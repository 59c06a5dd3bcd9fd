/**
 * A client left alone in one way, in a process that has nothing else to do: it prints lines as things settle, and exits when it may.
 * Arguments: what, address.
 */

import { AuthzClient } from '../../src/index.js';

const [what = '', address = ''] = process.argv.slice(2);
const request = {
  requestId: 'r',
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'note', id: 'n1' },
  actions: ['read'],
};
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const client = new AuthzClient({
  address,
  timeout: 1_500,
  reconnect: { initialDelay: 60_000, maxDelay: 60_000, jitter: false },
});
const callbacks = {
  onResponse: ({ requestId }: { requestId: string }) => say(`response ${requestId}`),
  onError: (error: Error) => say(`error ${error.name}`),
  onEnd: () => say('end'),
};

const WAYS: Readonly<Record<string, () => Promise<void>>> = {
  'made and never used': () => Promise.resolve(),
  'connected and idle': async () => client.connect(),
  'with an idle open stream': async () => {
    const handle = client.createBidirectionalStream(callbacks);
    await handle.check(request);
  },
  'with a parked call': async () => {
    const handle = client.createBidirectionalStream(callbacks);
    await handle.check(request);
    handle.end();
  },
  'with a health monitor': async () => {
    await client.connect();
    client.createHealthMonitoringStream(20);
    await new Promise((resolve) => client.once('health_stream_check', resolve));
  },
  'with an un-awaited send': () => {
    client.createBidirectionalStream(callbacks).send(request);
    return Promise.resolve();
  },
  'with an un-awaited disconnect': async () => {
    await client.check(request);
    void client.disconnect().then(() => say('disconnected'));
  },
  'with a check in the middle of a backoff': async () => {
    await client.connect().catch((error: unknown) => say(`connect ${error instanceof Error ? error.name : 'unknown'}`));
    await client
      .check(request)
      .catch((error: unknown) => say(`check ${error instanceof Error ? error.name : 'unknown'}`));
  },
  'with a pending next()': async () => {
    const handle = client.createBidirectionalStream(callbacks);
    const iterator = handle[Symbol.asyncIterator]();
    handle.send(request);
    await iterator.next();
    say('next');
  },
};

await WAYS[what]?.();
say('done');

/** One stream, 5,000 requests, as fast as the stream takes them and no faster. */

import { createClient, isAllowed } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const COUNT = 5_000;

const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({ address: engine.address });

let allowed = 0;
let end: () => void = () => undefined;
const ended = new Promise<void>((resolve) => (end = resolve));
const handle = client.createBidirectionalStream({
  onResponse: (response) => {
    if (isAllowed(response)) allowed++;
  },
  onError: (error) => console.error(error.message),
  onEnd: end,
});

let waits = 0;
for (let index = 0; index < COUNT; index++) {
  // Nothing is connected yet, so the first hundred wait here; from then on the stream mostly keeps up.
  if (!handle.isWritable()) {
    waits++;
    await handle.ready();
  }
  handle.send({
    requestId: `request-${index}`,
    principal: { id: 'alice', roles: index % 2 === 0 ? ['editor'] : ['guest'] },
    resource: { kind: 'document', id: String(index) },
    actions: ['write'],
  });
}

// What was accepted is answered first, then `onEnd` is called.
handle.end();
await ended;

const { messagesSent, messagesReceived, messagesDropped } = handle.getStats();
console.log(`sent ${messagesSent}, received ${messagesReceived}, dropped ${messagesDropped}, allowed ${allowed}`);
console.log(`waited for room ${waits > 0 ? 'at least once' : 'never'}`);

await client.disconnect();
await engine.stop();

/** Follows the health of an engine that becomes unwell and recovers. */

import { once } from 'node:events';
import { createClient } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({
  address: engine.address,
  reconnect: { initialDelay: 50, maxDelay: 200 },
});
await client.connect();
console.log('now:', (await client.checkHealth()).status);

const changes = new EventTarget();
const unsubscribe = client.subscribeToHealthStream({
  onStatusChange: (status, previous) => {
    console.log(`${previous} -> ${status}`);
    changes.dispatchEvent(new Event(status));
  },
  onHealthCheck: () => undefined,
  onError: (error) => console.error(error.message),
});

engine.setHealth('NOT_SERVING');
await once(changes, 'not_serving');
engine.setHealth('SERVING');
await once(changes, 'serving');

const { status, consecutiveSuccesses, history } = client.getHealth();
console.log(
  `${status}; probes in a row that went well: ${consecutiveSuccesses > 0}; history kept: ${history.length > 0}`,
);

unsubscribe();
await client.disconnect();
await engine.stop();

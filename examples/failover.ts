/** A primary dies under load, a backup takes over, the primary returns. Every check is answered. */

import { setTimeout as delay } from 'node:timers/promises';
import { createPooledClient, isAllowed } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const policies = 'examples/policies';
let primary = await startEngine({ policies });
const backup = await startEngine({ policies });
const { port } = primary;

// With failover on and no fallback addresses of its own, the list is one of priorities: the first is the primary.
const client = createPooledClient([primary.address, backup.address], {
  failover: { enabled: true, failbackDelay: 300 },
  reconnect: { initialDelay: 50, maxDelay: 200 },
});
client.on('failover_started', ({ reason }) => console.log(`failing over: ${reason}`));
client.on('failover_completed', () => console.log('the backup serves'));
client.on('failback_scheduled', ({ delayMs }) => console.log(`the primary is back; failing back in ${delayMs} ms`));
const failedBack = new Promise((resolve) => client.once('failback_completed', resolve));

const tally = { allowed: 0, failed: 0 };
let running = true;
const load = Array.from({ length: 32 }, async () => {
  while (running) {
    try {
      const response = await client.check({
        principal: { id: 'alice', roles: ['viewer'] },
        resource: { kind: 'document', id: '42' },
        actions: ['read'],
      });
      if (isAllowed(response)) tally.allowed++;
    } catch {
      tally.failed++;
    }
  }
});

await delay(200);
await primary.stop({ graceMs: 0 });
await delay(500);
console.log(`the client is ${client.getState()}`);
primary = await startEngine({ policies, port });
await failedBack;
await delay(200);
console.log(`the client is ${client.getState()}`);

running = false;
await Promise.all(load);
console.log(`failed: ${tally.failed}; answered some: ${tally.allowed > 0}`);

await client.disconnect();
await Promise.all([primary.stop(), backup.stop()]);

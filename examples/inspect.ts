/** The client is statecharts: watch them. Counts what moves while it connects, and while it does 1,000 checks. */

import { createClient } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

let transitions = 0;
const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({
  address: engine.address,
  inspect: (event) => {
    if (event.type === '@xstate.snapshot') transitions++;
  },
});

await client.connect();
console.log(`connected: the client is ${client.getState()}`);
for (const { id, state } of client.getConnections()) console.log(`${id} is ${state}`);

const ask = () =>
  client.check({
    principal: { id: 'alice', roles: ['viewer'] },
    resource: { kind: 'document', id: '42' },
    actions: ['read'],
  });
await ask();

transitions = 0;
for (let index = 0; index < 1_000; index++) await ask();
console.log(`1,000 checks moved the statecharts ${transitions < 10 ? 'fewer than ten times' : `${transitions} times`}`);

await client.disconnect();
await engine.stop();

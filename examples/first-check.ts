/** One question, its answer, and what an answer is made of. Nothing to install: the engine runs in this process. */

import { createClient, Effect, isAllowed } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({ address: engine.address });

const alice = { id: 'alice', roles: ['editor'] };
const report = { kind: 'document', id: 'report', attributes: { owner: 'alice' } };

const response = await client.check({ principal: alice, resource: report, actions: ['read', 'delete', 'purge'] });
for (const [action, { effect, policy, rule, matched }] of response.results) {
  const verdict = effect === Effect.ALLOW ? 'allowed' : 'denied';
  console.log(`${action}: ${verdict} by ${matched ? `${policy ?? ''} / ${rule ?? ''}` : 'default'}`);
}
console.log(`may read: ${isAllowed(response, 'read')}, may do all three: ${isAllowed(response)}`);

// Many questions in one call. The answers come in the order of the questions; a broken one fails alone.
const answers = await client.checkBatch([
  { principal: alice, resource: report, actions: ['write'] },
  { principal: { id: 'bob', roles: [] }, resource: report, actions: ['write'] },
  { principal: alice, resource: report, actions: [] },
]);
for (const answer of answers) console.log(answer.error?.message ?? isAllowed(answer));

await client.disconnect();
await engine.stop();

/** A service's own tests, against a real engine with the service's own policies. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AuthzClient, createClient, isAllowed } from '@authz-engine/grpc-client';
import { type Engine, startEngine } from '@authz-engine/grpc-client/testing';

/** The code under test: it asks before it publishes. */
async function publish(client: AuthzClient, userId: string, roles: string[]): Promise<'published' | 'refused'> {
  const decision = await client.check({
    principal: { id: userId, roles },
    resource: { kind: 'document', id: 'draft', attributes: { owner: 'alice' } },
    actions: ['share'],
  });
  return isAllowed(decision) ? 'published' : 'refused';
}

void describe('publish', () => {
  let engine: Engine;
  let client: AuthzClient;

  before(async () => {
    engine = await startEngine({ policies: 'examples/policies' });
    client = createClient({ address: engine.address });
  });
  after(async () => {
    await client.disconnect();
    await engine.stop();
  });

  void test('the owner: publishes', async () => {
    assert.equal(await publish(client, 'alice', []), 'published');
  });

  void test('somebody else: is refused', async () => {
    assert.equal(await publish(client, 'bob', ['viewer']), 'refused');
  });
});

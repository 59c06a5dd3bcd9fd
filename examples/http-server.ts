/** A web service that asks before it answers. Whatever goes wrong with the question, the answer to the caller is no. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AuthzClientError, createClient, isAllowed } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({ address: engine.address, timeout: 1_000 });

const server = createServer((request, response) => {
  const caller = { id: 'alice', roles: [request.headers['x-role'] ?? ''].flat() };
  // A caller that hangs up needs no decision any more.
  const hungUp = new AbortController();
  response.once('close', () => hungUp.abort());

  void (async () => {
    try {
      const decision = await client.check(
        { principal: caller, resource: { kind: 'document', id: request.url ?? '/' }, actions: ['read'] },
        { signal: hungUp.signal, deadline: 500 },
      );
      if (isAllowed(decision)) response.writeHead(200).end('the document\n');
      else response.writeHead(403).end('no\n');
    } catch (error) {
      // No decision is no permission. `retryable` tells the caller whether asking again may help.
      const status = error instanceof AuthzClientError && error.retryable ? 503 : 500;
      response.writeHead(status).end('no decision\n');
    }
  })();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/reports/1`;

console.log('viewer:', (await fetch(url, { headers: { 'x-role': 'viewer' } })).status);
console.log('guest:', (await fetch(url, { headers: { 'x-role': 'guest' } })).status);
await engine.stop({ graceMs: 0 });
console.log('viewer, while no engine runs:', (await fetch(url, { headers: { 'x-role': 'viewer' } })).status);

server.close();
server.closeAllConnections();
await client.disconnect();

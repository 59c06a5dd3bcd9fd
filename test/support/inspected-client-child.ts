/**
 * A connected client with an inspector, in a process that has nothing else to do once it is told to go on. Arguments: `leaves` or `closes`,
 * address.
 */

import { once } from 'node:events';
import { createClient } from '../../src/index.js';
import { startInspector } from '../../src/inspect/index.js';

const [what = '', address = ''] = process.argv.slice(2);
const client = createClient({ address });
await client.connect();
const inspector = await startInspector(client);
process.stdout.write(`${JSON.stringify({ url: inspector.url, port: inspector.port })}\n`);
await once(process.stdin, 'data');
process.stdin.destroy();
if (what === 'closes') {
  await client.disconnect();
  await inspector.close();
  await inspector[Symbol.asyncDispose]();
  process.stdout.write('closed\n');
}

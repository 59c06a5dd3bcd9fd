/** A process that watches its client through a bridge, and closes neither. Argument: the engine's address. */

import { createClient } from '../../src/index.js';
import { createInspectBridge } from '../src/index.js';

const bridge = await createInspectBridge({ port: 0 });
process.stdout.write(`${bridge.server}\n`);
// Until the viewer is there.
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
const client = createClient({ address: process.argv[2] ?? '', inspect: bridge.inspect });
await client.check({
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'note', id: 'n1' },
  actions: ['read'],
});

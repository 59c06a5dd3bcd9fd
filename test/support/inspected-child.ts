/** A process that watches its client with @statelyai/inspect, and stops both. Arguments: the viewer's address, the engine's. */

import { createWebSocketInspector } from '@statelyai/inspect';
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { createClient } from '../../src/index.js';

const [url = '', address = ''] = process.argv.slice(2);
const inspector = createWebSocketInspector({ url });
// One that is stopped before it is connected tries again for ever.
await once((inspector.adapter as unknown as { ws: WebSocket }).ws, 'open');
const client = createClient({ address, inspect: inspector.inspect });
await client.check({
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'note', id: 'n1' },
  actions: ['read'],
});
await client.disconnect();
inspector.stop();
process.stdout.write('stopped\n');

/** A dump of a real client that found nobody, in virtual time: the same at every run. */

import { createSeededRandom } from '../../src/core/random.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { AuthzClient, type FlightDump, type PooledClientOptions, type Transport } from '../../src/index.js';

/** Dials nobody. */
const transport: Transport = {
  name: 'none',
  connect: () => {
    throw new Error('nobody is dialled');
  },
};

/** Two endpoints and a stream, looked at after so many virtual milliseconds, as it is read from a file. */
export async function dumpOfNobody(ms: number, options: PooledClientOptions = {}): Promise<FlightDump> {
  const clock = new VirtualClock();
  const client = new AuthzClient(
    {
      transport,
      clock,
      random: createSeededRandom(1),
      failover: { enabled: true },
      healthCheck: { enabled: false },
      ...options,
    },
    ['127.0.0.1:1', '127.0.0.1:2'],
  );
  client.on('error', () => undefined);
  client.connect().catch(() => undefined);
  client.createBidirectionalStream({ onResponse: () => undefined, onError: () => undefined, onEnd: () => undefined });
  // What waits for microtasks gets to run, as it would between two turns.
  for (let step = 0; step < 20; step++) {
    clock.advance(ms / 20);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const dump = JSON.parse(JSON.stringify(client.dump())) as FlightDump;
  await client.disconnect({ force: true });
  return dump;
}

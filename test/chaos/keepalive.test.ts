/** A real server of another make that has enough of being pinged. */

import { expect } from 'vitest';

import { question } from '../support/fault-engine.js';
import { eventually } from '../support/recorder.js';
import { Etcd, watchingTransport, type ConnectionRecord } from './support/etcd.js';
import { testWith } from '../support/needs.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
/** A client may ping once a second: every 600 ms is too often, and half as often is not. */
const MIN_PING_MS = 1_000;
const KEEP_ALIVE_MS = 600;
/** One too early is forgiven, and so is the next; whoever goes on as before is told off with the fourth. */
const PINGS_TOLD_OFF = 4;

testWith('etcd')(
  'row 16: etcd is pinged more often than it allows: it says too_many_pings, and the next connection is pinged half as often, which it bears',
  async () => {
    const etcd = await Etcd.start(MIN_PING_MS);
    yard.afterwards(() => etcd.close());
    const connections: ConnectionRecord[] = [];
    const { client, events } = yard.client({
      address: etcd.address,
      transport: watchingTransport(connections),
      timeout: 60_000,
      keepAliveInterval: KEEP_ALIVE_MS,
      healthCheck: { enabled: false },
    });
    const ended = client.check(question(1)).catch((error: unknown) => error);
    await eventually(() => connections.length === 2, 'a second connection', 30_000);
    const [first, second] = connections;
    expect(first?.goaways).toMatchObject([{ reason: 'GOAWAY ENHANCE_YOUR_CALM: too_many_pings', tooManyPings: true }]);
    expect(first?.pings).toBeGreaterThanOrEqual(PINGS_TOLD_OFF);
    await eventually(() => (second?.pings ?? 0) >= 2 * PINGS_TOLD_OFF, 'twice as many pings', 30_000);
    expect(second?.goaways).toEqual([]);
    expect(connections).toHaveLength(2);
    expect(events.of('error')).toEqual([]);

    await client.disconnect({ force: true });
    // It was owed all along, and moved with the connection.
    expect(await ended).toMatchObject({ name: 'CancelledError', outcome: 'unknown' });
  },
);

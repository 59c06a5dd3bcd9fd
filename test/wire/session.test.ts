/** Rows 32 and 45: a peer that breaks HTTP/2 itself, and one without health. */

import { expect } from 'vitest';

import { isAllowed } from '../../src/index.js';
import { HeldClock } from '../support/held-clock.js';
import { FrameType, type RawConnection } from '../support/raw-server.js';
import { nextEvent, questions } from '../support/stage.js';
import { ask, describeRows } from './rows.js';

/** Breaches that end the whole connection (RFC 9113). */
const BREACHES: readonly (readonly [string, (peer: RawConnection) => void])[] = [
  ['a WINDOW_UPDATE of nothing', (peer) => peer.windowUpdate(0, 0)],
  ['a window beyond 2^31', (peer) => peer.windowUpdate(0, 2 ** 31 - 1)],
  ['headers of a call that was never opened', (peer) => peer.headers(2)],
  ['RST_STREAM of a call that was never opened', (peer) => peer.rst(99, 0)],
  ['SETTINGS of five bytes', (peer) => peer.send(FrameType.SETTINGS, 0, 0, Buffer.alloc(5))],
  ['PING of seven bytes', (peer) => peer.send(FrameType.PING, 0, 0, Buffer.alloc(7))],
  ['DATA on no stream', (peer) => peer.send(FrameType.DATA, 0, 0, Buffer.alloc(3))],
  ['a frame of 32 KiB', (peer) => peer.send(FrameType.DATA, 0, 1, Buffer.alloc(32_768))],
  ['headers that do not decode', (peer) => peer.send(FrameType.HEADERS, 0x4, 1, Buffer.alloc(6, 0xff))],
];

describeRows('a connection that the peer breaks', ({ row, server: listen, client: connect }) => {
  for (const [what, breach] of BREACHES) {
    row(
      `row 32: checks under way + ${what}: the session is destroyed, and they are asked again on the next`,
      async () => {
        const server = await listen();
        // Neither a ping nor a deadline would come to help.
        const client = connect(server, { keepAliveInterval: 600_000, timeout: 600_000 });
        const failed = nextEvent(client, 'pool_connection_failed');
        const asked = questions(3).map((one) => ask(client, one));
        const { connection: first } = await server.request(2);
        server.onRequest = server.answer;
        breach(first);
        expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
        expect(server.ids.slice(3)).toEqual(server.ids.slice(0, 3));
        expect(server.raw.connections).toHaveLength(2);
        expect((await failed).error.message).toMatch(/protocol|flow control|session/i);
        await first.until(() => first.closed, 'the end of the broken connection');
        // The peer was told why.
        expect(first.frames.some(({ type }) => type === FrameType.GOAWAY)).toBe(true);
      },
    );
  }

  row('row 32: a server that only is slow + answers overdue: its connection is kept, and no ping is sent', async () => {
    const clock = new HeldClock();
    const server = await listen();
    const client = connect(server, { clock, timeout: 600_000 });
    const asked = ask(client);
    const first = await server.request(0);
    const { frames } = first.connection;
    const settings = (): number =>
      frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === 0).length;
    clock.advance(400);
    // Looked into: beside those at the start there are empty SETTINGS.
    await first.connection.until(() => settings() === 2, 'the second SETTINGS');
    clock.advance(1_000);
    server.answer(first);
    expect(isAllowed(await asked)).toBe(true);
    expect([settings(), server.raw.connections.length]).toEqual([2, 1]);
    expect(frames.some(({ type }) => type === FrameType.PING)).toBe(false);
  });
});

describeRows('a server without the health service', ({ row, server: listen, client: connect }) => {
  row('row 45: health checks + UNIMPLEMENTED: its connection stands in for it, and checks go on', async () => {
    const server = await listen({ onRequest: (received, server) => server.answer(received) });
    const client = connect(server, { healthCheck: { enabled: true, interval: 50, unhealthyThreshold: 1 } });
    const states: string[] = [];
    client.on('connection_state_change', ({ state }) => states.push(state));
    await client.connect();
    expect(await client.checkHealth()).toMatchObject({
      status: 'serving',
      details: { source: 'connectivity' },
      consecutiveFailures: 0,
    });
    // Watch, the one above, and periodic ones, which get the same answer.
    await server.until(() => server.others.length >= 5, 'periodic health checks');
    expect(isAllowed(await ask(client))).toBe(true);
    expect(states.filter((state) => state === 'transient_failure')).toEqual([]);
    expect(server.raw.connections).toHaveLength(1);
  });

  row(
    'row 45: one of two servers without health + it dies: the other takes over, as if it had been watched',
    async () => {
      const first = await listen({ onRequest: (received, server) => server.answer(received) }, 'first');
      const second = await listen({ onRequest: (received, server) => server.answer(received) }, 'second');
      const client = connect(first, {
        healthCheck: { enabled: true },
        failover: { enabled: true, fallbackAddresses: [second.address] },
      });
      expect((await ask(client)).results.get('read')?.policy).toBe('first');
      const moved = nextEvent(client, 'failover_completed');
      await first.close();
      await moved;
      expect((await ask(client)).results.get('read')?.policy).toBe('second');
    },
  );
});

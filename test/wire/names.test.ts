/** Row 38: names that lead elsewhere, or nowhere. */

import { expect } from 'vitest';

import { ConnectionError, GrpcCode, isAllowed } from '../../src/index.js';
import { createHttp2Transport } from '../../src/transport/http2.js';
import type { RawAuthzServer } from '../support/fault-raw-authz.js';
import { HeldClock } from '../support/held-clock.js';
import { eventually } from '../support/recorder.js';
import { nextEvent, question, questions, Recorder, rejection } from '../support/stage.js';
import { ask, describeRows } from './rows.js';

const OLD = '127.0.0.1';
const NEW = '127.0.0.2';
/** How often a name is looked up again. */
const LOOKUP_MS = 30_000;

/** A resolver that says what it is told to. */
class Names {
  asked = 0;
  /** Undefined: there is no such name. */
  ips: readonly string[] | undefined;

  constructor(...ips: string[]) {
    this.ips = ips;
  }

  readonly lookup = (name: string): Promise<readonly string[]> => {
    this.asked += 1;
    if (this.ips !== undefined) return Promise.resolve(this.ips);
    return Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }));
  };
}

const portOf = ({ raw }: RawAuthzServer): number => raw.port;
const addressOf = (server: RawAuthzServer): { address: string } => ({ address: `engine.test:${portOf(server)}` });

describeRows('a server known by its name', ({ row, server: listen, client: connect }) => {
  /** Two servers of one port, the first of which has the name. */
  async function open(options: Parameters<typeof connect>[1] = {}) {
    const clock = new HeldClock();
    const names = new Names(OLD);
    const old = await listen({}, 'old');
    const young = await listen({ host: NEW, port: portOf(old) }, 'young');
    const transport = createHttp2Transport({ lookup: names.lookup });
    const client = connect(addressOf(old), { clock, transport, tls: false, timeout: 600_000, ...options });
    await client.connect();
    /** The name is looked up again. */
    const lookAgain = async (): Promise<void> => {
      const { asked } = names;
      clock.advance(LOOKUP_MS);
      await eventually(() => names.asked > asked, 'a look-up');
    };
    return { clock, names, old, young, client, lookAgain };
  }

  row(
    'row 38: checks and a handle on one server + the name, by an injected lookup, comes to lead to another: the old answers what it was asked and is let go, the new is asked the rest',
    async () => {
      const { names, old, young, client, lookAgain } = await open();
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream(recorder);
      handle.send(question());
      const early = questions(3).map((one) => ask(client, one));
      const { connection } = await old.request(3);
      names.ips = [NEW];
      const moved = nextEvent(client, 'pool_connection_created');
      await lookAgain();
      await moved;
      // In the same turn of the loop the old one takes no more.
      handle.send(question());
      const late = questions(3).map((one) => ask(client, one));
      await young.request(3);
      expect([old.received.length, connection.closed]).toEqual([4, false]);

      for (const server of [old, young]) for (const received of server.received) server.answer(received);
      expect((await Promise.all([...early, ...late])).every((one) => isAllowed(one))).toBe(true);
      await recorder.answered(2);
      expect(recorder.failures).toEqual([]);
      await connection.until(() => connection.closed, 'the old connection to be closed');
      expect([old.received.length, young.received.length, client.getState()]).toEqual([4, 4, 'open']);
      expect(client.getConnections()).toHaveLength(1);
    },
  );

  row(
    'row 38: a connection + the name, by an injected lookup, comes to lead to nobody who listens: the old goes on until somebody does',
    async () => {
      const { clock, names, old, young, client, lookAgain } = await open();
      old.onRequest = old.answer;
      young.onRequest = young.answer;
      // Nobody is there.
      names.ips = ['127.0.0.3'];
      const refused = nextEvent(client, 'pool_connection_failed');
      await lookAgain();
      expect((await refused).error.message).toContain('ECONNREFUSED');
      expect(isAllowed(await ask(client))).toBe(true);
      expect(client.isConnected()).toBe(true);
      // Told once more, it has one on its way already.
      await lookAgain();
      expect(old.received).toHaveLength(1);
      names.ips = [NEW];
      await eventually(() => {
        clock.advance(1_000);
        return young.raw.connections.length > 0;
      }, 'the next dial');
      await eventually(() => client.getConnections().length === 1, 'the old connection to be let go');
      expect((await ask(client)).results.get('read')?.policy).toBe('young');
      expect([old.raw.connections.length, young.raw.connections.length]).toEqual([1, 1]);
    },
  );

  row(
    'row 38: a connection + the name, by an injected lookup, is known no more, or leads to others as well: the connection stays, and nothing is dialled',
    async () => {
      const { names, old, young, client, lookAgain } = await open();
      for (const ips of [undefined, [], [NEW, OLD]]) {
        names.ips = ips;
        await lookAgain();
        await lookAgain();
      }
      old.onRequest = old.answer;
      expect(isAllowed(await ask(client))).toBe(true);
      expect([old.raw.connections.length, young.raw.connections.length]).toEqual([1, 0]);
      expect(client.getConnections()).toHaveLength(1);
    },
  );

  row(
    'row 38: the name, by an injected lookup, is known no more + the last connection is lost: UNAVAILABLE that names it, and answers when it is known again',
    async () => {
      const { clock, names, old, client } = await open();
      const { connections } = old.raw;
      names.ips = undefined;
      const gone = nextEvent(client, 'disconnected');
      connections[0]?.socket.resetAndDestroy();
      await eventually(() => {
        clock.advance(10);
        return !client.isConnected();
      }, 'the loss');
      await gone;
      const asked = ask(client, question(), { deadline: 1_000 });
      await eventually(() => {
        clock.advance(100);
        return client.getStats().failedRequests === 1;
      }, 'the deadline');
      const error = await rejection(asked, ConnectionError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
      expect(error.message).toContain('ENOTFOUND engine.test');
      old.onRequest = old.answer;
      const waiting = ask(client);
      names.ips = [OLD];
      await eventually(() => {
        clock.advance(100);
        return client.isConnected();
      }, 'the next dial');
      expect(isAllowed(await waiting)).toBe(true);
    },
  );

  row('row 38: a primary whose name nobody knows + a backup: the backup answers', async () => {
    const backup = await listen({ onRequest: (received, server) => server.answer(received) }, 'backup');
    // Reserved for names that never are (RFC 6761).
    const client = connect(
      { address: 'nobody.invalid:1' },
      { tls: false, failover: { enabled: true, fallbackAddresses: [backup.address] } },
    );
    const failed = nextEvent(client, 'pool_connection_failed');
    expect((await ask(client)).results.get('read')?.policy).toBe('backup');
    expect(await failed).toMatchObject({ address: 'nobody.invalid:1' });
    expect(client.getState()).toBe('failedOver');
  });

  row('row 38: the only server, of a name that nobody knows: UNAVAILABLE, notSent, that names it', async () => {
    const client = connect({ address: 'nobody.invalid:1' }, { tls: false });
    const error = await rejection(ask(client, question(), { deadline: 500 }), ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
    expect(error.message).toContain('nobody.invalid');
  });
});

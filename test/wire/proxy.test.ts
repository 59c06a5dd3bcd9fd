/** What can happen to TCP between a client and a server that is well: rows 5 and 12, and others by way of the same proxy. */

import { expect } from 'vitest';

import { ConnectionError, type AuthzClientOptions, GrpcCode, isAllowed, TimeoutError } from '../../src/index.js';
import { TcpProxy, type Toxic } from '../support/fault-proxy.js';
import type { RawAuthzServer } from '../support/fault-raw-authz.js';
import { clientSocketsTo } from '../support/sockets.js';
import { nextEvent, question, questions, Recorder, rejection } from '../support/stage.js';
import { ask, describeRows } from './rows.js';

describeRows('a proxy between client and server', ({ row, stage, server: listen, client: connect }) => {
  async function proxied(name = 'raw'): Promise<{ server: RawAuthzServer; proxy: TcpProxy }> {
    const server = await listen({ onRequest: (received, server) => server.answer(received) }, name);
    const proxy = await TcpProxy.listen(() => server.raw.port);
    stage.onEnd(() => proxy.close());
    return { server, proxy };
  }

  row(
    'row 5: a check + a link that swallows everything: found by keepalive, asked again on the next link, and answered',
    async () => {
      const { server, proxy } = await proxied();
      const client = connect(proxy, { keepAliveInterval: 50, keepAliveTimeout: 50, timeout: 60_000 });
      expect(isAllowed(await ask(client))).toBe(true);
      proxy.poison({ type: 'timeout' }, 'open');
      const lost = nextEvent(client, 'pool_connection_failed');
      const asked = question();
      expect(isAllowed(await ask(client, asked))).toBe(true);
      expect((await lost).error.message).toContain('keepalive');
      // The first asking was swallowed.
      expect(server.ids.filter((id) => id === asked.requestId)).toHaveLength(1);
      expect(proxy.accepted).toBe(2);
    },
  );

  row(
    'row 5: a check + a primary behind a blackhole, with a backup: found by the age of what is owed, and asked there',
    async () => {
      const { proxy } = await proxied('primary');
      const backup = await proxied('backup');
      const options: Omit<AuthzClientOptions, 'address'> = {
        keepAliveInterval: 600_000,
        timeout: 60_000,
        healthCheck: { enabled: true },
        failover: { enabled: true, fallbackAddresses: [backup.proxy.address] },
      };
      const client = connect(proxy, options);
      const first = await ask(client);
      expect(first.results.get('read')?.policy).toBe('primary');
      proxy.poison({ type: 'timeout' });
      const response = await ask(client);
      expect(response.results.get('read')?.policy).toBe('backup');
      expect(client.getState()).toBe('failedOver');
    },
  );

  row(
    'row 12: checks and a handle + every byte by itself, both ways: all are answered, in order, each asked once',
    async () => {
      const { server, proxy } = await proxied();
      proxy.poison({ type: 'slicer', bytes: 1 });
      const client = connect(proxy, { timeout: 60_000 });
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream(recorder);
      const sent = questions(10);
      for (const one of sent) handle.send(one);
      const asked = questions(10);
      const responses = await Promise.all(asked.map((one) => ask(client, one)));
      expect(responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
      expect(responses.every((one) => isAllowed(one))).toBe(true);
      await recorder.answered(10);
      expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
      expect(server.received).toHaveLength(20);
      expect(proxy.accepted).toBe(1);
    },
  );

  for (const [what, toxic] of [
    ['a late link', { type: 'latency', ms: 20 }],
    ['a narrow link', { type: 'bandwidth', bytesPerSecond: 20_000 }],
  ] as const satisfies readonly (readonly [string, Toxic])[]) {
    row(
      `row 9: checks + ${what}: one with too short a deadline is DEADLINE_EXCEEDED, the others are answered`,
      async () => {
        const { server, proxy } = await proxied();
        const client = connect(proxy, { timeout: 60_000 });
        await client.connect();
        proxy.poison(toxic);
        const short = ask(client, question(), { deadline: 1 });
        const others = questions(5).map((one) => ask(client, one));
        expect(await rejection(short, TimeoutError)).toMatchObject({ grpcCode: GrpcCode.DEADLINE_EXCEEDED });
        expect((await Promise.all(others)).every((one) => isAllowed(one))).toBe(true);
        expect(isAllowed(await ask(client))).toBe(true);
        expect([server.raw.connections.length, proxy.accepted]).toEqual([1, 1]);
      },
    );
  }

  row('row 3: checks under way + RST: redialled at once, and asked again', async () => {
    const { server, proxy } = await proxied();
    const client = connect(proxy, { reconnect: { initialDelay: 60_000, maxDelay: 60_000 } });
    server.onRequest = () => undefined;
    const asked = questions(3).map((one) => ask(client, one));
    await server.request(2);
    server.onRequest = server.answer;
    proxy.reset();
    expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
    expect(server.ids.slice(3)).toEqual(server.ids.slice(0, 3));
    expect(proxy.accepted).toBe(2);
  });

  row('row 4: a check + FIN in the middle of the answer: asked again, and answered', async () => {
    const { server, proxy } = await proxied();
    const client = connect(proxy);
    await client.connect();
    // SETTINGS, and their acknowledgement, have come already: this is within the answer.
    proxy.poison({ type: 'limit_data', bytes: 60, direction: 'down' }, 'open');
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.received).toHaveLength(2);
    expect(proxy.accepted).toBe(2);
  });

  row('row 4: checks + FIN before headers: asked again on the next connection, and answered', async () => {
    const server = await listen();
    const client = connect(server);
    const asked = questions(3).map((one) => ask(client, one));
    const { connection } = await server.request(2);
    server.onRequest = server.answer;
    connection.socket.end();
    expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
    expect(server.ids.slice(3)).toEqual(server.ids.slice(0, 3));
    expect(server.raw.connections).toHaveLength(2);
  });

  row('row 4: a check + FIN before headers, with no retries: UNAVAILABLE, and nothing is proven', async () => {
    const server = await listen({ onRequest: ({ connection }) => void connection.socket.end() });
    const error = await rejection(ask(connect(server, { maxRetries: 0 })), ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
  });

  row('row 4: a policy reload + FIN before headers: UNAVAILABLE, unknown, and it is not made again', async () => {
    const server = await listen({
      onOther: ({ connection }) => {
        connection.socket.end();
      },
    });
    const client = connect(server);
    expect(await rejection(client.reloadPolicies(), ConnectionError)).toMatchObject({
      grpcCode: GrpcCode.UNAVAILABLE,
      outcome: 'unknown',
    });
    expect(server.others).toHaveLength(1);
  });

  row('row 8: a check + nobody listens: it waits, and is answered once somebody does', async () => {
    const { server, proxy } = await proxied();
    const client = connect(proxy);
    expect(isAllowed(await ask(client))).toBe(true);
    const gone = nextEvent(client, 'disconnected');
    await proxy.goDown();
    await gone;
    const waiting = ask(client);
    await nextEvent(client, 'pool_connection_failed');
    expect(server.received).toHaveLength(1);
    await proxy.comeUp();
    expect(isAllowed(await waiting)).toBe(true);
  });

  row(
    'row 8: a check + nobody listens to its deadline: UNAVAILABLE, notSent, redialled by backoff and not in a loop',
    async () => {
      const { proxy } = await proxied();
      const client = connect(proxy, { reconnect: { initialDelay: 60_000, maxDelay: 60_000 } });
      expect(isAllowed(await ask(client))).toBe(true);
      let failures = 0;
      client.on('pool_connection_failed', () => (failures += 1));
      const gone = nextEvent(client, 'disconnected');
      await proxy.goDown();
      await gone;
      const error = await rejection(ask(client, question(), { deadline: 300 }), ConnectionError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
      // The loss, and the one immediate redial.
      expect(failures).toBe(2);
    },
  );

  row(
    'row 49: disconnect() + a link whose other end closes late: it does not wait for that, and no socket stays',
    async () => {
      const { proxy } = await proxied();
      const client = connect(proxy);
      expect(isAllowed(await ask(client))).toBe(true);
      proxy.poison({ type: 'slow_close', ms: 60_000 });
      await client.disconnect();
      expect(clientSocketsTo(proxy.port)).toBe(0);
      expect(proxy.open).toBe(1);
    },
  );
});

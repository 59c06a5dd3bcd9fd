/** Rows 10, 11 and 23: peers that take little, applications that read slowly, and limits on calls. */

import { expect } from 'vitest';

import { BackpressureError, isAllowed, TimeoutError } from '../../src/index.js';
import { FrameType, type RawConnection } from '../support/raw-server.js';
import { question, Recorder, rejection } from '../support/stage.js';
import { ask, at, describeRows } from './rows.js';

const MAX_CONCURRENT_STREAMS = 3;
const INITIAL_WINDOW_SIZE = 4;
/** More than a transport may hold: see `frames.ts`. */
const FAR_TOO_MANY = 20_000;

const callsOn = ({ frames }: RawConnection): number => frames.filter(({ type }) => type === FrameType.HEADERS).length;
const acknowledged = ({ frames }: RawConnection): number =>
  frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === 1).length;

describeRows('flow control', ({ row, server: listen, client: connect }) => {
  row(
    'row 10: a handle + a window of nothing: it pauses, refuses beyond its buffer, and sends all once the window opens',
    async () => {
      const server = await listen({ settings: { [INITIAL_WINDOW_SIZE]: 0 } });
      // On one call, however many there are.
      const client = connect(server, { timeout: 60_000, streams: { maxRequestsPerStream: 1_000_000 } });
      await client.connect();
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream(recorder, {
        lowWaterMark: 10,
        highWaterMark: 20,
        maxBufferSize: 40,
      });
      const accepted: string[] = [];
      while (accepted.length < FAR_TOO_MANY) {
        const one = question();
        if (!handle.send(one)) break;
        accepted.push(one.requestId);
        // The call is opened first: then it is the window that holds things up.
        if (accepted.length === 1) await server.raw.connection(0).then((connection) => connection.call(0));
      }
      expect(accepted.length).toBeLessThan(FAR_TOO_MANY);
      expect(handle.isWritable()).toBe(false);
      expect(handle.getStats().bufferSize).toBe(40);
      expect(await rejection(handle.check(question()), BackpressureError)).toMatchObject({ outcome: 'notSent' });
      await recorder.until(() => recorder.pauses.at(-1) === true, 'backpressure');
      expect(server.received).toEqual([]);

      const connection = await server.raw.connection(0);
      server.onRequest = server.answer;
      // Of the connection, and of every call.
      connection.windowUpdate(0, 2 ** 30);
      connection.settings({ [INITIAL_WINDOW_SIZE]: 2 ** 30 });
      await recorder.answered(accepted.length);
      expect(server.ids).toEqual(accepted);
      expect(recorder.log.filter((entry) => !entry.startsWith('!'))).toEqual(accepted);
      expect(recorder.pauses.at(-1)).toBe(false);
    },
  );

  row(
    'row 11: a handle whose application does not read: the peer is held back, and checks and health are not',
    async () => {
      const server = await listen();
      const client = connect(server);
      const slow = new Recorder();
      const handle = client.createBidirectionalStream(slow, { lowWaterMark: 1, highWaterMark: 2, maxBufferSize: 4 });
      handle.pause();
      for (let count = 0; count < 4; count += 1) handle.send(question());
      const { connection, streamId } = await server.request(3);
      server.onRequest = server.answer;
      for (const received of server.received) server.answer(received);
      expect(isAllowed(await ask(client))).toBe(true);
      expect(slow.responses).toEqual([]);
      expect(client.getState()).toBe('open');
      handle.resume();
      await slow.answered(4);
      expect(slow.log).toEqual(server.ids.slice(0, 4));
      expect([connection.closed, streamId]).toEqual([false, at(server.received, 0).streamId]);
    },
  );
});

describeRows("the peer's limit on calls", ({ row, transport, server: listen, client: connect }) => {
  row('row 23: one call allowed, a handle on it + a check: another connection', async () => {
    const server = await listen({
      settings: { [MAX_CONCURRENT_STREAMS]: 1 },
      onRequest: (received, server) => server.answer(received),
    });
    const client = connect(server);
    const recorder = new Recorder();
    client.createBidirectionalStream(recorder).send(question());
    await recorder.answered(1);
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.raw.connections.map(callsOn)).toEqual([1, 1]);
  });

  row(
    'row 23: one call allowed, every connection taken + another handle: DEADLINE_EXCEEDED, notSent, that names the limit',
    async () => {
      const server = await listen({ settings: { [MAX_CONCURRENT_STREAMS]: 1 } });
      const client = connect(server, { connectionPool: { maxConnections: 1 } });
      const first = client.createBidirectionalStream(new Recorder());
      first.check(question()).catch(() => undefined);
      await server.request(0);
      const second = client.createBidirectionalStream(new Recorder());
      const error = await rejection(second.check(question(), { deadline: 150 }), TimeoutError);
      expect(error).toMatchObject({ grpcCode: 4, outcome: 'notSent' });
      expect(error.message).toMatch(/limit of concurrent streams.*allows 1/);
      expect(server.received).toHaveLength(1);
    },
  );

  row(
    'row 23: one call allowed + a limit of none: calls under way go on, new ones wait, and go out when it is lifted',
    async () => {
      const server = await listen({ settings: { [MAX_CONCURRENT_STREAMS]: 1 } });
      const client = connect(server, { connectionPool: { maxConnections: 1 } });
      const first = ask(client);
      const { connection } = await server.request(0);
      connection.settings({ [MAX_CONCURRENT_STREAMS]: 0 });
      await connection.until(() => acknowledged(connection) === 2, 'the new limit to be taken');
      server.answer(await server.request(0));
      expect(isAllowed(await first)).toBe(true);
      // On the call that there is.
      const second = ask(client);
      server.answer(await server.request(1));
      expect(isAllowed(await second)).toBe(true);

      const other = client.createBidirectionalStream(new Recorder());
      const waiting = other.check(question());
      waiting.catch(() => undefined);
      const third = ask(client);
      server.answer(await server.request(2));
      expect(isAllowed(await third)).toBe(true);
      expect(callsOn(connection)).toBe(1);
      server.onRequest = server.answer;
      connection.settings({ [MAX_CONCURRENT_STREAMS]: 5 });
      await connection.until(() => acknowledged(connection) === 3, 'the new limit to be taken');
      // grpc-js hears of a new limit with the next call.
      if (transport === 'grpc-js')
        await ask(client, question(), { metadata: { 'x-alone': 'yes' } }).catch(() => undefined);
      expect(isAllowed(await waiting)).toBe(true);
      expect(server.raw.connections).toHaveLength(1);
    },
  );
});

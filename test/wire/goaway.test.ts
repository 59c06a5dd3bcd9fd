/** Rows 13 to 16: a peer that takes no more calls on a connection. */

import { expect } from 'vitest';

import { HeldClock } from '../support/held-clock.js';
import { FrameType, type RawConnection } from '../support/raw-server.js';
import { eventually } from '../support/recorder.js';
import { question, questions, Recorder, rejection } from '../support/stage.js';
import { ConnectionError, isAllowed } from '../../src/index.js';
import { RstCode } from '../../src/transport/status.js';
import { ask, describeRows } from './rows.js';

const ALL_CALLS = 2 ** 31 - 1;

const pings = (connection: RawConnection): number =>
  connection.frames.filter(({ type, flags }) => type === FrameType.PING && flags === 0).length;

describeRows('GOAWAY', ({ row, server: listen, client: connect }) => {
  row(
    'row 13: checks under way + GOAWAY above their call: the old are answered there, the new go elsewhere',
    async () => {
      const server = await listen();
      const client = connect(server);
      const old = questions(3).map((one) => ask(client, one));
      const { connection: first } = await server.request(2);
      first.goaway(ALL_CALLS);
      const second = await server.raw.connection(1);
      const young = questions(3).map((one) => ask(client, one));
      await server.request(5);
      expect(server.received.map(({ connection }) => connection)).toEqual([
        first,
        first,
        first,
        second,
        second,
        second,
      ]);
      expect(first.closed).toBe(false);
      for (const received of server.received.toReversed()) server.answer(received);
      expect((await Promise.all([...old, ...young])).every((one) => isAllowed(one))).toBe(true);
      expect(server.received).toHaveLength(6);
      await first.until(() => first.closed, 'the drained connection to be closed');
      expect(client.getState()).toBe('open');
    },
  );

  row(
    'row 13: a handle with answers owed + GOAWAY above its call: it moves, keeps its id, and loses nothing',
    async () => {
      const server = await listen();
      const client = connect(server);
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream(recorder);
      const id = handle.getId();
      for (const one of questions(2)) handle.send(one);
      const { connection: first } = await server.request(1);
      first.goaway(ALL_CALLS);
      await server.raw.connection(1);
      // Whichever call it rides on by now: what is sent is answered.
      await eventually(() => client.getConnections().some(({ state }) => state === 'open'), 'the next connection');
      handle.send(question());
      const { connection } = await server.request(2);
      expect(connection).toBe(server.raw.connections[1]);
      for (const received of server.received.toReversed()) server.answer(received);
      await recorder.answered(3);
      expect(recorder.log).toEqual(server.ids);
      expect(handle.getId()).toBe(id);
    },
  );

  row('row 14: checks under way + GOAWAY below their call: asked again on the next connection, at once', async () => {
    const server = await listen();
    // A backoff that no test would wait for: only an immediate redial and resend pass.
    const client = connect(server, { retryDelay: 60_000, reconnect: { initialDelay: 60_000, maxDelay: 60_000 } });
    const asked = questions(3).map((one) => ask(client, one));
    const { connection } = await server.request(2);
    server.onRequest = server.answer;
    connection.goaway(0);
    expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
    expect(server.ids.slice(3)).toEqual(server.ids.slice(0, 3));
    expect(server.raw.connections).toHaveLength(2);
  });

  row(
    'row 14: a policy reload under way + GOAWAY below its call: made again, for it was proven not processed',
    async () => {
      const server = await listen({
        onOther: (received) => {
          if (received.connection === server.raw.connections[0]) received.connection.goaway(0);
          else server.send(received, Buffer.from([8, 1]));
        },
      });
      const client = connect(server);
      expect(await client.reloadPolicies()).toMatchObject({ success: true });
      expect(server.others).toHaveLength(2);
    },
  );

  row(
    'row 14: a policy reload under way + GOAWAY above its call and the end: an error, and it is not made again',
    async () => {
      const server = await listen({
        onOther: ({ connection }) => {
          connection.goaway(ALL_CALLS);
          connection.socket.end();
        },
      });
      const client = connect(server);
      expect(await rejection(client.reloadPolicies(), ConnectionError)).toMatchObject({ outcome: 'unknown' });
      expect(server.others).toHaveLength(1);
    },
  );

  row(
    'row 15: a check + GOAWAY on every connection: moved transparently, then UNAVAILABLE, and redialled by backoff',
    async () => {
      const server = await listen({
        onRequest: ({ connection }) => {
          connection.goaway(0);
        },
      });
      const client = connect(server, {
        maxRetries: 3,
        reconnect: { initialDelay: 60_000, maxDelay: 60_000 },
        timeout: 400,
      });
      const error = await rejection(ask(client), ConnectionError);
      expect(error).toMatchObject({ grpcCode: 14, retryable: true });
      // The first and the one that replaced it at once; from then on by backoff, whatever is asked.
      await Promise.allSettled(questions(20).map((one) => ask(client, one)));
      expect(server.raw.connections.length).toBeLessThanOrEqual(3);
    },
  );

  row('row 15: GOAWAY on every connection + the server heals: the waiting check is answered', async () => {
    let isSick = true;
    const server = await listen({
      onRequest: (received) => {
        if (isSick) received.connection.goaway(0);
        else server.answer(received);
      },
    });
    const client = connect(server, { maxRetries: 100 });
    const asked = ask(client);
    await server.raw.connection(2);
    isSick = false;
    expect(isAllowed(await asked)).toBe(true);
  });

  row(
    'row 16: pings + GOAWAY ENHANCE_YOUR_CALM too_many_pings: half as many to that server, on its next connections too',
    async () => {
      const clock = new HeldClock();
      const server = await listen();
      const client = connect(server, { clock, keepAliveInterval: 1_000, keepAliveTimeout: 60_000, timeout: 300_000 });
      const first = ask(client);
      const { connection: strict } = await server.request(0);
      clock.advance(900);
      expect(pings(strict)).toBe(0);
      clock.advance(300);
      await strict.until(() => pings(strict) === 1, 'a ping');
      strict.goaway(ALL_CALLS, RstCode.ENHANCE_YOUR_CALM, 'too_many_pings');

      // It was lost with its connection, and is asked again on the next.
      const { connection: next } = await server.request(1);
      clock.advance(1_900);
      const probe = ask(client);
      await server.request(2);
      expect(pings(next)).toBe(0);
      clock.advance(300);
      await next.until(() => pings(next) === 1, 'a ping after twice the interval');
      next.socket.resetAndDestroy();
      await eventually(() => {
        // Of backoffs; too little to be mistaken for silence.
        clock.advance(5);
        return server.received.length === 5;
      }, 'the third connection, and all that is owed on it');
      const third = await server.raw.connection(2);
      clock.advance(1_500);
      server.onRequest = server.answer;
      expect(isAllowed(await ask(client))).toBe(true);
      expect(pings(third)).toBe(0);
      for (const received of server.received.slice(3, 5)) server.answer(received);
      await Promise.all([first, probe]);
    },
  );

  row('row 16: GOAWAY ENHANCE_YOUR_CALM for another reason: pinged as often as before', async () => {
    const clock = new HeldClock();
    const server = await listen();
    const client = connect(server, { clock, keepAliveInterval: 1_000, keepAliveTimeout: 60_000, timeout: 300_000 });
    const asked = ask(client);
    const { connection: strict } = await server.request(0);
    strict.goaway(ALL_CALLS, RstCode.ENHANCE_YOUR_CALM, 'too many requests');
    const { connection: next } = await server.request(1);
    clock.advance(1_200);
    await next.until(() => pings(next) === 1, 'a ping');
    server.answer(await server.request(1));
    expect(isAllowed(await asked)).toBe(true);
  });
});

/** Rows 17 to 22: RST_STREAM, by its code. */

import { expect } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import {
  type AuthzClientError,
  CancelledError,
  ConnectionError,
  GrpcCode,
  isAllowed,
  ProtocolError,
  TimeoutError,
} from '../../src/index.js';
import { RstCode } from '../../src/transport/status.js';
import type { RawAuthzServer } from '../support/fault-raw-authz.js';
import { nextEvent, question, questions, Recorder, rejection } from '../support/stage.js';
import { ask, describeRows } from './rows.js';

/** Per-call metadata makes a check a call of its own. */
const ALONE = { metadata: { 'x-alone': 'yes' } } as const;

/** Resets the call of the first request, after headers or before; answers every other. */
async function resetFirst(server: RawAuthzServer, code: number, headers = false): Promise<void> {
  const first = await server.request(0);
  server.onRequest = server.answer;
  server.leave(first);
  if (headers) server.begin(first);
  first.connection.rst(first.streamId, code);
}

describeRows('RST_STREAM', ({ row, server: listen, client: connect }) => {
  row(
    'row 17: checks under way + REFUSED_STREAM before headers: asked again on another call, and answered',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = questions(3).map((one) => ask(client, one));
      await server.request(2);
      await resetFirst(server, RstCode.REFUSED_STREAM);
      expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
      expect(server.ids.slice(3)).toEqual(server.ids.slice(0, 3));
      expect(server.raw.connections).toHaveLength(1);
    },
  );

  row(
    'row 17: a policy reload + REFUSED_STREAM before headers: made again, for it was proven not processed',
    async () => {
      const server = await listen({
        onOther: (received) => {
          if (server.others.length === 1) received.connection.rst(received.streamId, RstCode.REFUSED_STREAM);
          else server.send(received, Buffer.from([8, 1]));
        },
      });
      const client = connect(server);
      expect(await client.reloadPolicies()).toMatchObject({ success: true });
      expect(server.others).toHaveLength(2);
    },
  );

  row('row 17: a check + REFUSED_STREAM each time: UNAVAILABLE after maxRetries, refused', async () => {
    const server = await listen({
      onRequest: ({ connection, streamId }) => {
        connection.rst(streamId, RstCode.REFUSED_STREAM);
      },
    });
    const client = connect(server, { maxRetries: 2 });
    const error = await rejection(ask(client), ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'refused', retryable: true });
    expect(server.received).toHaveLength(3);
  });

  row('row 18: a check + REFUSED_STREAM after headers: UNAVAILABLE, and nothing is proven', async () => {
    const server = await listen();
    const client = connect(server, { maxRetries: 0 });
    const asked = ask(client);
    await resetFirst(server, RstCode.REFUSED_STREAM, true);
    expect(await rejection(asked, ConnectionError)).toMatchObject({
      grpcCode: GrpcCode.UNAVAILABLE,
      outcome: 'unknown',
    });
  });

  row('row 18: a policy reload + REFUSED_STREAM after headers: UNAVAILABLE, and it is not made again', async () => {
    const server = await listen({
      onOther: (received) => {
        server.begin(received);
        received.connection.rst(received.streamId, RstCode.REFUSED_STREAM);
      },
    });
    const client = connect(server);
    const error = await rejection(client.reloadPolicies(), ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
    expect(server.others).toHaveLength(1);
  });

  for (const name of ['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR'] as const) {
    row(`row 19: checks under way + ${name}: the stream is replaced, and the unanswered are asked again`, async () => {
      const server = await listen();
      const client = connect(server);
      const asked = questions(3).map((one) => ask(client, one));
      await server.request(2);
      server.answer(await server.request(1));
      await asked[1];
      await resetFirst(server, RstCode[name], true);
      expect((await Promise.all(asked)).every((one) => isAllowed(one))).toBe(true);
      const [first, , third] = server.ids;
      expect(server.ids.slice(3)).toEqual([first, third]);
      expect(server.raw.connections).toHaveLength(1);
    });

    row(`row 19: a check + ${name}, with no retries: INTERNAL, unknown`, async () => {
      const server = await listen();
      const client = connect(server, { maxRetries: 0 });
      const asked = ask(client);
      await resetFirst(server, RstCode[name]);
      expect(await rejection(asked, ProtocolError)).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'unknown' });
    });
  }

  row('row 19: a check that is a call of its own + INTERNAL_ERROR: asked again', async () => {
    const server = await listen();
    const client = connect(server);
    const asked = ask(client, question(), ALONE);
    await resetFirst(server, RstCode.INTERNAL_ERROR);
    expect(isAllowed(await asked)).toBe(true);
    expect(server.received).toHaveLength(2);
  });

  row('row 20: a check + CANCEL: CANCELLED, unknown, and it is not asked again', async () => {
    const server = await listen();
    const client = connect(server);
    const asked = ask(client);
    await resetFirst(server, RstCode.CANCEL);
    expect(await rejection(asked, CancelledError)).toMatchObject({ grpcCode: GrpcCode.CANCELLED, outcome: 'unknown' });
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.received).toHaveLength(2);
  });

  for (const [how, options] of [
    ['on a stream', {}],
    ['that is a call of its own', ALONE],
  ] as const) {
    row(`row 20: a check ${how} + CANCEL past its deadline: DEADLINE_EXCEEDED`, async () => {
      const server = await listen();
      let lateMs = 0;
      // The clock is past the deadline before the timer is.
      const clock = { ...systemClock, now: () => systemClock.now() + lateMs };
      const client = connect(server, { clock });
      const asked = ask(client, question(), options);
      await server.request(0);
      lateMs = 10_000;
      await resetFirst(server, RstCode.CANCEL);
      expect(await rejection(asked, TimeoutError)).toMatchObject({ grpcCode: GrpcCode.DEADLINE_EXCEEDED });
      expect(server.received).toHaveLength(1);
    });
  }

  row('row 21: a check + ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED, retryable, and not asked again at once', async () => {
    const server = await listen();
    const client = connect(server);
    const asked = ask(client);
    await resetFirst(server, RstCode.ENHANCE_YOUR_CALM);
    expect(await rejection(asked)).toMatchObject({
      grpcCode: GrpcCode.RESOURCE_EXHAUSTED,
      outcome: 'unknown',
      retryable: true,
    });
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.received).toHaveLength(2);
  });

  for (const [name, isPutOff] of [
    ['ENHANCE_YOUR_CALM', true],
    ['INTERNAL_ERROR', false],
  ] as const) {
    row(
      `row 21: a handle that has been answered + ${name}: its next call is ${isPutOff ? 'put off' : 'opened at once'}`,
      async () => {
        const server = await listen();
        const client = connect(server);
        const recorder = new Recorder();
        const handle = client.createBidirectionalStream(recorder);
        handle.send(question());
        const first = await server.request(0);
        server.answer(first);
        await recorder.answered(1);
        const reopening = nextEvent(client, 'stream_reconnecting');
        first.connection.rst(first.streamId, RstCode[name]);
        const { delayMs } = await reopening;
        expect(delayMs > 0).toBe(isPutOff);
        server.onRequest = server.answer;
        handle.send(question());
        await recorder.answered(2);
      },
    );
  }

  row(
    'row 22: checks + INADEQUATE_SECURITY: an error PERMISSION_DENIED, no decision, and not asked again',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = questions(2).map((one) => ask(client, one));
      await server.request(1);
      await resetFirst(server, RstCode.INADEQUATE_SECURITY);
      const errors: AuthzClientError[] = await Promise.all(asked.map((one) => rejection(one, ProtocolError)));
      for (const error of errors) {
        expect(error).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED, outcome: 'unknown', retryable: false });
      }
      expect(server.received).toHaveLength(2);
    },
  );

  row(
    'row 22: a check that is a call of its own + INADEQUATE_SECURITY: an error PERMISSION_DENIED, and not asked again',
    async () => {
      const server = await listen();
      const asked = ask(connect(server), question(), ALONE);
      await resetFirst(server, RstCode.INADEQUATE_SECURITY);
      const error = await rejection(asked, ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED, outcome: 'unknown', retryable: false });
      expect(server.received).toHaveLength(1);
    },
  );
});

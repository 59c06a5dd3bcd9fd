/** Rows 33 to 37: answers that are twice, for nobody, out of order, missing, or for something else. */

import { expect } from 'vitest';

import { runtimeOf } from '../../src/client.js';
import { Effect, GrpcCode, isAllowed, TimeoutError } from '../../src/index.js';
import { FrameType } from '../support/raw-server.js';
import { eventually } from '../support/recorder.js';
import { question, questions, Recorder, rejection } from '../support/stage.js';
import { allow, deny } from '../support/scripted-server.js';
import { ask, at, describeRows } from './rows.js';

describeRows('answers on a stream', ({ row, stage, options, server: listen, client: connect }) => {
  row(
    'row 33: three checks + a second, contrary answer to each: the first wins, and the others are counted and dropped',
    async () => {
      const server = await stage.server({
        onStreamRequest: (request, stream) => {
          stream.reply(allow(request));
          stream.reply(deny(request));
        },
      });
      const client = connect(server);
      for (const one of questions(3)) expect(isAllowed(await ask(client, one))).toBe(true);
      expect(server.streams).toHaveLength(1);
      const { counters } = runtimeOf(client).env;
      await eventually(() => counters.duplicateAnswers === 3, 'the second answers to be counted');
      expect(counters.unknownAnswers).toBe(0);
    },
  );

  row('row 34: a check + answers for ids nobody asked: counted and dropped, and its own answer counts', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        for (let index = 0; index < 10; index += 1) stream.reply(deny({ ...request, requestId: `nobody-${index}` }));
        stream.reply(allow(request));
      },
    });
    const client = connect(server);
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.streams).toHaveLength(1);
    expect(runtimeOf(client).env.counters).toMatchObject({ unknownAnswers: 10, duplicateAnswers: 0 });
  });

  row(
    'row 34: a check + more unknown answers than a call is trusted with: its stream is replaced, and it is asked again',
    async () => {
      const server = await stage.server({
        onStreamRequest: (request, stream) => {
          if (stream.index > 0) stream.reply(allow(request));
          else
            for (let index = 0; index < 101; index += 1)
              stream.reply(deny({ ...request, requestId: `nobody-${index}` }));
        },
      });
      const client = connect(server);
      expect(isAllowed(await ask(client))).toBe(true);
      await server.until(() => at(server.streams, 0).closed, 'the end of the first stream');
      expect(server.streams).toHaveLength(2);
      expect(at(server.streams, 1).requests).toHaveLength(1);
    },
  );

  row('row 35: checks + answers in the reverse order: each gets its own', async () => {
    const server = await listen();
    const client = connect(server);
    const asked = questions(20);
    const answers = asked.map((one) => ask(client, one));
    await server.request(19);
    for (const received of server.received.toReversed()) server.answer(received);
    expect((await Promise.all(answers)).map(({ requestId }) => requestId)).toEqual(
      asked.map(({ requestId }) => requestId),
    );
  });

  for (const ensureOrdering of [true, false]) {
    const then = ensureOrdering
      ? 'delivered in the order of sending'
      : 'delivered as they come, where that is asked for';
    row(`row 35: requests of a handle + answers in the reverse order: ${then}`, async () => {
      const server = await listen();
      const client = connect(server);
      client.configureAdvancedStreamOptions({ ensureOrdering });
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream(recorder);
      for (const one of questions(20)) handle.send(one);
      await server.request(19);
      for (const received of server.received.toReversed()) server.answer(received);
      await recorder.answered(20);
      expect(recorder.log).toEqual(ensureOrdering ? server.ids : server.ids.toReversed());
    });
  }

  row(
    'row 36: three checks + one answer missing: DEADLINE_EXCEEDED for that one only, on a stream that is kept',
    async () => {
      const server = await listen();
      const client = connect(server);
      const answers = [ask(client), ask(client, question(), { deadline: 100 }), ask(client)];
      const late = await server.request(1);
      server.answer(await server.request(0));
      server.answer(await server.request(2));
      expect(isAllowed(await at(answers, 0))).toBe(true);
      expect(isAllowed(await at(answers, 2))).toBe(true);
      expect(await rejection(at(answers, 1), TimeoutError)).toMatchObject({
        grpcCode: GrpcCode.DEADLINE_EXCEEDED,
        outcome: 'unknown',
      });
      // Its late answer is nobody's, and the call is neither reset nor left.
      server.answer(late);
      server.onRequest = server.answer;
      expect(isAllowed(await ask(client))).toBe(true);
      expect(server.received.map(({ streamId }) => streamId)).toEqual(new Array(4).fill(late.streamId));
      expect(late.connection.frames.filter(({ type }) => type === FrameType.RST_STREAM)).toEqual([]);
    },
  );

  row(
    'rows 9 and 36: a check that is a call of its own + no answer: DEADLINE_EXCEEDED, and the server is told',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = ask(client, question(), { metadata: { 'x-alone': 'yes' }, deadline: 100 });
      const { connection, streamId } = await server.request(0);
      expect(await rejection(asked, TimeoutError)).toMatchObject({ grpcCode: GrpcCode.DEADLINE_EXCEEDED });
      expect((await connection.frame(FrameType.RST_STREAM, streamId)).payload.readUInt32BE(0)).toBe(8);
    },
  );

  row(
    'row 37: two actions asked + an answer for others, and with one missing: only the asked count, the missing is UNSPECIFIED',
    async () => {
      const server = await stage.server({
        onStreamRequest: ({ requestId }, stream) =>
          stream.reply({
            requestId,
            results: {
              read: { effect: 1, matched: true },
              admin: { effect: 1, matched: true },
              toString: { effect: 1 },
            },
          }),
      });
      const client = stage.client(server, options({}));
      const response = await ask(client, question({ actions: ['read', 'write'] }));
      expect([...response.results.keys()]).toEqual(['read', 'write']);
      expect(response.results.get('write')).toMatchObject({ effect: Effect.UNSPECIFIED, matched: false });
      expect(isAllowed(response, 'read')).toBe(true);
      expect(isAllowed(response, 'write')).toBe(false);
      expect(isAllowed(response, 'admin')).toBe(false);
      expect(isAllowed(response)).toBe(false);
    },
  );

  row('row 37: one action asked + an empty answer: UNSPECIFIED, which is no allow', async () => {
    const server = await stage.server({ onStreamRequest: ({ requestId }, stream) => stream.reply({ requestId }) });
    const response = await ask(connect(server));
    expect(response.results.get('read')?.effect).toBe(Effect.UNSPECIFIED);
    expect(isAllowed(response)).toBe(false);
  });
});

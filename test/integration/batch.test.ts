import { describe, expect, test } from 'vitest';
import {
  AuthzClientError,
  CancelledError,
  type CheckInput,
  ConfigurationError,
  ConnectionError,
  Effect,
  GrpcCode,
  isAllowed,
  ProtocolError,
  TimeoutError,
} from '../../src/index.js';
import { allow, deny, ScriptedStatus } from '../support/scripted-server.js';
import { question, questions, rejection, useStage, withoutId } from '../support/stage.js';

const stage = useStage();

describe('checkBatch()', () => {
  test('against the embedded engine: one call, the answers in the order asked', async () => {
    const engine = await stage.engine();
    const client = stage.client(engine);
    const asked = [
      question({ actions: ['read'] }),
      question({ actions: ['delete'] }),
      question({ actions: ['read'], principal: { id: 'bob', roles: [] } }),
    ];
    const responses = await client.checkBatch(asked);
    expect(responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
    expect(responses.map((response) => isAllowed(response))).toEqual([true, false, false]);
    expect(responses.every(({ error }) => error === undefined)).toBe(true);
    expect(engine.stats).toMatchObject({ checks: 3, streams: 0 });
  });

  test('sends each item under its own request id', async () => {
    const server = await stage.server();
    await stage.client(server).checkBatch([question({ requestId: 'a' }), question({ requestId: 'b' })]);
    expect(server.batches[0]?.requests.map(({ requestId }) => requestId)).toEqual(['a', 'b']);
  });

  test('where the server answers out of order: still in the order asked', async () => {
    const server = await stage.server({
      onBatch: (requests) => ({
        responses: requests.map((one, index) => (index % 2 === 0 ? allow(one) : deny(one))).reverse(),
      }),
    });
    const asked = questions(6);
    const responses = await stage.client(server).checkBatch(asked);
    expect(responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
    expect(responses.map((response) => isAllowed(response))).toEqual([true, false, true, false, true, false]);
  });

  test('with one id twice: each gets its own answer under the asked id', async () => {
    const server = await stage.server({
      onBatch: (requests) => ({ responses: requests.map((one) => allow(one)).reverse() }),
    });
    const responses = await stage
      .client(server)
      .checkBatch([question({ requestId: 'x', actions: ['a'] }), question({ requestId: 'x', actions: ['b'] })]);
    expect(responses.map(({ requestId, results }) => [requestId, ...results.keys()])).toEqual([
      ['x', 'a'],
      ['x', 'b'],
    ]);
    expect(responses.every((response) => isAllowed(response))).toBe(true);
  });

  test('with an id in flight on a stream: another goes on the wire, the asked one comes back, and later it is free again', async () => {
    const held: (() => void)[] = [];
    const server = await stage.server({
      onStreamRequest: (request, stream) => held.push(() => stream.reply(deny(request))),
    });
    const client = stage.client(server);
    const first = client.check(question({ requestId: 'x' }));
    await server.until(() => held.length === 1, 'the check');
    const responses = await client.checkBatch([question({ requestId: 'x' }), question({ requestId: 'y' })]);
    expect(responses.map((response) => [response.requestId, isAllowed(response)])).toEqual([
      ['x', true],
      ['y', true],
    ]);
    const [other, free] = server.batches[0]?.requests.map(({ requestId }) => requestId) ?? [];
    expect(other).not.toBe('x');
    expect(free).toBe('y');
    for (const reply of held) reply();
    expect(await first).toMatchObject({ requestId: 'x' });
    expect(isAllowed(await first)).toBe(false);
    await client.checkBatch([question({ requestId: 'x' })]);
    expect(server.batches[1]?.requests.map(({ requestId }) => requestId)).toEqual(['x']);
  });

  test('with an id in flight in another batch or a unary check: a different one on the wire for each', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const server = await stage.server({
      onCheck: async (request) => {
        await released;
        return allow(request);
      },
      onBatch: async (requests) => {
        await released;
        return { responses: requests.map((one) => allow(one)) };
      },
    });
    const client = stage.client(server);
    const asked = [
      client.checkBatch([question({ requestId: 'x' })]),
      client.checkBatch([question({ requestId: 'x' })]),
      client.check(question({ requestId: 'x' }), { metadata: { 'x-tenant': 'red' } }),
      client.check(question({ requestId: 'x' })),
    ];
    await server.until(
      () => server.batches.length === 2 && server.checks.length === 1 && server.streamed.length === 1,
      'all four',
    );
    const ids = [
      ...server.batches.flatMap(({ requests }) => requests),
      ...server.checks.map(({ request }) => request),
      ...server.streamed,
    ].map(({ requestId }) => requestId);
    expect(new Set(ids).size).toBe(4);
    expect(ids).toContain('x');
    release();
    const responses = (await Promise.all(asked)).flat();
    expect(responses.map((response) => [response.requestId, isAllowed(response)])).toEqual(
      Array.from({ length: 4 }, () => ['x', true]),
    );
  });

  test('that fails: its ids are free again', async () => {
    const server = await stage.server({
      onBatch: () => Promise.reject(new ScriptedStatus(GrpcCode.PERMISSION_DENIED)),
    });
    const client = stage.client(server, { maxMessageBytes: 1_024 });
    await rejection(client.checkBatch([question({ requestId: 'x' })]));
    await rejection(client.checkBatch([question({ requestId: 'x' }), ...questions(60)]), ConfigurationError);
    await client.check(question({ requestId: 'x' }));
    expect(server.streamed.map(({ requestId }) => requestId)).toEqual(['x']);
  });

  test('with items without ids: the client makes them', async () => {
    const server = await stage.server();
    const input = withoutId(question());
    const responses = await stage.client(server).checkBatch([input, input]);
    expect(new Set(responses.map(({ requestId }) => requestId)).size).toBe(2);
    expect(responses.every((response) => isAllowed(response))).toBe(true);
  });

  test('with bad items: each carries its error with its path, and the rest is answered', async () => {
    const server = await stage.server();
    const noActions = { ...question({ requestId: 'bad' }), actions: [] };
    const bigint = question({ context: { n: 1n } });
    const responses = await stage
      .client(server)
      .checkBatch([question(), noActions, bigint, null as unknown as CheckInput, question()]);
    expect(responses.map((response) => isAllowed(response))).toEqual([true, false, false, false, true]);
    expect(responses.map(({ error }) => error?.name)).toEqual([
      undefined,
      'ConfigurationError',
      'ConfigurationError',
      'ConfigurationError',
      undefined,
    ]);
    expect(responses[1]).toMatchObject({ requestId: 'bad', error: { path: 'requests[1].actions' } });
    expect(responses[2]?.error?.message).toContain('context.n');
    expect(server.batches[0]?.requests).toHaveLength(2);
  });

  test('with nothing but bad items, or none at all: asks nobody', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    expect(await client.checkBatch([])).toEqual([]);
    const [only] = await client.checkBatch([{ ...question(), actions: [] }]);
    expect(only?.error).toBeInstanceOf(ConfigurationError);
    expect(server.connectionCount).toBe(0);
  });

  test('where the server leaves an item out: that one carries a ProtocolError and UNSPECIFIED results', async () => {
    const server = await stage.server({
      onBatch: (requests) => ({ responses: requests.slice(1).map((one) => allow(one)) }),
    });
    const [missing, present] = await stage.client(server).checkBatch([question({ requestId: 'gone' }), question()]);
    expect(missing?.error).toBeInstanceOf(ProtocolError);
    expect(missing?.error).toMatchObject({ requestId: 'gone' });
    expect(missing?.results.get('read')).toMatchObject({ effect: Effect.UNSPECIFIED, matched: false });
    expect(present && isAllowed(present)).toBe(true);
  });

  test('where the server answers an item twice: the first answer wins', async () => {
    const server = await stage.server({ onBatch: ([one]) => ({ responses: one ? [deny(one), allow(one)] : [] }) });
    const [response] = await stage.client(server).checkBatch([question()]);
    expect(response?.results.get('read')?.effect).toBe(Effect.DENY);
  });

  test('where the server answers foreign ids and other actions: they count for nothing', async () => {
    const server = await stage.server({
      onBatch: ([one]) => ({
        responses: [
          { requestId: 'foreign', results: { read: { effect: 1 } } },
          { requestId: one?.requestId ?? '', results: { admin: { effect: 1 } } },
        ],
      }),
    });
    const responses = await stage.client(server).checkBatch([question()]);
    expect(responses).toHaveLength(1);
    expect([...(responses[0]?.results.keys() ?? [])]).toEqual(['read']);
    expect(responses.map((response) => isAllowed(response))).toEqual([false]);
  });

  test('where the server has no CheckBatch: each item is asked by itself, in order, a failing one alone', async () => {
    const server = await stage.server({
      unimplemented: ['CheckBatch'],
      onStreamRequest: (request, stream) => {
        if (request.requestId !== 'never') stream.reply(allow(request));
      },
    });
    const asked = [question(), question({ requestId: 'never' }), { ...question(), actions: [] }, question()];
    const client = stage.client(server);
    const responses = await client.checkBatch(asked, { deadline: 200 });
    expect(responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
    expect(responses.map((response) => isAllowed(response))).toEqual([true, false, false, true]);
    expect(responses[1]?.error).toBeInstanceOf(TimeoutError);
    expect(responses[2]?.error).toBeInstanceOf(ConfigurationError);
    expect(client.getStats()).toMatchObject({ totalRequests: 3, successfulRequests: 2, failedRequests: 1 });
  });

  test('where the server has neither CheckBatch nor CheckStream: each item by a unary call', async () => {
    const server = await stage.server({ unimplemented: ['CheckBatch', 'CheckStream'] });
    const responses = await stage.client(server).checkBatch(questions(3));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.checks.map(({ request }) => request.requestId)).toEqual(
      server.batches[0]?.requests.map(({ requestId }) => requestId),
    );
  });

  test('with per-call metadata and no CheckBatch: the single checks carry it too', async () => {
    const server = await stage.server({ unimplemented: ['CheckBatch'] });
    await stage.client(server).checkBatch(questions(2), { metadata: { 'x-tenant': 'red' } });
    expect(server.batches[0]?.metadata.get('x-tenant')).toEqual(['red']);
    expect(server.checks.map(({ metadata }) => metadata.get('x-tenant'))).toEqual([['red'], ['red']]);
  });

  test('where the server refuses the whole batch: rejects with its code', async () => {
    const server = await stage.server({
      onBatch: () => Promise.reject(new ScriptedStatus(GrpcCode.PERMISSION_DENIED)),
    });
    const client = stage.client(server);
    const error = await rejection(client.checkBatch(questions(2)), AuthzClientError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED, outcome: 'answered', retryable: false });
    expect(client.getStats()).toMatchObject({ totalRequests: 2, failedRequests: 2 });
    expect(server.batches).toHaveLength(1);
  });

  test('where the server is UNAVAILABLE once: is asked again', async () => {
    let count = 0;
    const server = await stage.server({
      onBatch: (requests) => {
        if (++count === 1) throw new ScriptedStatus(GrpcCode.UNAVAILABLE);
        return { responses: requests.map((one) => allow(one)) };
      },
    });
    const responses = await stage.client(server).checkBatch(questions(2));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(count).toBe(2);
  });

  test('at its deadline: TimeoutError', async () => {
    const server = await stage.server({ onBatch: () => new Promise(() => undefined) });
    const client = stage.client(server);
    await client.connect();
    const error = await rejection(client.checkBatch(questions(2), { deadline: 60 }), TimeoutError);
    expect(error).toMatchObject({ timeoutMs: 60, outcome: 'unknown' });
  });

  test('with nobody listening: fails UNAVAILABLE at its deadline, notSent', async () => {
    const server = await stage.server();
    await server.stop();
    const error = await rejection(stage.client(server).checkBatch(questions(2), { deadline: 60 }), ConnectionError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
  });

  test('when its signal aborts: CancelledError, unknown once written', async () => {
    const server = await stage.server({ onBatch: () => new Promise(() => undefined) });
    const abort = new AbortController();
    const batch = rejection(stage.client(server).checkBatch(questions(2), { signal: abort.signal }), CancelledError);
    await server.until(() => server.batches.length === 1, 'the batch');
    abort.abort('enough');
    expect(await batch).toMatchObject({ outcome: 'unknown', cause: 'enough' });
  });

  test('larger than maxMessageBytes, longer than its limit, or no array: ConfigurationError, nothing sent', async () => {
    const server = await stage.server();
    const client = stage.client(server, { maxMessageBytes: 1_024 });
    const big = questions(60);
    const error = await rejection(client.checkBatch(big), ConfigurationError);
    expect(error).toMatchObject({ path: 'requests', outcome: 'notSent' });
    expect(error.message).toContain('maxMessageBytes');
    const tooMany = new Array<CheckInput>(10_001).fill(question());
    expect((await rejection(client.checkBatch(tooMany), ConfigurationError)).path).toBe('requests');
    const notAnArray = 'x' as unknown as CheckInput[];
    expect((await rejection(client.checkBatch(notAnArray), ConfigurationError)).path).toBe('requests');
    expect(server.connectionCount).toBe(0);
  });
});

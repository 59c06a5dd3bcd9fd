import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  AuthzClientError,
  BackpressureError,
  CancelledError,
  type CheckResponse,
  ConfigurationError,
  ConnectionError,
  Effect,
  GrpcCode,
  isAllowed,
  ProtocolError,
  TimeoutError,
} from '../../src/index.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, questions, Recorder, refusal, rejection, useStage, withoutId } from '../support/stage.js';

const stage = useStage();

/** A server that answers nothing by itself. */
async function holding() {
  const asked: { request: WireRequest; stream: ScriptedStream }[] = [];
  const server = await stage.server({ onStreamRequest: (request, stream) => asked.push({ request, stream }) });
  return { server, asked };
}

const effectOf = (response: CheckResponse, action = 'read') => response.results.get(action)?.effect;

describe('check() against the embedded engine', () => {
  test('gives exactly the asked actions, with effect, policy, rule and matched', async () => {
    const client = stage.client(await stage.engine());
    const response = await client.check(question({ requestId: 'r1', actions: ['read', 'delete', 'share'] }));
    expect(response.requestId).toBe('r1');
    expect([...response.results.keys()].sort()).toEqual(['delete', 'read', 'share']);
    expect(response.results.get('read')).toMatchObject({
      effect: Effect.ALLOW,
      policy: 'notes',
      rule: 'viewers-read',
      matched: true,
    });
    expect(response.results.get('delete')).toMatchObject({ effect: Effect.DENY, rule: 'nobody-deletes' });
    expect(response.results.get('share')).toMatchObject({ effect: Effect.DENY, matched: false });
    expect(response.error).toBeUndefined();
  });

  test('without a requestId makes one, another each time', async () => {
    const client = stage.client(await stage.engine());
    const input = withoutId(question());
    const ids = [(await client.check(input)).requestId, (await client.check(input)).requestId];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).not.toBe('');
  });

  test('with includeMetadata gives metadata, without it none is asked for', async () => {
    const client = stage.client(await stage.engine());
    const { metadata } = await client.check(question({ includeMetadata: true }));
    expect(metadata).toMatchObject({ policiesEvaluated: 1, matchedPolicies: ['notes'] });
    expect(metadata?.evaluationDurationUs).toBeGreaterThanOrEqual(0);
    expect(typeof metadata?.cacheHit).toBe('boolean');
    expect((await client.check(question())).metadata).toBeUndefined();
  });
});

describe('what goes on the wire', () => {
  test('is the request as it was at the call, attributes and context as Struct, whatever the caller changes afterwards', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const request = question({
      requestId: 'mine',
      principal: { id: 'alice', roles: ['a', 'b'], attributes: { level: 3 }, type: 'user' },
      resource: { kind: 'note', id: 'n1', attributes: { tags: ['x', null, true] } },
      context: { deep: { er: 'yes' } },
      actions: ['read', 'write'],
    });
    const check = client.check(request);
    request.principal.id = 'mallory';
    (request.actions as string[]).push('delete');
    await server.until(() => asked.length === 1, 'the request');
    const [{ request: wire, stream } = { request: undefined, stream: undefined }] = asked;
    expect(wire).toMatchObject({
      requestId: 'mine',
      principal: {
        id: 'alice',
        roles: ['a', 'b'],
        attributes: { fields: { level: { numberValue: 3 }, type: { stringValue: 'user' } } },
      },
      resource: { kind: 'note', id: 'n1' },
      actions: ['read', 'write'],
      context: { fields: { deep: { structValue: { fields: { er: { stringValue: 'yes' } } } } } },
      includeMetadata: false,
    });
    stream?.reply({ requestId: 'mine', results: { read: { effect: 1 }, write: { effect: 2 }, delete: { effect: 1 } } });
    expect([...(await check).results.keys()]).toEqual(['read', 'write']);
  });

  test('an id already in flight gets another on the wire, and each caller its own answer under the asked id', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const first = client.check(question({ requestId: 'twin', actions: ['read'] }));
    const second = client.check(question({ requestId: 'twin', actions: ['write'] }));
    await server.until(() => asked.length === 2, 'both requests');
    expect(asked[0]?.request.requestId).toBe('twin');
    expect(asked[1]?.request.requestId).not.toBe('twin');
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    expect(await first).toMatchObject({ requestId: 'twin' });
    expect([...(await first).results.keys()]).toEqual(['read']);
    expect(await second).toMatchObject({ requestId: 'twin' });
    expect([...(await second).results.keys()]).toEqual(['write']);
  });

  test('static metadata goes with every stream and unary call', async () => {
    const server = await stage.server();
    const client = stage.client(server, { metadata: { 'x-tenant': 'blue' } });
    await client.check(question());
    await client.check(question(), { metadata: { 'x-call': 'one' } });
    expect(server.streams[0]?.metadata.get('x-tenant')).toEqual(['blue']);
    expect(server.checks[0]?.metadata.get('x-tenant')).toEqual(['blue']);
  });

  test('per-call metadata makes the check unary and overrides static metadata', async () => {
    const server = await stage.server();
    const client = stage.client(server, { metadata: { 'x-tenant': 'blue' } });
    const response = await client.check(question({ requestId: 'u1' }), { metadata: { 'x-tenant': 'red' } });
    expect(response.requestId).toBe('u1');
    expect(effectOf(response)).toBe(Effect.ALLOW);
    expect(server.streamed).toEqual([]);
    expect(server.checks[0]?.request.requestId).toBe('u1');
    expect(server.checks[0]?.metadata.get('x-tenant')).toEqual(['red']);
  });

  test('many checks at once share few streams', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const responses = await Promise.all(questions(500).map((request) => client.check(request)));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.streams.length).toBeLessThanOrEqual(4);
    expect(server.checks).toEqual([]);
  });
});

describe('a server that answers', () => {
  test('out of order: each check gets its own answer', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const checks = questions(10).map((request, index) =>
      client.check({ ...request, requestId: `o${index}`, actions: [`act${index}`] }),
    );
    await server.until(() => asked.length === 10, 'all requests');
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    const responses = await Promise.all(checks);
    expect(responses.map((response) => [response.requestId, [...response.results.keys()]])).toEqual(
      checks.map((_, index) => [`o${index}`, [`act${index}`]]),
    );
  });

  test('the same id twice: the first answer wins', async () => {
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) => {
        stream.reply({ requestId, results: { read: { effect: 2 } } });
        stream.reply({ requestId, results: { read: { effect: 1 } } });
      },
    });
    const client = stage.client(server);
    for (let round = 0; round < 3; round++) expect(effectOf(await client.check(question()))).toBe(Effect.DENY);
  });

  test('an id nobody asked: it is dropped and the asked ones go on', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        stream.reply({ requestId: 'foreign', results: { read: { effect: 1 } } });
        stream.reply(allow(request));
      },
    });
    const client = stage.client(server);
    expect(effectOf(await client.check(question()))).toBe(Effect.ALLOW);
  });

  test('one id never: only that check times out, and its late answer is nobody else’s', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const lost = rejection(client.check(question({ requestId: 'lost' }), { deadline: 60 }), TimeoutError);
    const kept = client.check(question({ requestId: 'kept' }));
    await server.until(() => asked.length === 2, 'both requests');
    const error = await lost;
    expect(error).toMatchObject({ timeoutMs: 60, outcome: 'unknown', requestId: 'lost', grpcCode: 4, retryable: true });
    for (const { request, stream } of asked) stream.reply(allow(request));
    expect(effectOf(await kept)).toBe(Effect.ALLOW);
    expect(client.getStats()).toMatchObject({ successfulRequests: 1, failedRequests: 1 });
  });

  test('other actions than asked: only the asked count, a missing one is UNSPECIFIED, unmatched and no allow', async () => {
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) =>
        stream.reply({
          requestId,
          results: { read: { effect: 1, matched: true }, admin: { effect: 1, matched: true } },
        }),
    });
    const response = await stage.client(server).check(question({ actions: ['read', 'write'] }));
    expect([...response.results]).toEqual([
      ['read', expect.objectContaining({ effect: Effect.ALLOW })],
      ['write', expect.objectContaining({ effect: Effect.UNSPECIFIED, matched: false })],
    ]);
    expect(isAllowed(response)).toBe(false);
    expect(isAllowed(response, 'read')).toBe(true);
    expect(isAllowed(response, 'write')).toBe(false);
    expect(isAllowed(response, 'admin')).toBe(false);
  });

  test('isAllowed of what is no response, such as a promise that was not awaited: says so', async () => {
    const check = stage.client(await stage.server()).check(question());
    for (const given of [check, undefined, null, true]) {
      const error = refusal(() => isAllowed(given as unknown as CheckResponse), ConfigurationError);
      expect(error.message).toBe('response: must be the response of a check; was it awaited?');
    }
    expect(isAllowed(await check)).toBe(true);
  });

  test('an effect that does not exist: no allow', async () => {
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) => stream.reply({ requestId, results: { read: { effect: 7 } } }),
    });
    const response = await stage.client(server).check(question());
    expect(effectOf(response)).toBe(Effect.UNSPECIFIED);
    expect(isAllowed(response)).toBe(false);
  });

  test('with actions named like prototype keys: they are plain keys', async () => {
    const actions = ['__proto__', 'constructor', 'toString'];
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) => stream.reply({ requestId, results: { toString: { effect: 1 } } }),
    });
    const response = await stage.client(server).check(question({ actions }));
    expect([...response.results.keys()]).toEqual(actions);
    expect(effectOf(response, '__proto__')).toBe(Effect.UNSPECIFIED);
    expect(effectOf(response, 'toString')).toBe(Effect.ALLOW);
  });

  test('half the answers and then ends the call: the rest is asked again and answered', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (stream.index > 0) {
          stream.reply(allow(request));
          return;
        }
        if (stream.requests.length === 1) stream.reply(allow(request));
        if (stream.requests.length === 2) stream.end();
      },
    });
    const client = stage.client(server);
    const responses = await Promise.all([client.check(question()), client.check(question())]);
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.streams.length).toBe(2);
  });

  test('half the answers and then UNAVAILABLE: the rest is asked again and answered', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (stream.index > 0) stream.reply(allow(request));
        else stream.fail(GrpcCode.UNAVAILABLE);
      },
    });
    expect(isAllowed(await stage.client(server).check(question()))).toBe(true);
  });

  test('UNAVAILABLE always: the check fails so after maxRetries', async () => {
    const server = await stage.server({ onStreamRequest: (_, stream) => stream.fail(GrpcCode.UNAVAILABLE, 'no') });
    const client = stage.client(server, { maxRetries: 2 });
    const error = await rejection(client.check(question({ requestId: 'p' })), AuthzClientError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, requestId: 'p', retryable: true });
    expect(server.streamed.filter(({ requestId }) => requestId === 'p')).toHaveLength(3);
  });

  test('PERMISSION_DENIED for the stream: an error of that code, not a decision, and not retried', async () => {
    const server = await stage.server({
      onStreamRequest: (_, stream) => stream.fail(GrpcCode.PERMISSION_DENIED, 'not you'),
    });
    const error = await rejection(stage.client(server).check(question({ requestId: 'p' })), AuthzClientError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED, retryable: false, requestId: 'p' });
    expect(error.message).toContain('not you');
    expect(server.streamed).toHaveLength(1);
  });

  test('a unary check for another id: ProtocolError', async () => {
    const server = await stage.server({ onCheck: () => ({ requestId: 'other', results: { read: { effect: 1 } } }) });
    const error = await rejection(stage.client(server).check(question(), { metadata: { a: 'b' } }), ProtocolError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered' });
  });
});

describe('an id used again', () => {
  test('after its check timed out: is answered for itself, not by the late answer to the first', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    await rejection(client.check(question({ requestId: 'again' }), { deadline: 40 }), TimeoutError);
    const again = client.check(question({ requestId: 'again' }));
    await server.until(() => asked.length === 2, 'the second request');
    const [late, fresh] = asked;
    late?.stream.reply(allow(late.request));
    fresh?.stream.reply({ requestId: fresh.request.requestId, results: { read: { effect: 2 } } });
    const response = await again;
    expect(response.requestId).toBe('again');
    expect(effectOf(response)).toBe(Effect.DENY);
  });

  test('after it was answered: with a suffix, so that a repeated answer cannot be for the next question', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    for (let round = 0; round < 3; round++) {
      expect((await client.check(question({ requestId: 'again' }))).requestId).toBe('again');
    }
    expect(server.streamed.map(({ requestId }) => requestId)).toEqual(['again', 'again#1', 'again#2']);
  });
});

describe('a server without CheckStream', () => {
  test('is asked by unary calls, and its UNIMPLEMENTED is remembered', async () => {
    const server = await stage.server({ unimplemented: ['CheckStream'] });
    const client = stage.client(server);
    for (let round = 0; round < 3; round++) expect(isAllowed(await client.check(question()))).toBe(true);
    expect(server.streams).toHaveLength(1);
    expect(server.checks.length).toBe(3);
    await Promise.all(questions(300).map((request) => client.check(request)));
    expect(server.streams).toHaveLength(1);
    expect(server.checks.length).toBe(3);
    expect(server.batches.flatMap(({ requests }) => requests)).toHaveLength(300);
  });

  test('and one check that it refuses fails alone', async () => {
    const server = await stage.server({
      unimplemented: ['CheckStream', 'CheckBatch'],
      onCheck: (request) =>
        request.requestId === 'bad'
          ? Promise.reject(Object.assign(new Error('x'), { code: 3 }))
          : Promise.resolve(allow(request)),
    });
    const client = stage.client(server);
    const bad = rejection(client.check(question({ requestId: 'bad' })), AuthzClientError);
    const good = client.check(question());
    expect(await bad).toMatchObject({ requestId: 'bad', grpcCode: GrpcCode.INTERNAL });
    expect(isAllowed(await good)).toBe(true);
  });

  test('a handle works over it too, in order', async () => {
    const server = await stage.server({ unimplemented: ['CheckStream'] });
    const client = stage.client(server);
    const seen: string[] = [];
    let ended = false;
    const handle = client.createBidirectionalStream({
      onResponse: ({ requestId }) => seen.push(requestId),
      onError: (error) => seen.push(error.message),
      onEnd: () => (ended = true),
    });
    const asked = questions(20);
    for (const request of asked) expect(handle.send(request)).toBe(true);
    handle.end();
    await expect.poll(() => ended).toBe(true);
    expect(seen).toEqual(asked.map(({ requestId }) => requestId));
  });
});

describe('deadline', () => {
  test('as a number of milliseconds: TimeoutError then, with the outcome unknown', async () => {
    const { server } = await holding();
    const client = stage.client(server);
    await client.connect();
    const started = performance.now();
    const error = await rejection(client.check(question(), { deadline: 80 }), TimeoutError);
    const tookMs = performance.now() - started;
    expect(tookMs).toBeGreaterThanOrEqual(79);
    expect(tookMs).toBeLessThan(600);
    expect(error.timeoutMs).toBe(80);
  });

  test('as a Date: the same', async () => {
    const { server } = await holding();
    const client = stage.client(server);
    await client.connect();
    const started = performance.now();
    await rejection(client.check(question(), { deadline: new Date(Date.now() + 80) }), TimeoutError);
    expect(performance.now() - started).toBeGreaterThanOrEqual(70);
    expect(performance.now() - started).toBeLessThan(600);
  });

  test('none: the client’s timeout', async () => {
    const { server } = await holding();
    const client = stage.client(server, { timeout: 90 });
    await client.connect();
    expect((await rejection(client.check(question()), TimeoutError)).timeoutMs).toBe(90);
  });

  test('of a unary check: TimeoutError too', async () => {
    const server = await stage.server({ onCheck: () => new Promise(() => undefined) });
    const client = stage.client(server);
    await client.connect();
    const error = await rejection(
      client.check(question({ requestId: 'slow' }), { deadline: 80, metadata: { a: 'b' } }),
      TimeoutError,
    );
    expect(error).toMatchObject({ timeoutMs: 80, outcome: 'unknown', requestId: 'slow' });
  });
});

describe('signal', () => {
  test('aborted before the call: CancelledError, notSent, and nothing goes to the server', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const error = await rejection(client.check(question(), { signal: AbortSignal.abort('why') }), CancelledError);
    expect(error).toMatchObject({ outcome: 'notSent', grpcCode: GrpcCode.CANCELLED, cause: 'why' });
    await client.check(question({ requestId: 'next' }));
    expect(server.streamed.map(({ requestId }) => requestId)).toEqual(['next']);
  });

  test('aborted while the answer is owed: CancelledError, unknown; the stream lives on and the late answer is dropped', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const abort = new AbortController();
    const check = rejection(client.check(question({ requestId: 'gone' }), { signal: abort.signal }), CancelledError);
    await server.until(() => asked.length === 1, 'the request');
    abort.abort();
    expect(await check).toMatchObject({ outcome: 'unknown', requestId: 'gone' });
    const next = client.check(question());
    await server.until(() => asked.length === 2, 'the next request');
    for (const { request, stream } of asked) stream.reply(allow(request));
    expect(isAllowed(await next)).toBe(true);
    expect(server.streams).toHaveLength(1);
  });

  test('whose check has settled: holds no listener of the client any more', async () => {
    const client = stage.client(await stage.server());
    const { signal } = new AbortController();
    await client.check(question(), { signal });
    await client.check(question(), { signal, metadata: { a: 'b' } });
    await client.checkBatch([question()], { signal });
    await client.createBidirectionalStream(new Recorder()).check(question(), { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('aborted during a unary check: CancelledError, unknown', async () => {
    const server = await stage.server({ onCheck: () => new Promise(() => undefined) });
    const client = stage.client(server);
    const abort = new AbortController();
    const check = rejection(
      client.check(question({ requestId: 'gone' }), { signal: abort.signal, metadata: { a: 'b' } }),
      CancelledError,
    );
    await server.until(() => server.checks.length === 1, 'the request');
    abort.abort();
    expect(await check).toMatchObject({ outcome: 'unknown', requestId: 'gone' });
  });
});

describe('bounds', () => {
  test('one check beyond maxPendingChecks: BackpressureError, notSent, and the others are answered', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server, { maxPendingChecks: 2 });
    const checks = [client.check(question()), client.check(question())];
    const error = await rejection(client.check(question({ requestId: 'third' })), BackpressureError);
    expect(error).toMatchObject({
      outcome: 'notSent',
      bufferSize: 2,
      requestId: 'third',
      retryable: true,
      grpcCode: GrpcCode.RESOURCE_EXHAUSTED,
    });
    expect(error.message).toContain('maxPendingChecks');
    await server.until(() => asked.length === 2, 'both requests');
    for (const { request, stream } of asked) stream.reply(allow(request));
    await Promise.all(checks);
    server.script = {};
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test('bytes beyond maxPendingBytes: BackpressureError', async () => {
    const { server } = await holding();
    const client = stage.client(server, { maxPendingBytes: 500 });
    await client.connect();
    const big = question({ context: { text: 'x'.repeat(300) } });
    const first = rejection(client.check(big, { deadline: 100 }), TimeoutError);
    expect((await rejection(client.check({ ...big, requestId: 'b' }), BackpressureError)).message).toContain(
      'maxPendingBytes',
    );
    await first;
  });

  test('a request larger than maxMessageBytes: ConfigurationError before anything is sent, stream and unary alike', async () => {
    const server = await stage.server();
    const client = stage.client(server, { maxMessageBytes: 1_024 });
    const big = question({ context: { text: 'x'.repeat(2_000) } });
    for (const options of [{}, { metadata: { a: 'b' } }]) {
      const error = await rejection(client.check(big, options), ConfigurationError);
      expect(error).toMatchObject({ path: 'request', outcome: 'notSent', grpcCode: GrpcCode.RESOURCE_EXHAUSTED });
      expect(error.message).toContain('maxMessageBytes');
    }
    expect(server.streamed).toEqual([]);
  });

  test('an answer larger than maxMessageBytes: an error RESOURCE_EXHAUSTED, never an allow', async () => {
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) =>
        stream.reply({ requestId, results: { read: { effect: 1, meta: { big: 'x'.repeat(4_000) } } } }),
    });
    const client = stage.client(server, { maxMessageBytes: 1_024 });
    const error = await rejection(client.check(question()), AuthzClientError);
    expect(error.grpcCode).toBe(GrpcCode.RESOURCE_EXHAUSTED);
  });
});

describe('isAllowed', () => {
  const response = (effects: Record<string, Effect>, error?: Error): CheckResponse => ({
    requestId: 'r',
    results: new Map(Object.entries(effects).map(([action, effect]) => [action, { effect, matched: true }])),
    ...(error === undefined ? {} : { error }),
  });

  test('is true only for an explicit ALLOW of every asked action', () => {
    expect(isAllowed(response({ a: 1, b: 1 }))).toBe(true);
    expect(isAllowed(response({ a: 1, b: 2 }))).toBe(false);
    expect(isAllowed(response({ a: 1, b: 0 }))).toBe(false);
    expect(isAllowed(response({}))).toBe(false);
    expect(isAllowed(response({ a: 1 }), 'b')).toBe(false);
    expect(isAllowed(response({ a: 1, b: 2 }), 'a')).toBe(true);
  });

  test('is false wherever there is an error, whatever the results say', () => {
    expect(isAllowed(response({ a: 1 }, new ConnectionError('x')))).toBe(false);
    expect(isAllowed(response({ a: 1 }, new ConnectionError('x')), 'a')).toBe(false);
  });
});

describe('the results map', () => {
  test('cannot be changed, nor can what is in it', async () => {
    const response = await stage.client(await stage.engine()).check(question());
    const results = response.results as unknown as Map<string, { effect: number }>;
    expect(results).toBeInstanceOf(Map);
    expect(() => results.set('delete', { effect: 1 })).toThrow(TypeError);
    expect(() => results.delete('read')).toThrow(TypeError);
    expect(() => results.clear()).toThrow(TypeError);
    expect(() => Object.assign(results.get('read') ?? {}, { effect: 2 })).toThrow(TypeError);
    expect([...results.keys()]).toEqual(['read']);
    expect(results.get('read')?.effect).toBe(Effect.ALLOW);
  });
});

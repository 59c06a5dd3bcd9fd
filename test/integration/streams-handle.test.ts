import { describe, expect, test } from 'vitest';
import {
  AuthzClientError,
  CancelledError,
  type CheckRequest,
  ConnectionError,
  isAllowed,
  StreamClosedError,
  type StreamLifecycleCallbacks,
  TimeoutError,
} from '../../src/index.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { nextEvent, question, questions, Recorder, recordEvents, rejection, useStage } from '../support/stage.js';

const stage = useStage();

async function holding() {
  const asked: { request: WireRequest; stream: ScriptedStream }[] = [];
  const server = await stage.server({ onStreamRequest: (request, stream) => asked.push({ request, stream }) });
  const answerAll = (): void => {
    for (const { request, stream } of asked.splice(0)) stream.reply(allow(request));
  };
  return { server, asked, answerAll };
}

describe('send()', () => {
  test('on an idle client is accepted and answered through onResponse', async () => {
    const recorder = new Recorder();
    const handle = stage.client(await stage.engine()).createBidirectionalStream(recorder);
    expect(handle.send(question({ requestId: 'a' }))).toBe(true);
    await recorder.answered(1);
    expect(recorder.responses[0]?.requestId).toBe('a');
    expect(recorder.responses.map((response) => isAllowed(response))).toEqual([true]);
  });

  test('with nobody listening: is accepted, and told by onError with its requestId at its deadline', async () => {
    const server = await stage.server();
    await server.stop();
    const client = stage.client(server, { timeout: 150 });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const started = performance.now();
    expect(handle.send(question({ requestId: 'a' }))).toBe(true);
    await recorder.until(() => recorder.failures.length === 1, 'the failure');
    expect(performance.now() - started).toBeGreaterThanOrEqual(149);
    expect(recorder.failures[0]).toBeInstanceOf(ConnectionError);
    expect(recorder.failures[0]).toMatchObject({ requestId: 'a', outcome: 'notSent', grpcCode: 14 });
  });

  test('never answered: onError with TimeoutError at its deadline, once', async () => {
    const { server, asked, answerAll } = await holding();
    const client = stage.client(server, { timeout: 150 });
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    await recorder.until(() => recorder.failures.length === 1, 'the failure');
    expect(recorder.failures[0]).toBeInstanceOf(TimeoutError);
    answerAll();
    handle.end();
    await recorder.ended();
    expect(recorder.log).toEqual(['!a', 'end']);
    expect(asked).toEqual([]);
  });

  test('after end(): is false, counted, told as message_dropped, and onError gets StreamClosedError with its id', async () => {
    const client = stage.client(await stage.server());
    const events = recordEvents(client, ['message_dropped']);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.end();
    expect(handle.send(question({ requestId: 'late' }))).toBe(false);
    expect(handle.getStats().messagesDropped).toBe(1);
    await recorder.until(() => recorder.failures.length === 1, 'the failure');
    expect(recorder.failures[0]).toBeInstanceOf(StreamClosedError);
    expect(recorder.failures[0]).toMatchObject({ requestId: 'late', outcome: 'notSent' });
    expect(events).toEqual([['message_dropped', { streamId: handle.getId(), requestId: 'late' }]]);
    expect(handle.isWritable()).toBe(false);
  });

  test('of one id twice while in flight: both are answered under it', async () => {
    const { server, asked, answerAll } = await holding();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    handle.send(question({ requestId: 'a' }));
    await server.until(() => asked.length === 2, 'both requests');
    expect(new Set(asked.map(({ request }) => request.requestId)).size).toBe(2);
    answerAll();
    await recorder.answered(2);
    expect(recorder.log).toEqual(['a', 'a']);
  });

  test('rejected with a status by the server: onError with that code for each request, and the handle lives on', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (request.requestId === 'bad') stream.fail(3, 'no such kind');
        else stream.reply(allow(request));
      },
    });
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'bad' }));
    await recorder.until(() => recorder.failures.length === 1, 'the failure');
    expect(recorder.failures[0]).toMatchObject({ requestId: 'bad', grpcCode: 3, retryable: false });
    handle.send(question({ requestId: 'good' }));
    await recorder.answered(1);
    expect(recorder.log).toEqual(['!bad', 'good']);
  });
});

describe('handle.check()', () => {
  test('resolves with its own answer, makes an id where there is none, and tells no callback', async () => {
    const recorder = new Recorder();
    const handle = stage.client(await stage.server()).createBidirectionalStream(recorder);
    const { principal, resource, actions } = question();
    const response = await handle.check({ principal, resource, actions });
    expect(isAllowed(response)).toBe(true);
    expect(response.requestId).not.toBe('');
    expect(recorder.log).toEqual([]);
    expect(handle.getStats()).toMatchObject({ messagesSent: 1, messagesReceived: 1 });
  });

  test('keeps its deadline and its signal', async () => {
    const { server } = await holding();
    const client = stage.client(server);
    await client.connect();
    const handle = client.createBidirectionalStream(new Recorder());
    expect((await rejection(handle.check(question(), { deadline: 50 }), TimeoutError)).timeoutMs).toBe(50);
    const abort = new AbortController();
    const check = rejection(handle.check(question({ requestId: 'x' }), { signal: abort.signal }), CancelledError);
    abort.abort();
    expect(await check).toMatchObject({ requestId: 'x' });
  });

  test('with metadata of its own goes as a unary call', async () => {
    const server = await stage.server();
    const handle = stage.client(server).createBidirectionalStream(new Recorder());
    expect(isAllowed(await handle.check(question(), { metadata: { 'x-tenant': 'red' } }))).toBe(true);
    expect(server.checks[0]?.metadata.get('x-tenant')).toEqual(['red']);
    expect(server.streamed).toEqual([]);
  });

  test('after end(): StreamClosedError, notSent', async () => {
    const handle = stage.client(await stage.server()).createBidirectionalStream(new Recorder());
    handle.end();
    expect(await rejection(handle.check(question({ requestId: 'x' })), StreamClosedError)).toMatchObject({
      outcome: 'notSent',
      requestId: 'x',
    });
  });
});

describe('pause()', () => {
  test('holds delivery to onResponse and the iterator; sending and check() go on; resume() delivers in order', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const client = stage.client(server);
    const handle = client.createBidirectionalStream(recorder);
    await handle.check(question());
    handle.pause();
    expect(handle.getState()).toBe('paused');
    const iterator = handle[Symbol.asyncIterator]();
    const sent = questions(5);
    for (const request of sent) expect(handle.send(request)).toBe(true);
    expect(isAllowed(await handle.check(question()))).toBe(true);
    expect(handle.getStats().messagesReceived).toBe(7);
    expect(recorder.log).toEqual([]);
    handle.resume();
    await recorder.answered(5);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
    expect((await iterator.next()).value).toMatchObject({ requestId: sent[0]?.requestId });
    expect(handle.getState()).toBe('open');
  });

  test('before the handle is connected: holds what comes then', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    handle.pause();
    handle.send(question({ requestId: 'a' }));
    await handle.check(question());
    expect(recorder.log).toEqual([]);
    handle.resume();
    await recorder.answered(1);
    expect(recorder.log).toEqual(['a']);
  });

  test('survives a reconnect', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    await handle.check(question());
    handle.pause();
    const reconnected = nextEvent(client, 'stream_reconnected');
    server.cut();
    await reconnected;
    handle.send(question({ requestId: 'a' }));
    await handle.check(question());
    expect(handle.getState()).toBe('paused');
    expect(recorder.log).toEqual([]);
    handle.resume();
    await recorder.answered(1);
  });

  test('with maxBufferSize held answers stops reading, and resume() goes on', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const handle = stage
      .client(server, { timeout: 60_000 })
      .createBidirectionalStream(recorder, { lowWaterMark: 10, highWaterMark: 20, maxBufferSize: 100 });
    await handle.check(question());
    handle.pause();
    const sent: CheckRequest[] = [];
    // More than the held answers and every buffer on the way between.
    for (let index = 0; index < 3_000; index++) {
      const request = question({ actions: ['a'.repeat(200)] });
      await handle.ready();
      expect(handle.send(request)).toBe(true);
      sent.push(request);
    }
    await server.until(() => server.streamed.length === 3_001, 'all requests');
    expect(handle.getStats().messagesReceived).toBeLessThan(3_001);
    expect(recorder.log).toEqual([]);
    handle.resume();
    await recorder.answered(3_000);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
  });
});

describe('end()', () => {
  test('with a queue: it is sent, the answers come in, then onEnd once; the handle is closed and unlisted', async () => {
    const client = stage.client(await stage.server());
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const sent = questions(20);
    for (const request of sent) handle.send(request);
    const check = handle.check(question());
    handle.end();
    handle.end();
    expect(isAllowed(await check)).toBe(true);
    await recorder.ended();
    expect(recorder.log).toEqual([...sent.map(({ requestId }) => requestId), 'end']);
    expect(handle.getState()).toBe('closed');
    expect(client.getStream(handle.getId())).toBeNull();
    expect(recorder.ends).toBe(1);
  });

  test('of a paused handle: delivers what is held, then onEnd', async () => {
    const recorder = new Recorder();
    const handle = stage.client(await stage.server()).createBidirectionalStream(recorder);
    await handle.check(question());
    handle.pause();
    handle.send(question({ requestId: 'a' }));
    handle.end();
    await recorder.ended();
    expect(recorder.log).toEqual(['a', 'end']);
  });

  test('of a handle that never sent: onEnd', async () => {
    const recorder = new Recorder();
    stage
      .client(await stage.server())
      .createBidirectionalStream(recorder)
      .end();
    await recorder.ended();
    expect(recorder.log).toEqual(['end']);
  });

  test('while the connection is lost: reopens for what is owed, then onEnd', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    await server.until(() => asked.length === 1, 'the request');
    handle.end();
    expect(handle.getState()).toBe('draining.flushing');
    server.script = {};
    server.cut();
    await recorder.ended();
    expect(recorder.log).toEqual(['a', 'end']);
  });

  test('with an answer that never comes: it errs at its deadline, then onEnd', async () => {
    const { server } = await holding();
    const client = stage.client(server, { timeout: 200 });
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    handle.end();
    await recorder.ended();
    expect(recorder.log).toEqual(['!a', 'end']);
  });

  test('with a server that ends its side by itself: the handle opens another call at the next send', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        stream.reply(allow(request));
        stream.end();
      },
    });
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    for (const id of ['a', 'b', 'c']) {
      handle.send(question({ requestId: id }));
      await recorder.until(() => recorder.log.includes(id), id);
    }
    expect(recorder.log).toEqual(['a', 'b', 'c']);
    expect(server.streams.length).toBeGreaterThanOrEqual(2);
  });
});

describe('a handle whose connection is cut', () => {
  test('reconnects: stream_reconnecting, onReconnect, stream_reconnected; id and unanswered requests live on', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const id = handle.getId();
    handle.send(question({ requestId: 'a' }));
    await server.until(() => asked.length === 1, 'the request');
    const reconnecting = nextEvent(client, 'stream_reconnecting');
    const reconnected = nextEvent(client, 'stream_reconnected');
    server.script = {};
    server.cut();
    expect(await reconnecting).toEqual({ streamId: id, attempt: 1, delayMs: expect.any(Number) as number });
    expect(await reconnected).toEqual({ streamId: id, attempt: 1 });
    await recorder.answered(1);
    expect(recorder.reconnects).toEqual([1]);
    expect(handle.getId()).toBe(id);
    expect(client.getStream(id)).toBe(handle);
    expect(recorder.failures).toEqual([]);
  });

  test('accepts sends meanwhile and answers them after', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    await handle.check(question());
    const reconnecting = nextEvent(client, 'stream_reconnecting');
    await server.stop();
    await reconnecting;
    expect(handle.send(question({ requestId: 'meanwhile' }))).toBe(true);
    await stage.server({}, { port: server.port });
    await recorder.answered(1);
    expect(recorder.log).toEqual(['meanwhile']);
  });

  test('and whose call fails maxAttempts times in a row: each unanswered request errs, onEnd once, closed', async () => {
    const server = await stage.server({ onStream: (stream) => stream.fail(14, 'go away') });
    const client = stage.client(server, {
      timeout: 20_000,
      maxRetries: 100,
      reconnect: { initialDelay: 1, maxDelay: 2, maxAttempts: 3 },
    });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    const check = rejection(handle.check(question({ requestId: 'b' })), AuthzClientError);
    await recorder.ended();
    expect(recorder.log).toEqual(['!a', 'end']);
    expect(recorder.failures[0]).toMatchObject({ requestId: 'a', grpcCode: 14 });
    expect(await check).toMatchObject({ requestId: 'b' });
    expect(handle.getState()).toBe('closed');
    expect(client.getActiveStreamCount()).toBe(0);
    expect(handle.send(question())).toBe(false);
  });
});

describe('a callback that throws', () => {
  const callbacks = (over: Partial<StreamLifecycleCallbacks>, recorder: Recorder): StreamLifecycleCallbacks => ({
    onResponse: recorder.onResponse,
    onError: recorder.onError,
    onEnd: recorder.onEnd,
    ...over,
  });

  test.each(['onResponse', 'onEnd'] as const)('%s: is reported as an error event and stops nothing', async (name) => {
    const errors = stage.errors();
    const recorder = new Recorder();
    const throwing: Partial<StreamLifecycleCallbacks> =
      name === 'onEnd'
        ? {
            onEnd: () => {
              recorder.onEnd();
              throw new RangeError('mine');
            },
          }
        : {
            onResponse: (response) => {
              recorder.onResponse(response);
              throw new RangeError('mine');
            },
          };
    const handle = stage.client(await stage.server()).createBidirectionalStream(callbacks(throwing, recorder));
    for (const request of questions(3)) handle.send(request);
    handle.end();
    await recorder.ended();
    await expect.poll(() => errors.length).toBe(name === 'onEnd' ? 1 : 3);
    expect(errors[0]?.message).toMatch(new RegExp(`^callbacks\\.${name} of \\S+ threw: mine$`));
    expect(errors[0]).toMatchObject({ code: 'ERR_AUTHZ_CALLBACK', cause: expect.any(RangeError) as RangeError });
    expect(errors[0]?.message).toContain(name);
    expect(recorder.responses).toHaveLength(3);
  });

  test('onError: the same', async () => {
    const errors = stage.errors();
    const recorder = new Recorder();
    const handle = stage.client(await stage.server()).createBidirectionalStream(
      callbacks(
        {
          onError: () => {
            throw new RangeError('mine');
          },
        },
        recorder,
      ),
    );
    handle.end();
    handle.send(question());
    await recorder.ended();
    await expect.poll(() => errors.length).toBe(1);
    expect(errors[0]?.message).toContain('onError');
  });

  test('onBackpressure and onReconnect: the same', async () => {
    const errors = stage.errors();
    const recorder = new Recorder();
    const server = await stage.server();
    const client = stage.client(server);
    const fail = (): never => {
      throw new RangeError('mine');
    };
    const handle = client.createBidirectionalStream(callbacks({ onBackpressure: fail, onReconnect: fail }, recorder), {
      lowWaterMark: 1,
      highWaterMark: 2,
    });
    for (const request of questions(4)) handle.send(request);
    await recorder.answered(4);
    await expect.poll(() => errors.length).toBe(2);
    server.cut();
    await expect.poll(() => errors.length).toBe(3);
    handle.send(question());
    await recorder.answered(5);
  });

  test('an async one that rejects: the same', async () => {
    const errors = stage.errors();
    const recorder = new Recorder();
    const handle = stage.client(await stage.server()).createBidirectionalStream({
      ...callbacks({}, recorder),
      onResponse: (): unknown => Promise.reject(new RangeError('mine')),
    });
    handle.send(question());
    await expect.poll(() => errors.length).toBe(1);
    expect(errors[0]).toMatchObject({ cause: expect.any(RangeError) as RangeError });
  });

  test('an event listener that throws: is an error event; nobody listening to error: nothing happens', async () => {
    const errors = stage.errors();
    const server = await stage.server();
    const client = stage.client(server);
    client.on('connected', () => {
      throw new RangeError('mine');
    });
    await client.connect();
    await expect.poll(() => errors.length).toBe(1);
    expect(isAllowed(await client.check(question()))).toBe(true);
  });
});

describe('createStream()', () => {
  test('the basic form: send and end, with three callbacks', async () => {
    const recorder = new Recorder();
    const client = stage.client(await stage.server());
    const stream = client.createStream(recorder.onResponse, recorder.onError, recorder.onEnd);
    expect(stream.send(question({ requestId: 'a' }))).toBe(true);
    expect(client.getActiveStreamCount()).toBe(1);
    stream.end();
    await recorder.ended();
    expect(recorder.log).toEqual(['a', 'end']);
  });
});

describe('getStats()', () => {
  test('counts sent, received and dropped, and measures uptime and latency', async () => {
    const recorder = new Recorder();
    const handle = stage.client(await stage.server()).createBidirectionalStream(recorder);
    expect(handle.getStats()).toEqual({
      messagesSent: 0,
      messagesReceived: 0,
      messagesDropped: 0,
      bufferSize: 0,
      uptimeMs: expect.any(Number) as number,
      avgLatencyMs: 0,
    });
    for (const request of questions(3)) handle.send(request);
    expect(handle.getStats().bufferSize).toBe(3);
    await recorder.answered(3);
    const stats = handle.getStats();
    expect(stats).toMatchObject({ messagesSent: 3, messagesReceived: 3, messagesDropped: 0, bufferSize: 0 });
    expect(stats.avgLatencyMs).toBeGreaterThan(0);
    expect(stats.uptimeMs).toBeGreaterThan(0);
  });
});

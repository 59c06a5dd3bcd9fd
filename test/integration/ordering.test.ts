import { describe, expect, test } from 'vitest';
import { type CheckResponse, Effect, isAllowed, TimeoutError } from '../../src/index.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, questions, Recorder, useStage } from '../support/stage.js';

const stage = useStage();

async function holding() {
  const asked: { request: WireRequest; stream: ScriptedStream }[] = [];
  const server = await stage.server({ onStreamRequest: (request, stream) => asked.push({ request, stream }) });
  const answer = (requestId: string): void => {
    const found = asked.find(({ request }) => request.requestId === requestId);
    if (found === undefined) throw new Error(`${requestId} was not asked`);
    found.stream.reply(allow(found.request));
  };
  return { server, asked, answer };
}

describe('a handle with ensureOrdering', () => {
  test('on, by default: answers that come in reverse are delivered in the order of send', async () => {
    const { server, asked } = await holding();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    const sent = questions(50);
    for (const request of sent) handle.send(request);
    await server.until(() => asked.length === 50, 'all requests');
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    await recorder.answered(50);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
  });

  test('off: answers are delivered as they come', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server, { streams: { ensureOrdering: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const sent = questions(20);
    for (const request of sent) handle.send(request);
    await server.until(() => asked.length === 20, 'all requests');
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    await recorder.answered(20);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId).reverse());
  });

  test('switched off by configureAdvancedStreamOptions: for handles made from then on', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server);
    const [ordered, free] = [new Recorder(), new Recorder()];
    const first = client.createBidirectionalStream(ordered);
    client.configureAdvancedStreamOptions({ ensureOrdering: false });
    const second = client.createBidirectionalStream(free);
    for (const handle of [first, second]) for (const id of ['a', 'b']) handle.send(question({ requestId: id }));
    await server.until(() => asked.length === 4, 'all requests');
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    await Promise.all([ordered.answered(2), free.answered(2)]);
    expect(ordered.log).toEqual(['a', 'b']);
    expect(free.log).toEqual(['b', 'a']);
  });

  test('and an answer that never comes: its turn is taken by onError at its deadline, and those behind it follow', async () => {
    const { server, asked, answer } = await holding();
    const client = stage.client(server, { timeout: 250 });
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const id of ['a', 'lost', 'c']) handle.send(question({ requestId: id }));
    await server.until(() => asked.length === 3, 'all requests');
    answer('c');
    answer('a');
    await recorder.answered(1);
    expect(recorder.log).toEqual(['a']);
    await recorder.answered(2);
    expect(recorder.log).toEqual(['a', '!lost', 'c']);
    expect(recorder.failures[0]).toBeInstanceOf(TimeoutError);
    expect(recorder.failures[0]).toMatchObject({ requestId: 'lost', outcome: 'unknown', timeoutMs: 250 });
  });

  test('and check() among sends: it settles when its own answer comes, past the order', async () => {
    const { server, asked, answer } = await holding();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'a' }));
    const check = handle.check(question({ requestId: 'own' }));
    handle.send(question({ requestId: 'b' }));
    await server.until(() => asked.length === 3, 'all requests');
    answer('own');
    expect(isAllowed(await check)).toBe(true);
    expect(recorder.log).toEqual([]);
    answer('b');
    answer('a');
    await recorder.answered(2);
    expect(recorder.log).toEqual(['a', 'b']);
  });

  test('and the connection cut half-way: all are delivered once, in order', async () => {
    let isCut = false;
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (!isCut && stream.requests.length === 10) {
          isCut = true;
          server.cut();
        } else stream.reply(allow(request));
      },
    });
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    const sent = questions(60);
    for (const request of sent) handle.send(request);
    await recorder.answered(60);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
    expect(recorder.failures).toEqual([]);
    expect(isCut).toBe(true);
  });
});

describe('the iterator', () => {
  test('yields the responses in the order of send, and is done after end()', async () => {
    const { server, asked } = await holding();
    const handle = stage.client(server).createBidirectionalStream(new Recorder());
    const sent = questions(10);
    for (const request of sent) handle.send(request);
    handle.end();
    await server.until(() => asked.length === 10, 'all requests');
    const seen: string[] = [];
    const reading = (async () => {
      for await (const response of handle) seen.push(response.requestId);
    })();
    for (const { request, stream } of asked.reverse()) stream.reply(allow(request));
    await reading;
    expect(seen).toEqual(sent.map(({ requestId }) => requestId));
  });

  test('yields a failed request as response.error, in its turn, never as an allow', async () => {
    const { server, asked, answer } = await holding();
    const client = stage.client(server, { timeout: 150 });
    await client.connect();
    const handle = client.createBidirectionalStream(new Recorder());
    for (const id of ['a', 'lost', 'c']) handle.send(question({ requestId: id, actions: ['read', 'write'] }));
    await server.until(() => asked.length === 3, 'all requests');
    answer('a');
    answer('c');
    const seen: CheckResponse[] = [];
    for await (const response of handle) if (seen.push(response) === 3) break;
    expect(seen.map(({ requestId }) => requestId)).toEqual(['a', 'lost', 'c']);
    expect(seen[1]?.error).toBeInstanceOf(TimeoutError);
    expect([...(seen[1]?.results ?? [])]).toEqual([
      ['read', expect.objectContaining({ effect: Effect.UNSPECIFIED, matched: false })],
      ['write', expect.objectContaining({ effect: Effect.UNSPECIFIED, matched: false })],
    ]);
    expect(seen.map((response) => isAllowed(response))).toEqual([true, false, true]);
  });

  test('left early leaves the handle usable, and a second one gets what comes then', async () => {
    const server = await stage.server();
    const handle = stage.client(server).createBidirectionalStream(new Recorder());
    handle.send(question({ requestId: 'a' }));
    for await (const response of handle) {
      expect(response.requestId).toBe('a');
      break;
    }
    handle.send(question({ requestId: 'b' }));
    for await (const response of handle) {
      expect(response.requestId).toBe('b');
      break;
    }
  });

  test('of an ended handle is done at once', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    handle.end();
    await recorder.ended();
    expect(await handle[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  });

  test('and callbacks both see every response', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    const iterator = handle[Symbol.asyncIterator]();
    handle.send(question({ requestId: 'a' }));
    expect((await iterator.next()).value).toMatchObject({ requestId: 'a' });
    expect(recorder.log).toEqual(['a']);
  });

  test('that nobody reads is bounded: at maxBufferSize delivery is held, and reading goes on when it is taken', async () => {
    const server = await stage.server();
    const recorder = new Recorder();
    const handle = stage
      .client(server)
      .createBidirectionalStream(recorder, { lowWaterMark: 2, highWaterMark: 4, maxBufferSize: 8 });
    const iterator = handle[Symbol.asyncIterator]();
    const sent = questions(40);
    for (const request of sent) {
      await handle.ready();
      handle.send(request);
    }
    await recorder.answered(8);
    await server.until(() => server.streamed.length >= 8, 'some requests');
    expect(recorder.responses.length).toBe(8);
    const seen: string[] = [];
    for (let index = 0; index < 40; index++) {
      const { value } = (await iterator.next()) as IteratorYieldResult<CheckResponse>;
      seen.push(value.requestId);
    }
    expect(seen).toEqual(sent.map(({ requestId }) => requestId));
  });
});

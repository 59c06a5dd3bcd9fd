import { describe, expect, test } from 'vitest';
import { CancelledError, type CheckRequest, Effect, isAllowed, TimeoutError } from '../../src/index.js';
import { allow, deny, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

async function holding() {
  const asked: { request: WireRequest; stream: ScriptedStream }[] = [];
  const server = await stage.server({ onStreamRequest: (request, stream) => asked.push({ request, stream }) });
  return { server, asked };
}

const answerAll = (asked: { request: WireRequest; stream: ScriptedStream }[]): void => {
  for (const { request, stream } of asked.splice(0)) stream.reply(allow(request));
};

describe('switching deduplication', () => {
  test('is off by default: the same request goes to the wire each time', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const request = question({ requestId: 'a' });
    await client.check(request);
    await client.check(request);
    expect(server.streamed).toHaveLength(2);
    expect(client.isDeduplicated('a')).toBe(false);
    expect(client.getDedupedResponse('a')).toBeNull();
    expect(client.getDeduplicationCacheStats()).toMatchObject({ size: 0, capacity: 100 });
  });

  test('enableDeduplication() and the two options are one switch', async () => {
    const server = await stage.server();
    const byMethod = stage.client(server);
    byMethod.enableDeduplication(7);
    const byOption = stage.client(server, { deduplication: { cacheSize: 7 } });
    const byStreams = stage.client(server, { streams: { deduplication: true, deduplicationCacheSize: 7 } });
    const byConfigure = stage.client(server);
    byConfigure.configureAdvancedStreamOptions({ deduplication: true, deduplicationCacheSize: 7 });
    for (const client of [byMethod, byOption, byStreams, byConfigure]) {
      expect(client.getDeduplicationCacheStats().capacity).toBe(7);
      expect(client.getStreamDiagnostics().advancedOptions).toMatchObject({
        deduplication: true,
        deduplicationCacheSize: 7,
      });
      expect(client.getStreamDiagnostics().deduplicationStats).toMatchObject({ size: 0, capacity: 7 });
    }
  });

  test('disableDeduplication() forgets, and the next goes to the wire', async () => {
    const server = await stage.server();
    const client = stage.client(server, { deduplication: true });
    const request = question({ requestId: 'a' });
    await client.check(request);
    expect(client.isDeduplicated('a')).toBe(true);
    client.disableDeduplication();
    expect(client.isDeduplicated('a')).toBe(false);
    expect(client.getDeduplicationCacheStats().size).toBe(0);
    await client.check(request);
    await client.check(request);
    expect(server.streamed).toHaveLength(3);
  });
});

describe('with deduplication on', () => {
  test('the very same question under the same id is answered from the cache', async () => {
    const server = await stage.server();
    const client = stage.client(server, { deduplication: true });
    const first = await client.check(question({ requestId: 'a' }));
    const second = await client.check(question({ requestId: 'a' }));
    expect(server.streamed).toHaveLength(1);
    expect(second).toMatchObject({ requestId: 'a' });
    expect([...second.results]).toEqual([...first.results]);
    expect(client.getDedupedResponse('a')?.results.get('read')?.effect).toBe(Effect.ALLOW);
    expect(client.getDeduplicationCacheStats()).toMatchObject({ size: 1, hits: 1, misses: 1 });
    expect(client.getStats()).toMatchObject({ totalRequests: 2, successfulRequests: 2, cacheHitRate: 0.5 });
  });

  test('the same question by another key order of its attributes is the same question', async () => {
    const server = await stage.server();
    const client = stage.client(server, { deduplication: true });
    const ask = (context: Record<string, unknown>) => client.check(question({ requestId: 'a', context }));
    await ask({ x: 1, y: 2 });
    await ask({ y: 2, x: 1 });
    expect(server.streamed).toHaveLength(1);
  });

  const others: [string, Partial<CheckRequest>][] = [
    ['principal', { principal: { id: 'bob', roles: ['viewer'] } }],
    ['roles', { principal: { id: 'alice', roles: ['admin'] } }],
    ['resource', { resource: { kind: 'note', id: 'n2' } }],
    ['actions', { actions: ['write'] }],
    ['context', { context: { ip: '10.0.0.1' } }],
  ];
  test.each(others)(
    'the same id with other %s goes to the wire, counts as a conflict, and is answered for itself',
    async (_, other) => {
      const server = await stage.server({
        onStreamRequest: (request, stream) =>
          stream.reply(stream.requests.length === 1 ? allow(request) : deny(request)),
      });
      const client = stage.client(server, { deduplication: true });
      expect(isAllowed(await client.check(question({ requestId: 'a' })))).toBe(true);
      expect(isAllowed(await client.check(question({ requestId: 'a', ...other })))).toBe(false);
      expect(server.streamed).toHaveLength(2);
      expect(client.getDeduplicationCacheStats()).toMatchObject({ conflicts: 1, hits: 0, size: 0 });
      expect(client.isDeduplicated('a')).toBe(false);
      expect(client.getDedupedResponse('a')).toBeNull();
    },
  );

  test('a twin in flight is joined: one request on the wire, one answer for both', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server, { deduplication: true });
    const checks = [client.check(question({ requestId: 'a' })), client.check(question({ requestId: 'a' }))];
    await server.until(() => asked.length === 1, 'the request');
    answerAll(asked);
    for (const response of await Promise.all(checks)) expect(isAllowed(response)).toBe(true);
    expect(server.streamed).toHaveLength(1);
    expect(client.getDeduplicationCacheStats()).toMatchObject({ joined: 1, misses: 1 });
  });

  test('a joined twin keeps its own deadline: its end leaves the other waiting', async () => {
    const { server, asked } = await holding();
    const client = stage.client(server, { deduplication: true });
    await client.connect();
    const long = client.check(question({ requestId: 'a' }));
    const short = rejection(client.check(question({ requestId: 'a' }), { deadline: 50 }), TimeoutError);
    expect(await short).toMatchObject({ requestId: 'a', outcome: 'unknown' });
    answerAll(asked);
    expect(isAllowed(await long)).toBe(true);
    expect(server.streamed).toHaveLength(1);
  });

  test('a joined twin with a later deadline outlives the one that began the exchange', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true });
    await client.connect();
    const short = rejection(client.check(question({ requestId: 'a' }), { deadline: 50 }), TimeoutError);
    const long = client.check(question({ requestId: 'a' }));
    await short;
    answerAll(asked);
    expect(isAllowed(await long)).toBe(true);
    expect(server.streamed).toHaveLength(1);
  });

  test('a joined twin keeps its own signal; when the last waiter leaves, nothing is cached', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true });
    const aborts = [new AbortController(), new AbortController()];
    const checks = aborts.map(({ signal }) =>
      rejection(client.check(question({ requestId: 'a' }), { signal }), CancelledError),
    );
    await server.until(() => asked.length === 1, 'the request');
    aborts[0]?.abort();
    await checks[0];
    aborts[1]?.abort();
    await checks[1];
    answerAll(asked);
    await client.check(question({ requestId: 'b' }), { deadline: 30 }).catch(() => undefined);
    expect(client.isDeduplicated('a')).toBe(false);
  });

  test('two questions under one id in flight: both are answered, neither is cached, until both have ended', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true });
    const read = client.check(question({ requestId: 'a', actions: ['read'] }));
    const write = client.check(question({ requestId: 'a', actions: ['write'] }));
    await server.until(() => asked.length === 2, 'both requests');
    answerAll(asked);
    expect([...(await read).results.keys()]).toEqual(['read']);
    expect([...(await write).results.keys()]).toEqual(['write']);
    expect(client.isDeduplicated('a')).toBe(false);
    expect(client.getDeduplicationCacheStats()).toMatchObject({ conflicts: 1, size: 0 });
    server.script = {};
    await client.check(question({ requestId: 'a', actions: ['write'] }));
    expect(client.isDeduplicated('a')).toBe(true);
  });

  test('an error is never cached', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined });
    const client = stage.client(server, { deduplication: true });
    await rejection(client.check(question({ requestId: 'a' }), { deadline: 40 }), TimeoutError);
    expect(client.isDeduplicated('a')).toBe(false);
    server.script = {};
    expect(isAllowed(await client.check(question({ requestId: 'a' })))).toBe(true);
  });

  test('the least recently used answer makes room', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    client.enableDeduplication(2);
    await client.check(question({ requestId: 'a' }));
    await client.check(question({ requestId: 'b' }));
    await client.check(question({ requestId: 'a' }));
    await client.check(question({ requestId: 'c' }));
    expect(['a', 'b', 'c'].map((id) => client.isDeduplicated(id))).toEqual([true, false, true]);
    expect(client.getDeduplicationCacheStats()).toMatchObject({ size: 2, capacity: 2, evictions: 1 });
  });

  test('an answer older than ttlMs goes to the wire again', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    client.enableDeduplication(100, { ttlMs: 1 });
    await client.check(question({ requestId: 'a' }));
    await expect.poll(() => client.isDeduplicated('a')).toBe(false);
    expect(client.getDedupedResponse('a')).toBeNull();
    await client.check(question({ requestId: 'a' }));
    expect(server.streamed).toHaveLength(2);
  });

  test('clearDeduplicationCache() forgets answers, and an answer in flight meanwhile is not kept', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true });
    const check = client.check(question({ requestId: 'a' }));
    await server.until(() => asked.length === 1, 'the request');
    client.clearDeduplicationCache();
    answerAll(asked);
    await check;
    expect(client.isDeduplicated('a')).toBe(false);
  });

  test.each(['loadPolicies', 'reloadPolicies'] as const)(
    '%s() through this client clears the cache',
    async (method) => {
      const engine = await stage.engine({ adminToken: 'secret' });
      const client = stage.client(engine, { deduplication: true, credentials: 'secret' });
      await client.check(question({ requestId: 'a' }));
      expect(client.isDeduplicated('a')).toBe(true);
      if (method === 'loadPolicies') await client.loadPolicies({ path: '.' });
      else await client.reloadPolicies();
      expect(client.isDeduplicated('a')).toBe(false);
    },
  );

  test('a shared answer cannot be changed by one of its readers', async () => {
    const client = stage.client(await stage.server(), { deduplication: true });
    const first = await client.check(question({ requestId: 'a' }));
    expect(() => (first.results as Map<string, unknown>).set('read', { effect: 2 })).toThrow(TypeError);
    first.requestId = 'mine now';
    expect((await client.check(question({ requestId: 'a' }))).requestId).toBe('a');
  });
});

describe('a handle with deduplication on', () => {
  test('gets a hit asynchronously and in turn, behind what was sent before it', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true });
    const warm = client.check(question({ requestId: 'hit' }));
    await server.until(() => asked.length === 1, 'the request');
    answerAll(asked);
    await warm;
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'slow' }));
    expect(handle.send(question({ requestId: 'hit' }))).toBe(true);
    expect(recorder.log).toEqual([]);
    await server.until(() => asked.length === 1, 'the slow request');
    expect(recorder.log).toEqual([]);
    answerAll(asked);
    await recorder.answered(2);
    expect(recorder.log).toEqual(['slow', 'hit']);
    expect(server.streamed.map(({ requestId }) => requestId)).toEqual(['hit', 'slow']);
  });

  test('and ensureOrdering off gets the hit at once', async () => {
    const { asked, server } = await holding();
    const client = stage.client(server, { deduplication: true, streams: { ensureOrdering: false } });
    const warm = client.check(question({ requestId: 'hit' }));
    await server.until(() => asked.length === 1, 'the request');
    answerAll(asked);
    await warm;
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'slow' }));
    handle.send(question({ requestId: 'hit' }));
    expect(recorder.log).toEqual([]);
    await recorder.answered(1);
    expect(recorder.log).toEqual(['hit']);
  });
});

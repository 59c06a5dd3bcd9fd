import { describe, expect, test } from 'vitest';
import {
  DEFAULT_STREAM_OPTIONS,
  DEFAULT_STREAM_POOL_CONFIG,
  isAllowed,
  PoolExhaustedError,
  ConfigurationError,
  type BidirectionalStreamHandle,
} from '../../src/index.js';
import { allow, type ScriptedServer, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { nextEvent, question, questions, Recorder, recordEvents, refusal, useStage } from '../support/stage.js';

const stage = useStage();

/** Sends one and waits for its answer. */
async function roundTrip(handle: BidirectionalStreamHandle): Promise<void> {
  expect(isAllowed(await handle.check(question()))).toBe(true);
}

async function ended(handle: BidirectionalStreamHandle, recorder: Recorder): Promise<void> {
  handle.end();
  await recorder.ended();
}

describe('createStreamPool()', () => {
  test('makes that many handles, each with an id of its own, listed and counted', async () => {
    const client = stage.client(await stage.server());
    const recorder = new Recorder();
    const handles = client.createStreamPool(4, recorder);
    expect(new Set(handles.map((handle) => handle.getId())).size).toBe(4);
    expect(client.getActiveStreamCount()).toBe(4);
    expect(client.listActiveStreamIds()).toEqual(handles.map((handle) => handle.getId()));
    for (const handle of handles) handle.send(question());
    await recorder.answered(4);
  });

  test('beyond maxConcurrentStreams: refuses with PoolExhaustedError naming the limit, and makes none', async () => {
    const client = stage.client(await stage.server());
    client.createBidirectionalStream(new Recorder());
    const error = refusal(() => client.createStreamPool(10, new Recorder()), PoolExhaustedError);
    expect(error.message).toContain('maxConcurrentStreams');
    expect(error.message).toContain('10');
    expect(client.getActiveStreamCount()).toBe(1);
    expect(client.createStreamPool(9, new Recorder())).toHaveLength(9);
    refusal(() => client.createBidirectionalStream(new Recorder()), PoolExhaustedError);
  });

  test('after configureStreamPool raised the limit: makes them', async () => {
    const client = stage.client(await stage.server());
    client.configureStreamPool({ maxConcurrentStreams: 25 });
    expect(client.createStreamPool(25, new Recorder())).toHaveLength(25);
  });

  test('where an index fails: stream_pool_creation_error with the index, and the others are made', async () => {
    const client = stage.client(await stage.server());
    let reads = 0;
    // The limits of the third handle are broken when they are read.
    const backpressure = {
      get highWaterMark() {
        reads++;
        return reads === 4 ? -1 : 100;
      },
    };
    const failed = nextEvent(client, 'stream_pool_creation_error');
    const handles = client.createStreamPool(4, new Recorder(), backpressure);
    expect(handles).toHaveLength(3);
    expect(await failed).toMatchObject({ index: 2, error: expect.any(ConfigurationError) as ConfigurationError });
  });

  test.each([0, -1, 1.5, Number.NaN, 10_001])('of %d: ConfigurationError naming count', async (count) => {
    const client = stage.client(await stage.server());
    expect(refusal(() => client.createStreamPool(count, new Recorder()), ConfigurationError).path).toBe('count');
  });
});

describe('management', () => {
  test('getStream finds a handle by id, and is null for others and ended ones', async () => {
    const client = stage.client(await stage.server());
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    expect(client.getStream(handle.getId())).toBe(handle);
    expect(client.getStream('nobody')).toBeNull();
    await ended(handle, recorder);
    expect(client.getStream(handle.getId())).toBeNull();
  });

  test('closeStream ends that one, closeAllStreams the rest, and an unknown id does nothing', async () => {
    const client = stage.client(await stage.server());
    const recorders = [new Recorder(), new Recorder(), new Recorder()];
    const handles = recorders.map((recorder) => client.createBidirectionalStream(recorder));
    client.closeStream('nobody');
    client.closeStream(handles[0]?.getId() ?? '');
    await recorders[0]?.ended();
    expect(client.getActiveStreamCount()).toBe(2);
    client.closeAllStreams();
    await Promise.all(recorders.map((recorder) => recorder.ended()));
    expect(client.getActiveStreamCount()).toBe(0);
    expect(client.listActiveStreamIds()).toEqual([]);
  });
});

describe('monitoring', () => {
  test('totals survive the closing of streams', async () => {
    const client = stage.client(await stage.server());
    expect(client.getStreamMonitoringMetrics()).toEqual({
      activeStreams: 0,
      totalMessagesSent: 0,
      totalMessagesReceived: 0,
      avgLatencyMs: 0,
      peakBufferSize: 0,
      backpressureEvents: 0,
    });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder, { lowWaterMark: 1, highWaterMark: 3 });
    for (const request of questions(5)) handle.send(request);
    await recorder.answered(5);
    const before = client.getStreamMonitoringMetrics();
    expect(before).toMatchObject({
      activeStreams: 1,
      totalMessagesSent: 5,
      totalMessagesReceived: 5,
      peakBufferSize: 5,
      backpressureEvents: 1,
    });
    expect(before.avgLatencyMs).toBeGreaterThan(0);
    await ended(handle, recorder);
    expect(client.getStreamMonitoringMetrics()).toEqual({ ...before, activeStreams: 0 });
    const next = client.createBidirectionalStream(new Recorder());
    await roundTrip(next);
    expect(client.getStreamMonitoringMetrics()).toMatchObject({ totalMessagesSent: 6, totalMessagesReceived: 6 });
  });

  test('getStreamDiagnostics gives metrics, configuration, dedup statistics and ids together', async () => {
    const client = stage.client(await stage.server());
    const handle = client.createBidirectionalStream(new Recorder());
    expect(client.getStreamDiagnostics()).toMatchObject({
      metrics: { activeStreams: 1 },
      poolConfig: DEFAULT_STREAM_POOL_CONFIG,
      advancedOptions: DEFAULT_STREAM_OPTIONS,
      deduplicationStats: { size: 0, capacity: 100 },
      activeStreamIds: [handle.getId()],
    });
    client.configureStreamPool({ streamIdleTimeout: 77 });
    client.configureAdvancedStreamOptions({ maxRequestsPerStream: 5 });
    expect(client.getStreamDiagnostics()).toMatchObject({
      poolConfig: { ...DEFAULT_STREAM_POOL_CONFIG, streamIdleTimeout: 77 },
      advancedOptions: { ...DEFAULT_STREAM_OPTIONS, maxRequestsPerStream: 5 },
    });
  });

  test('what it gives is a copy: changing it changes nothing', async () => {
    const client = stage.client(await stage.server());
    const { poolConfig, advancedOptions } = client.getStreamDiagnostics();
    poolConfig.maxConcurrentStreams = 9_999;
    advancedOptions.multiplexing = false;
    expect(client.getStreamDiagnostics().poolConfig.maxConcurrentStreams).toBe(10);
    expect(client.getStreamDiagnostics().advancedOptions.multiplexing).toBe(true);
  });
});

describe('reuse', () => {
  test('on: an ended handle’s call is parked, not half-closed, unlisted; the next handle rides on it with a new id and fresh stats', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const recorder = new Recorder();
    const first = client.createBidirectionalStream(recorder);
    await roundTrip(first);
    await ended(first, recorder);
    expect(client.getActiveStreamCount()).toBe(0);
    expect(server.streams[0]?.halfClosed).toBe(false);
    const second = client.createBidirectionalStream(new Recorder());
    await roundTrip(second);
    expect(server.streams).toHaveLength(1);
    expect(second.getId()).not.toBe(first.getId());
    expect(second.getStats()).toMatchObject({ messagesSent: 1, messagesReceived: 1 });
  });

  test('on: after streamReuseTimeout the parked call is half-closed', async () => {
    const server = await stage.server();
    const client = stage.client(server, { streamPool: { streamReuseTimeout: 40 } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    await roundTrip(handle);
    await ended(handle, recorder);
    expect(server.streams[0]?.halfClosed).toBe(false);
    await expect.poll(() => server.streams[0]?.halfClosed).toBe(true);
    await roundTrip(client.createBidirectionalStream(new Recorder()));
    expect(server.streams).toHaveLength(2);
  });

  test('off: end() half-closes at once', async () => {
    const server = await stage.server();
    const client = stage.client(server, { streamPool: { enableStreamReuse: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    await roundTrip(handle);
    await ended(handle, recorder);
    await expect.poll(() => server.streams[0]?.halfClosed).toBe(true);
  });

  test('of a call whose late answer is still out: the next handle never sees it', async () => {
    const held: { request: WireRequest; stream: ScriptedStream }[] = [];
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (request.requestId === 'late') held.push({ request, stream });
        else stream.reply(allow(request));
      },
    });
    const client = stage.client(server, { timeout: 120 });
    await client.connect();
    const recorder = new Recorder();
    const first = client.createBidirectionalStream(recorder);
    first.send(question({ requestId: 'late' }));
    await ended(first, recorder);
    expect(recorder.log).toEqual(['!late', 'end']);
    const other = new Recorder();
    const second = client.createBidirectionalStream(other);
    for (const { request, stream } of held) stream.reply(allow(request));
    second.send(question({ requestId: 'own' }));
    await other.answered(1);
    expect(other.log).toEqual(['own']);
  });
});

describe('an idle stream', () => {
  test('is closed after streamIdleTimeout; the handle lives, and the next send reopens it', async () => {
    const server = await stage.server();
    const client = stage.client(server, { streamPool: { streamIdleTimeout: 50, enableStreamReuse: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    await roundTrip(handle);
    const id = handle.getId();
    await expect.poll(() => handle.getState(), { timeout: 3_000 }).toBe('idle');
    await expect.poll(() => server.streams[0]?.halfClosed).toBe(true);
    expect(client.getActiveStreamCount()).toBe(1);
    handle.send(question({ requestId: 'again' }));
    await recorder.answered(1);
    expect(recorder.log).toEqual(['again']);
    expect(server.streams).toHaveLength(2);
    expect(handle.getId()).toBe(id);
    expect(handle.getStats().messagesSent).toBe(2);
  });

  test('with an answer owed is not closed', async () => {
    const held: { request: WireRequest; stream: ScriptedStream }[] = [];
    const server = await stage.server({ onStreamRequest: (request, stream) => held.push({ request, stream }) });
    const client = stage.client(server, { streamPool: { streamIdleTimeout: 30 } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ requestId: 'slow' }));
    const idler = client.createBidirectionalStream(new Recorder());
    await idler.ready();
    await expect.poll(() => idler.getState(), { timeout: 3_000 }).toBe('idle');
    expect(handle.getState()).not.toBe('idle');
    for (const { request, stream } of held) stream.reply(allow(request));
    await recorder.answered(1);
  });
});

describe('rotation at maxRequestsPerStream', () => {
  test('a handle moves to a new call, make before break: its id lives on, and every answer comes once, in order', async () => {
    const server = await stage.server();
    const client = stage.client(server, {
      streams: { maxRequestsPerStream: 10 },
      streamPool: { enableStreamReuse: false },
    });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const id = handle.getId();
    const sent = questions(95);
    for (const [index, request] of sent.entries()) {
      handle.send(request);
      if (index % 5 === 4) await recorder.answered(index + 1);
    }
    await recorder.answered(95);
    expect(recorder.log).toEqual(sent.map(({ requestId }) => requestId));
    expect(server.streams.length).toBeGreaterThanOrEqual(9);
    expect(handle.getId()).toBe(id);
    await expect.poll(() => server.openStreams.length).toBe(1);
    expect(recorder.reconnects).toEqual([]);
  });

  test('answers still owed on the old call count, though the new one is already written to', async () => {
    const held: { request: WireRequest; stream: ScriptedStream }[] = [];
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (stream.index === 0) held.push({ request, stream });
        else stream.reply(allow(request));
      },
    });
    const client = stage.client(server, { streams: { maxRequestsPerStream: 3, ensureOrdering: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const id of ['a', 'b', 'c']) handle.send(question({ requestId: id }));
    await server.until(() => held.length === 3, 'the first call’s requests');
    handle.send(question({ requestId: 'd' }));
    await recorder.answered(1);
    expect(recorder.log).toEqual(['d']);
    for (const { request, stream } of held) stream.reply(allow(request));
    await recorder.answered(4);
    expect(recorder.log).toEqual(['d', 'a', 'b', 'c']);
    expect(server.streamed).toHaveLength(4);
  });

  test('a burst far beyond the limit: is spread over calls and all answered', async () => {
    const server = await stage.server();
    const client = stage.client(server, { streams: { maxRequestsPerStream: 50 } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const request of questions(1_000)) expect(handle.send(request)).toBe(true);
    await recorder.answered(1_000);
    expect(recorder.failures).toEqual([]);
    expect(server.streams.length).toBeGreaterThanOrEqual(20);
    expect(Math.max(...server.streams.map(({ requests }) => requests.length))).toBe(50);
  });
});

describe('multiplexing', () => {
  test('off: one request in flight per stream', async () => {
    let inFlight = 0;
    let most = 0;
    const server: ScriptedServer = await stage.server({
      onStreamRequest: (request, stream) => {
        inFlight++;
        most = Math.max(most, inFlight);
        setImmediate(() => {
          inFlight--;
          stream.reply(allow(request));
        });
      },
    });
    const client = stage.client(server, { streams: { multiplexing: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const request of questions(50)) handle.send(request);
    await recorder.answered(50);
    expect(most).toBe(1);
  });

  test('on: many in flight', async () => {
    const held: { request: WireRequest; stream: ScriptedStream }[] = [];
    const server = await stage.server({ onStreamRequest: (request, stream) => held.push({ request, stream }) });
    const recorder = new Recorder();
    const handle = stage.client(server).createBidirectionalStream(recorder);
    for (const request of questions(500)) handle.send(request);
    await server.until(() => held.length === 500, 'all requests');
    for (const { request, stream } of held) stream.reply(allow(request));
    await recorder.answered(500);
  });
});

describe('configuring', () => {
  test('configureStreamPool and configureAdvancedStreamOptions refuse what they do not know, and keep what was', async () => {
    const client = stage.client(await stage.server());
    const refused = (run: () => void, path: string): void => {
      expect(refusal(run, ConfigurationError).path).toBe(path);
    };
    refused(() => client.configureStreamPool({ maxConcurrentStreams: 0 }), 'streamPool.maxConcurrentStreams');
    refused(() => client.configureStreamPool({ maxConcurentStreams: 5 } as object), 'streamPool.maxConcurentStreams');
    refused(() => client.configureAdvancedStreamOptions({ multiplexing: 1 } as object), 'streams.multiplexing');
    expect(client.getStreamDiagnostics().poolConfig).toEqual(DEFAULT_STREAM_POOL_CONFIG);
    expect(client.getStreamDiagnostics().advancedOptions).toEqual(DEFAULT_STREAM_OPTIONS);
  });
});

test('handles of one client share the connection and do not disturb one another', async () => {
  const server = await stage.server();
  const client = stage.client(server);
  const events = recordEvents(client, ['pool_connection_created']);
  const recorders = Array.from({ length: 8 }, () => new Recorder());
  const handles = recorders.map((recorder) => client.createBidirectionalStream(recorder));
  const sent = handles.map((handle) => {
    const own = questions(50);
    for (const request of own) handle.send(request);
    return own.map(({ requestId }) => requestId);
  });
  await Promise.all(recorders.map((recorder) => recorder.answered(50)));
  expect(recorders.map(({ log }) => log)).toEqual(sent);
  expect(server.connectionCount).toBe(1);
  expect(server.streams).toHaveLength(8);
  expect(events).toHaveLength(1);
});

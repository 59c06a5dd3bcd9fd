import { describe, expect, test } from 'vitest';
import { type BackpressureConfig, BackpressureError, ConfigurationError, StreamClosedError } from '../../src/index.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, questions, Recorder, recordEvents, refusal, rejection, useStage } from '../support/stage.js';

const stage = useStage();
const LIMITS = { lowWaterMark: 2, highWaterMark: 4, maxBufferSize: 6 };

/** A client whose stream has one request in flight, so that the outbox holds what the test says. */
async function held() {
  const asked: { request: WireRequest; stream: ScriptedStream }[] = [];
  const server = await stage.server({ onStreamRequest: (request, stream) => asked.push({ request, stream }) });
  const client = stage.client(server, { streams: { multiplexing: false } });
  const events = recordEvents(client, ['backpressure_start', 'backpressure_end', 'message_dropped']);
  const recorder = new Recorder();
  const handle = client.createBidirectionalStream(recorder, LIMITS);
  handle.send(question({ requestId: 'first' }));
  await server.until(() => asked.length === 1, 'the first request');
  const answerNext = async (): Promise<void> => {
    const next = asked.shift();
    if (next === undefined) throw new Error('nothing was asked');
    next.stream.reply(allow(next.request));
    if (handle.getStats().bufferSize > 0) await server.until(() => asked.length === 1, 'the next request');
    else await recorder.until(() => recorder.log.includes(next.request.requestId), 'the response');
  };
  return { server, client, events, recorder, handle, answerNext };
}

describe('accepted, unwritten messages of a handle', () => {
  test('below highWaterMark: writable, nothing is told', async () => {
    const { handle, recorder, events } = await held();
    for (const request of questions(3)) expect(handle.send(request)).toBe(true);
    expect(handle.getStats().bufferSize).toBe(3);
    expect(handle.isWritable()).toBe(true);
    expect(recorder.pauses).toEqual([]);
    expect(events).toEqual([]);
  });

  test('at highWaterMark: not writable, onBackpressure(true) and backpressure_start once; send is true until maxBufferSize', async () => {
    const { handle, recorder, events } = await held();
    for (const request of questions(6)) expect(handle.send(request)).toBe(true);
    expect(handle.isWritable()).toBe(false);
    expect(handle.getStats().bufferSize).toBe(6);
    await expect.poll(() => recorder.pauses).toEqual([true]);
    expect(events).toEqual([['backpressure_start', { streamId: handle.getId() }]]);
  });

  test('at maxBufferSize: send is false, counted and told, and nothing of it is sent', async () => {
    const { handle, events, server, answerNext, recorder } = await held();
    for (const request of questions(6)) handle.send(request);
    expect(handle.send(question({ requestId: 'over' }))).toBe(false);
    expect(handle.getStats().messagesDropped).toBe(1);
    await expect
      .poll(() => events.filter(([name]) => name === 'message_dropped'))
      .toEqual([['message_dropped', { streamId: handle.getId(), requestId: 'over' }]]);
    for (let index = 0; index < 7; index++) await answerNext();
    await recorder.answered(7);
    expect(server.streamed.map(({ requestId }) => requestId)).not.toContain('over');
    expect(recorder.failures).toEqual([]);
  });

  test('at maxBufferSize: check() rejects with BackpressureError, notSent, with the size', async () => {
    const { handle } = await held();
    for (const request of questions(6)) handle.send(request);
    const error = await rejection(handle.check(question({ requestId: 'over' })), BackpressureError);
    expect(error).toMatchObject({ bufferSize: 6, outcome: 'notSent', requestId: 'over' });
    expect(handle.getStats().messagesDropped).toBe(1);
  });

  test('down to lowWaterMark and not before: writable, onBackpressure(false), backpressure_end, ready()', async () => {
    const { handle, recorder, events, answerNext } = await held();
    for (const request of questions(4)) handle.send(request);
    let isReady = false;
    const ready = handle.ready().then(() => (isReady = true));
    await answerNext();
    expect(handle.getStats().bufferSize).toBe(3);
    expect(handle.isWritable()).toBe(false);
    expect(isReady).toBe(false);
    await answerNext();
    expect(handle.getStats().bufferSize).toBe(2);
    expect(handle.isWritable()).toBe(true);
    await ready;
    await expect.poll(() => recorder.pauses).toEqual([true, false]);
    expect(events.map(([name]) => name)).toEqual(['backpressure_start', 'backpressure_end']);
  });

  test('back up again: it is told again, and counted in the monitoring metrics', async () => {
    const { handle, client, recorder, answerNext } = await held();
    for (const request of questions(4)) handle.send(request);
    for (let index = 0; index < 3; index++) await answerNext();
    for (const request of questions(4)) handle.send(request);
    await expect.poll(() => recorder.pauses).toEqual([true, false, true]);
    expect(client.getStreamMonitoringMetrics()).toMatchObject({ backpressureEvents: 2, peakBufferSize: 5 });
  });

  test('while the stream is not connected yet: the same numbers hold', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder, LIMITS);
    const accepted = questions(8).map((request) => handle.send(request));
    expect(accepted).toEqual([true, true, true, true, true, true, false, false]);
    expect(handle.isWritable()).toBe(false);
    await recorder.answered(6);
    expect(handle.isWritable()).toBe(true);
    await expect.poll(() => recorder.pauses).toEqual([true, false]);
  });

  test('that expire in the buffer: are told by onError, notSent, and lift the backpressure', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined });
    const client = stage.client(server, { timeout: 150, streams: { multiplexing: false } });
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder, LIMITS);
    for (const request of questions(5)) handle.send(request);
    await server.until(() => server.streamed.length === 1, 'the first request');
    await recorder.until(() => recorder.failures.length === 5, 'all failures');
    const outcomes = recorder.failures.map((error) => ('outcome' in error ? error.outcome : undefined));
    expect(outcomes[0]).toBe('unknown');
    expect(outcomes.at(-1)).toBe('notSent');
    expect(handle.isWritable()).toBe(true);
  });
});

describe('a burst on an open handle', () => {
  test('larger than highWaterMark, in one turn: nothing is refused while the wire takes it', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question());
    await recorder.answered(1);
    const sent = questions(5_000);
    for (const request of sent) expect(handle.send(request)).toBe(true);
    await recorder.answered(5_001);
    expect(handle.getStats()).toMatchObject({ messagesDropped: 0, messagesSent: 5_001, messagesReceived: 5_001 });
  });
});

describe('ready()', () => {
  test('on a writable handle resolves, and starts connecting', async () => {
    const client = stage.client(await stage.server());
    const handle = client.createBidirectionalStream(new Recorder());
    await handle.ready();
    await expect.poll(() => handle.getState()).toBe('open');
  });

  test('waiting when end() comes, or called after it: StreamClosedError', async () => {
    const { handle } = await held();
    for (const request of questions(5)) handle.send(request);
    const waiting = rejection(handle.ready(), StreamClosedError);
    handle.end();
    await waiting;
    await rejection(handle.ready(), StreamClosedError);
  });
});

describe('watermarks of one handle', () => {
  test.each([
    [{ lowWaterMark: 4, highWaterMark: 4 }, 'backpressure.lowWaterMark'],
    [{ highWaterMark: 2_000 }, 'backpressure.highWaterMark'],
    [{ maxBufferSize: 0 }, 'backpressure.maxBufferSize'],
    [{ maxBufferSiz: 9 }, 'backpressure.maxBufferSiz'],
  ])('%j is refused, naming %s, and no handle is made', async (limits, path) => {
    const client = stage.client(await stage.server());
    const error = refusal(
      () => client.createBidirectionalStream(new Recorder(), limits as Partial<BackpressureConfig>),
      ConfigurationError,
    );
    expect(error.path).toBe(path);
    expect(client.getActiveStreamCount()).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import {
  type AuthzClient,
  type BidirectionalStreamHandle,
  type CheckResponse,
  isAllowed,
  PoolExhaustedError,
  TimeoutError,
} from '../../src/index.js';
import { eventually } from '../support/recorder.js';
import { allow, ScriptedStatus } from '../support/scripted-server.js';
import { question, rejection, useStage } from '../support/stage.js';

const stage = useStage();

function openHandles(
  client: AuthzClient,
  count: number,
): { handles: BidirectionalStreamHandle[]; answers: CheckResponse[] } {
  const answers: CheckResponse[] = [];
  const handles = Array.from({ length: count }, () =>
    client.createBidirectionalStream({
      onResponse: (response) => answers.push(response),
      onError: (error) => {
        throw error;
      },
      onEnd: () => undefined,
    }),
  );
  return { handles, answers };
}

describe('a server that allows 2 streams at once', () => {
  it('five handles with one request each: the pool grows to three connections and all are answered', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 2 });
    const client = stage.client(server, { healthCheck: { enabled: false } });
    await client.connect();
    const { handles, answers } = openHandles(client, 5);
    for (const [index, handle] of handles.entries())
      expect(handle.send({ ...question(), requestId: `r${index}` })).toBe(true);
    await eventually(() => answers.length === 5, 'five answers');
    expect(client.getPoolStats().totalConnections).toBe(3);
    expect(client.getConnections().filter(({ state }) => state === 'paused')).toHaveLength(2);
  });

  it('default health checks: no Watch takes one of the two, and checkHealth() says serving', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 2 });
    const client = stage.client(server);
    await client.connect();
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(server.watches).toBe(0);
    expect((await client.checkHealth()).status).toBe('serving');
  });
});

describe('a server that allows no stream at all', () => {
  it('check(): the pool grows to its maximum and no further, and the refusal names the limit; disconnect() ends at once', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 0 });
    const client = stage.client(server, { connectionPool: { maxConnections: 2, acquireTimeout: 300 } });
    await client.connect();
    const error = await rejection(client.check(question()), PoolExhaustedError);
    expect(error.message).toMatch(/connection-1 to .* allows 0, connection-2 to .* allows 0/);
    expect(server.connectionCount).toBe(2);
    await client.disconnect();
  });
});

describe('a server that allows 1 stream at once', () => {
  it('one open handle: a check() opens a second connection and is answered', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 1 });
    const client = stage.client(server);
    const { handles, answers } = openHandles(client, 1);
    handles[0]?.send({ ...question(), requestId: 'on the handle' });
    await eventually(() => answers.length === 1, 'an answer');
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(client.getPoolStats().totalConnections).toBe(2);
  });

  it('one connection at most, an idle handle on its stream: a check() gets the stream, and the handle gets it back', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    const { handles, answers } = openHandles(client, 1);
    const [handle] = handles;
    handle?.send({ ...question(), requestId: 'first' });
    await eventually(() => answers.length === 1, 'an answer');
    expect(isAllowed(await client.check(question()))).toBe(true);
    handle?.send({ ...question(), requestId: 'second' });
    await eventually(() => answers.length === 2, 'a second answer');
    expect(client.getPoolStats().totalConnections).toBe(1);
    expect(server.connectionCount).toBe(1);
  });

  it('a check() and batches on one connection at most: each takes its turn', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    expect(isAllowed(await client.check(question()))).toBe(true);
    const batches = await Promise.all([client.checkBatch([question()]), client.checkBatch([question(), question()])]);
    expect(batches.map((responses) => responses.map((response) => isAllowed(response)))).toEqual([
      [true],
      [true, true],
    ]);
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect((await client.checkHealth()).status).toBe('serving');
    expect(server.connectionCount).toBe(1);
  });

  it('without CheckStream and CheckBatch, twenty checks at once: all are answered, one call at a time on each connection', async () => {
    let open = 0;
    let most = 0;
    const server = await stage.server(
      {
        unimplemented: ['CheckStream', 'CheckBatch'],
        onCheck: async (request) => {
          open++;
          most = Math.max(most, open);
          await new Promise((resolve) => setImmediate(resolve));
          open--;
          return allow(request);
        },
      },
      { maxConcurrentStreams: 1 },
    );
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.check(question())));
    expect(answers.every((answer) => isAllowed(answer))).toBe(true);
    expect(most).toBe(1);
  });

  it('every stream busy for good: check() and checkBatch() are refused at acquireTimeout, naming the limit', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined }, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1, acquireTimeout: 300 } });
    const { handles } = openHandles(client, 1);
    handles[0]?.check({ ...question(), requestId: 'never answered' }).catch(() => undefined);
    await eventually(() => server.streams.some(({ requests }) => requests.length === 1), 'the request');
    const refused = [client.check(question()), client.checkBatch([question()])];
    for (const error of await Promise.all(refused.map((promise) => rejection(promise, PoolExhaustedError)))) {
      expect(error).toMatchObject({ outcome: 'notSent' });
      expect(String(error)).toMatch(/acquireTimeout.*connection-1 to 127\.0\.0\.1:\d+ allows 1/);
    }
  });

  it('every stream busy past the deadline: the TimeoutError of another handle names the limit', async () => {
    const server = await stage.server({ onStreamRequest: () => undefined }, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    const { handles } = openHandles(client, 2);
    handles[0]?.check({ ...question(), requestId: 'never answered' }).catch(() => undefined);
    await eventually(() => server.streams.some(({ requests }) => requests.length === 1), 'the request');
    const late = handles[1]?.check(question(), { deadline: 200 });
    await expect(late).rejects.toThrow(TimeoutError);
    await expect(late).rejects.toThrow(/limit of concurrent streams.*allows 1/);
  });

  it('a handle whose call is rotated: it gives its stream up for the next, and every request is answered', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    client.configureAdvancedStreamOptions({ maxRequestsPerStream: 3 });
    const { handles, answers } = openHandles(client, 1);
    for (let index = 0; index < 10; index++) handles[0]?.send({ ...question(), requestId: `r${index}` });
    await eventually(() => answers.length === 10, 'ten answers');
    expect(answers.map(({ requestId }) => requestId)).toEqual(Array.from({ length: 10 }, (_, index) => `r${index}`));
    expect(server.streams).toHaveLength(4);
  });

  it('ended handles with reuse on: the parked call goes to the next handle, or to a check()', async () => {
    const server = await stage.server({}, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    for (let round = 0; round < 3; round++) {
      const { handles, answers } = openHandles(client, 1);
      handles[0]?.send({ ...question(), requestId: `r${round}` });
      await eventually(() => answers.length === 1, 'an answer');
      handles[0]?.end();
      expect(isAllowed(await client.check(question()))).toBe(true);
    }
    expect(server.connectionCount).toBe(1);
  });

  it('its stream fails while others wait for it: nothing is lost', async () => {
    let failures = 0;
    const server = await stage.server(
      {
        onStreamRequest: (request, stream) => {
          if (failures++ < 2) stream.fail(14, 'not now');
          else stream.reply(allow(request));
        },
        onBatch: (requests) => {
          if (requests.length === 0) throw new ScriptedStatus(3);
          return { responses: requests.map(allow) };
        },
      },
      { maxConcurrentStreams: 1 },
    );
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    const all = [
      client.check(question()),
      client.check(question()),
      client.checkBatch([question()]).then(([first]) => first),
    ];
    for (const answer of await Promise.all(all)) expect(answer !== undefined && isAllowed(answer)).toBe(true);
  });
});

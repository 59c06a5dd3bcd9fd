import { describe, expect, test } from 'vitest';
import {
  type AuthzClient,
  AuthzClientError,
  BackpressureError,
  CancelledError,
  type CheckRequest,
  type CheckResponse,
  ConnectionError,
  Effect,
  GrpcCode,
  isAllowed,
  ProtocolError,
  TimeoutError,
} from '../../src/index.js';
import {
  allow,
  deny,
  type Script,
  ScriptedStatus,
  type ScriptedServer,
  type WireRequest,
  type WireResponse,
} from '../support/scripted-server.js';
import { question, questions, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

/** A server without CheckStream. */
const streamless = (script: Script = {}, options: Parameters<typeof stage.server>[1] = {}): Promise<ScriptedServer> =>
  stage.server({ unimplemented: ['CheckStream'], ...script }, options);

/** All in one turn of the loop. */
const askAll = (client: AuthzClient, asked: readonly CheckRequest[]): Promise<CheckResponse[]> =>
  Promise.all(asked.map((request) => client.check(request)));

const settleAll = (
  client: AuthzClient,
  asked: readonly CheckRequest[],
): Promise<PromiseSettledResult<CheckResponse>[]> => Promise.allSettled(asked.map((request) => client.check(request)));

const sizes = (server: ScriptedServer): number[] => server.batches.map(({ requests }) => requests.length);

const effectsOf = (responses: readonly CheckResponse[]): unknown[] =>
  responses.map(({ results }) => results.get('read')?.effect);

/** Answers a batch when told to. */
function holding(answer: (requests: readonly WireRequest[]) => readonly WireResponse[]) {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const onBatch: Script['onBatch'] = async (requests) => {
    await released;
    return { responses: answer(requests) };
  };
  return { onBatch, release };
}

const allowEach = (requests: readonly WireRequest[]): WireResponse[] => requests.map((one) => allow(one));

describe('checks at once, on a server without CheckStream', () => {
  test('that does not know yet: a hundred go by one CheckBatch, and none by Check', async () => {
    const server = await streamless();
    const client = stage.client(server);
    const asked = questions(100);
    const responses = await askAll(client, asked);
    expect(responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.batches.length).toBeLessThanOrEqual(4);
    expect(sizes(server).reduce((sum, size) => sum + size)).toBe(100);
    expect(server.checks).toEqual([]);
    expect(client.getStats()).toMatchObject({ totalRequests: 100, successfulRequests: 100, failedRequests: 0 });
  });

  test('a lone one, and one after the other: go by Check', async () => {
    const server = await streamless();
    const client = stage.client(server);
    for (let round = 0; round < 3; round++) await client.check(question());
    expect(server.checks).toHaveLength(3);
    expect(server.batches).toEqual([]);
  });

  test('more than a batch holds: several', async () => {
    const server = await streamless();
    const client = stage.client(server);
    await client.check(question());
    await askAll(client, questions(250));
    expect(sizes(server)).toEqual([100, 100, 50]);
    expect(server.checks).toHaveLength(1);
  });

  test('more bytes than one message holds: several, none of them too large', async () => {
    const server = await streamless();
    const client = stage.client(server, { maxMessageBytes: 1_000 });
    await client.check(question());
    const asked = Array.from({ length: 7 }, () => question({ resource: { kind: 'note', id: 'x'.repeat(280) } }));
    const whole = question({ resource: { kind: 'note', id: 'x'.repeat(940) } });
    const responses = await askAll(client, [...asked, whole]);
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([3, 3]);
    expect(server.checks).toHaveLength(3);
  });

  test('with room for one call at a time: the rest waits, and is gathered meanwhile', async () => {
    let open = 0;
    let most = 0;
    const server = await streamless(
      {
        onBatch: async (requests) => {
          open++;
          most = Math.max(most, open);
          await new Promise((resolve) => setImmediate(resolve));
          open--;
          return { responses: allowEach(requests) };
        },
      },
      { maxConcurrentStreams: 1 },
    );
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    await client.check(question());
    const responses = await askAll(client, questions(250));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([100, 100, 50]);
    expect(most).toBe(1);
  });

  test('sent by a handle: go together too, and are delivered in the order sent', async () => {
    const server = await streamless({ onBatch: (requests) => ({ responses: allowEach(requests).reverse() }) });
    const client = stage.client(server);
    await client.check(question());
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    const asked = questions(50);
    for (const request of asked) expect(handle.send(request)).toBe(true);
    handle.end();
    await recorder.ended();
    expect(recorder.responses.map(({ requestId }) => requestId)).toEqual(asked.map(({ requestId }) => requestId));
    expect(recorder.failures).toEqual([]);
    expect(sizes(server).reduce((sum, size) => sum + size)).toBe(50);
  });

  test('past maxPendingChecks: refused as on streams, and the rest is answered', async () => {
    const server = await streamless();
    const client = stage.client(server, { maxPendingChecks: 5 });
    const settled = await settleAll(client, questions(6));
    expect(settled.map(({ status }) => status)).toEqual([...new Array<string>(5).fill('fulfilled'), 'rejected']);
    expect(settled[5]).toMatchObject({ reason: expect.any(BackpressureError) as Error });
  });
});

describe('the answers of a batch', () => {
  test('in another order: each goes to the check with its id', async () => {
    const server = await streamless({
      onBatch: (requests) => ({
        responses: requests.map((one, index) => (index % 2 === 0 ? allow(one) : deny(one))).reverse(),
      }),
    });
    const client = stage.client(server);
    await client.check(question());
    const { ALLOW, DENY } = Effect;
    expect(effectsOf(await askAll(client, questions(4)))).toEqual([ALLOW, DENY, ALLOW, DENY]);
  });

  test('with anything but an explicit ALLOW for what was asked: not allowed', async () => {
    const answers: ((request: WireRequest) => WireResponse)[] = [
      deny,
      ({ requestId }) => ({ requestId }),
      ({ requestId }) => ({ requestId, results: { read: { effect: 0, matched: true } } }),
      ({ requestId }) => ({ requestId, results: { read: { effect: 7, matched: true } } }),
      ({ requestId }) => ({ requestId, results: { admin: { effect: 1 } } }),
      allow,
    ];
    const server = await streamless({
      onBatch: (requests) => ({ responses: requests.map((one, index) => answers[index]?.(one) ?? {}) }),
    });
    const client = stage.client(server);
    await client.check(question());
    const responses = await askAll(client, questions(answers.length));
    expect(responses.map((response) => isAllowed(response))).toEqual([false, false, false, false, false, true]);
    expect(responses.every(({ results }) => [...results.keys()].join() === 'read')).toBe(true);
    expect(server.checks).toHaveLength(1);
  });

  test('twice for one check, and for ids that were not asked: the first counts, the others for nothing', async () => {
    const server = await streamless({
      onBatch: ([one, two]) => ({
        responses:
          one === undefined || two === undefined
            ? []
            : [
                { ...allow(one), requestId: 'foreign' },
                { ...allow(one), requestId: '' },
                deny(one),
                allow(one),
                deny(two),
              ],
      }),
    });
    const client = stage.client(server);
    await client.check(question());
    expect(effectsOf(await askAll(client, questions(2)))).toEqual([Effect.DENY, Effect.DENY]);
  });

  test('with the id of a check in another batch: count for nothing there', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let stolen: WireRequest | undefined;
    const server = await streamless({
      onBatch: async (requests) => {
        if (stolen !== undefined) return { responses: [allow(stolen), ...allowEach(requests)] };
        [stolen] = requests;
        await released;
        return { responses: requests.map((one) => deny(one)) };
      },
    });
    const client = stage.client(server);
    await client.check(question());
    const held = askAll(client, questions(2));
    await server.until(() => server.batches.length === 1, 'the first batch');
    expect(effectsOf(await askAll(client, questions(2)))).toEqual([Effect.ALLOW, Effect.ALLOW]);
    release();
    expect(effectsOf(await held)).toEqual([Effect.DENY, Effect.DENY]);
  });

  test('without one of the checks: that one is asked by itself, and has its own answer', async () => {
    const server = await streamless({
      onBatch: (requests) => ({ responses: allowEach(requests.slice(1)) }),
      onCheck: (request) => deny(request),
    });
    const client = stage.client(server);
    await client.check(question());
    const asked = questions(3);
    expect(effectsOf(await askAll(client, asked))).toEqual([Effect.DENY, Effect.ALLOW, Effect.ALLOW]);
    expect(server.checks.map(({ request }) => request.requestId).slice(1)).toEqual([asked[0]?.requestId]);
    expect(client.getStats()).toMatchObject({ totalRequests: 4, successfulRequests: 4 });
  });

  test('with none at all, and no answer to each alone either: each fails for itself, once', async () => {
    const server = await streamless({ onBatch: () => ({ responses: [] }) });
    const client = stage.client(server);
    await client.check(question());
    server.script = { ...server.script, onCheck: () => ({ requestId: 'foreign' }) };
    const settled = await settleAll(client, questions(3));
    expect(settled.map((one) => one.status === 'rejected' && one.reason instanceof ProtocolError)).toEqual([
      true,
      true,
      true,
    ]);
    expect(server.batches).toHaveLength(1);
    expect(server.checks).toHaveLength(4);
  });

  test('more than are taken: the batch counts for nothing, and each check is asked by itself', async () => {
    const server = await streamless({
      onBatch: (requests) => ({
        responses: [...allowEach(requests), ...Array.from({ length: 101 }, () => ({ requestId: 'foreign' }))],
      }),
      onCheck: (request) => deny(request),
    });
    const client = stage.client(server);
    await client.check(question());
    expect(effectsOf(await askAll(client, questions(2)))).toEqual([Effect.DENY, Effect.DENY]);
  });

  test('larger than maxMessageBytes together: each check ends RESOURCE_EXHAUSTED, and the next lone one is answered', async () => {
    const server = await streamless({
      onBatch: (requests) => ({
        responses: requests.map((one) => ({
          requestId: one.requestId,
          results: { read: { effect: 1, policy: 'p'.repeat(400) } },
        })),
      }),
    });
    const client = stage.client(server, { maxMessageBytes: 1_000 });
    await client.check(question());
    for (const one of await settleAll(client, questions(3))) {
      expect(one).toMatchObject({ reason: { grpcCode: GrpcCode.RESOURCE_EXHAUSTED, outcome: 'unknown' } });
    }
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(sizes(server)).toEqual([3]);
    expect(server.checks).toHaveLength(2);
  });
});

describe('one check of a batch', () => {
  test('with a shorter deadline: times out alone', async () => {
    const held = holding(allowEach);
    const server = await streamless({ onBatch: held.onBatch });
    const client = stage.client(server);
    await client.check(question());
    const short = rejection(client.check(question({ requestId: 'short' }), { deadline: 50 }), TimeoutError);
    const others = askAll(client, questions(2));
    expect(await short).toMatchObject({ requestId: 'short', timeoutMs: 50, outcome: 'unknown' });
    held.release();
    expect((await others).every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([3]);
    expect(client.getStats()).toMatchObject({ totalRequests: 4, successfulRequests: 3, failedRequests: 1 });
  });

  test('that is aborted: is cancelled alone', async () => {
    const held = holding(allowEach);
    const server = await streamless({ onBatch: held.onBatch });
    const client = stage.client(server);
    await client.check(question());
    const abort = new AbortController();
    const aborted = rejection(client.check(question(), { signal: abort.signal }), CancelledError);
    const others = askAll(client, questions(2));
    await server.until(() => server.batches.length === 1, 'the batch');
    abort.abort('enough');
    expect(await aborted).toMatchObject({ outcome: 'unknown', cause: 'enough' });
    held.release();
    expect((await others).every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([3]);
  });

  test('and every other one, aborted: the batch is cancelled on the wire, and its place is free again', async () => {
    const server = await streamless({ onBatch: () => new Promise(() => undefined) }, { maxConcurrentStreams: 1 });
    const client = stage.client(server, { connectionPool: { maxConnections: 1 } });
    await client.check(question());
    const abort = new AbortController();
    const aborted = [0, 1].map(() => rejection(client.check(question(), { signal: abort.signal }), CancelledError));
    await server.until(() => server.batches.length === 1, 'the batch');
    abort.abort();
    await Promise.all(aborted);
    // Well before the batch's own deadline.
    expect(isAllowed(await client.check(question(), { deadline: 1_000 }))).toBe(true);
  });

  test('that the server refuses, and all with it: fails alone, with its own status', async () => {
    const isBad = ({ requestId }: WireRequest): boolean => requestId === 'bad';
    for (const code of [GrpcCode.INVALID_ARGUMENT, GrpcCode.INTERNAL, GrpcCode.UNKNOWN, GrpcCode.RESOURCE_EXHAUSTED]) {
      const server = await streamless({
        onBatch: (requests) => {
          if (requests.some(isBad)) throw new ScriptedStatus(code, 'one of them');
          return { responses: allowEach(requests) };
        },
        onCheck: (request) => {
          if (isBad(request)) throw new ScriptedStatus(code, 'this one');
          return allow(request);
        },
      });
      const client = stage.client(server);
      await client.check(question());
      const bad = rejection(client.check(question({ requestId: 'bad' })), AuthzClientError);
      const others = askAll(client, questions(4));
      expect(await bad).toMatchObject({ requestId: 'bad', grpcCode: code, outcome: 'answered' });
      expect((await bad).message).toContain('this one');
      expect((await others).every((response) => isAllowed(response))).toBe(true);
      expect(sizes(server)).toEqual([5]);
      expect(server.checks).toHaveLength(6);
    }
  });
});

describe('a server without CheckStream and CheckBatch', () => {
  const unimplemented = ['CheckStream', 'CheckBatch'] as const;

  test('is asked by Check, more often than there is a budget for retries, and its UNIMPLEMENTED is remembered', async () => {
    const server = await streamless({ unimplemented });
    const client = stage.client(server, { maxRetries: 0 });
    for (let round = 0; round < 2; round++) {
      const responses = await askAll(client, questions(100));
      expect(responses.every((response) => isAllowed(response))).toBe(true);
    }
    expect(server.batches).toHaveLength(1);
    expect(server.checks).toHaveLength(200);
  });

  test('found out by checks: checkBatch() does not try again', async () => {
    const server = await streamless({ unimplemented });
    const client = stage.client(server);
    await askAll(client, questions(3));
    const responses = await client.checkBatch(questions(3));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.batches).toHaveLength(1);
    expect(server.checks).toHaveLength(6);
  });

  test('found out by checkBatch(): checks do not try again, nor does checkBatch()', async () => {
    const server = await streamless({ unimplemented });
    const client = stage.client(server);
    for (let round = 0; round < 2; round++) await client.checkBatch(questions(3));
    await askAll(client, questions(3));
    expect(server.batches).toHaveLength(1);
    expect(server.checks).toHaveLength(9);
  });

  test('beside one that has them: each is asked by what it has', async () => {
    const servers = [await streamless({ unimplemented }), await streamless()] as const;
    const client = stage.pooled(servers, { connectionPool: { minConnections: 2 } });
    await client.connect();
    const rounds: (readonly [number, number])[] = [];
    for (let round = 0; round < 3; round++) {
      const responses = await askAll(client, questions(40));
      expect(responses.every((response) => isAllowed(response))).toBe(true);
      rounds.push([servers[0].batches.length, servers[1].batches.length]);
    }
    const [first, , last] = rounds;
    expect(last?.[0]).toBe(first?.[0]);
    expect(last?.[1]).toBeGreaterThan(first?.[1] ?? Infinity);
  });
});

describe('a batch that fails', () => {
  test('UNAVAILABLE once: its checks are asked again', async () => {
    let count = 0;
    const server = await streamless({
      onBatch: (requests) => {
        if (++count === 1) throw new ScriptedStatus(GrpcCode.UNAVAILABLE);
        return { responses: allowEach(requests) };
      },
    });
    const client = stage.client(server);
    await client.check(question());
    const responses = await askAll(client, questions(10));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(server.checks).toHaveLength(1);
    expect(sizes(server)).toEqual([10, 10]);
  });

  test('UNAVAILABLE for good: each check ends with a ConnectionError, after as many retries as it may have', async () => {
    const fail = (): never => {
      throw new ScriptedStatus(GrpcCode.UNAVAILABLE);
    };
    const server = await streamless();
    const client = stage.client(server, { maxRetries: 2 });
    await client.check(question());
    server.script = { ...server.script, onBatch: fail, onCheck: fail };
    const settled = await settleAll(client, questions(5));
    for (const one of settled) {
      expect(one).toMatchObject({
        status: 'rejected',
        reason: { grpcCode: GrpcCode.UNAVAILABLE, outcome: 'answered' },
      });
      expect(one.status === 'rejected' && one.reason instanceof ConnectionError).toBe(true);
    }
    const asked = server.checks.length - 1 + sizes(server).reduce((sum, size) => sum + size);
    expect(asked).toBeLessThanOrEqual(5 * 3);
    expect(client.getStats()).toMatchObject({ totalRequests: 6, successfulRequests: 1, failedRequests: 5 });
  });

  test('UNAUTHENTICATED, its token slow to come: its checks are asked once more, with the fresh one', async () => {
    let valid = 'a';
    const checkToken = (given: unknown): void => {
      if (given !== `Bearer ${valid}`) throw new ScriptedStatus(GrpcCode.UNAUTHENTICATED);
    };
    const server = await streamless({
      onCheck: (request, metadata) => {
        checkToken(metadata.get('authorization')[0]);
        return allow(request);
      },
      onBatch: (requests, metadata) => {
        checkToken(metadata.get('authorization')[0]);
        return { responses: allowEach(requests) };
      },
    });
    const client = stage.client(server, {
      credentials: async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return valid;
      },
    });
    await client.check(question());
    valid = 'b';
    const responses = await askAll(client, questions(20));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([20, 20]);
  });

  test('UNAUTHENTICATED, and the token that comes is the same: its checks are asked once more', async () => {
    let refusals = 0;
    const server = await streamless({
      onBatch: (requests) => {
        if (refusals++ === 0) throw new ScriptedStatus(GrpcCode.UNAUTHENTICATED);
        return { responses: allowEach(requests) };
      },
    });
    const client = stage.client(server, {
      credentials: () => new Promise((resolve) => setTimeout(resolve, 20, 'same')),
    });
    await client.check(question());
    const responses = await askAll(client, questions(20));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(sizes(server)).toEqual([20, 20]);
  });

  test('with a message that repeats the token: it is not in the errors', async () => {
    const fail = (): never => {
      throw new ScriptedStatus(GrpcCode.PERMISSION_DENIED, 'Bearer hunter2hunter2 may not');
    };
    const server = await streamless({ onBatch: fail, onCheck: fail });
    const client = stage.client(server, { credentials: 'hunter2hunter2' });
    for (const one of await settleAll(client, questions(2))) {
      expect(one.status === 'rejected' && one.reason).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED });
      expect(one.status === 'rejected' && String(one.reason)).not.toContain('hunter2');
    }
  });

  test('because its server dies: its checks move to the other, each settled once', async () => {
    const servers = [await streamless(), await streamless()] as const;
    const client = stage.pooled(servers, { failover: { enabled: true } });
    await client.check(question());
    servers[0].script = { ...servers[0].script, onBatch: () => new Promise(() => undefined) };
    const pending = askAll(client, questions(50));
    await servers[0].until(() => servers[0].batches.length === 1, 'the batch');
    await servers[0].stop();
    const responses = await pending;
    expect(responses.every((response) => isAllowed(response))).toBe(true);
    expect(sizes(servers[1]).reduce((sum, size) => sum + size)).toBe(50);
    expect(client.getStats()).toMatchObject({ totalRequests: 51, successfulRequests: 51, failedRequests: 0 });
  });

  test('because the only server dies: each check ends typed, its outcome unknown', async () => {
    const server = await streamless({ onBatch: () => new Promise(() => undefined) });
    const client = stage.client(server, { timeout: 300 });
    await client.check(question());
    const pending = settleAll(client, questions(20));
    await server.until(() => server.batches.length === 1, 'the batch');
    await server.stop();
    for (const one of await pending) {
      expect(one.status === 'rejected' && one.reason).toBeInstanceOf(AuthzClientError);
      expect(one.status === 'rejected' && one.reason).toMatchObject({ outcome: 'unknown' });
    }
    expect(client.getStats()).toMatchObject({ totalRequests: 21, failedRequests: 20 });
  });

  test('because the client is disconnected by force: each check is cancelled', async () => {
    const server = await streamless({ onBatch: () => new Promise(() => undefined) });
    const client = stage.client(server);
    await client.check(question());
    const pending = settleAll(client, questions(3));
    await server.until(() => server.batches.length === 1, 'the batch');
    await client.disconnect({ force: true });
    for (const one of await pending) {
      expect(one.status === 'rejected' && one.reason).toBeInstanceOf(CancelledError);
    }
  });

  test('INVALID_ARGUMENT, its connection scaled away meanwhile: its checks are asked by another, and the connection goes', async () => {
    const held = holding(() => {
      throw new ScriptedStatus(GrpcCode.INVALID_ARGUMENT);
    });
    const server = await streamless();
    const client = stage.client(server);
    await client.scalePool(2);
    await client.check(question());
    server.script = { ...server.script, onBatch: held.onBatch };
    const pending = askAll(client, questions(20));
    await server.until(
      () => sizes(server).reduce((sum, size) => sum + size, server.checks.length - 1) === 20,
      'all of them',
    );
    await client.scalePool(1);
    held.release();
    expect((await pending).every((response) => isAllowed(response))).toBe(true);
    await server.until(() => server.openConnections === 1, 'one connection', 1_500);
    expect(client.getStats()).toMatchObject({ totalRequests: 21, successfulRequests: 21 });
  });

  test('INVALID_ARGUMENT, the client being disconnected: its checks are asked by themselves first', async () => {
    const held = holding(() => {
      throw new ScriptedStatus(GrpcCode.INVALID_ARGUMENT);
    });
    const server = await streamless({ onBatch: held.onBatch });
    const client = stage.client(server);
    await client.check(question());
    const pending = askAll(client, questions(5));
    await server.until(() => server.batches.length === 1, 'the batch');
    const disconnected = client.disconnect();
    held.release();
    expect((await pending).every((response) => isAllowed(response))).toBe(true);
    await disconnected;
  });

  test('not: a client that is disconnected waits for its answers', async () => {
    const held = holding(allowEach);
    const server = await streamless({ onBatch: held.onBatch });
    const client = stage.client(server);
    await client.check(question());
    const pending = askAll(client, questions(3));
    await server.until(() => server.batches.length === 1, 'the batch');
    const disconnected = client.disconnect();
    held.release();
    expect((await pending).every((response) => isAllowed(response))).toBe(true);
    await disconnected;
  });
});

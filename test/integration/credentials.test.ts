import { describe, expect, test } from 'vitest';
import { AuthzClientError, type Credentials, GrpcCode, isAllowed } from '../../src/index.js';
import { allow, ScriptedStatus, type ScriptedServer } from '../support/scripted-server.js';
import { nextEvent, question, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

const bearers = (server: ScriptedServer): unknown[] =>
  server.streams.map(({ metadata }) => metadata.get('authorization')[0]);

/** Gives `t1`, `t2`, ..., and counts. */
function counting(expiresInMs?: number) {
  let calls = 0;
  const give: Credentials = () => {
    calls++;
    const token = `t${calls}`;
    return Promise.resolve(expiresInMs === undefined ? token : { token, expiresAt: Date.now() + expiresInMs });
  };
  return { give, count: () => calls };
}

describe('credentials', () => {
  test('as a string: a bearer token on streams, unary calls and health probes', async () => {
    const server = await stage.server();
    const client = stage.client(server, { credentials: 'secret' });
    await client.check(question());
    await client.check(question(), { metadata: { a: 'b' } });
    await client.checkBatch([question()]);
    expect(bearers(server)).toEqual(['Bearer secret']);
    expect(server.checks[0]?.metadata.get('authorization')).toEqual(['Bearer secret']);
    expect(server.batches[0]?.metadata.get('authorization')).toEqual(['Bearer secret']);
  });

  test('as an async function: calls wait for the token, and none goes without it', async () => {
    const server = await stage.server();
    let give: ((token: string) => void) | undefined;
    const client = stage.client(server, { credentials: () => new Promise<string>((resolve) => (give = resolve)) });
    const check = client.check(question());
    const unary = client.check(question(), { metadata: { a: 'b' } });
    await server.until(() => server.openConnections === 1, 'the connection');
    await expect.poll(() => give).toBeDefined();
    expect(server.streams).toEqual([]);
    expect(server.checks).toEqual([]);
    give?.('late');
    expect(isAllowed(await check)).toBe(true);
    expect(isAllowed(await unary)).toBe(true);
    expect(bearers(server)).toEqual(['Bearer late']);
  });

  test('as an async function giving {token, expiresAt} as a Date or a number: the token is used', async () => {
    for (const expiresAt of [new Date(Date.now() + 3_600_000), Date.now() + 3_600_000]) {
      const server = await stage.server();
      const client = stage.client(server, { credentials: () => Promise.resolve({ token: 'x', expiresAt }) });
      await client.check(question());
      expect(bearers(server)).toEqual(['Bearer x']);
    }
  });

  test('as an async function: read again for each connection that is opened, and its calls carry the new token', async () => {
    const server = await stage.server();
    let token = 'first';
    const client = stage.client(server, { credentials: () => Promise.resolve(token) });
    await client.check(question());
    token = 'second';
    await client.scalePool(2);
    await expect
      .poll(
        async () => {
          await client.check(question());
          return bearers(server).at(-1);
        },
        { timeout: 3_000, interval: 10 },
      )
      .toBe('Bearer second');
  });

  test('that expire: are rotated before, and a handle moves to a call with the new token without a loss', async () => {
    const server = await stage.server();
    const { give } = counting(400);
    const client = stage.client(server, { credentials: give, streamPool: { enableStreamReuse: false } });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    let sent = 0;
    await expect
      .poll(
        async () => {
          handle.send(question());
          sent++;
          await recorder.answered(sent);
          return new Set(bearers(server)).size;
        },
        { timeout: 3_000, interval: 20 },
      )
      .toBeGreaterThanOrEqual(2);
    expect(recorder.failures).toEqual([]);
    expect(bearers(server).slice(0, 2)).toEqual(['Bearer t1', 'Bearer t2']);
  });

  test('are read again when the connection is opened anew', async () => {
    const server = await stage.server();
    const { give } = counting();
    const client = stage.client(server, { credentials: give });
    await client.check(question());
    const reconnected = nextEvent(client, 'pool_reconnected');
    server.cut();
    await reconnected;
    await expect
      .poll(async () => {
        await client.check(question());
        return bearers(server).at(-1);
      })
      .toBe('Bearer t2');
  });

  test('whose function fails: the check waits, an error event tells why, and the next try mends it', async () => {
    const errors = stage.errors();
    const server = await stage.server();
    let calls = 0;
    const client = stage.client(server, {
      timeout: 10_000,
      credentials: () => (++calls === 1 ? Promise.reject(new Error('vault is sealed')) : Promise.resolve('ok')),
    });
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toContain('credentials');
    expect(bearers(server)).toEqual(['Bearer ok']);
  });

  test('whose function always fails: the check fails at its deadline, notSent, naming the credentials', async () => {
    stage.errors();
    const server = await stage.server();
    const client = stage.client(server, { credentials: () => Promise.reject(new Error('vault is sealed')) });
    for (const options of [{ deadline: 150 }, { deadline: 150, metadata: { a: 'b' } }]) {
      const error = await rejection(client.check(question(), options), AuthzClientError);
      expect(error.outcome).toBe('notSent');
      expect(error.message).toContain('credentials');
      expect(error.message).not.toContain('vault');
    }
    expect(server.streams).toEqual([]);
    expect(server.checks).toEqual([]);
  });

  test('that the server refuses with UNAUTHENTICATED: are refreshed once, and the check is asked again', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (stream.metadata.get('authorization')[0] === 'Bearer t1') stream.fail(GrpcCode.UNAUTHENTICATED, 'stale');
        else stream.reply(allow(request));
      },
    });
    const { give, count } = counting();
    const client = stage.client(server, { credentials: give });
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(count()).toBe(2);
  });

  test('that the server refuses for a unary call: the same', async () => {
    const server = await stage.server({
      onCheck: (request, metadata) => {
        if (metadata.get('authorization')[0] === 'Bearer t1') throw new ScriptedStatus(GrpcCode.UNAUTHENTICATED);
        return allow(request);
      },
    });
    const { give, count } = counting();
    const client = stage.client(server, { credentials: give });
    expect(isAllowed(await client.check(question(), { metadata: { a: 'b' } }))).toBe(true);
    expect(count()).toBe(2);
  });

  test('that the server goes on refusing: fails UNAUTHENTICATED, never retried without end, never an allow', async () => {
    const server = await stage.server({
      onStreamRequest: (_, stream) => stream.fail(GrpcCode.UNAUTHENTICATED, 'who are you'),
    });
    const { give, count } = counting();
    const client = stage.client(server, { credentials: give });
    const error = await rejection(client.check(question({ requestId: 'a' })), AuthzClientError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.UNAUTHENTICATED, requestId: 'a', retryable: false });
    expect(count()).toBe(2);
  });

  test('as a string that the server refuses: fails at once', async () => {
    const server = await stage.server({ onStreamRequest: (_, stream) => stream.fail(GrpcCode.UNAUTHENTICATED) });
    const error = await rejection(stage.client(server, { credentials: 'x' }).check(question()), AuthzClientError);
    expect(error.grpcCode).toBe(GrpcCode.UNAUTHENTICATED);
    expect(server.streamed).toHaveLength(1);
  });

  test('echoed by the server in an error message: are not shown', async () => {
    const server = await stage.server({
      onStreamRequest: (_, stream) =>
        stream.fail(GrpcCode.PERMISSION_DENIED, 'Bearer canary-4711-secret is not enough'),
    });
    const client = stage.client(server, { credentials: 'canary-4711-secret' });
    const error = await rejection(client.check(question()), AuthzClientError);
    expect(error.message).not.toContain('canary-4711');
    expect(error.grpcCode).toBe(GrpcCode.PERMISSION_DENIED);
  });
});

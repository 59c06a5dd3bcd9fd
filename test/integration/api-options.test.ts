/** Options that only a running client can show to work. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import {
  AuthzClient,
  ConnectionError,
  isAllowed,
  type Logger,
  type PooledClientOptions,
  type Transport,
} from '../../src/index.js';
import { createGrpcJsTransport } from '../../src/transport/grpc-js.js';
import { makeCertificates } from '../support/certificates.js';
import { HeldClock } from '../support/held-clock.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, questions, QUICK, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

describe('tls', () => {
  let directory: string;
  const file = (name: string): string => path.join(directory, name);

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'authz-tls-'));
    const { ca, ...pairs } = makeCertificates();
    writeFileSync(file('ca.pem'), ca);
    for (const [name, { cert, key }] of Object.entries(pairs)) {
      writeFileSync(file(`${name}.pem`), cert);
      writeFileSync(file(`${name}.key`), key);
    }
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const serve = (name: string, isMutual = false) =>
    stage.engine({
      tls: {
        certPath: file(`${name}.pem`),
        keyPath: file(`${name}.key`),
        ...(isMutual ? { caPath: file('ca.pem') } : {}),
      },
    });

  test('with the authority in caPath: connects and checks, credentials included', async () => {
    const client = stage.client(await serve('server'), { caPath: file('ca.pem'), credentials: 'secret' });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test('mutual, with certPath and keyPath: connects and checks', async () => {
    const client = stage.client(await serve('server', true), {
      caPath: file('ca.pem'),
      certPath: file('client.pem'),
      keyPath: file('client.key'),
    });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test('with serverName: the certificate is verified against that name', async () => {
    const client = stage.client(await serve('otherName'), { caPath: file('ca.pem'), serverName: 'other.example' });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test.each<[string, string, boolean, () => PooledClientOptions, RegExp]>([
    ['another name', 'otherName', false, () => ({ caPath: file('ca.pem') }), /altnames|hostname/i],
    ['an expired certificate', 'expired', false, () => ({ caPath: file('ca.pem') }), /expired/i],
    ['an authority nobody trusts', 'server', false, () => ({ tls: true }), /certificate|self.signed|issuer/i],
  ])(
    'of a server with %s: refuses, naming the cause, and never falls back to plaintext',
    async (_, name, isMutual, options, cause) => {
      const engine = await serve(name, isMutual);
      const client = stage.client(engine, options());
      const error = await rejection(client.connect(), ConnectionError);
      expect(error.message).toMatch(cause);
      expect(error.message).toContain(engine.address);
      expect(engine.stats.checks).toBe(0);
    },
  );

  test('of a server that asks for a certificate, without one: refuses', async () => {
    const engine = await serve('server', true);
    const client = stage.client(engine, { caPath: file('ca.pem'), timeout: 1_000 });
    await rejection(client.check(question()));
    expect(engine.stats.checks).toBe(0);
  });

  test('off, to a server that speaks TLS: refuses', async () => {
    const client = stage.client(await serve('server'), { timeout: 1_000 });
    await rejection(client.connect(), ConnectionError);
  });
});

describe('transport', () => {
  test('of one’s own: is used for every dial', async () => {
    const server = await stage.server();
    const dialled: string[] = [];
    const inner = createGrpcJsTransport();
    const transport: Transport = {
      name: 'mine',
      connect: (target, options, listener) => {
        dialled.push(target.address);
        return inner.connect(target, options, listener);
      },
    };
    const client = stage.client(server, { transport });
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(dialled).toEqual([server.address]);
  });

  test('of one’s own that throws: checks fail and say why, and disconnect() ends', async () => {
    const errors = stage.errors();
    const connect: Transport['connect'] = () => {
      throw new Error('no sockets today');
    };
    const client = stage.client({ address: '127.0.0.1:1' }, { transport: { name: 'mine', connect }, timeout: 200 });
    const error = await rejection(client.check(question()), ConnectionError);
    expect(error.message).toContain('the transport threw: no sockets today');
    expect(errors.map(({ message }) => message)).toContain('no sockets today');
    await client.disconnect();
    expect(client.getState()).toBe('closed');
  });
});

describe('logger', () => {
  function logged() {
    const lines: string[] = [];
    const add =
      (level: string) =>
      (details: object, message: string): void => {
        lines.push(
          `${level} ${message} ${JSON.stringify(details, (_, value: unknown) => (value instanceof Error ? value.message : value))}`,
        );
      };
    const logger: Logger = { debug: add('debug'), info: add('info'), warn: add('warn'), error: add('error') };
    return { lines, logger };
  }

  test('is told of an error that nobody listens for, without secrets', async () => {
    const server = await stage.server();
    const { lines, logger } = logged();
    const client = new AuthzClient({ ...QUICK, address: server.address, logger, credentials: 'canary-4711' });
    stage.onEnd(() => client.disconnect({ force: true }));
    const handle = client.createBidirectionalStream({
      onResponse: () => {
        throw new Error('saw Bearer canary-4711');
      },
      onError: () => undefined,
      onEnd: () => undefined,
    });
    handle.send(question());
    await expect.poll(() => lines.some((line) => line.startsWith('error '))).toBe(true);
    expect(lines.join('\n')).not.toContain('canary-4711');
  });

  test('is told of connecting, of a loss with address and reason, of the way back, and of the end', async () => {
    const server = await stage.server();
    const { lines, logger } = logged();
    const client = stage.client(server, { logger, credentials: 'canary-4711' });
    const heard = (pattern: RegExp): Promise<void> =>
      expect.poll(() => lines.filter((line) => pattern.test(line)).length, { timeout: 3_000 }).toBeGreaterThan(0);
    await client.connect();
    await heard(/^info connected /);
    expect(lines.find((line) => line.startsWith('info connected '))).toContain(server.address);
    await heard(/^debug connection opened /);
    await server.stop();
    await heard(/^warn no endpoint is served .*"reason":"\S/);
    await heard(new RegExp(`^warn connection failed .*"address":"${server.address}".*"reason":".*ECONNREFUSED`));
    const returned = await stage.server({}, { port: server.port });
    await heard(/^info connection reopened /);
    await expect.poll(() => client.isConnected()).toBe(true);
    lines.length = 0;
    await client.disconnect();
    await heard(/^info disconnected /);
    expect(lines.filter((line) => line.startsWith('warn '))).toEqual([]);
    expect(lines.join('\n')).not.toContain('canary-4711');
    expect(returned.connectionCount).toBe(1);
  });

  test('is told of a failover, its end, health, and the failback', async () => {
    const primary = await stage.server();
    const backup = await stage.server();
    const { lines, logger } = logged();
    const client = stage.client(primary, {
      logger,
      failover: { enabled: true, fallbackAddresses: [backup.address], failbackDelay: 50 },
    });
    await client.connect();
    await primary.until(() => primary.watches === 1, 'the watch');
    await expect.poll(() => lines.join('\n')).toMatch(/^info endpoint health is serving /m);
    const levels = (): string[] =>
      lines.map((line) => /^\w+ (?:fail(?:over|back) \w+|endpoint health is not_serving)/.exec(line)?.[0] ?? '');
    primary.setHealth(2);
    await expect.poll(levels).toContain('warn failover completed');
    primary.setHealth(1);
    await expect.poll(levels, { timeout: 5_000 }).toContain('info failback completed');
    expect(levels().filter((line) => line !== '')).toEqual([
      'warn endpoint health is not_serving',
      'warn failover started',
      'warn failover completed',
      'info failback scheduled',
      'info failback completed',
    ]);
    const started = lines.find((line) => line.startsWith('warn failover started'));
    expect(started).toContain(`"from":"${primary.address}","to":"${backup.address}"`);
  });

  test('that throws: changes nothing', async () => {
    const fail = (): never => {
      throw new RangeError('logger');
    };
    const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail };
    const client = stage.client(await stage.server(), { logger });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });
});

describe('inspect', () => {
  test('sees the statecharts, and neither requests nor secrets', async () => {
    const seen: string[] = [];
    const names = new Set<string>();
    const server = await stage.server();
    const client = stage.client(server, {
      credentials: 'canary-token',
      metadata: { 'x-canary': 'canary-header' },
      inspect: (event: InspectionEvent) => {
        if (event.type === '@xstate.event') seen.push(JSON.stringify(event.event));
        if (event.type === '@xstate.snapshot') {
          names.add(event.actorRef.sessionId);
          const { context } = event.snapshot as { context?: unknown };
          seen.push(JSON.stringify(context, (_, value: unknown) => (typeof value === 'function' ? undefined : value)));
        }
      },
    });
    const handle = client.createBidirectionalStream(new Recorder());
    await handle.check(question({ requestId: 'canary-id', principal: { id: 'canary-user', roles: ['canary-role'] } }));
    await client.check(question({ context: { deep: 'canary-context' } }), { metadata: { 'x-a': 'canary-call' } });
    await client.disconnect();
    expect(names.size).toBeGreaterThan(3);
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.filter((text) => text.includes('canary'))).toEqual([]);
  });
});

describe('the bound on what is written and unanswered', () => {
  test('of one handle is 10,000: then the outbox stops, and goes on as answers come', async () => {
    const held: [WireRequest, ScriptedStream][] = [];
    const server = await stage.server({ onStreamRequest: (request, stream) => held.push([request, stream]) });
    const client = stage.client(server, {
      timeout: 15_000,
      backpressure: { lowWaterMark: 1, highWaterMark: 5_000, maxBufferSize: 20_000 },
      streams: { maxRequestsPerStream: 1_000_000 },
    });
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const request of questions(12_000)) expect(handle.send(request)).toBe(true);
    await server.until(() => held.length === 10_000, '10,000 requests');
    expect(handle.getStats()).toMatchObject({ messagesSent: 10_000, bufferSize: 2_000 });
    for (const [request, stream] of held.splice(0, 500)) stream.reply(allow(request));
    await server.until(() => held.length === 10_000, '500 more');
    server.script = {};
    for (const [request, stream] of held) stream.reply(allow(request));
    await recorder.answered(12_000);
    expect(recorder.failures).toEqual([]);
  });

  test('when all of them expire, and are answered late: the call is kept, and answers the next', async () => {
    const held: [WireRequest, ScriptedStream][] = [];
    const server = await stage.server({ onStreamRequest: (request, stream) => held.push([request, stream]) });
    // Or some would expire before they are written.
    const clock = new HeldClock();
    const client = stage.client(server, {
      clock,
      backpressure: { lowWaterMark: 1, highWaterMark: 5_000, maxBufferSize: 20_000 },
      streams: { maxRequestsPerStream: 1_000_000, ensureOrdering: false },
    });
    await client.connect();
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    for (const request of questions(10_000)) expect(handle.send(request)).toBe(true);
    await server.until(() => held.length === 10_000, '10,000 requests');
    clock.advance(6_000);
    await recorder.until(() => recorder.failures.length === 10_000, '10,000 deadlines');
    server.script = {};
    for (const [request, stream] of held) stream.reply(allow(request));
    expect(isAllowed(await handle.check(question(), { deadline: 5_000 }))).toBe(true);
    expect(recorder.responses).toEqual([]);
    expect(server.streams).toHaveLength(1);
  });
});

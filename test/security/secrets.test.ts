/** Secrets never enter machine context, events, errors, logs, dumps or the inspector, even where a server says them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { CLIENT_EVENT_NAMES } from '../../src/events.js';
import {
  type AuthzClient,
  AuthzClientError,
  type CheckInput,
  type CheckOptions,
  GrpcCode,
  isAllowed,
  type PooledClientOptions,
} from '../../src/index.js';
import { type Certificates, makeCertificates } from '../support/certificates.js';
import { RawAuthzServer } from '../support/fault-raw-authz.js';
import { allow, type Script, ScriptedStatus } from '../support/scripted-server.js';
import { nextEvent, question, Recorder, useStage, withoutId } from '../support/stage.js';

const stage = useStage();

/** Every secret has this in it. */
const CANARY = 'c4n4ry';
const TOKEN = `${CANARY}.of_the~token+1`;
const API_KEY = `${CANARY}-of-the-key-header`;
const CALL_TOKEN = `${CANARY}-of-one-call`;
/** As a careless server says what it was told: with and without their scheme and name. */
const ECHO = `token ${TOKEN} (Bearer ${TOKEN}), key <${API_KEY}> are not enough`;
const CALL_ECHO = `${ECHO}, call <${CALL_TOKEN}> neither`;

const SECRET_OPTIONS: PooledClientOptions = {
  credentials: () => Promise.resolve(TOKEN),
  metadata: { 'x-api-key': API_KEY, 'x-tenant': `${CANARY}-of-the-tenant-header` },
};
const SECRET_CALL: CheckOptions = {
  metadata: { 'x-access-token': CALL_TOKEN, 'x-note': `${CANARY}-of-a-call-header` },
};

const secretQuestion = (): CheckInput => {
  const rest = withoutId(question());
  return {
    ...rest,
    principal: { ...rest.principal, attributes: { ssn: `${CANARY}-of-the-principal` } },
    resource: { ...rest.resource, attributes: { [`${CANARY}-as-a-key`]: [`${CANARY}-of-the-resource`] } },
    context: { deep: { er: `${CANARY}-of-the-context` } },
  };
};

/** As JSON, errors with what they keep to themselves. */
function asJson(value: unknown): string {
  const seen = new Set<unknown>();
  const text: unknown = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === 'bigint' || typeof inner === 'function') return String(inner);
    if (typeof inner !== 'object' || inner === null) return inner;
    if (seen.has(inner)) return '[again]';
    seen.add(inner);
    if (inner instanceof Map || inner instanceof Set) return [...(inner as Iterable<unknown>)];
    if (!(inner instanceof Error)) return inner;
    return { own: Object.entries(inner), message: inner.message, stack: inner.stack, cause: inner.cause };
  });
  return String(text);
}

/** As whoever prints it sees it. */
const printed = (value: unknown): string =>
  inspect(value, { depth: 8, showHidden: true, maxStringLength: null, maxArrayLength: null });

const EVERYWHERE = ['log', 'event', 'error', 'introspection', 'dump', 'inspected event', 'machine context'] as const;

/** Everything a client tells anyone. */
class Everything {
  readonly told = new Map<string, string[]>();

  /** All that a value shows. */
  add(kind: string, value: unknown, text = `${printed(value)}\n${asJson(value)}`): void {
    const list = this.told.get(kind) ?? [];
    list.push(text);
    this.told.set(kind, list);
  }

  readonly options = {
    logger: {
      debug: (details: object, message: string) => this.add('log', [message, details]),
      info: (details: object, message: string) => this.add('log', [message, details]),
      warn: (details: object, message: string) => this.add('log', [message, details]),
      error: (details: object, message: string) => this.add('log', [message, details]),
    },
    inspect: (event: InspectionEvent) => {
      // As JSON only: printed, an actor would show the machine, and each of its states once more.
      if (event.type === '@xstate.event') this.add('inspected event', event, asJson(event.event));
      if (event.type !== '@xstate.snapshot') return;
      const { context, value } = event.snapshot as { context?: unknown; value?: unknown };
      this.add('machine context', event, asJson([value, context]));
    },
  };

  listenTo(client: AuthzClient): void {
    for (const name of CLIENT_EVENT_NAMES) {
      client.on(name, (payload) => {
        this.add('event', [name, payload]);
        this.#addRecord(payload instanceof Error ? payload : (payload as { error?: unknown } | undefined)?.error);
      });
    }
  }

  /** What an error tells only when it is asked. */
  #addRecord(error: unknown): void {
    const record = error instanceof AuthzClientError ? error.flightRecord : undefined;
    if (record !== undefined) this.add('flight record', record);
  }

  lookAt(client: AuthzClient): void {
    for (const one of [
      client,
      client.getStats(),
      client.getState(),
      client.getPoolStats(),
      client.getConnections(),
      client.getHealth(),
      client.getStreamDiagnostics(),
      client.getStreamMonitoringMetrics(),
      client.getDeduplicationCacheStats(),
    ]) {
      this.add('introspection', one);
    }
    this.add('dump', client.dump());
  }

  /** What comes of it, the error it rejects with, or both for each item of a batch. */
  async outcome(promise: Promise<unknown>): Promise<unknown> {
    try {
      const value = await promise;
      for (const item of Array.isArray(value) ? value : [value]) {
        const { error } = (item ?? {}) as { error?: unknown };
        if (error !== undefined) this.add('error', error);
        this.#addRecord(error);
      }
      return value;
    } catch (error) {
      this.add('error', error);
      this.#addRecord(error);
      return error;
    }
  }

  /** That there was something to find, and nothing secret in it. */
  expectClean(...kinds: readonly string[]): void {
    for (const kind of kinds) expect(this.told.get(kind) ?? [], `there is some ${kind}`).not.toEqual([]);
    const leaks = [...this.told].flatMap(([kind, texts]) =>
      texts.filter((text) => text.includes(CANARY)).map((text) => `${kind}: ${text.slice(0, 500)}`),
    );
    expect(leaks).toEqual([]);
  }
}

/** Says what it was told to whoever asks for something else than the action `read`. */
const careless: Script = {
  onStreamRequest: (request, stream) => {
    if (request.actions.includes('read')) stream.reply(allow(request));
    else stream.fail(GrpcCode.PERMISSION_DENIED, ECHO);
  },
  onCheck: (request) => {
    if (request.actions.includes('read')) return allow(request);
    throw new ScriptedStatus(GrpcCode.PERMISSION_DENIED, CALL_ECHO);
  },
  onBatch: () => {
    throw new ScriptedStatus(GrpcCode.INVALID_ARGUMENT, CALL_ECHO);
  },
  onHealthCheck: () => {
    throw new ScriptedStatus(GrpcCode.INTERNAL, ECHO);
  },
};

describe.each(['http2', 'grpc-js'] as const)('secrets on %s', (transport) => {
  test('a server that says them in its errors: are in nothing that the client tells', async () => {
    stage.errors();
    const everything = new Everything();
    const server = await stage.server(careless);
    const client = stage.client(server, { ...SECRET_OPTIONS, ...everything.options, transport });
    everything.listenTo(client);
    const ask = (promise: Promise<unknown>): Promise<unknown> => everything.outcome(promise);
    const refused = { ...secretQuestion(), actions: ['write'] };

    const first = await ask(client.check(secretQuestion()));
    if (first instanceof Error) throw first;
    expect(isAllowed(first as never)).toBe(true);
    expect(isAllowed((await ask(client.check(secretQuestion(), SECRET_CALL))) as never)).toBe(true);
    expect(server.streams[0]?.metadata.get('authorization')).toEqual([`Bearer ${TOKEN}`]);
    expect(server.checks[0]?.metadata.get('x-access-token')).toEqual([CALL_TOKEN]);
    for (const options of [{}, SECRET_CALL]) {
      expect(await ask(client.check(refused, options))).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED });
    }
    await ask(client.checkBatch([secretQuestion(), refused], SECRET_CALL));
    await ask(client.checkHealth());
    await ask(client.loadPolicies({ inline: [`${CANARY}-policy`] }));
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.send(question({ ...secretQuestion(), actions: ['write'] }));
    await recorder.until(() => recorder.failures.length > 0, 'onError');
    everything.add('error', recorder.failures);
    everything.lookAt(client);
    await client.disconnect();
    everything.expectClean(...EVERYWHERE);
  });

  test('requests and options that are refused: are not in the refusals', async () => {
    stage.errors();
    const everything = new Everything();
    const client = stage.client(await stage.server(), { ...SECRET_OPTIONS, ...everything.options, transport });
    const bad = (context: Record<string, unknown>): CheckInput => ({ ...secretQuestion(), context });
    for (const promise of [
      client.check(bad({ secret: CANARY, f: () => CANARY })),
      client.check(bad({ half: `${CANARY}\ud800` })),
      client.check({ ...secretQuestion(), actions: [] }),
      client.check(secretQuestion(), { metadata: { 'x-key': `${CANARY}\n` } }),
      client.check(secretQuestion(), { metadata: { 'bad name': CANARY } }),
      client.check(bad({ big: CANARY.repeat(1_000_000) })),
      client.check(secretQuestion(), { deadline: -1 }),
    ]) {
      expect(await everything.outcome(promise)).toBeInstanceOf(Error);
    }
    expect(await everything.outcome(client.checkBatch([bad({ f: () => CANARY })]))).toBeDefined();
    for (const options of [
      { credentials: `${CANARY}\n` },
      { credentials: TOKEN, metadata: { authorization: CANARY } },
      { metadata: { 'x-key': `${CANARY}\u0000` } },
    ]) {
      await everything.outcome(Promise.resolve().then(() => stage.client({ address: '127.0.0.1:1' }, options)));
    }
    expect(everything.told.get('error')).toHaveLength(11);
    everything.expectClean('error');
  });

  test('a failover, and then nobody who answers: are in nothing that the client tells', async () => {
    stage.errors();
    const everything = new Everything();
    const [first, second] = [await stage.server(careless), await stage.server(careless)];
    const client = stage.pooled([first, second], {
      ...SECRET_OPTIONS,
      ...everything.options,
      transport,
      timeout: 1_500,
      failover: { enabled: true },
    });
    everything.listenTo(client);
    await everything.outcome(client.check(secretQuestion()));
    const moved = nextEvent(client, 'failover_completed');
    first.setHealth(2);
    await first.stop();
    await moved;
    expect(isAllowed((await everything.outcome(client.check(secretQuestion()))) as never)).toBe(true);
    await second.stop();
    expect(await everything.outcome(client.check(secretQuestion()))).toBeInstanceOf(Error);
    everything.lookAt(client);
    await client.disconnect({ force: true });
    everything.expectClean(...EVERYWHERE, 'flight record');
  });

  test('a GOAWAY, trailers and HTTP headers that say them: are in nothing that the client tells', async () => {
    stage.errors();
    const everything = new Everything();
    const server = await RawAuthzServer.listen('raw', {
      onRequest: ({ connection, streamId, request }, at) => {
        if (at.received.length === 1) {
          connection.goaway(0, 0, `Bearer ${TOKEN} ${TOKEN}`);
          return;
        }
        const [action] = request.actions;
        const said = { 'x-said': TOKEN, 'grpc-message': ECHO.slice(0, 200) };
        const http = { ':status': '500', 'content-type': `text/${CANARY}`, ...said };
        const trailers = { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '3', ...said };
        connection.headers(streamId, action === 'http' ? http : trailers, true);
      },
    });
    stage.onEnd(() => server.close());
    const client = stage.client(server, {
      ...SECRET_OPTIONS,
      ...everything.options,
      transport,
      healthCheck: { enabled: false },
    });
    everything.listenTo(client);
    for (const actions of [['read'], ['http']]) {
      expect(await everything.outcome(client.check({ ...secretQuestion(), actions }))).toBeInstanceOf(Error);
      const one = await everything.outcome(client.check({ ...secretQuestion(), actions }, SECRET_CALL));
      expect(one).toBeInstanceOf(Error);
    }
    everything.lookAt(client);
    await client.disconnect({ force: true });
    everything.expectClean('log', 'event', 'error', 'dump', 'inspected event', 'machine context');
  });

  describe('under TLS', () => {
    let certificates: Certificates;
    let directory: string;
    beforeAll(() => {
      certificates = makeCertificates();
      directory = mkdtempSync(path.join(tmpdir(), 'authz-secrets-'));
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    test('a server that is not trusted: gets none of them, and they are in nothing that the client tells', async () => {
      stage.errors();
      const everything = new Everything();
      const { cert, key } = certificates.expired;
      const credentials = ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }]);
      const server = await stage.server(careless, { credentials });
      const caPath = path.join(directory, `${CANARY}.pem`);
      writeFileSync(caPath, certificates.ca);
      const client = stage.client(server, {
        ...SECRET_OPTIONS,
        ...everything.options,
        transport,
        caPath,
        timeout: 1_000,
      });
      everything.listenTo(client);
      expect(await everything.outcome(client.connect())).toMatchObject({ name: 'ConnectionError' });
      expect(await everything.outcome(client.check(secretQuestion()))).toBeInstanceOf(Error);
      expect([server.streams.length, server.checks.length]).toEqual([0, 0]);
      everything.lookAt(client);
      await client.disconnect({ force: true });
      everything.expectClean(...EVERYWHERE, 'flight record');
    });
  });
});

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ClientDuplexStream, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEngine } from '../../src/engine/index.js';
import type { Engine, EngineOptions } from '../../src/engine/index.js';

const NOTES = `
name: notes
resource: note
rules:
  - {name: viewers-read, actions: [read], effect: allow, roles: [viewer]}
`;

const definitions = loadSync(['authz/v1/authz.proto', 'grpc/health/v1/health.proto'], {
  includeDirs: [path.join(import.meta.dirname, '../../proto')],
  defaults: true,
  enums: String,
});
const AUTHZ = definitions['authz.v1.AuthzService'] as ServiceDefinition;
const HEALTH = definitions['grpc.health.v1.Health'] as ServiceDefinition;

interface Answer {
  requestId: string;
  results: Record<string, { effect: string; policy: string; rule: string; matched: boolean }>;
  metadata: { policiesEvaluated: number; matchedPolicies: string[]; evaluationDurationUs: number } | null;
}

function question(over: object = {}): object {
  return {
    requestId: 'r1',
    principal: { id: 'alice', roles: ['viewer'] },
    resource: { kind: 'note', id: 'n1' },
    actions: ['read', 'write'],
    ...over,
  };
}

const cleanups: (() => unknown)[] = [];
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'engine-'));
  writeFileSync(path.join(directory, 'notes.yaml'), NOTES);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = await startEngine({ policies: directory, ...options });
  cleanups.push(() => engine.stop({ graceMs: 0 }));
  return engine;
}

/** A client with a connection of its own. */
function dial(engine: Engine, creds = credentials.createInsecure()): Client {
  const client = new Client(engine.address, creds, { 'grpc.use_local_subchannel_pool': 1 });
  cleanups.push(() => client.close());
  return client;
}

function methodOf(service: ServiceDefinition, name: string) {
  const method = service[name];
  if (method === undefined) throw new Error(`no method ${name}`);
  return method;
}

function unary<Response>(
  client: Client,
  service: ServiceDefinition,
  name: string,
  request: unknown,
  metadata = new Metadata(),
): Promise<Response> {
  const { path: rpc, requestSerialize, responseDeserialize } = methodOf(service, name);
  const options = { deadline: Date.now() + 10_000 };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(rpc, requestSerialize, responseDeserialize, request, metadata, options, (error, value) =>
      error === null ? resolve(value as Response) : reject(error),
    );
  });
}

function openStream(client: Client): ClientDuplexStream<object, Answer> {
  const { path: rpc, requestSerialize, responseDeserialize } = methodOf(AUTHZ, 'CheckStream');
  const stream = client.makeBidiStreamRequest(rpc, requestSerialize, responseDeserialize) as ClientDuplexStream<
    object,
    Answer
  >;
  // Its end is read from the status; an error without a listener would end the test run.
  stream.on('error', () => undefined);
  return stream;
}

function watch(client: Client, service: string): ClientReadableStream<{ status: string }> {
  const { path: rpc, requestSerialize, responseDeserialize } = methodOf(HEALTH, 'Watch');
  const stream = client.makeServerStreamRequest(rpc, requestSerialize, responseDeserialize, {
    service,
  }) as ClientReadableStream<{ status: string }>;
  stream.on('error', () => undefined);
  return stream;
}

// Not `events.once`: that rejects at an 'error', which grpc-js emits just before the status it stands for.
function next<Message>(stream: NodeJS.EventEmitter): Promise<Message> {
  return new Promise((resolve) => stream.once('data', resolve));
}

function statusOf(stream: NodeJS.EventEmitter): Promise<{ code: number; details: string }> {
  return new Promise((resolve) => stream.once('status', resolve));
}

function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

const ALLOWED = { effect: 'EFFECT_ALLOW', policy: 'notes', rule: 'viewers-read', matched: true };
const DENIED = { effect: 'EFFECT_DENY', policy: '', rule: '', matched: false };

describe('Check', () => {
  test('answers every asked action, with the request’s id and without metadata', async () => {
    const engine = await start();
    const answer = await unary<Answer>(dial(engine), AUTHZ, 'Check', question());
    expect(answer).toMatchObject({ requestId: 'r1', results: { read: ALLOWED, write: DENIED }, metadata: null });
    expect(engine.stats.checks).toBe(1);
  });

  test('asked for metadata says how it came to its answer', async () => {
    const client = dial(await start());
    const answer = await unary<Answer>(client, AUTHZ, 'Check', question({ includeMetadata: true }));
    expect(answer.metadata).toMatchObject({ policiesEvaluated: 1, matchedPolicies: ['notes'] });
    expect(answer.metadata?.evaluationDurationUs).toBeGreaterThan(0);
  });

  test.each([
    [{ principal: null }, 'principal: id is required'],
    [{ resource: null }, 'resource: kind is required'],
    [{ actions: [] }, 'actions: at least one is required'],
    [{ actions: Array.from({ length: 1001 }, (_, i) => `a${i}`) }, 'actions: more than 1000'],
  ])('of a faulty request %# answers INVALID_ARGUMENT and what is missing', async (over, details) => {
    const call = unary(dial(await start()), AUTHZ, 'Check', question(over));
    await expect(call).rejects.toMatchObject({ code: status.INVALID_ARGUMENT, details });
  });

  test('larger than the limit is refused', async () => {
    const client = dial(await start({ maxMessageBytes: 1024 }));
    const call = unary(client, AUTHZ, 'Check', question({ requestId: 'x'.repeat(2000) }));
    await expect(call).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  test('with a latency is answered no sooner than that', async () => {
    const client = dial(await start({ latencyMs: 80 }));
    const startMs = performance.now();
    await unary(client, AUTHZ, 'Check', question());
    // Node's timers may fire within the millisecond before.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(79);
  });
});

test('CheckBatch answers in the order of the requests, a faulty one with no results', async () => {
  const requests = [question({ requestId: 'a' }), question({ requestId: 'b', principal: null }), question()];
  const batch = await unary<{ responses: Answer[]; totalDurationUs: number }>(
    dial(await start()),
    AUTHZ,
    'CheckBatch',
    { requests },
  );
  expect(batch.responses.map((answer) => answer.requestId)).toEqual(['a', 'b', 'r1']);
  expect(batch.responses.map((answer) => Object.keys(answer.results).length)).toEqual([2, 0, 2]);
  expect(batch.totalDurationUs).toBeGreaterThan(0);
});

describe('CheckStream', () => {
  test('half-closed by the client answers what it was asked and then ends with OK', async () => {
    const engine = await start();
    const stream = openStream(dial(engine));
    const answers: Answer[] = [];
    stream.on('data', (answer: Answer) => answers.push(answer));
    const ended = statusOf(stream);
    for (let i = 0; i < 500; i += 1) stream.write(question({ requestId: `r${i}` }));
    stream.end();
    expect((await ended).code).toBe(status.OK);
    expect(answers.map((answer) => answer.requestId)).toEqual(Array.from({ length: 500 }, (_, i) => `r${i}`));
    expect(answers.every((answer) => answer.results['read']?.effect === 'EFFECT_ALLOW')).toBe(true);
    await expect.poll(() => engine.stats).toEqual({ checks: 500, streams: 0 });
  });

  test('half-closed while answers are held back still gives them', async () => {
    const stream = openStream(dial(await start({ latencyMs: 30 })));
    const answers: Answer[] = [];
    stream.on('data', (answer: Answer) => answers.push(answer));
    const ended = statusOf(stream);
    stream.write(question());
    stream.end();
    expect((await ended).code).toBe(status.OK);
    expect(answers).toHaveLength(1);
  });

  test('given a faulty request answers it without results and goes on', async () => {
    const stream = openStream(dial(await start()));
    stream.write(question({ requestId: 'bad', actions: [] }));
    expect(await next(stream)).toMatchObject({ requestId: 'bad', results: {} });
    stream.write(question({ requestId: 'good' }));
    expect(await next(stream)).toMatchObject({ requestId: 'good', results: { read: ALLOWED } });
  });

  test('given bytes that are no request ends with INVALID_ARGUMENT', async () => {
    const { path: rpc } = methodOf(AUTHZ, 'CheckStream');
    const asIs = (bytes: Buffer): Buffer => bytes;
    const stream = dial(await start()).makeBidiStreamRequest(rpc, asIs, asIs);
    stream.on('error', () => undefined);
    const ended = statusOf(stream.resume());
    stream.write(Buffer.from([0x0a, 0xff]));
    expect(await ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test('cancelled by the client with answers owed leaves the engine serving', async () => {
    const engine = await start({ latencyMs: 60_000 });
    const stream = openStream(dial(engine));
    for (let i = 0; i < 10; i += 1) stream.write(question());
    await expect.poll(() => engine.stats).toEqual({ checks: 10, streams: 1 });
    stream.cancel();
    await expect.poll(() => engine.stats.streams).toBe(0);
    expect(await unary(dial(engine), HEALTH, 'Check', { service: '' })).toEqual({ status: 'SERVING' });
  });

  test('whose connection is cut leaves the engine serving', async () => {
    const engine = await start();
    const client = dial(engine);
    const stream = openStream(client);
    stream.write(question());
    await next(stream);
    client.close();
    stream.cancel();
    await expect.poll(() => engine.stats.streams).toBe(0);
    // A connection that never speaks HTTP/2, and is reset.
    const socket = connect(engine.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('nonsense\r\n\r\n');
    socket.resetAndDestroy();
    expect(await unary(dial(engine), AUTHZ, 'Check', question())).toMatchObject({ requestId: 'r1' });
  });

  test('whose client reads nothing is held back, and answered in full once it reads', async () => {
    const engine = await start();
    // Over bare HTTP/2: grpc-js's client reads ahead of its reader.
    const session = connectHttp2(`http://${engine.address}`);
    cleanups.push(() => session.destroy());
    const headers = { ':method': 'POST', ':path': methodOf(AUTHZ, 'CheckStream').path };
    const stream = session.request({ ...headers, 'content-type': 'application/grpc', te: 'trailers' });
    const count = 20_000;
    const message = methodOf(AUTHZ, 'CheckStream').requestSerialize(question());
    const frame = Buffer.concat([Buffer.alloc(5), message]);
    frame.writeUInt32BE(message.length, 1);
    for (let i = 0; i < count; i += 1) stream.write(frame);
    stream.end();
    // Held back: the count stands still, well before the end.
    let before = -1;
    const standsStill = (): boolean => {
      const { checks } = engine.stats;
      const still = checks > 0 && checks === before;
      before = checks;
      return still;
    };
    await expect.poll(standsStill, { interval: 200, timeout: 10_000 }).toBe(true);
    expect(before).toBeLessThan(count);
    let answeredBytes = 0;
    stream.on('data', (chunk: Buffer) => (answeredBytes += chunk.length));
    const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
    await once(stream, 'close');
    expect(trailers['grpc-status']).toBe('0');
    expect(engine.stats.checks).toBe(count);
    // Equal questions, so answers of equal length.
    expect(answeredBytes % count).toBe(0);
    expect(answeredBytes / count).toBeGreaterThan(5);
  });
});

describe('policy management', () => {
  const load = (client: Client, source: object, metadata?: Metadata) =>
    unary<{ count: number; errors: object[] }>(client, AUTHZ, 'LoadPolicies', source, metadata);
  const reload = (client: Client, metadata?: Metadata) =>
    unary<{ success: boolean; count: number; durationMs: number }>(client, AUTHZ, 'ReloadPolicies', {}, metadata);

  test('without an admin token is denied, whatever the call bears', async () => {
    const client = dial(await start());
    for (const metadata of [new Metadata(), bearer(''), bearer('undefined')]) {
      await expect(reload(client, metadata)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    }
  });

  test('with one is denied to calls that bear none or another', async () => {
    const client = dial(await start({ adminToken: 'right' }));

    const basic = new Metadata();
    basic.set('authorization', 'right');
    for (const metadata of [new Metadata(), bearer('wrong'), bearer('righ'), bearer('right '.repeat(2)), basic]) {
      await expect(load(client, { inline: { documents: [NOTES] } }, metadata)).rejects.toMatchObject({
        code: status.PERMISSION_DENIED,
      });
    }
  });

  test('loads inline policies, which are in force at once, and reloads those of the directory', async () => {
    const engine = await start({ adminToken: 'right' });
    const client = dial(engine);
    const other = NOTES.replace('[read]', '[write]').replace('name: notes', 'name: other');
    expect(await load(client, { inline: { documents: [other] } }, bearer('right'))).toEqual({ count: 1, errors: [] });
    expect(await unary<Answer>(client, AUTHZ, 'Check', question())).toMatchObject({
      results: { read: DENIED, write: { effect: 'EFFECT_ALLOW', policy: 'other' } },
    });

    writeFileSync(path.join(directory, 'more.yaml'), other);
    expect(await reload(client, bearer('right'))).toMatchObject({ success: true, count: 2 });
    expect(engine.policyCount).toBe(2);
    expect(await unary<Answer>(client, AUTHZ, 'Check', question())).toMatchObject({
      results: { read: ALLOWED, write: { effect: 'EFFECT_ALLOW', policy: 'other' } },
    });
  });

  test('given a broken policy reports it and leaves the old set in force, whole', async () => {
    const client = dial(await start({ adminToken: 'right' }));
    const good = NOTES.replace('name: notes', 'name: more').replace('allow', 'deny');
    const outcome = await load(client, { inline: { documents: [good, 'name: x\n'] } }, bearer('right'));
    expect(outcome.count).toBe(1);
    expect(outcome.errors).toContainEqual({ source: 'inline[1]', line: 1, reason: 'rules: is required' });

    writeFileSync(path.join(directory, 'broken.yaml'), 'name: [');
    writeFileSync(path.join(directory, 'more.yaml'), good);
    expect(await reload(client, bearer('right'))).toMatchObject({ success: false, count: 1 });
    expect(await unary<Answer>(client, AUTHZ, 'Check', question())).toMatchObject({ results: { read: ALLOWED } });
  });

  test('given a path outside the policy directory refuses it', async () => {
    const client = dial(await start({ adminToken: 'right' }));
    for (const outside of ['../', '/etc/passwd', 'sub/../../x.yaml']) {
      expect(await load(client, { path: outside }, bearer('right'))).toEqual({
        count: 1,
        errors: [
          { source: outside, line: 0, reason: 'is not a readable file or directory below the policy directory' },
        ],
      });
    }
    expect(await load(client, { path: 'notes.yaml' }, bearer('right'))).toEqual({ count: 1, errors: [] });
  });

  test('given a URL whose host is not allowed refuses it, and given nothing says so', async () => {
    const client = dial(await start({ adminToken: 'right' }));
    expect(await load(client, { url: 'https://127.0.0.1:1/a.yaml' }, bearer('right'))).toMatchObject({
      count: 1,
      errors: [{ line: 0, reason: 'the host is not on the allow-list' }],
    });
    await expect(load(client, {}, bearer('right'))).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('health', () => {
  test('Check knows the server and its service and answers NOT_FOUND for others', async () => {
    const client = dial(await start());
    for (const service of ['', 'authz.v1.AuthzService']) {
      expect(await unary(client, HEALTH, 'Check', { service })).toEqual({ status: 'SERVING' });
    }
    const unknown = unary(client, HEALTH, 'Check', { service: 'nope' });
    await expect(unknown).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  test('Watch says the status at once and again at each change, and SERVICE_UNKNOWN of others', async () => {
    const engine = await start({ healthy: false });
    const client = dial(engine);
    const known = watch(client, 'authz.v1.AuthzService');
    expect(await next(known)).toEqual({ status: 'NOT_SERVING' });
    expect(await next(watch(client, 'nope'))).toEqual({ status: 'SERVICE_UNKNOWN' });
    const changed = next(known);
    engine.setHealth('NOT_SERVING');
    engine.setHealth('SERVING');
    expect(await changed).toEqual({ status: 'SERVING' });
    expect(await unary(client, HEALTH, 'Check', { service: '' })).toEqual({ status: 'SERVING' });
  });
});

describe('stopping', () => {
  test('tells watches NOT_SERVING, then ends them and refuses connections', async () => {
    const engine = await start();
    const watching = watch(dial(engine), '');
    expect(await next(watching)).toEqual({ status: 'SERVING' });
    const last = next(watching);
    const ended = statusOf(watching);
    await engine.stop();
    expect(await last).toEqual({ status: 'NOT_SERVING' });
    expect((await ended).code).toBe(status.UNAVAILABLE);
    const socket = connect(engine.port, '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  test('waits for answers that are owed', async () => {
    const engine = await start({ latencyMs: 100 });
    const client = dial(engine);
    const stream = openStream(client);
    const answered = next<Answer>(stream);
    stream.write(question());
    stream.end();
    const call = unary<Answer>(client, AUTHZ, 'Check', question({ requestId: 'r2' }));
    await expect.poll(() => engine.stats.checks).toBe(2);
    const stopped = engine.stop();
    expect(await answered).toMatchObject({ requestId: 'r1', results: { read: ALLOWED } });
    expect(await call).toMatchObject({ requestId: 'r2' });
    await stopped;
  });

  test('cuts what is still open after the grace time, and a second call waits for the first', async () => {
    const engine = await start();
    const stream = openStream(dial(engine));
    const ended = statusOf(stream.resume());
    stream.write(question());
    await expect.poll(() => engine.stats.streams).toBe(1);
    const silent = connect(engine.port, '127.0.0.1');
    await once(silent, 'connect');
    const closed = once(silent.resume(), 'close');
    await Promise.all([engine.stop({ graceMs: 50 }), engine.stop({ graceMs: 60_000 })]);
    expect((await ended).code).not.toBe(status.OK);
    await closed;
    await expect.poll(() => engine.stats.streams).toBe(0);
  });
});

describe('options', () => {
  test.each<[object, string, RegExp]>([
    [{ policies: '' }, 'policies', /must be the path of a directory/],
    [{ policies: '/nonexistent-directory' }, 'policies', /ENOENT/],
    [{ port: 70_000 }, 'port', /must be a whole number from 0 to 65535/],
    [{ latencyMs: -1 }, 'latencyMs', /must be a whole number/],
    [{ adminToken: '' }, 'adminToken', /at least one character/],
    [{ hots: '127.0.0.1' }, 'hots', /unknown option/],
    [{ policyUrlAllowList: ['https://a.test'] }, 'policyUrlAllowList.0', /must be a host/],
    [{ tls: { certPath: 'x' } }, 'tls.keyPath', /is required/],
    [{ tls: { certPath: '/nonexistent', keyPath: '/nonexistent' } }, 'tls.certPath', /cannot be read \(ENOENT\)/],
    [{ tls: { certPath: import.meta.filename, keyPath: import.meta.filename } }, 'tls', /not a valid pair/],
    [{ host: '192.0.2.1' }, 'host', /cannot listen on 192\.0\.2\.1:0/],
  ])('%j are refused naming the option', async (options, option, message) => {
    const error: unknown = await startEngine({ policies: directory, ...options }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'ConfigurationError', path: option });
    expect((error as Error).message).toMatch(message);
  });

  test('a port that is taken is refused as in use', async () => {
    const engine = await start();
    await expect(startEngine({ policies: directory, port: engine.port })).rejects.toMatchObject({
      name: 'ConfigurationError',
      message: `port: address in use: 127.0.0.1:${engine.port}`,
    });
  });
});

describe('TLS', () => {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  const pem = (name: string) => readFileSync(path.join(directory, name));

  function makeCertificates(): void {
    const common = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    openssl('req', '-x509', ...common, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test CA');
    for (const name of ['server', 'client']) {
      const san = ['-addext', 'subjectAltName=IP:127.0.0.1'];
      const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key'];
      openssl(
        'req',
        '-x509',
        ...common,
        ...signing,
        ...san,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
        '-subj',
        `/CN=${name}`,
      );
    }
  }

  test('with a client authority serves clients that show a certificate of it, and no others', async () => {
    makeCertificates();
    const file = (name: string) => path.join(directory, name);
    const engine = await start({
      tls: { certPath: file('server.pem'), keyPath: file('server.key'), caPath: file('ca.pem') },
    });
    const known = dial(engine, credentials.createSsl(pem('ca.pem'), pem('client.key'), pem('client.pem')));
    expect(await unary(known, AUTHZ, 'Check', question())).toMatchObject({ results: { read: ALLOWED } });

    for (const creds of [credentials.createSsl(pem('ca.pem')), credentials.createInsecure()]) {
      const refused = await unary(dial(engine, creds), AUTHZ, 'Check', question()).catch((error: unknown) => error);
      expect((refused as ServiceError).code).toBe(status.UNAVAILABLE);
    }
  });
});

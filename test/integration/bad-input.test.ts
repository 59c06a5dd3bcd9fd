/** Everything a caller can get wrong, in one table: each is a typed error that names the field and the rule. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AuthzClient,
  type AuthzClientOptions,
  type CheckInput,
  type CheckOptions,
  type CheckRequest,
  ConfigurationError,
  createPooledClient,
  isAllowed,
  type StreamLifecycleCallbacks,
  TimeoutError,
} from '../../src/index.js';
import type { ScriptedServer } from '../support/scripted-server.js';
import { question, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'authz-bad-'));
  writeFileSync(path.join(directory, 'nonsense.pem'), 'no certificate at all');
});
afterAll(() => rmSync(directory, { recursive: true }));

const NOWHERE = '127.0.0.1:1';
const make = (options: object): AuthzClient => new AuthzClient({ address: NOWHERE, ...options });
const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;
let deep: Record<string, unknown> = {};
for (let depth = 0; depth < 10_000; depth++) deep = { deep };

/** What is wrong, what is done, the field that is named, and a piece of the rule. */
type Row = readonly [what: string, run: () => unknown, path: string | RegExp, rule: string | RegExp];

const options: readonly Row[] = [
  ['no options at all', () => new AuthzClient(undefined as unknown as AuthzClientOptions), 'options', /object/],
  ['options that are no object', () => new AuthzClient('x' as unknown as AuthzClientOptions), 'options', /object/],
  ['no address', () => new AuthzClient({}), 'address', /required/],
  ['an unknown option', () => make({ timout: 5 }), 'timout', /did you mean "timeout"/],
  [
    'an unknown option of a group',
    () => make({ backpressure: { highWatermark: 5 } }),
    'backpressure.highWatermark',
    /did you mean "highWaterMark"/,
  ],
  ['a wrong type', () => make({ timeout: '5000' }), 'timeout', /whole number.*"5000" \(string\)/],
  ['a negative time', () => make({ timeout: -1 }), 'timeout', /≥ 1/],
  ['a time that is no number', () => make({ timeout: Number.NaN }), 'timeout', /whole number/],
  ['a time beyond what a timer can wait', () => make({ timeout: 2 ** 31 }), 'timeout', /≤ 2147483647/],
  ['a group that is no object', () => make({ reconnect: 5 }), 'reconnect', /object/],
  [
    'an option of a group of the wrong type',
    () => make({ reconnect: { jitter: 'yes' } }),
    'reconnect.jitter',
    /true or false/,
  ],
  [
    'an unknown strategy',
    () => make({ connectionPool: { loadBalancingStrategy: 'best' } }),
    'connectionPool.loadBalancingStrategy',
    /one of round_robin/,
  ],
  [
    'more connections at least than at most',
    () => make({ connectionPool: { minConnections: 5, maxConnections: 2 } }),
    'connectionPool.minConnections',
    /≤ maxConnections/,
  ],
  [
    'lowWaterMark = highWaterMark',
    () => make({ backpressure: { lowWaterMark: 100 } }),
    'backpressure.lowWaterMark',
    /< highWaterMark, got 100 and 100/,
  ],
  [
    'highWaterMark > maxBufferSize',
    () => make({ backpressure: { highWaterMark: 2_000 } }),
    'backpressure.highWaterMark',
    /≤ maxBufferSize, got 2000 and 1000/,
  ],
  [
    'initialDelay > maxDelay',
    () => make({ reconnect: { initialDelay: 50_000 } }),
    'reconnect.initialDelay',
    /≤ maxDelay/,
  ],
  ['an address without a port', () => make({ address: 'localhost' }), 'address', /port/],
  ['an address with a port that is none', () => make({ address: 'localhost:99999' }), 'address', /port/],
  ['an address with a scheme nobody knows', () => make({ address: 'http://localhost:1' }), 'address', /\S/],
  ['an IPv6 address without brackets', () => make({ address: '::1:50051' }), 'address', /bracket/],
  ['an empty address', () => make({ address: '' }), 'address', /non-empty/],
  ['no addresses', () => createPooledClient([]), 'addresses', /at least one/],
  ['a bad address among good ones', () => createPooledClient([NOWHERE, 'nonsense']), 'addresses[1]', /port/],
  [
    'the same address twice',
    () => createPooledClient([NOWHERE, NOWHERE]),
    'addresses[1]',
    /same address as addresses\[0\]/,
  ],
  [
    'a fallback that is the primary',
    () => make({ failover: { enabled: true, fallbackAddresses: [NOWHERE] } }),
    'failover.fallbackAddresses[0]',
    /same address/,
  ],
  [
    'a primaryIndex beyond the addresses',
    () => make({ failover: { primaryIndex: 3 } }),
    'failover.primaryIndex',
    /less than the number of addresses/,
  ],
  [
    'a certificate that is not there',
    () => make({ caPath: path.join(directory, 'nowhere.pem') }),
    'caPath',
    /nowhere\.pem.*ENOENT/,
  ],
  [
    'a certificate that is none',
    () => make({ caPath: path.join(directory, 'nonsense.pem') }),
    'caPath',
    /no PEM certificate/,
  ],
  ['a certificate that is a directory', () => make({ caPath: directory }), 'caPath', /regular file/],
  ['a certificate without its key', () => make({ certPath: 'x' }), 'keyPath', /together with certPath/],
  ['a key without its certificate', () => make({ keyPath: 'x' }), 'certPath', /together with keyPath/],
  ['a certificate beside tls: false', () => make({ tls: false, caPath: 'x' }), 'caPath', /contradicts tls/],
  [
    'credentials over plaintext to another machine',
    () => make({ address: 'authz.example.com:1', tls: false, credentials: 'x' }),
    'credentials',
    /plaintext/,
  ],
  ['credentials that are a number', () => make({ credentials: 5 }), 'credentials', /token or an async function/],
  [
    'metadata that gives what credentials give',
    () => make({ credentials: 'x', metadata: { authorization: 'y' } }),
    'metadata.authorization',
    /contradicts credentials/,
  ],
  ['metadata with a name that is none', () => make({ metadata: { 'a b': 'c' } }), /^metadata/, /\S/],
  ['metadata with a line break', () => make({ metadata: { a: 'b\nc' } }), /^metadata/, /\S/],
  ['a transport that cannot connect', () => make({ transport: {} }), 'transport', /connect\(\)/],
  ['a clock that cannot wait', () => make({ clock: { now: () => 0 } }), 'clock', /setTimeout/],
  ['an inspector that cannot see', () => make({ inspect: {} }), 'inspect', /next\(\)/],
  [
    'contradicting switches of deduplication',
    () => make({ deduplication: true, streams: { deduplication: false } }),
    'deduplication',
    /contradicts/,
  ],
  [
    'a deduplication cache of nothing',
    () => make({ deduplication: { cacheSize: 0 } }),
    'deduplication.cacheSize',
    /≥ 1/,
  ],
];

/** One request, wrong in one way. */
const requests: readonly (readonly [what: string, request: unknown, path: string, rule: RegExp])[] = [
  ['nothing', undefined, '', /object/],
  ['a string', 'read', '', /object/],
  ['an array', [], '', /object/],
  ['no principal', { ...question(), principal: undefined }, 'principal', /object, but is missing/],
  ['a principal without id', { ...question(), principal: { roles: [] } }, 'principal.id', /non-empty string/],
  ['a principal with an empty id', { ...question(), principal: { id: '', roles: [] } }, 'principal.id', /not be empty/],
  ['a principal without roles', { ...question(), principal: { id: 'a' } }, 'principal.roles', /array of strings/],
  ['a role that is a number', { ...question(), principal: { id: 'a', roles: [7] } }, 'principal.roles[0]', /string/],
  ['no resource', { ...question(), resource: null }, 'resource', /object, got null/],
  ['a resource without kind', { ...question(), resource: { id: 'x' } }, 'resource.kind', /non-empty/],
  ['no actions', { ...question(), actions: undefined }, 'actions', /array of strings/],
  ['an empty list of actions', { ...question(), actions: [] }, 'actions', /at least one/],
  ['one action as a string', { ...question(), actions: 'read' }, 'actions', /array/],
  ['an action that is empty', { ...question(), actions: ['read', ''] }, 'actions[1]', /empty/],
  ['too many actions', { ...question(), actions: new Array(257).fill('a') }, 'actions', /at most 256/],
  ['a requestId that is a number', { ...question(), requestId: 5 }, 'requestId', /string/],
  ['a requestId that is empty', { ...question(), requestId: '' }, 'requestId', /empty/],
  ['a requestId with a line break', { ...question(), requestId: 'a\nb' }, 'requestId', /control/],
  ['a requestId that is too long', { ...question(), requestId: 'a'.repeat(257) }, 'requestId', /at most 256/],
  ['half a surrogate pair', { ...question(), actions: ['\ud800'] }, 'actions[0]', /surrogate/],
  ['context that is a Map', { ...question(), context: new Map() }, 'context', /plain object/],
  [
    'attributes that are an array',
    { ...question(), principal: { id: 'a', roles: [], attributes: [] } },
    'principal.attributes',
    /plain object/,
  ],
  ['a BigInt in the context', { ...question(), context: { a: { b: 1n } } }, 'context.a.b', /\S/],
  [
    'a function in the attributes',
    { ...question(), resource: { kind: 'n', id: '1', attributes: { f: () => 1 } } },
    'resource.attributes.f',
    /\S/,
  ],
  ['a number that JSON has not', { ...question(), context: { n: Number.NaN } }, 'context.n', /\S/],
  ['a cyclic context', { ...question(), context: cyclic }, 'context', /\S/],
  ['a context that is nested too deeply', { ...question(), context: deep }, 'context', /\S/],
  ['includeMetadata that is no boolean', { ...question(), includeMetadata: 1 }, 'includeMetadata', /true or false/],
];

const checkOptions: readonly (readonly [what: string, options: unknown, path: RegExp])[] = [
  ['that are a number', 5, /^options$/],
  ['unknown', { deadlin: 5 }, /^options\.deadlin$/],
  ['a deadline that is none', { deadline: 'soon' }, /^options\.deadline$/],
  ['a deadline of NaN', { deadline: Number.NaN }, /^options\.deadline$/],
  ['a deadline that is an invalid Date', { deadline: new Date('x') }, /^options\.deadline$/],
  ['a signal that is none', { signal: {} }, /^options\.signal$/],
  ['metadata that is no object', { metadata: 'x' }, /^options\.metadata/],
  ['metadata with a reserved name', { metadata: { 'grpc-timeout': '1S' } }, /^options\.metadata/],
  ['metadata with a value that is a number', { metadata: { a: 5 } }, /^options\.metadata/],
];

const callbacks = (over: object): StreamLifecycleCallbacks => ({
  onResponse: () => undefined,
  onError: () => undefined,
  onEnd: () => undefined,
  ...over,
});

/** Calls of a client that is made well. */
const calls: readonly (readonly [
  what: string,
  run: (client: AuthzClient) => unknown,
  path: string | RegExp,
  rule: RegExp,
])[] = [
  [
    'a stream without callbacks',
    (client) => client.createBidirectionalStream(undefined as unknown as StreamLifecycleCallbacks),
    'callbacks',
    /object/,
  ],
  [
    'a stream without onResponse',
    (client) => client.createBidirectionalStream(callbacks({ onResponse: undefined })),
    'callbacks.onResponse',
    /function/,
  ],
  [
    'a stream without onEnd',
    (client) => client.createBidirectionalStream(callbacks({ onEnd: 5 })),
    'callbacks.onEnd',
    /function/,
  ],
  [
    'a stream with an onBackpressure that is none',
    (client) => client.createBidirectionalStream(callbacks({ onBackpressure: true })),
    'callbacks.onBackpressure',
    /function/,
  ],
  [
    'a basic stream without onError',
    (client) =>
      client.createStream(
        () => undefined,
        undefined as unknown as () => void,
        () => undefined,
      ),
    'callbacks.onError',
    /function/,
  ],
  [
    'backpressure that is null',
    (client) => client.createBidirectionalStream(callbacks({}), null as unknown as object),
    'backpressure',
    /object/,
  ],
  [
    'a stream pool of a string',
    (client) => client.createStreamPool('3' as unknown as number, callbacks({})),
    'count',
    /whole number/,
  ],
  [
    'configureStreamPool(null)',
    (client) => client.configureStreamPool(null as unknown as object),
    'streamPool',
    /object/,
  ],
  [
    'configureAdvancedStreamOptions(undefined)',
    (client) => client.configureAdvancedStreamOptions(undefined as unknown as object),
    'streams',
    /object/,
  ],
  ['enableDeduplication(0)', (client) => client.enableDeduplication(0), /cacheSize/, /≥ 1/],
  ['enableDeduplication with a ttl of 0', (client) => client.enableDeduplication(5, { ttlMs: 0 }), /ttlMs/, /≥ 1/],
  ['disconnect(null)', (client) => client.disconnect(null as unknown as object), /^disconnect/, /object/],
  [
    'disconnect with an unknown option',
    (client) => client.disconnect({ timeout: 5 } as object),
    /^disconnect/,
    /known/,
  ],
  ['subscribeToHealthStream(null)', (client) => client.subscribeToHealthStream(null as never), 'callbacks', /object/],
  ['reloadPolicies(null)', (client) => client.reloadPolicies(null as unknown as object), /^reloadPolicies/, /object/],
  ['setConnectionWeight of nobody', (client) => client.setConnectionWeight('x', 1), 'id', /no connection/],
  [
    'a listener that is none',
    (client) => client.on('error', undefined as unknown as () => void),
    'listener',
    /function/,
  ],
  [
    'an event that is none',
    (client) => client.on('errors' as 'error', () => undefined),
    'event',
    /no event "errors".*'error'/,
  ],
];

/** Thrown and rejected alike. */
async function faultOf(run: () => unknown): Promise<Error> {
  return rejection(Promise.resolve().then(run));
}

function expectFault(error: Error, where: string | RegExp, rule: string | RegExp): void {
  if (!(error instanceof ConfigurationError))
    throw new Error(`no ConfigurationError but ${String(error)}`, { cause: error });
  if (typeof where === 'string') expect(error.path).toBe(where);
  else expect(error.path).toMatch(where);
  expect(error.message).toMatch(rule);
  expect(error.message.startsWith(`${error.path}: `)).toBe(true);
  expect(error).toMatchObject({ code: 'ERR_AUTHZ_CONFIGURATION', outcome: 'notSent', retryable: false });
}

describe('a client', () => {
  test.each(options)('made with %s: is refused, and the field and the rule are named', async (_, run, where, rule) => {
    expectFault(await faultOf(run), where, rule);
  });
});

describe('a request', () => {
  let server: ScriptedServer;
  const ways: [string, (client: AuthzClient, request: CheckInput) => unknown][] = [
    ['check()', (client, request) => client.check(request)],
    ['unary check()', (client, request) => client.check(request, { metadata: { a: 'b' } })],
    ['handle.check()', (client, request) => client.createBidirectionalStream(new Recorder()).check(request)],
    [
      'handle.send()',
      (client, request) => client.createBidirectionalStream(new Recorder()).send(request as CheckRequest),
    ],
  ];

  test.each(requests)(
    'that is or has %s: is refused by every way in, and nothing is sent',
    async (_, request, where, rule) => {
      server = await stage.server();
      const client = stage.client(server);
      for (const [, way] of ways) {
        const error = await faultOf(() => way(client, request as CheckInput));
        expectFault(error, new RegExp(`^request${where === '' ? '' : '\\.'}${where.replace(/[[\].]/g, '\\$&')}`), rule);
      }
      expect(isAllowed(await client.check(question()))).toBe(true);
      expect(server.streamed).toHaveLength(1);
      expect(server.checks).toHaveLength(0);
      expect(client.getStats()).toMatchObject({ totalRequests: 1, failedRequests: 0 });
    },
  );

  test('without a requestId: is refused by send(), which cannot tell whose answer it is', async () => {
    server = await stage.server();
    const handle = stage.client(server).createBidirectionalStream(new Recorder());
    const { principal, resource, actions } = question();
    const error = await faultOf(() => handle.send({ principal, resource, actions } as CheckRequest));
    expectFault(error, 'request.requestId', /missing/);
  });

  test('with a getter that throws: a typed error, and the client goes on', async () => {
    server = await stage.server();
    const client = stage.client(server);
    const context = {
      get trap(): string {
        throw new RangeError('mine');
      },
    };
    const error = await rejection(client.check(question({ context, requestId: 'trap' })), ConfigurationError);
    expect(error).toMatchObject({ path: 'request.context.trap', requestId: 'trap' });
    expect(isAllowed(await client.check(question()))).toBe(true);
    expect(client.getStats()).toMatchObject({ totalRequests: 1 });
  });

  test('with keys named like prototypes in its attributes: is sent as it is and pollutes nothing', async () => {
    server = await stage.server();
    const client = stage.client(server);
    const context = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}') as Record<string, unknown>;
    expect(isAllowed(await client.check(question({ context })))).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(JSON.stringify(server.streamed[0]?.context)).toContain('polluted');
  });
});

describe('the options of one check', () => {
  test.each(checkOptions)('%s: are refused, by check() and handle.check() alike', async (_, given, where) => {
    const client = stage.client(await stage.server());
    const handle = client.createBidirectionalStream(new Recorder());
    for (const run of [
      () => client.check(question(), given as CheckOptions),
      () => handle.check(question(), given as CheckOptions),
      () => client.checkBatch([question()], given as CheckOptions),
    ]) {
      expectFault(await faultOf(run), where, /\S/);
    }
  });

  test('a deadline that has passed: TimeoutError, notSent, and nothing is sent', async () => {
    const server = await stage.server();
    const client = stage.client(server);
    await client.connect();
    for (const deadline of [0, -5, new Date(Date.now() - 1_000)]) {
      const error = await rejection(client.check(question({ requestId: 'late' }), { deadline }), TimeoutError);
      expect(error).toMatchObject({ outcome: 'notSent', requestId: 'late' });
    }
    await client.check(question());
    expect(server.streamed).toHaveLength(1);
  });
});

describe('a call', () => {
  test.each(calls)('%s: is refused, and the field and the rule are named', async (_, run, where, rule) => {
    const client = stage.client(await stage.server());
    expectFault(await faultOf(() => run(client)), where, rule);
    expect(isAllowed(await client.check(question()))).toBe(true);
  });
});

describe('used the wrong way round', () => {
  test('connect() twice, disconnect() twice, end() twice, resume() without pause(), off() of nobody: harmless', async () => {
    const client = stage.client(await stage.server());
    await Promise.all([client.connect(), client.connect()]);
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    handle.resume();
    handle.end();
    handle.end();
    handle.pause();
    client.off('error', () => undefined);
    client.closeStream(handle.getId());
    await recorder.ended();
    expect(recorder.log).toEqual(['end']);
    await Promise.all([client.disconnect(), client.disconnect()]);
  });
});

/** What must not cross: keys that collide, names of the prototype, credentials in the clear, paths out of the policy directory. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEngine } from '../../src/engine/index.js';
import {
  type CheckRequest,
  ConfigurationError,
  createClient,
  createPooledClient,
  GrpcCode,
  isAllowed,
  type PooledClientOptions,
  type Transport,
} from '../../src/index.js';
import { NOTES } from '../support/engine-process.js';
import { allow, deny } from '../support/scripted-server.js';
import { question, refusal, rejection, useStage } from '../support/stage.js';

const stage = useStage();

/** What pollution would show as. */
function prototypeKeys(): unknown[] {
  return [Object.prototype, Array.prototype, Function.prototype, String.prototype].map((one) => Reflect.ownKeys(one));
}

describe('questions that joined with separators would be one', () => {
  const of = (id: string, roles: string[], kind: string, rid: string, actions: string[]): Partial<CheckRequest> => ({
    principal: { id, roles },
    resource: { kind, id: rid },
    actions,
  });
  const table: [string, Partial<CheckRequest>, Partial<CheckRequest>][] = [];
  for (const separator of [':', '|', ',', '/', '\u0000', '\n', ' ', '"', '#', '']) {
    const name = JSON.stringify(separator);
    const both = `a${separator}b`;
    table.push(
      [`roles, ${name}`, of('u', ['a', 'b'], 'k', '1', ['r']), of('u', [both], 'k', '1', ['r'])],
      [`actions, ${name}`, of('u', [], 'k', '1', ['a', 'b']), of('u', [], 'k', '1', [both])],
      [`id and role, ${name}`, of('a', ['b'], 'k', '1', ['r']), of(both, [], 'k', '1', ['r'])],
      [`kind and id, ${name}`, of('u', [], both, 'c', ['r']), of('u', [], 'a', `b${separator}c`, ['r'])],
      [`resource and action, ${name}`, of('u', [], 'k', 'a', ['b', 'c']), of('u', [], 'k', both, ['c'])],
    );
  }
  const context = (value: Record<string, unknown>): Partial<CheckRequest> => ({ context: value });
  table.push(
    ['a number and its text', context({ n: 1 }), context({ n: '1' })],
    ['null and its text', context({ n: null }), context({ n: 'null' })],
    ['an object and its JSON', context({ n: { a: 1 } }), context({ n: '{"a":1}' })],
    ['a list and an object', context({ n: ['a'] }), context({ n: { 0: 'a' } })],
    ['one nested otherwise', context({ a: { b: 1 }, c: 2 }), context({ a: { b: 1, c: 2 } })],
    [
      'attributes moved from principal to resource',
      {
        principal: { id: 'u', roles: [], attributes: { a: 1 } },
      },
      { principal: { id: 'u', roles: [] }, resource: { kind: 'note', id: 'n1', attributes: { a: 1 } } },
    ],
    ['no context and an empty one', {}, context({})],
  );

  test.each(table)('%s: each is asked, and has its own answer', async (_name, one, other) => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => stream.reply(stream.requests.length === 1 ? allow(request) : deny(request)),
    });
    const client = stage.client(server, { deduplication: true });
    expect(isAllowed(await client.check(question({ requestId: 'same', ...one })))).toBe(true);
    expect(isAllowed(await client.check(question({ requestId: 'same', ...other })))).toBe(false);
    expect(server.streamed).toHaveLength(2);
    expect(client.getDeduplicationCacheStats()).toMatchObject({ hits: 0, joined: 0, conflicts: 1 });
  });

  test('under other credentials or another tenant: an answer from memory is not given', async () => {
    const server = await stage.server({ onCheck: (request) => deny(request) });
    const client = stage.client(server, { deduplication: true });
    const same = question();
    expect(isAllowed(await client.check(same))).toBe(true);
    for (const metadata of [{ 'x-tenant': 'b' }, { authorization: 'Bearer other' }]) {
      expect(isAllowed(await client.check(same, { metadata }))).toBe(false);
    }
    // Nor is theirs remembered for the client's own.
    expect(isAllowed(await client.check(same))).toBe(true);
    expect(server.streamed).toHaveLength(1);
  });
});

describe('a token that is rotated, which may be another identity', () => {
  test('what was answered under the last one, and what is still asked under it: is not given to whoever asks under the next', async () => {
    const held: (() => void)[] = [];
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        const isFirst = stream.metadata.get('authorization')[0] === 'Bearer first';
        const reply = (): void => stream.reply(isFirst ? allow(request) : deny(request));
        if (isFirst && request.requestId === 'under way') held.push(reply);
        else reply();
      },
    });
    let token = 'first';
    const client = stage.client(server, { deduplication: true, credentials: () => Promise.resolve(token) });
    const known = question({ requestId: 'known' });
    const underWay = question({ requestId: 'under way' });
    expect(isAllowed(await client.check(known))).toBe(true);
    expect(isAllowed(await client.check(known))).toBe(true);
    expect(client.getDeduplicationCacheStats().hits).toBe(1);
    const before = client.check(underWay);
    await expect.poll(() => held.length).toBe(1);

    token = 'second';
    // Another connection reads it.
    await client.scalePool(2);
    await expect.poll(() => client.getDeduplicationCacheStats().size).toBe(0);
    expect(isAllowed(await client.check(known))).toBe(false);
    const after = client.check(underWay);
    expect(isAllowed(await after)).toBe(false);
    for (const reply of held) reply();
    await before.catch(() => undefined);
    // Nor does the late answer take the place of the new one.
    expect(isAllowed(await client.check(underWay))).toBe(false);
    expect(isAllowed(await client.check(known))).toBe(false);
  });
});

describe('names of the prototype', () => {
  const before = prototypeKeys();
  afterEach(() => {
    expect(prototypeKeys()).toEqual(before);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  const HOSTILE = '{"__proto__": {"polluted": true, "admin": true}, "constructor": {"prototype": {"polluted": true}}}';
  const hostile = (): Record<string, unknown> => JSON.parse(HOSTILE) as Record<string, unknown>;

  test('in attributes, metadata and results: are names like any other', async () => {
    const actions = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'read'];
    const meta = JSON.parse('{"__proto__": "polluted", "constructor": "x"}') as Record<string, string>;
    const ALLOW = { effect: 1, matched: true, meta };
    const server = await stage.server({
      onStreamRequest: ({ requestId }, stream) =>
        stream.reply({ requestId, results: { constructor: ALLOW, read: ALLOW } }),
    });
    const client = stage.client(server);
    const response = await client.check(
      question({
        principal: { id: '__proto__', roles: ['constructor'], attributes: hostile() },
        resource: { kind: '__proto__', id: 'constructor', attributes: hostile() },
        actions,
        context: { deep: hostile() },
      }),
    );
    expect([...response.results.keys()]).toEqual(actions);
    expect(actions.filter((action) => isAllowed(response, action))).toEqual(['constructor', 'read']);
    const given = response.results.get('read')?.meta ?? {};
    expect(Object.getPrototypeOf(given)).toBeNull();
    expect(Object.entries(given).sort()).toEqual([
      ['__proto__', 'polluted'],
      ['constructor', 'x'],
    ]);
    expect(JSON.stringify(server.streamed[0]?.principal?.attributes)).toContain('polluted');
  });

  test('in options: are unknown options', () => {
    for (const text of [
      '{"address": "127.0.0.1:1", "__proto__": {"tls": true}}',
      '{"address": "127.0.0.1:1", "constructor": {}}',
      '{"address": "127.0.0.1:1", "connectionPool": {"__proto__": {"minConnections": 0}}}',
      '{"address": "127.0.0.1:1", "toString": 1}',
    ]) {
      refusal(() => createClient(JSON.parse(text) as never), ConfigurationError);
    }
  });

  test('in policies and in what is asked of the engine: the answer is the policies’', async () => {
    const engine = await stage.engine({ adminToken: 'admin' });
    const client = stage.client(engine, { credentials: 'admin' });
    const loaded = await client.loadPolicies({
      inline: [
        `
name: __proto__
resource: constructor
rules:
  - {name: toString, actions: [hasOwnProperty], effect: allow, roles: [__proto__]}
  - {actions: [valueOf], effect: allow, roles: '*', condition: 'principal.attributes.admin == true'}
`,
      ],
    });
    expect(loaded).toEqual({ count: 1, errors: [] });
    const ask = async (over: Partial<CheckRequest>): Promise<boolean> =>
      isAllowed(await client.check(question({ resource: { kind: 'constructor', id: '1' }, ...over })));
    const polluter = { id: 'a', roles: ['__proto__'] };
    expect(await ask({ principal: polluter, actions: ['hasOwnProperty'] })).toBe(true);
    expect(await ask({ principal: { id: 'a', roles: ['constructor'] }, actions: ['hasOwnProperty'] })).toBe(false);
    expect(await ask({ principal: polluter, actions: ['__proto__'] })).toBe(false);
    expect(await ask({ principal: polluter, actions: ['valueOf'] })).toBe(false);
    expect(await ask({ principal: { id: 'a', roles: [], attributes: hostile() }, actions: ['valueOf'] })).toBe(false);
    expect(await ask({ resource: { kind: '__proto__', id: '1' }, actions: ['hasOwnProperty'] })).toBe(false);
    expect(await ask({ resource: { kind: 'toString', id: '1' }, actions: ['hasOwnProperty'] })).toBe(false);
  });

  test('as keys of a policy: the policy is refused', async () => {
    const engine = await stage.engine({ adminToken: 'admin' });
    const client = stage.client(engine, { credentials: 'admin' });
    for (const extra of ['__proto__: {rules: []}', 'constructor: {prototype: {polluted: true}}']) {
      const { errors } = await client.loadPolicies({ inline: [`${NOTES}\n${extra}\n`] });
      expect(errors).toHaveLength(1);
    }
  });
});

describe('credentials', () => {
  beforeEach(() => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  });
  const REMOTE = '192.0.2.1:50051';
  const SECRETS: readonly (readonly [string, PooledClientOptions])[] = [
    ['a token', { credentials: 'secret' }],
    ['a function that gives one', { credentials: () => Promise.resolve('secret') }],
    ['an authorization header', { metadata: { Authorization: 'Bearer secret' } }],
    ['a proxy-authorization header', { metadata: { 'proxy-authorization': 'secret' } }],
    ['a cookie', { metadata: { cookie: 'secret' } }],
  ];

  /** Dials nobody, and counts. */
  function countingTransport(): { transport: Transport; dialled: string[] } {
    const dialled: string[] = [];
    const connect: Transport['connect'] = ({ address }) => {
      dialled.push(address);
      throw new Error('nobody is to be dialled');
    };
    return { transport: { name: 'none', connect }, dialled };
  }

  test.each(SECRETS)('%s, in plaintext to another machine: refused before anything is dialled', (_, options) => {
    const { transport, dialled } = countingTransport();
    const failover = { enabled: true, fallbackAddresses: [REMOTE] };
    const before = process.getActiveResourcesInfo().length;
    for (const make of [
      () => createClient({ ...options, transport, address: REMOTE }),
      () => createClient({ ...options, transport, address: REMOTE, tls: false }),
      () => createClient({ ...options, transport, address: 'dns:///authz.example.com:1' }),
      () => createClient({ ...options, transport, address: '[2001:db8::1]:1' }),
      () => createClient({ ...options, transport, address: '0.0.0.0:1' }),
      () => createClient({ ...options, transport, address: '127.0.0.1.example.com:1' }),
      () => createClient({ ...options, transport, address: 'localhost.example.com:1' }),
      () => createClient({ ...options, transport, address: '127.0.0.1:1', failover }),
      () => createPooledClient(['127.0.0.1:1', REMOTE], { ...options, transport }),
    ]) {
      const error = refusal(make, ConfigurationError);
      expect(error.message).toContain('never sent over plaintext');
      expect(inspect(error)).not.toContain('secret');
    }
    expect(dialled).toEqual([]);
    expect(process.getActiveResourcesInfo().length).toBe(before);
  });

  test('of one call, in plaintext to another machine: refused, and the call is not made', async () => {
    const { transport, dialled } = countingTransport();
    const client = createClient({ address: REMOTE, tls: false, transport });
    stage.onEnd(() => client.disconnect({ force: true }));
    for (const metadata of [{ authorization: 'x' }, { Cookie: 'x' }]) {
      await rejection(client.check(question(), { metadata }), ConfigurationError);
      await rejection(client.checkBatch([question()], { metadata }), ConfigurationError);
    }
    expect(dialled).toEqual([]);
  });

  test.each(['http2', 'grpc-js'] as const)(
    'over TLS on %s, to servers that speak none: nothing but TLS is ever written, by redials and fallbacks too',
    async (transport) => {
      stage.errors();
      const written: Buffer[] = [];
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (chunk) => {
          written.push(chunk);
          // As a plaintext gRPC server would: with SETTINGS.
          socket.end(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      stage.onEnd(() => new Promise((resolve) => server.close(resolve)));
      const { port } = server.address() as AddressInfo;
      const client = stage.client(
        { address: `127.0.0.1:${port}` },
        {
          transport,
          tls: true,
          credentials: 'the-secret-token',
          timeout: 1_000,
          failover: { enabled: true, fallbackAddresses: [`localhost:${port}`] },
        },
      );
      await rejection(client.check(question()));
      await rejection(client.check(question(), { metadata: { 'x-a': 'b' } }));
      await expect.poll(() => written.length).toBeGreaterThan(3);
      // Each first flight is a TLS handshake record; whatever follows it is an alert.
      expect(written.filter((chunk) => chunk[0] !== 0x16 && chunk[0] !== 0x15)).toEqual([]);
      const all = Buffer.concat(written).toString('latin1');
      for (const clear of ['PRI * HTTP/2.0', 'the-secret-token', 'authz.v1']) expect(all).not.toContain(clear);
    },
  );
});

describe('the embedded engine', () => {
  const SECRET = 'zq-policy-content';
  let directory: string;
  let outside: string;
  beforeEach(() => {
    const top = mkdtempSync(path.join(tmpdir(), 'authz-boundaries-'));
    directory = path.join(top, 'policies');
    outside = path.join(top, 'outside');
    for (const one of [directory, outside, `${directory}-sibling`]) {
      mkdirSync(one);
      writeFileSync(path.join(one, 'notes.yaml'), NOTES);
    }
    writeFileSync(path.join(outside, 'secret.yaml'), `${SECRET}: [\n`);
    stage.onEnd(() => rmSync(top, { recursive: true }));
  });

  async function start(options: { adminToken?: string } = {}) {
    const engine = await startEngine({ policies: directory, ...options });
    stage.onEnd(() => engine.stop({ graceMs: 0 }));
    return engine;
  }

  test('without an admin token: refuses management to everyone, and answers checks', async () => {
    const engine = await start();
    for (const options of [{}, { credentials: 'admin' }, { credentials: 'undefined' }]) {
      const client = stage.client(engine, options);
      for (const promise of [client.loadPolicies({ inline: [NOTES] }), client.reloadPolicies({ force: true })]) {
        expect(await rejection(promise)).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED });
      }
      expect(isAllowed(await client.check(question()))).toBe(true);
    }
    expect(engine.policyCount).toBe(1);
    expect(engine.address).toMatch(/^127\.0\.0\.1:/);
  });

  test('asked for what lies outside its directory, by dots, links and links of links: as if nothing were there', async () => {
    symlinkSync(path.join(outside, 'secret.yaml'), path.join(directory, 'link.txt'));
    symlinkSync(outside, path.join(directory, 'linked'));
    symlinkSync('linked', path.join(directory, 'linked-again'));
    symlinkSync('/etc/passwd', path.join(directory, 'passwd'));
    const client = stage.client(await start({ adminToken: 'admin' }), { credentials: 'admin' });
    const paths = [
      '..',
      '../outside',
      '../outside/secret.yaml',
      '../policies-sibling',
      path.join(outside, 'secret.yaml'),
      '/etc/passwd',
      'link.txt',
      'linked',
      'linked/secret.yaml',
      'linked-again/notes.yaml',
      'passwd',
      'linked/../../outside/notes.yaml',
      'no/such/file.yaml',
      'notes.yaml\u0000.yaml',
    ];
    const reasons = new Set<string>();
    for (const one of paths) {
      const { count, errors } = await client.loadPolicies({ path: one });
      expect([count, errors.length]).toEqual([1, 1]);
      reasons.add(errors[0]?.reason ?? '');
    }
    expect([...reasons]).toEqual(['is not a readable file or directory below the policy directory']);
  });

  test('given a broken policy, inline or in a file: says where and which rule, and nothing of what is in it', async () => {
    const broken = [
      `${SECRET}: [`,
      `"${SECRET}`,
      `name: &${SECRET} a\nresource: *${SECRET}x`,
      `!${SECRET} a`,
      `- ${SECRET}`,
      SECRET,
      `name: ${SECRET}\nresource: 1\nrules: ${SECRET}`,
      `${NOTES}\n${SECRET}: 1`,
      NOTES.replace('allow', SECRET),
      NOTES.replace('[read]', `['*${SECRET}']`),
      NOTES.replace('roles: [viewer]', `roles: [viewer], condition: '${SECRET}.x.y('`),
      NOTES.replace('roles: [viewer]', `roles: [viewer], condition: '${SECRET.replaceAll('-', '_')} == 1'`),
      NOTES.replace('roles: [viewer]', `roles: [viewer], ${SECRET}: 1`),
      NOTES.replace('viewers-read', SECRET).replace('nobody-deletes', SECRET),
    ];
    const client = stage.client(await start({ adminToken: 'admin' }), { credentials: 'admin' });
    let refused = 0;
    for (const text of broken) {
      writeFileSync(path.join(directory, 'broken.yaml'), text);
      for (const source of [{ inline: [text] }, { path: 'broken.yaml' }]) {
        const { errors } = await client.loadPolicies(source);
        if (errors.length > 0) refused++;
        for (const error of errors) {
          expect(error.line).toBeGreaterThanOrEqual(0);
          expect(error.reason).not.toMatch(/zq.policy/);
          expect(error.source).toMatch(/^(inline\[0\]|broken\.yaml)$/);
        }
      }
      const failure: unknown = await startEngine({ policies: directory, port: 0 }).then(
        (engine) => engine.stop(),
        (error: unknown) => error,
      );
      expect(inspect(failure, { depth: 8, showHidden: true })).not.toMatch(/zq.policy/);
    }
    expect(refused).toBeGreaterThanOrEqual(2 * (broken.length - 1));
  });
});

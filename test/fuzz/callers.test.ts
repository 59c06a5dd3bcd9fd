/** What callers without types give: options, requests, words of the command line. */

import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../src/cli/program.js';
import {
  AuthzClient,
  type CheckInput,
  ConfigurationError,
  createClient,
  createPooledClient,
  type Transport,
} from '../../src/index.js';
import { oddObject, oddValue, trapped } from './any-value.js';
import { fuzz } from './budget.js';

// What the commands do is not asked here: only what becomes of the words.
const ran = vi.hoisted(() => ({ count: 0 }));
const command = vi.hoisted(() => () => Promise.resolve(ran.count++ * 0));
vi.mock(import('../../src/cli/check.js'), async (original) => ({ ...(await original()), check: command }));
vi.mock(import('../../src/cli/serve.js'), async (original) => ({ ...(await original()), serve: command }));
vi.mock(import('../../src/cli/watch.js'), async (original) => ({ ...(await original()), watch: command }));
vi.mock(import('../../src/cli/replay.js'), async (original) => ({ ...(await original()), replay: command }));
vi.mock(import('../../src/cli/demo/command.js'), async (original) => ({ ...(await original()), demo: command }));

/** Dials nobody. */
const transport: Transport = {
  name: 'none',
  connect: () => {
    throw new Error('nobody is to be dialled');
  },
};

/** One line that names a path and a rule. */
function expectRefusal(error: unknown): void {
  if (!(error instanceof ConfigurationError)) throw new Error('not a ConfigurationError', { cause: error });
  if (!/^[^\n]+: [^\n]+$/.test(error.message)) throw new Error(`not one line: ${JSON.stringify(error.message)}`);
  if (error.message.length > 2_000) throw new Error(`a message of ${error.message.length} characters`);
  if (error.outcome !== 'notSent') throw new Error(`outcome ${error.outcome}`);
}

const ms = fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom(0, 2 ** 31 - 1, 2 ** 31));
const count = fc.oneof(fc.integer({ min: 0, max: 1_500 }), fc.constantFrom(-1, 1e9));
const address = fc.oneof(
  fc.constantFrom(
    '127.0.0.1:1',
    'localhost:1',
    '[::1]:1',
    'dns:///a.example:1',
    'unix:/run/x',
    '192.0.2.1:1',
    '::1:1',
    'a',
  ),
  fc.webAuthority({ withPort: true }),
  fc.string({ maxLength: 20 }),
);
const flag = fc.boolean();
const headers = fc.dictionary(
  fc.oneof(fc.constantFrom('x-a', 'authorization', 'grpc-x', 'a-bin'), fc.string()),
  fc.string(),
  {
    maxKeys: 3,
  },
);
const options = oddObject({
  address,
  timeout: ms,
  connectTimeout: ms,
  keepAliveInterval: ms,
  keepAliveTimeout: ms,
  maxPendingChecks: count,
  maxPendingBytes: count,
  maxMessageBytes: count,
  maxRetries: fc.nat(120),
  retryDelay: ms,
  tls: flag,
  caPath: fc.constantFrom(import.meta.filename, '/nonexistent', ''),
  serverName: fc.string({ maxLength: 8 }),
  metadata: headers,
  credentials: fc.constantFrom<unknown[]>('token', 'to ken', () => Promise.resolve('x')),
  connectionPool: oddObject({
    minConnections: count,
    maxConnections: count,
    loadBalancingStrategy: fc.constantFrom('p2c', 'random', 'none'),
  }),
  backpressure: oddObject({ highWaterMark: count, lowWaterMark: count, maxBufferSize: count }),
  healthCheck: oddObject({ enabled: flag, interval: ms, timeout: ms, serviceName: fc.string() }),
  reconnect: oddObject({ initialDelay: ms, maxDelay: ms, multiplier: fc.double(), jitter: flag }),
  failover: oddObject({
    enabled: flag,
    fallbackAddresses: fc.array(address, { maxLength: 3 }),
    primaryIndex: fc.nat(3),
  }),
  streamPool: oddObject({ maxConcurrentStreams: count, streamIdleTimeout: ms }),
  streams: oddObject({ multiplexing: flag, deduplication: flag, deduplicationCacheSize: count }),
  deduplication: fc.oneof(flag, oddObject({ cacheSize: count, ttlMs: ms })),
  transport: fc.constantFrom<unknown[]>('http2', 'grpc-js', 'none', transport, {}),
});
/** Most of them are left as they are by default, so that a client comes of it now and then. */
const fewOptions = fc.tuple(options, fc.integer(), fc.integer({ min: 0, max: 4 })).map(([all, where, howMany]) => {
  const entries = Object.entries(all as object);
  const kept = entries.filter((_, index) => (index * 31 + where) % 7 < howMany);
  return { address: '127.0.0.1:1', ...Object.fromEntries(kept) };
});

const clients = { made: 0, refused: 0 };

describe('options', () => {
  beforeEach(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined));

  fuzz(
    'options: any value',
    'a client, or a ConfigurationError of one line',
    fc.tuple(
      fc.oneof({ arbitrary: fewOptions, weight: 6 }, options, oddValue, fc.constant(trapped())),
      fc.option(address),
    ),
    async ([given, pooled]) => {
      let client: AuthzClient;
      try {
        const list = pooled === null ? undefined : [pooled];
        client = list === undefined ? createClient(given as never) : createPooledClient(list, given as never);
      } catch (error) {
        clients.refused++;
        expectRefusal(error);
        return;
      }
      clients.made++;
      if (!(client instanceof AuthzClient)) throw new Error('no client');
      await client.disconnect({ force: true });
    },
  );

  it('both came of it', () => {
    expect(Math.min(clients.made, clients.refused)).toBeGreaterThan(0);
  });
});

const text = fc.oneof(fc.string({ maxLength: 10 }), fc.string({ unit: 'binary', maxLength: 10 }), fc.constant('a'));
const attributes = fc.oneof(
  fc.dictionary(text, fc.jsonValue(), { maxKeys: 3 }),
  fc.dictionary(text, oddValue, { maxKeys: 3 }),
  fc.constant(trapped()),
  fc.integer({ min: 1, max: 200 }).map((depth) => {
    let nested: Record<string, unknown> = {};
    for (let level = 0; level < depth; level += 1) nested = { nested };
    return nested;
  }),
);
const cycle: Record<string, unknown> = { a: 1 };
cycle['itself'] = cycle;
const request = oddObject({
  requestId: fc.oneof(text, fc.constant('x'.repeat(257))),
  principal: oddObject({
    id: text,
    roles: fc.array(text, { maxLength: 3 }),
    attributes: fc.oneof(attributes, fc.constant(cycle)),
    type: text,
  }),
  resource: oddObject({ kind: text, id: text, attributes }),
  actions: fc.oneof(
    fc.array(text, { minLength: 1, maxLength: 3 }),
    fc.constant(Array.from({ length: 257 }, () => 'a')),
  ),
  context: attributes,
  includeMetadata: flag,
});
const goodRequest = fc.record({
  principal: fc.record({ id: fc.constant('alice'), roles: fc.constant(['viewer']), attributes }),
  resource: fc.record({ kind: fc.constant('note'), id: fc.constant('n') }),
  actions: fc.constant(['read']),
  context: attributes,
});

const requests = { accepted: 0, refused: 0 };

describe('requests', () => {
  const client = new AuthzClient({ address: '127.0.0.1:1', transport, timeout: 60_000 });
  client.on('error', () => undefined);
  afterAll(() => client.disconnect({ force: true }));

  fuzz(
    'requests: any value',
    'accepted, or a ConfigurationError of one line',
    fc.oneof(
      { arbitrary: request, weight: 4 },
      { arbitrary: goodRequest, weight: 4 },
      oddValue,
      fc.constant(trapped()),
    ),
    async (given) => {
      const gaveUp = new AbortController();
      // Refused at once, or not at all: nobody is there to answer.
      const outcome = client.check(given as CheckInput, { signal: gaveUp.signal }).then(
        () => new Error('answered by nobody'),
        (error: unknown) => error,
      );
      gaveUp.abort();
      const error = await outcome;
      if ((error as Error).name === 'CancelledError') requests.accepted++;
      else {
        requests.refused++;
        expectRefusal(error);
      }
    },
  );

  it('both came of it', () => {
    expect(Math.min(requests.accepted, requests.refused)).toBeGreaterThan(0);
  });
});

describe('the command line', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'check',
      'serve',
      'watch',
      'demo',
      'replay',
      'help',
      '--help',
      '-h',
      '-V',
      '--',
      '-',
      '',
      '--json',
      '--tls',
    ),
    fc.constantFrom('--address', '--principal', '--roles', '--resource', '--attr', '--action', '--context', '--port'),
    fc.constantFrom('--timeout-ms', '--policies', '--fallback', '--interval-ms', '--port=', '--attr=__proto__=1', '-x'),
    fc.constantFrom('alice', 'document:42', 'read', '127.0.0.1:1', '0', '65536', 'a=b', '{"a":1}', '[', 'NaN', '1e9'),
    fc.string({ maxLength: 8 }),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  const good = ['check', '--principal', 'alice', '--resource', 'a:b', '--action', 'read'];
  const words = fc.oneof(
    fc.array(word, { maxLength: 8 }),
    fc
      .tuple(fc.constantFrom('check', 'serve', 'watch', 'demo', 'replay'), fc.array(word, { maxLength: 7 }))
      .map((all) => all.flat()),
    fc.tuple(fc.nat(good.length), fc.array(word, { maxLength: 2 })).map(([at, more]) => good.toSpliced(at, 0, ...more)),
  );

  fuzz(
    'command line: any words',
    'a run, a help text, or exit code 2 and one line without a stack',
    words,
    async (argv) => {
      let [out, err] = ['', ''];
      const spies = [
        vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((out += String(chunk)), true)),
        vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((err += String(chunk)), true)),
      ];
      const before = ran.count;
      let code: number;
      try {
        code = await run(argv);
      } finally {
        for (const spy of spies) spy.mockRestore();
      }
      if (ran.count > before) expect([code, err]).toEqual([0, '']);
      else if (code === 0) expect([err, out.length > 0]).toEqual(['', true]);
      else if (err.startsWith('Usage: ') || out.startsWith('Usage: ')) expect(code).toBe(2);
      else {
        expect(code).toBe(2);
        expect(err).toMatch(/^authz: [^\n]+\n$/);
        expect(err).not.toMatch(/ at .*\.[jt]s:|AUTHZ_DEBUG/);
        expect(out).toBe('');
      }
    },
  );

  it('commands were run, too', () => {
    expect(ran.count).toBeGreaterThan(0);
  });
});

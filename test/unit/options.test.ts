import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { ConfigurationError } from '../../src/errors.js';
import type { AuthzClientOptions, ResolvedOptions } from '../../src/options.js';
import {
  DEFAULT_BACKPRESSURE_CONFIG,
  DEFAULT_FAILOVER_CONFIG,
  DEFAULT_HEALTH_CHECK_CONFIG,
  DEFAULT_OPTIONS,
  DEFAULT_POOL_OPTIONS,
  DEFAULT_RECONNECT_CONFIG,
  DEFAULT_STREAM_OPTIONS,
  DEFAULT_STREAM_POOL_CONFIG,
  requireWholeNumber,
  resolveAdvancedStreamOptions,
  resolveBackpressure,
  resolveDeduplication,
  resolveOptions,
  resolveStreamPoolConfig,
  resolveToken,
  validateCallbacks,
  validateCheckOptions,
} from '../../src/options.js';
import { profiles } from '../../src/profiles.js';

const ADDRESS = '127.0.0.1:50051';
const REMOTE = 'authz.example.com:443';
const CANARY = 'canary-4711-xyz';

function resolve(options: object): ResolvedOptions {
  return resolveOptions(undefined, { address: ADDRESS, ...options });
}

function refusal(run: () => unknown): ConfigurationError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

const levelsOf = (options: ResolvedOptions): string[][] => options.levels.map((level) => level.map(({ text }) => text));

describe('defaults', () => {
  it('are those of the contract', () => {
    expect(DEFAULT_OPTIONS).toEqual({
      timeout: 5000,
      connectTimeout: 2000,
      keepAliveTimeout: 5000,
      maxPendingChecks: 100000,
      maxPendingBytes: 268435456,
      maxMessageBytes: 4194304,
      tls: false,
      keepAliveInterval: 30000,
      maxRetries: 3,
      retryDelay: 1000,
      flightRecorderSize: 256,
      connectionPool: DEFAULT_POOL_OPTIONS,
      backpressure: DEFAULT_BACKPRESSURE_CONFIG,
      healthCheck: DEFAULT_HEALTH_CHECK_CONFIG,
      reconnect: DEFAULT_RECONNECT_CONFIG,
      failover: DEFAULT_FAILOVER_CONFIG,
      streamPool: DEFAULT_STREAM_POOL_CONFIG,
      streams: DEFAULT_STREAM_OPTIONS,
    });
    expect(DEFAULT_POOL_OPTIONS).toEqual({
      minConnections: 1,
      maxConnections: 10,
      idleTimeout: 60000,
      loadBalancingStrategy: 'round_robin',
      healthCheckInterval: 30000,
      acquireTimeout: 5000,
    });
    expect(DEFAULT_BACKPRESSURE_CONFIG).toEqual({ highWaterMark: 100, lowWaterMark: 50, maxBufferSize: 1000 });
    expect(DEFAULT_HEALTH_CHECK_CONFIG).toEqual({
      enabled: true,
      interval: 30000,
      timeout: 5000,
      unhealthyThreshold: 3,
      healthyThreshold: 2,
      serviceName: '',
    });
    expect(DEFAULT_RECONNECT_CONFIG).toEqual({
      initialDelay: 1000,
      maxDelay: 30000,
      multiplier: 2,
      jitter: true,
      maxAttempts: 10,
    });
    expect(DEFAULT_FAILOVER_CONFIG).toEqual({
      enabled: false,
      fallbackAddresses: [],
      primaryIndex: 0,
      failoverThreshold: 3,
      failbackDelay: 60000,
    });
    expect(DEFAULT_STREAM_POOL_CONFIG).toEqual({
      maxConcurrentStreams: 10,
      streamIdleTimeout: 300000,
      enableStreamReuse: true,
      streamReuseTimeout: 60000,
    });
    expect(DEFAULT_STREAM_OPTIONS).toEqual({
      multiplexing: true,
      maxRequestsPerStream: 1000,
      deduplication: false,
      deduplicationCacheSize: 100,
      ensureOrdering: true,
    });
  });

  it('are what a client gets that says only its address', () => {
    const { levels, ...rest } = resolve({});
    expect(levels).toMatchObject([[{ kind: 'tcp', host: '127.0.0.1', port: 50051, text: ADDRESS }]]);
    expect(rest).toEqual({
      flightRecorderSize: 256,
      timeoutMs: 5000,
      connectTimeoutMs: 2000,
      keepAliveIntervalMs: 30000,
      keepAliveTimeoutMs: 5000,
      maxPendingChecks: 100000,
      maxPendingBytes: 268435456,
      maxMessageBytes: 4194304,
      maxRetries: 3,
      retryDelayMs: 1000,
      tls: undefined,
      readTls: undefined,
      isExposed: false,
      metadata: Object.create(null) as object,
      credentials: undefined,
      connectionPool: DEFAULT_POOL_OPTIONS,
      backpressure: DEFAULT_BACKPRESSURE_CONFIG,
      healthCheck: DEFAULT_HEALTH_CHECK_CONFIG,
      reconnect: DEFAULT_RECONNECT_CONFIG,
      failover: DEFAULT_FAILOVER_CONFIG,
      streamPool: DEFAULT_STREAM_POOL_CONFIG,
      streams: DEFAULT_STREAM_OPTIONS,
      deduplicationTtlMs: 30000,
      transport: 'http2',
      clock: systemClock,
      random: Math.random,
      inspect: undefined,
      logger: undefined,
    });
  });

  it('are what is left of undefined values and of the defaults themselves spread into the options', () => {
    const plain = JSON.stringify(resolve({}));
    expect(JSON.stringify(resolve({ timeout: undefined, backpressure: { lowWaterMark: undefined } }))).toBe(plain);
    expect(JSON.stringify(resolve({ ...DEFAULT_OPTIONS }))).toBe(plain);
  });

  it('cannot be changed, at any depth', () => {
    for (const [name, value] of Object.entries({ ...DEFAULT_OPTIONS, DEFAULT_OPTIONS, ...profiles, profiles })) {
      if (typeof value === 'object') expect(Object.isFrozen(value), name).toBe(true);
    }
    expect(Object.isFrozen(DEFAULT_FAILOVER_CONFIG.fallbackAddresses)).toBe(true);
    expect(Object.isFrozen(profiles.reliable.streams)).toBe(true);
  });

  it.each([
    [5000, 2000],
    [10000, 2000],
    [1000, 500],
    [5, 2],
    [1, 1],
  ])('with a timeout of %d ms a dial may take %d ms', (timeout, connectTimeoutMs) => {
    expect(resolve({ timeout }).connectTimeoutMs).toBe(connectTimeoutMs);
  });

  it('an explicit connectTimeout stands whatever the timeout', () => {
    expect(resolve({ timeout: 1000, connectTimeout: 3000 }).connectTimeoutMs).toBe(3000);
  });
});

/** Every option that is a whole number, with its bounds. */
const WHOLE_NUMBERS: readonly (readonly [path: string, min: number, max: number])[] = [
  ['timeout', 1, 2 ** 31 - 1],
  ['connectTimeout', 1, 2 ** 31 - 1],
  ['keepAliveInterval', 1, 2 ** 31 - 1],
  ['keepAliveTimeout', 1, 2 ** 31 - 1],
  ['maxPendingChecks', 1, 10_000_000],
  ['maxPendingBytes', 1, 2 ** 36],
  ['maxMessageBytes', 1, 2 ** 28],
  ['maxRetries', 0, 100],
  ['retryDelay', 0, 2 ** 31 - 1],
  ['connectionPool.minConnections', 0, 1_000],
  ['connectionPool.maxConnections', 1, 1_000],
  ['connectionPool.idleTimeout', 1, 2 ** 31 - 1],
  ['connectionPool.healthCheckInterval', 1, 2 ** 31 - 1],
  ['connectionPool.acquireTimeout', 1, 2 ** 31 - 1],
  ['backpressure.highWaterMark', 1, 1_000_000],
  ['backpressure.lowWaterMark', 0, 1_000_000],
  ['backpressure.maxBufferSize', 1, 1_000_000],
  ['healthCheck.interval', 1, 2 ** 31 - 1],
  ['healthCheck.timeout', 1, 2 ** 31 - 1],
  ['healthCheck.unhealthyThreshold', 1, 1_000],
  ['healthCheck.healthyThreshold', 1, 1_000],
  ['reconnect.initialDelay', 1, 2 ** 31 - 1],
  ['reconnect.maxDelay', 1, 2 ** 31 - 1],
  ['reconnect.maxAttempts', 0, 1_000_000],
  ['failover.primaryIndex', 0, 1_023],
  ['failover.failoverThreshold', 1, 1_000],
  ['failover.failbackDelay', 0, 2 ** 31 - 1],
  ['streamPool.maxConcurrentStreams', 1, 10_000],
  ['streamPool.streamIdleTimeout', 1, 2 ** 31 - 1],
  ['streamPool.streamReuseTimeout', 1, 2 ** 31 - 1],
  ['streams.maxRequestsPerStream', 1, 1_000_000_000],
  ['streams.deduplicationCacheSize', 1, 1_000_000],
  ['deduplication.cacheSize', 1, 1_000_000],
  ['deduplication.ttlMs', 1, 2 ** 31 - 1],
];

const FLAGS = [
  'tls',
  'healthCheck.enabled',
  'reconnect.jitter',
  'failover.enabled',
  'streamPool.enableStreamReuse',
  'streams.multiplexing',
  'streams.deduplication',
  'streams.ensureOrdering',
];

const GROUPS = ['connectionPool', 'backpressure', 'healthCheck', 'reconnect', 'failover', 'streamPool', 'streams'];

/** `{a: {b: value}}` for the path `a.b`. */
function at(path: string, value: unknown): object {
  const [first = '', second] = path.split('.');
  return { [first]: second === undefined ? value : { [second]: value } };
}

describe('a wrong type or range', () => {
  const wrong: readonly unknown[] = ['x', '', null, true, NaN, Infinity, 1.5, [], {}, 1n];

  it.each(WHOLE_NUMBERS)('%s is a whole number from %d to %d', (path, min, max) => {
    for (const value of [...wrong, min - 1, max + 1]) {
      const error = refusal(() => resolve(at(path, value)));
      expect(error.path).toBe(path);
      expect(error.message).toContain(`${path}: must be a whole number ≥ ${min} and ≤ ${max}, got `);
    }
  });

  it.each(FLAGS)('%s is true or false', (path) => {
    for (const value of ['true', 0, 1, null, {}]) {
      const error = refusal(() => resolve(at(path, value)));
      expect(error.path).toBe(path);
      expect(error.message).toContain('must be true or false, got ');
    }
  });

  it.each(GROUPS)('%s is an object', (path) => {
    for (const value of [null, 1, 'x', [], new Map(), () => undefined]) {
      const error = refusal(() => resolve({ [path]: value }));
      expect(error.path).toBe(path);
      expect(error.message).toContain('must be an object, got ');
    }
  });

  it.each<[path: string, value: unknown, reason: RegExp]>([
    ['connectionPool.loadBalancingStrategy', 'fastest', /must be one of round_robin, .*p2c, got "fastest" \(string\)/],
    ['reconnect.multiplier', 0.5, /must be a number ≥ 1 and ≤ 10, got 0.5 \(number\)/],
    ['reconnect.multiplier', 11, /must be a number/],
    ['reconnect.multiplier', NaN, /must be a number/],
    ['healthCheck.serviceName', 7, /must be a string of at most 1024 characters/],
    ['healthCheck.serviceName', 'a\nb', /without control characters/],
    ['failover.fallbackAddresses', 'localhost:1', /must be an array of addresses/],
    ['failover.fallbackAddresses', Array.from({ length: 65 }, (_, port) => `localhost:${port + 1}`), /at most 64/],
    ['certPath', '', /path of a file/],
    ['keyPath', 'a\0b', /path of a file/],
    ['caPath', 3, /path of a file/],
    ['serverName', 'bad name', /must be a host name/],
    ['metadata', 'x', /must be an object/],
    ['credentials', 42, /must be a token or an async function/],
    ['deduplication', 'yes', /must be true, false or an object/],
    ['transport', 'http3', /must be 'http2', 'grpc-js' or a transport/],
    ['transport', { name: 'x' }, /must be 'http2', 'grpc-js' or a transport/],
    ['transport', { connect: () => undefined }, /must be 'http2', 'grpc-js' or a transport/],
    ['inspect', {}, /must be a function or an observer/],
    ['logger', { warn: 'x' }, /functions or absent/],
    ['logger', 'pino', /functions or absent/],
    ['clock', { now: () => 0 }, /must be an object with now\(\)/],
    ['random', 0.5, /must be a function/],
  ])('%s = %j is refused', (path, value, reason) => {
    const error = refusal(() => resolve(at(path, value)));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(reason);
  });

  it('an element of a list is named by its index', () => {
    const options = { failover: { fallbackAddresses: ['localhost:1', 7] } };
    expect(refusal(() => resolve(options)).path).toBe('failover.fallbackAddresses[1]');
  });

  it('the value and its type are told', () => {
    expect(refusal(() => resolve({ timeout: 'x' })).message).toMatch(/, got "x" \(string\)$/);
  });

  it.each([undefined, null, 'localhost:1', 7, []])('options of %j are refused', (options) => {
    expect(refusal(() => resolveOptions(undefined, options)).path).toBe('options');
  });

  it('a getter that throws is told as what could not be read', () => {
    const options = {
      address: ADDRESS,
      get timeout(): number {
        throw new RangeError('mine');
      },
    };
    const error = refusal(() => resolveOptions(undefined, options));
    expect(error).toMatchObject({ path: 'options', message: 'options: could not be read' });
    expect(error.cause).toBeInstanceOf(RangeError);
  });
});

describe('an unknown key', () => {
  it.each([
    ['tiemout', { tiemout: 1 }, 'did you mean "timeout"?'],
    ['backpressure.highWatermark', { backpressure: { highWatermark: 1 } }, 'did you mean "highWaterMark"?'],
    ['streams.ordering', { streams: { ordering: true } }, 'is not a known option'],
    ['retries', { retries: 1 }, 'is not a known option'],
    ['toString', { toString: 1 }, 'is not a known option'],
    ['__proto__', JSON.parse('{"__proto__": {"timeout": 1}}') as object, 'is not a known option'],
    ['deduplication.size', { deduplication: { size: 1 } }, 'is not a known option'],
  ])('%s is refused, with the nearest known one where there is one', (path, options, reason) => {
    const given = Object.assign(Object.create(null) as object, { address: ADDRESS });
    for (const [key, value] of Object.entries(options)) {
      Object.defineProperty(given, key, { value: value as unknown, enumerable: true });
    }
    const error = refusal(() => resolveOptions(undefined, given));
    expect(error.path).toBe(path);
    expect(error.message).toContain(reason);
  });

  it('a mistyped address is told as unknown, not as missing', () => {
    const error = refusal(() => resolveOptions(undefined, { adress: ADDRESS }));
    expect(error.message).toBe('adress: is not a known option; did you mean "address"?');
  });

  it('an address beside the addresses of a pooled client is refused', () => {
    expect(refusal(() => resolveOptions([ADDRESS], { address: ADDRESS })).path).toBe('address');
  });

  it.each([
    ['timeout', 1],
    ['connectTimeout', 1],
    ['tls', true],
    ['credentials', 'x'],
    ['lowWaterMark', 1],
  ])('%s that Object.prototype is polluted with is no option', (key, value) => {
    const clean = JSON.stringify(resolve({}));
    const attributes = { value, configurable: true, writable: true, enumerable: false };
    Object.defineProperty(Object.prototype, key, attributes);
    try {
      expect(JSON.stringify(resolve({}))).toBe(clean);
    } finally {
      Reflect.deleteProperty(Object.prototype, key);
    }
  });
});

describe('a relation between options', () => {
  it.each<[path: string, options: object, reason: string]>([
    ['backpressure.lowWaterMark', { backpressure: { lowWaterMark: 100 } }, 'must be < highWaterMark, got 100 and 100'],
    ['backpressure.lowWaterMark', { backpressure: { highWaterMark: 10 } }, 'must be < highWaterMark, got 50 and 10'],
    [
      'backpressure.highWaterMark',
      { backpressure: { highWaterMark: 1001 } },
      'must be ≤ maxBufferSize, got 1001 and 1000',
    ],
    [
      'connectionPool.minConnections',
      { connectionPool: { minConnections: 11 } },
      'must be ≤ maxConnections, got 11 and 10',
    ],
    ['reconnect.initialDelay', { reconnect: { maxDelay: 999 } }, 'must be ≤ maxDelay, got 1000 and 999'],
    [
      'failover.primaryIndex',
      { failover: { primaryIndex: 1 } },
      'must be less than the number of addresses, got 1 of 1',
    ],
    ['deduplication', { deduplication: true, streams: { deduplication: false } }, 'contradicts streams.deduplication'],
    [
      'deduplication.cacheSize',
      { deduplication: { cacheSize: 5 }, streams: { deduplicationCacheSize: 6 } },
      'contradicts streams.deduplicationCacheSize',
    ],
    ['keyPath', { certPath: '/nowhere' }, 'is required together with certPath'],
    ['certPath', { keyPath: '/nowhere' }, 'is required together with keyPath'],
    ['caPath', { caPath: '/nowhere', tls: false }, 'contradicts tls, which is false'],
    ['serverName', { serverName: 'x', tls: false }, 'contradicts tls, which is false'],
    ['metadata.authorization', { credentials: 'token', metadata: { Authorization: 'x' } }, 'contradicts credentials'],
  ])('%s is refused where broken', (path, options, reason) => {
    const error = refusal(() => resolve(options));
    expect(error.path).toBe(path);
    expect(error.message).toContain(reason);
  });

  it('limits that just hold are accepted', () => {
    const backpressure = { lowWaterMark: 99, highWaterMark: 100, maxBufferSize: 100 };
    expect(resolve({ backpressure }).backpressure).toEqual(backpressure);
    expect(resolve({ reconnect: { initialDelay: 5, maxDelay: 5 } }).reconnect).toMatchObject({ maxDelay: 5 });
  });
});

describe('deduplication', () => {
  it.each([
    [true, { deduplication: true, deduplicationCacheSize: 100 }, 30000],
    [false, { deduplication: false, deduplicationCacheSize: 100 }, 30000],
    [{ cacheSize: 7, ttlMs: 9 }, { deduplication: true, deduplicationCacheSize: 7 }, 9],
  ])('%j is the same switch as the one in streams', (deduplication, streams, ttlMs) => {
    const resolved = resolve({ deduplication });
    expect(resolved.streams).toMatchObject(streams);
    expect(resolved.deduplicationTtlMs).toBe(ttlMs);
  });

  it('enableDeduplication has the defaults 100 and 30 s', () => {
    expect(resolveDeduplication(undefined)).toEqual({ cacheSize: 100, ttlMs: 30000 });
    expect(resolveDeduplication(500, { ttlMs: 1 })).toEqual({ cacheSize: 500, ttlMs: 1 });
  });

  it.each<[path: string, size: unknown, options: unknown]>([
    ['deduplication.cacheSize', 0, undefined],
    ['deduplication.cacheSize', null, {}],
    ['deduplication.ttlMs', 1, { ttlMs: 0 }],
    ['deduplication.ttl', 1, { ttl: 1 }],
    ['deduplication', 1, 5],
  ])('enableDeduplication names %s where wrong', (path, size, options) => {
    expect(refusal(() => resolveDeduplication(size, options)).path).toBe(path);
  });
});

describe('addresses', () => {
  it.each<[path: string, addresses: unknown, options: object]>([
    ['addresses', [], {}],
    ['addresses', 'localhost:1', {}],
    ['addresses', null, {}],
    ['addresses[1]', ['localhost:1', 2], {}],
    ['addresses[1]', ['localhost:1', 'localhost'], {}],
    ['addresses[1]', ['localhost:1', 'dns:///localhost:1'], {}],
    ['addresses', Array.from({ length: 1_025 }, (_, port) => `localhost:${port + 1}`), {}],
    ['failover.fallbackAddresses[0]', ['localhost:1'], { failover: { fallbackAddresses: ['nowhere'] } }],
    ['failover.fallbackAddresses[1]', ['localhost:1'], { failover: { fallbackAddresses: ['b:1', 'localhost:1'] } }],
    ['failover.primaryIndex', ['localhost:1', 'localhost:2'], { failover: { primaryIndex: 2 } }],
  ])('%s is refused: %j', (path, addresses, options) => {
    expect(refusal(() => resolveOptions(addresses as string[], options)).path).toBe(path);
  });

  it.each([undefined, ''])('a client of one address with the address %j is refused', (address) => {
    expect(refusal(() => resolveOptions(undefined, { address })).path).toBe('address');
  });

  const three = ['localhost:1', 'localhost:2', 'localhost:3'];

  it.each<[what: string, addresses: string[] | undefined, options: object, levels: string[][]]>([
    ['one address is one level', undefined, { address: ADDRESS }, [[ADDRESS]]],
    ['pooled addresses are one level', three, {}, [three]],
    [
      'fallbacks are a level each, below the addresses',
      three.slice(0, 2),
      { failover: { enabled: true, fallbackAddresses: ['localhost:8', 'localhost:9'] } },
      [three.slice(0, 2), ['localhost:8'], ['localhost:9']],
    ],
    [
      'fallbacks of a failover that is off are not used',
      undefined,
      { address: ADDRESS, failover: { fallbackAddresses: ['localhost:9'] } },
      [[ADDRESS]],
    ],
    [
      'pooled addresses that fail over are a priority list',
      three,
      { failover: { enabled: true } },
      [['localhost:1'], ['localhost:2'], ['localhost:3']],
    ],
    [
      'the primary comes first in it, the rest in order',
      three,
      { failover: { enabled: true, primaryIndex: 1 } },
      [['localhost:2'], ['localhost:1'], ['localhost:3']],
    ],
    ['the primary of a failover that is off changes nothing', three, { failover: { primaryIndex: 2 } }, [three]],
  ])('%s', (_what, addresses, options, levels) => {
    expect(levelsOf(resolveOptions(addresses, options))).toEqual(levels);
  });

  it('the pool has room for one connection per level-0 address', () => {
    const twelve = Array.from({ length: 12 }, (_, port) => `localhost:${port + 1}`);
    expect(resolveOptions(twelve, {}).connectionPool).toMatchObject({ minConnections: 12, maxConnections: 12 });
    const backups = resolveOptions(twelve, { failover: { enabled: true } });
    expect(backups.connectionPool).toMatchObject({ minConnections: 1, maxConnections: 10 });
    expect(resolve({ connectionPool: { minConnections: 0 } }).connectionPool.minConnections).toBe(1);
  });

  it('a pooled client needs no options', () => {
    expect(resolveOptions(three, undefined).timeoutMs).toBe(5000);
  });
});

describe('TLS', () => {
  let directory = '';
  const file = (name: string): string => join(directory, name);

  function makeCertificate(name: string): void {
    const options = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=x',
    ];
    const output = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)];
    execFileSync('openssl', ['req', '-x509', ...options, ...output], { stdio: 'ignore' });
  }

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'authz-tls-'));
    makeCertificate('one');
    makeCertificate('two');
    writeFileSync(file('text.pem'), `${CANARY}\n`);
    writeFileSync(
      file('broken.pem'),
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(CANARY).toString('base64')}\n-----END CERTIFICATE-----\n`,
    );
    writeFileSync(file('huge.pem'), Buffer.alloc(1_048_577));
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  it('tls alone trusts the system and has no files', () => {
    expect(resolve({ address: REMOTE, tls: true })).toMatchObject({ tls: {}, isExposed: false });
  });

  it('the files are read when the client is made', () => {
    const { tls } = resolve({
      tls: true,
      certPath: file('one.pem'),
      keyPath: file('one.key'),
      caPath: file('two.pem'),
      serverName: 'authz.internal',
    });
    expect(tls?.cert?.toString()).toContain('BEGIN CERTIFICATE');
    expect(tls?.key?.toString()).toContain('PRIVATE KEY');
    expect(tls?.ca?.toString()).toContain('BEGIN CERTIFICATE');
    expect(tls?.serverName).toBe('authz.internal');
  });

  it.each([{ caPath: 'one.pem' }, { certPath: 'one.pem', keyPath: 'one.key' }])(
    'a file alone (%j) turns TLS on: never plaintext for want of a flag',
    (paths) => {
      const options = Object.fromEntries(Object.entries(paths).map(([key, name]) => [key, file(name)]));
      expect(resolve({ address: REMOTE, ...options }).tls).toBeDefined();
    },
  );

  it.each<[path: string, options: Record<string, string>, reason: RegExp]>([
    ['caPath', { caPath: 'missing.pem' }, /cannot read ".*missing\.pem": ENOENT/],
    ['caPath', { caPath: '.' }, /not a regular file/],
    ['caPath', { caPath: 'huge.pem' }, /larger than 1048576 bytes/],
    ['caPath', { caPath: 'text.pem' }, /holds no PEM certificate/],
    ['caPath', { caPath: 'broken.pem' }, /cannot use ".*broken\.pem"/],
    ['certPath', { certPath: 'missing.pem', keyPath: 'one.key' }, /ENOENT/],
    ['certPath', { certPath: 'one.key', keyPath: 'one.key' }, /holds no PEM certificate/],
    ['keyPath', { certPath: 'one.pem', keyPath: 'missing.key' }, /ENOENT/],
    ['keyPath', { certPath: 'one.pem', keyPath: 'text.pem' }, /cannot use ".*text\.pem"/],
    ['keyPath', { certPath: 'one.pem', keyPath: 'two.key' }, /is not the key of the certificate/],
  ])('%s is refused with its cause: %j', (path, names, reason) => {
    const options = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, file(name)]));
    const error = refusal(() => resolve({ tls: true, ...options }));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain(CANARY);
  });

  it('rotated files are read for new connections, and the last good pair while only one file is new', () => {
    const certPath = file('live.pem');
    const keyPath = file('live.key');
    copyFileSync(file('one.pem'), certPath);
    copyFileSync(file('one.key'), keyPath);
    const { tls, readTls } = resolve({ certPath, keyPath });
    copyFileSync(file('two.pem'), certPath);
    expect(readTls?.()).toBe(tls);
    copyFileSync(file('two.key'), keyPath);
    const rotated = readTls?.();
    expect(rotated?.cert).not.toEqual(tls?.cert);
    rmSync(keyPath);
    expect(readTls?.()).toBe(rotated);
  });
});

describe('plaintext', () => {
  afterEach(() => vi.restoreAllMocks());

  /** A process of its own for `options.ts`, which warns once per process. */
  async function freshResolve(): Promise<typeof resolveOptions> {
    vi.resetModules();
    return (await import('../../src/options.js')).resolveOptions;
  }

  it('to another machine warns once per process, however many clients', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const fresh = await freshResolve();
    fresh(undefined, { address: REMOTE });
    fresh(['10.0.0.1:1'], {});
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toContain(REMOTE);
    expect(warn.mock.calls[0]?.[1]).toMatchObject({ code: 'AUTHZ_PLAINTEXT' });
  });

  it.each<[what: string, options: object]>([
    ['said in so many words', { address: REMOTE, tls: false }],
    ['to loopback', { address: ADDRESS }],
    ['to localhost', { address: 'localhost:1' }],
    ['to a unix socket', { address: 'unix:/run/authz.sock' }],
    ['not used, with TLS', { address: REMOTE, tls: true }],
  ])('%s does not warn', async (_what, options) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    (await freshResolve())(undefined, options);
    expect(warn).not.toHaveBeenCalled();
  });

  it.each<[path: string, options: object]>([
    ['credentials', { credentials: CANARY }],
    ['credentials', { credentials: () => Promise.resolve(CANARY) }],
    ['metadata.authorization', { metadata: { Authorization: `Bearer ${CANARY}` } }],
    ['metadata.cookie', { metadata: { cookie: CANARY } }],
  ])('to another machine never carries %s, tls: false or not, fallbacks included', (path, options) => {
    const failover = { enabled: true, fallbackAddresses: [REMOTE] };
    for (const where of [
      { address: REMOTE, tls: false },
      { address: ADDRESS, failover },
    ]) {
      const error = refusal(() => resolve({ ...where, ...options }));
      expect(error.path).toBe(path);
      expect(error.message).not.toContain(CANARY);
    }
    expect(resolve(options)).toMatchObject({ isExposed: false });
    expect(resolve({ ...options, address: REMOTE, tls: true })).toMatchObject({ isExposed: false });
  });

  it('to another machine is marked, so that calls can refuse credentials of their own', () => {
    expect(resolve({ address: REMOTE, tls: false }).isExposed).toBe(true);
  });
});

describe('secrets', () => {
  it.each<[path: string, options: object]>([
    ['credentials', { credentials: `${CANARY}\n` }],
    ['credentials', { credentials: `Bearer ${CANARY}` }],
    ['credentials', { credentials: '' }],
    ['credentials', { credentials: CANARY.repeat(1_000) }],
    ['credentials', { credentials: [CANARY] }],
    ['metadata.x', { metadata: { x: `${CANARY}\n` } }],
    ['metadata', { metadata: [CANARY] }],
    ['metadata', { metadata: CANARY }],
  ])('a wrong %s is refused without being shown', (path, options) => {
    const error = refusal(() => resolve(options));
    expect(error.path).toBe(path);
    expect(`${error.message} ${String(error.stack)}`).not.toContain(CANARY);
  });

  it.each<[given: unknown, token: unknown]>([
    ['abc', { token: 'abc', expiresAtMs: undefined }],
    [{ token: 'abc' }, { token: 'abc', expiresAtMs: undefined }],
    [
      { token: 'abc', expiresAt: 5 },
      { token: 'abc', expiresAtMs: 5 },
    ],
    [
      { token: 'abc', expiresAt: new Date(7) },
      { token: 'abc', expiresAtMs: 7 },
    ],
  ])('credentials giving %j give a token', (given, token) => {
    expect(resolveToken(given)).toEqual(token);
  });

  it.each<[given: unknown, path: string]>([
    [undefined, 'credentials'],
    [null, 'credentials'],
    [5, 'credentials'],
    [{}, 'credentials.token'],
    [{ token: 'a b' }, 'credentials.token'],
    [{ token: 'a', expiresAt: 'tomorrow' }, 'credentials.expiresAt'],
    [{ token: 'a', expiresAt: new Date(NaN) }, 'credentials.expiresAt'],
  ])('credentials giving %j are refused at %s', (given, path) => {
    expect(refusal(() => resolveToken(given)).path).toBe(path);
  });
});

describe('resolved options', () => {
  it('are a frozen copy that later changes of the given ones do not reach', () => {
    const metadata: Record<string, string> = { 'X-Tenant': 'a' };
    const backpressure = { highWaterMark: 60 };
    const resolved = resolve({ metadata, backpressure });
    metadata['X-Tenant'] = 'b';
    backpressure.highWaterMark = 70;
    expect({ ...resolved.metadata }).toEqual({ 'x-tenant': 'a' });
    expect(resolved.backpressure.highWaterMark).toBe(60);
    for (const [name, value] of Object.entries(resolved)) {
      if (typeof value === 'object' && !['clock', 'levels'].includes(name))
        expect(Object.isFrozen(value), name).toBe(true);
    }
  });

  it('keep the injected parts themselves', () => {
    const parts = {
      clock: systemClock,
      random: () => 0,
      inspect: () => undefined,
      logger: { warn: () => undefined },
      transport: { name: 'mine', connect: () => undefined },
      credentials: () => Promise.resolve('x'),
    };
    const resolved = resolve(parts);
    for (const [name, part] of Object.entries(parts)) expect(resolved[name as keyof ResolvedOptions]).toBe(part);
  });
});

describe('the profiles', () => {
  it.each(Object.entries(profiles))('%s is a valid set of options', (_name, profile) => {
    const options: AuthzClientOptions = { address: ADDRESS, ...profile };
    expect(resolveOptions(undefined, options)).toMatchObject({ ...profile });
  });

  it('hold what the product describes', () => {
    expect(profiles.highThroughput.streams).toEqual({
      multiplexing: true,
      maxRequestsPerStream: 500,
      ensureOrdering: false,
    });
    expect(profiles.lowLatency.streamPool.maxConcurrentStreams).toBe(4);
    expect(profiles.reliable.streams.deduplicationCacheSize).toBe(500);
  });
});

describe('the configure calls', () => {
  it('change what is given and keep the rest', () => {
    const first = resolveStreamPoolConfig(DEFAULT_STREAM_POOL_CONFIG, { maxConcurrentStreams: 16 });
    expect(resolveStreamPoolConfig(first, { streamReuseTimeout: 5 })).toEqual({
      ...DEFAULT_STREAM_POOL_CONFIG,
      maxConcurrentStreams: 16,
      streamReuseTimeout: 5,
    });
    expect(resolveAdvancedStreamOptions(DEFAULT_STREAM_OPTIONS, { ensureOrdering: false })).toEqual({
      ...DEFAULT_STREAM_OPTIONS,
      ensureOrdering: false,
    });
    expect(resolveBackpressure(DEFAULT_BACKPRESSURE_CONFIG, { lowWaterMark: 1 })).toEqual({
      ...DEFAULT_BACKPRESSURE_CONFIG,
      lowWaterMark: 1,
    });
    expect(resolveBackpressure(DEFAULT_BACKPRESSURE_CONFIG, undefined)).toBe(DEFAULT_BACKPRESSURE_CONFIG);
  });

  it.each<[path: string, run: () => unknown]>([
    ['streamPool', () => resolveStreamPoolConfig(DEFAULT_STREAM_POOL_CONFIG, undefined)],
    [
      'streamPool.maxConcurrentStreams',
      () => resolveStreamPoolConfig(DEFAULT_STREAM_POOL_CONFIG, { maxConcurrentStreams: 0 }),
    ],
    ['streamPool.maxStreams', () => resolveStreamPoolConfig(DEFAULT_STREAM_POOL_CONFIG, { maxStreams: 1 })],
    ['streams.multiplexing', () => resolveAdvancedStreamOptions(DEFAULT_STREAM_OPTIONS, { multiplexing: 1 })],
    ['backpressure.lowWaterMark', () => resolveBackpressure(DEFAULT_BACKPRESSURE_CONFIG, { lowWaterMark: 100 })],
    ['backpressure.highWaterMark', () => resolveBackpressure(DEFAULT_BACKPRESSURE_CONFIG, { maxBufferSize: 99 })],
    ['backpressure', () => resolveBackpressure(DEFAULT_BACKPRESSURE_CONFIG, null)],
    ['n', () => requireWholeNumber('n', 1.5, 0, 3)],
  ])('name %s where wrong', (path, run) => {
    expect(refusal(run).path).toBe(path);
  });
});

describe('callbacks', () => {
  const callbacks = { onResponse: () => undefined, onError: () => undefined, onEnd: () => undefined };

  it('the three required ones suffice, on an object of a class too', () => {
    class Handler {
      onResponse = (): void => undefined;
      onError(): void {
        this.onResponse();
      }
      onEnd(): void {
        this.onResponse();
      }
    }
    expect(() => validateCallbacks(callbacks)).not.toThrow();
    expect(() => validateCallbacks(new Handler())).not.toThrow();
  });

  it.each(['onResponse', 'onError', 'onEnd', 'onBackpressure', 'onReconnect'])(
    '%s that is no function is refused',
    (name) => {
      expect(refusal(() => validateCallbacks({ ...callbacks, [name]: 'x' })).path).toBe(`callbacks.${name}`);
    },
  );

  it.each(['onResponse', 'onError', 'onEnd'])('%s may not be missing', (name) => {
    expect(refusal(() => validateCallbacks({ ...callbacks, [name]: undefined })).path).toBe(`callbacks.${name}`);
  });

  it('one in other letters is refused with the name that was meant; what is no callback may stand beside them', () => {
    const error = refusal(() => validateCallbacks({ ...callbacks, onBackPressure: () => undefined }));
    expect(error.message).toBe('callbacks.onBackPressure: is not a callback; did you mean "onBackpressure"?');
    expect(() => validateCallbacks({ ...callbacks, onOther: 1 })).not.toThrow();
  });

  it.each([undefined, null, 7, () => undefined])('%s instead of callbacks is refused', (given) => {
    expect(refusal(() => validateCallbacks(given)).path).toBe('callbacks');
  });
});

describe('the options of one check', () => {
  const wall = { wallNowMs: 1_000_000 };

  it.each<[what: string, options: unknown, timeoutMs: number]>([
    ['none: the timeout of the client', undefined, 5000],
    ['an empty object: the same', {}, 5000],
    ['milliseconds from now', { deadline: 250 }, 250],
    ['a Date', { deadline: new Date(1_000_750) }, 750],
    ['a Date that is past: timed out already', { deadline: new Date(999_900) }, 0],
    ['no time left', { deadline: 0 }, 0],
    ['less than none', { deadline: -40 }, 0],
  ])('deadline: %s', (_what, options, timeoutMs) => {
    const resolved = validateCheckOptions(options, 5000, wall);
    expect(resolved).toEqual({ timeoutMs, signal: undefined, metadata: undefined });
  });

  it('a signal and metadata are kept, the metadata as a copy in lower case', () => {
    const { signal } = new AbortController();
    const metadata = { 'X-Trace': 'a' };
    const resolved = validateCheckOptions({ signal, metadata }, 5000);
    metadata['X-Trace'] = 'b';
    expect(resolved.signal).toBe(signal);
    expect({ ...resolved.metadata }).toEqual({ 'x-trace': 'a' });
  });

  it('empty metadata is none: the check stays on its stream', () => {
    expect(validateCheckOptions({ metadata: {} }, 5000).metadata).toBeUndefined();
  });

  it.each<[path: string, options: unknown, reason: RegExp]>([
    ['options', null, /must be an object/],
    ['options', 5, /must be an object/],
    ['options', [], /must be an object/],
    ['options.timeout', { timeout: 5 }, /is not a known option; there are only deadline, signal, metadata$/],
    ['options.dedline', { dedline: 5 }, /did you mean "deadline"/],
    ['options.deadline', { deadline: '5' }, /milliseconds from now or a Date, got "5" \(string\)/],
    ['options.deadline', { deadline: null }, /milliseconds from now or a Date/],
    ['options.deadline', { deadline: NaN }, /must be finite/],
    ['options.deadline', { deadline: Infinity }, /must be finite/],
    ['options.deadline', { deadline: new Date(NaN) }, /invalid Date/],
    ['options.deadline', { deadline: 1_700_000_000_000 }, /for a point in time pass a Date/],
    ['options.signal', { signal: {} }, /must be an AbortSignal/],
    ['options.signal', { signal: null }, /must be an AbortSignal/],
    ['options.metadata', { metadata: CANARY }, /must be an object, got a string/],
    ['options.metadata', { metadata: null }, /must be an object, got null/],
    ['options.metadata.x', { metadata: { x: 1 } }, /must be a string/],
  ])('%s is refused: %j', (path, options, reason) => {
    const error = refusal(() => validateCheckOptions(options, 5000, wall));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain(CANARY);
  });

  it('a header that carries credentials is refused over plaintext to another machine, and only there', () => {
    const options = { metadata: { Authorization: CANARY } };
    const error = refusal(() => validateCheckOptions(options, 5000, { allowCredentials: false }));
    expect(error.path).toBe('options.metadata.authorization');
    expect(error.message).not.toContain(CANARY);
    expect(validateCheckOptions(options, 5000).metadata).toBeDefined();
  });
});

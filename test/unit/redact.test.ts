import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { InvariantError, invariant } from '../../src/core/assert.js';
import { nearestName } from '../../src/core/nearest.js';
import type { Logger } from '../../src/observe/logger.js';
import { SafeLogger } from '../../src/observe/logger.js';
import { redact, REDACTED, Redactor, redactText, secretsIn } from '../../src/observe/redact.js';

const CANARY = 'canary-4711-xyz';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl';

describe('redactText', () => {
  it.each([
    ['a bearer token', `authorization: Bearer ${CANARY}`],
    ['a bearer token in lower case', `sent bearer ${CANARY} to it`],
    ['basic authentication', `Basic ${CANARY}`],
    ['a password in a URL', `https://user:${CANARY}@host:1/path`],
    ['a token in a query', `/path?token=${CANARY}&x=1`],
    ['an access token', `access_token=${CANARY}`],
    ['a key in JSON', `{"api_key":"${CANARY}"}`],
    ['a password', `password: ${CANARY}`],
    ['a cookie', `set-cookie: ${CANARY}`],
    ['the second of two cookies', `cookie: a=1; session=${CANARY}`],
    ['a scheme of its own', `authorization: ApiKey ${CANARY}`],
    ['a scheme of its own in JSON', `{"authorization":"ApiKey ${CANARY}"}`],
    ['a private key', `-----BEGIN EC PRIVATE KEY-----\n${CANARY}\n-----END EC PRIVATE KEY-----`],
    ['a private key that is cut off', `-----BEGIN PRIVATE KEY-----\n${CANARY}`],
  ])('removes %s', (_what, text) => {
    expect(redactText(text)).not.toContain(CANARY);
    expect(redactText(text)).toContain(REDACTED);
  });

  it('removes a JWT wherever it stands', () => {
    expect(redactText(`the server said: ${JWT} is stale`)).toBe(`the server said: ${REDACTED} is stale`);
  });

  it.each(['connect ECONNREFUSED 127.0.0.1:50051', 'request r-1: must have at least one action', 'dns:///name:443'])(
    'leaves %j as it is',
    (text) => {
      expect(redactText(text)).toBe(text);
    },
  );

  it('cuts a text that is too long', () => {
    const text = redactText('a-'.repeat(1_000_000));
    expect(text.length).toBeLessThan(10_000);
  });
});

describe('redact', () => {
  it.each([
    'authorization',
    'Authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'token',
    'accessToken',
    'refresh_token',
    'password',
    'clientSecret',
    'api-key',
    'x-api-key',
    'privateKey',
    'credentials',
    'key',
    'passphrase',
    'sessionId',
  ])('removes the value of the key %s at any depth', (key) => {
    expect(JSON.stringify(redact({ outer: [{ [key]: CANARY }] }))).not.toContain(CANARY);
    expect(JSON.stringify(redact(new Map([[key, CANARY]])))).not.toContain(CANARY);
  });

  it.each(['address', 'requestId', 'keyPath', 'streamId', 'monkey', 'author'])(
    'keeps the value of the key %s',
    (key) => {
      expect(redact({ [key]: 'plain' })).toEqual({ [key]: 'plain' });
    },
  );

  it('an error keeps its name, message, code and cause, without secrets', () => {
    const error = Object.assign(new Error(`Bearer ${CANARY}`, { cause: new Error(`token=${CANARY}`) }), {
      code: 'ERR_X',
    });
    const clean = redact(error);
    expect(JSON.stringify(clean)).not.toContain(CANARY);
    expect(clean).toMatchObject({
      name: 'Error',
      code: 'ERR_X',
      message: `Bearer ${REDACTED}`,
      cause: { name: 'Error' },
    });
  });

  it('an error of another realm keeps its name and message, as one of this does', () => {
    expect(redact(runInNewContext('new TypeError("token=x1")'))).toMatchObject({
      name: 'TypeError',
      message: `token=${REDACTED}`,
    });
  });

  it('cycles, depth, breadth, bytes, functions and throwing getters are cut', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(redact(cycle)).toEqual({ self: '[circular]' });
    expect(JSON.stringify(redact({ a: { a: { a: { a: { a: { a: { a: 1 } } } } } } }))).toContain('[truncated]');
    expect(redact(new Array(1_000).fill(0))).toHaveLength(101);
    expect(redact(Buffer.from(CANARY))).toBe('[15 bytes]');
    expect(redact(() => CANARY)).toBe('[function]');
    const hostile = {
      get a(): string {
        throw new Error(CANARY);
      },
    };
    expect(redact(hostile)).toBe('[unreadable]');
  });

  it('the same object twice is shown twice, and the original is unchanged', () => {
    const shared = { token: CANARY };
    expect(redact([shared, shared])).toEqual([{ token: REDACTED }, { token: REDACTED }]);
    expect(shared.token).toBe(CANARY);
  });

  it('a key named __proto__ stays a key', () => {
    const clean = redact(JSON.parse('{"__proto__": {"polluted": true}}')) as object;
    expect(Object.keys(clean)).toEqual(['__proto__']);
    expect('polluted' in {}).toBe(false);
  });
});

describe('a redactor told of a secret', () => {
  it('removes it from texts of any shape and from keys', () => {
    const redactor = new Redactor();
    redactor.addSecret(CANARY);
    expect(redactor.text(`server echoed <${CANARY}>`)).toBe(`server echoed <${REDACTED}>`);
    expect(JSON.stringify(redactor.value({ [CANARY]: CANARY }))).not.toContain(CANARY);
  });

  it('removes those given with one text from that text alone', () => {
    const redactor = new Redactor();
    expect(redactor.text(`<${CANARY}> abc`, [CANARY, 'abc'])).toBe(`<${REDACTED}> abc`);
    expect(redactor.text(CANARY)).toBe(CANARY);
  });

  it('headers give the values that stand under secret names, with and without their scheme', () => {
    const headers = { 'x-api-key': 'k', authorization: 'Bearer t', cookie: 'a=b', 'x-tenant': 'acme', accept: 'x' };
    expect(new Set(secretsIn(headers))).toEqual(new Set(['k', 'Bearer t', 't', 'a=b']));
  });

  it('remembers the last 32 and ignores texts too short to be one', () => {
    const redactor = new Redactor();
    redactor.addSecret('abc');
    for (let count = 0; count <= 32; count++) redactor.addSecret(`secret-${count}-`);
    expect(redactor.text('abc secret-0- secret-1- secret-32-')).toBe(`abc secret-0- ${REDACTED} ${REDACTED}`);
  });
});

describe('a safe logger', () => {
  const levels = ['debug', 'info', 'warn', 'error'] as const;

  it.each(levels)('passes %s on, as a method, without secrets', (level) => {
    const lines: unknown[] = [];
    const target: Logger & { lines: unknown[] } = {
      lines,
      [level](this: { lines: unknown[] }, details: object, message: string) {
        this.lines.push([details, message]);
      },
    };
    new SafeLogger(target)[level]({ token: CANARY, id: 1 }, `Bearer ${CANARY}`);
    expect(lines).toEqual([[{ token: REDACTED, id: 1 }, `Bearer ${REDACTED}`]]);
  });

  it.each<[string, Logger | undefined]>([
    ['no logger', undefined],
    ['a logger without levels', {}],
    [
      'a logger that throws',
      {
        warn: () => {
          throw new Error('broken');
        },
      },
    ],
    ['a logger that rejects', { warn: () => Promise.reject(new Error('broken')) }],
    [
      'a logger whose level is a throwing getter',
      {
        get warn(): never {
          throw new Error('broken');
        },
      },
    ],
  ])('survives %s', async (_what, target) => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    expect(() => new SafeLogger(target).warn({}, 'x')).not.toThrow();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('invariant', () => {
  it('throws its message when the condition is false, and only then', () => {
    expect(() => invariant(true, 'x')).not.toThrow();
    expect(() => invariant(false, 'never empty')).toThrow(new InvariantError('never empty'));
  });
});

describe('nearestName', () => {
  it.each([
    ['tiemout', 'timeout'],
    ['TIMEOUT', 'timeout'],
    ['lowWatermark', 'lowWaterMark'],
    ['xyz', undefined],
    ['t'.repeat(100_000), undefined],
  ])('%s is nearest to %s', (name, expected) => {
    expect(nearestName(name, ['timeout', 'lowWaterMark', 'connectTimeout'])).toBe(expected);
  });
});

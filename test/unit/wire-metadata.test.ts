import { describe, expect, it } from 'vitest';

import { ConfigurationError } from '../../src/errors.js';
import { timeoutHeader, validateMetadata } from '../../src/transport/metadata.js';

describe('validateMetadata', () => {
  it('valid metadata: a frozen copy in lower case, without a prototype', () => {
    const input = { 'X-Tenant': 'acme corp', 'trace-bin': 'AQID', authorization: 'Bearer t', empty: '' };
    const result = validateMetadata(input);
    expect({ ...result }).toEqual({
      'x-tenant': 'acme corp',
      'trace-bin': 'AQID',
      authorization: 'Bearer t',
      empty: '',
    });
    expect(Object.getPrototypeOf(result)).toBeNull();
    expect(Object.isFrozen(result)).toBe(true);
  });

  it('__proto__ as an own key: refused by its name rule or kept as data, and no prototype changes', () => {
    const result = validateMetadata(JSON.parse('{"__proto__": "x"}') as Record<string, unknown>);
    expect(Object.entries(result)).toEqual([['__proto__', 'x']]);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it.each([
    ['a space in the name', { 'x y': '1' }, 'metadata.x y', 'header name'],
    ['a pseudo header', { ':path': '1' }, 'metadata.:path', 'header name'],
    ['an empty name', { '': '1' }, 'metadata.', 'header name'],
    ['a name of gRPC', { 'grpc-timeout': '1S' }, 'metadata.grpc-timeout', 'reserved'],
    ['a name of HTTP', { 'Content-Type': 'x' }, 'metadata.Content-Type', 'reserved'],
    ['a name twice', { 'x-a': '1', 'X-A': '2' }, 'metadata.X-A', 'twice'],
    ['a number', { 'x-a': 1 }, 'metadata.x-a', 'string'],
    ['a line break', { 'x-a': 'a\r\nb: c' }, 'metadata.x-a', 'ASCII'],
    ['non-ASCII', { 'x-a': 'naïve' }, 'metadata.x-a', 'ASCII'],
    ['a leading space', { 'x-a': ' a' }, 'metadata.x-a', 'space'],
    ['no base64', { 'x-bin': 'not base64!' }, 'metadata.x-bin', 'base64'],
  ])('%s: ConfigurationError with its path', (_name, metadata, path, reason) => {
    const act = () => validateMetadata(metadata);
    expect(act).toThrow(ConfigurationError);
    expect(act).toThrow(expect.objectContaining({ path }) as Error);
    expect(act).toThrow(reason);
  });

  it('a refused value: not in the error, for values are often secrets', () => {
    expect(() => validateMetadata({ authorization: 'Bearer sécret' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('Bearer') as string }) as Error,
    );
  });
});

describe('timeoutHeader', () => {
  it.each([
    [0.2, '1m'],
    [100, '100m'],
    [100.1, '101m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [1e15, '99999999S'],
  ])('%d ms: %s', (timeoutMs, value) => {
    expect(timeoutHeader(timeoutMs)).toBe(value);
  });
});

import { fc, it as prop } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';

import { parseAddress } from '../../src/core/address.js';
import { ConfigurationError } from '../../src/errors.js';

describe('addresses that parse', () => {
  it.each([
    [
      '10.0.0.1:50051',
      { kind: 'tcp', host: '10.0.0.1', port: 50051, isLoopback: false, target: 'ipv4:10.0.0.1:50051' },
    ],
    ['127.0.0.1:1', { kind: 'tcp', host: '127.0.0.1', port: 1, isLoopback: true, target: 'ipv4:127.0.0.1:1' }],
    ['127.9.8.7:65535', { kind: 'tcp', host: '127.9.8.7', port: 65535, isLoopback: true }],
    ['[::1]:50051', { kind: 'tcp', host: '::1', port: 50051, isLoopback: true, target: 'ipv6:[::1]:50051' }],
    ['[0:0:0:0:0:0:0:1]:1', { kind: 'tcp', isLoopback: true }],
    ['[::ffff:127.0.0.1]:1', { kind: 'tcp', isLoopback: true }],
    ['[2001:db8::1]:443', { kind: 'tcp', host: '2001:db8::1', isLoopback: false }],
    ['[fe80::1%eth0]:443', { kind: 'tcp', host: 'fe80::1%eth0', isLoopback: false }],
    ['localhost:50051', { kind: 'dns', host: 'localhost', isLoopback: true, target: 'dns:///localhost:50051' }],
    ['LocalHost:50051', { kind: 'dns', host: 'localhost', isLoopback: true }],
    ['authz.example.com:443', { kind: 'dns', host: 'authz.example.com', isLoopback: false }],
    ['localhost.evil.example:443', { kind: 'dns', isLoopback: false }],
    ['dns:///authz:443', { kind: 'dns', host: 'authz', port: 443, target: 'dns:///authz:443' }],
    ['dns:authz:443', { kind: 'dns', host: 'authz', port: 443, target: 'dns:///authz:443' }],
    ['dns:///127.0.0.1:443', { kind: 'tcp', isLoopback: true }],
    ['dns:///[::1]:443', { kind: 'tcp', isLoopback: true }],
    [
      'unix:/run/authz.sock',
      { kind: 'unix', path: '/run/authz.sock', isLoopback: true, target: 'unix:///run/authz.sock' },
    ],
    ['unix:///run/authz.sock', { kind: 'unix', path: '/run/authz.sock', target: 'unix:///run/authz.sock' }],
    ['unix:authz.sock', { kind: 'unix', path: 'authz.sock', target: 'unix:authz.sock' }],
    ['unix:1234', { kind: 'unix', path: '1234' }],
  ])('%s', (text, expected) => {
    expect(parseAddress(text)).toMatchObject({ ...expected, text });
  });

  it('a unix address: neither host nor port', () => {
    expect(Object.keys(parseAddress('unix:a')).sort()).toEqual(['isLoopback', 'kind', 'path', 'target', 'text']);
  });
});

describe('addresses that do not', () => {
  it.each([
    ['', 'empty'],
    ['localhost', 'no port'],
    ['localhost:', 'no port'],
    ['10.0.0.1', 'no port'],
    ['[::1]', 'no port'],
    ['[::1]:', 'no port'],
    ['dns:///authz', 'no port'],
    [':50051', 'no host'],
    ['localhost:0', 'outside 1 to 65535'],
    ['localhost:65536', 'outside 1 to 65535'],
    ['localhost:http', 'not a number'],
    ['localhost:-1', 'not a number'],
    ['10.0.0.1:1e3', 'not a number'],
    ['::1:50051', 'brackets'],
    ['::1', 'brackets'],
    ['fe80::1:50051', 'brackets'],
    ['2001:db8::1', 'brackets'],
    ['[::1', 'invalid IPv6'],
    ['[127.0.0.1]:1', 'invalid IPv6'],
    ['[]:1', 'invalid IPv6'],
    ['local host:1', 'whitespace'],
    [' localhost:1', 'whitespace'],
    ['localhost:1\n', 'whitespace'],
    ['local\u0000host:1', 'control'],
    ['http://localhost:1', 'unknown scheme "http"; an address is host:port, dns:///name:port or unix:path'],
    ['xds:///authz:1', 'unknown scheme'],
    ['ipv4:127.0.0.1:1', 'unknown scheme'],
    ['dns://8.8.8.8/authz:1', 'DNS server'],
    ['unix:', 'no socket path'],
    ['unix://host/path', 'authority'],
    [`unix:/${'x'.repeat(107)}`, '107 bytes'],
    ['256.1.1.1:1', 'invalid host'],
    ['1.2.3:1', 'invalid host'],
    ['-bad-.example:1', 'invalid host'],
    ['a..b:1', 'invalid host'],
    ['user@host:1', 'invalid host'],
    [`${'a'.repeat(64)}:1`, 'invalid host'],
  ])('%j: says "%s"', (text, reason) => {
    expect(() => parseAddress(text, 'failover.fallbackAddresses[1]')).toThrow(ConfigurationError);
    expect(() => parseAddress(text, 'failover.fallbackAddresses[1]')).toThrow(reason);
    expect(() => parseAddress(text, 'failover.fallbackAddresses[1]')).toThrow(/^failover\.fallbackAddresses\[1\]: /);
  });

  prop.prop([fc.string({ unit: 'binary' })])(
    'any text: parses, or throws ConfigurationError and nothing else',
    (text) => {
      try {
        expect(parseAddress(text).text).toBe(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError);
      }
    },
  );

  prop.prop([fc.ipV6(), fc.integer({ min: 1, max: 65535 })])(
    'any IPv6: parses in brackets, never without',
    (host, port) => {
      expect(parseAddress(`[${host}]:${port}`)).toMatchObject({ kind: 'tcp', host, port });
      expect(() => parseAddress(`${host}:${port}`)).toThrow('brackets');
    },
  );
});

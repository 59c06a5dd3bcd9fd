/** Addresses as users write them: `host:port`, `dns:///name:port`, `unix:path`; IPv6 in brackets. */

import { isIPv4, isIPv6 } from 'node:net';

import { ConfigurationError } from '../errors.js';

export interface ParsedAddress {
  /** `tcp` is an IP literal, `dns` a name that must be looked up, `unix` a socket file. */
  readonly kind: 'tcp' | 'dns' | 'unix';
  /** Without brackets; lower case for names. Absent for `unix`. */
  readonly host?: string;
  readonly port?: number;
  /** The socket file, for `unix` only. */
  readonly path?: string;
  /** Whether the bytes stay on this machine: 127.0.0.0/8, ::1, `localhost` and unix sockets. Plaintext is meant for these. */
  readonly isLoopback: boolean;
  /** The same place as a gRPC target URI. */
  readonly target: string;
  /** As the user wrote it. */
  readonly text: string;
}

/** The kernel's limit for `sun_path`, less its terminating zero. */
const MAX_UNIX_PATH_BYTES = 107;
const MAX_DNS_NAME_LENGTH = 253;
/** Told to who wrote something else altogether. */
export const ADDRESS_FORMS = 'an address is host:port, dns:///name:port or unix:path';

const DNS_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
/** A scheme is told from `host:port` by what follows its colon: a port is digits only. `dns` and `unix` are always schemes, as in gRPC. */
const SCHEME = /^(?:(dns|unix):|([a-z][a-z0-9+.-]*):(?!\d*$))(.*)$/is;

/**
 * Parses one address.
 *
 * @param path names the option in the error, such as `address` or `failover.fallbackAddresses[1]`.
 * @throws ConfigurationError when the text is not an address; the message says which rule it breaks.
 */
export function parseAddress(text: string, path = 'address'): ParsedAddress {
  if (typeof text !== 'string') throw new ConfigurationError(path, 'must be a string');
  if (text === '') throw new ConfigurationError(path, `must not be empty; ${ADDRESS_FORMS}`);
  if (/[\s\u0000-\u001f\u007f]/.test(text)) {
    throw new ConfigurationError(path, `${JSON.stringify(text)} contains whitespace or control characters`);
  }
  const scheme = text.startsWith('[') ? null : SCHEME.exec(text);
  if (scheme === null) return parseHostPort(text, text, path);
  const name = (scheme[1] ?? scheme[2] ?? '').toLowerCase();
  const rest = scheme[3] ?? '';
  if (name === 'unix') return parseUnix(rest, text, path);
  if (name === 'dns') return parseHostPort(stripEmptyAuthority(rest, text, path), text, path);
  if (/^[0-9a-f:.%]+$/i.test(text) && rest.includes(':')) throw unbracketed(text, path);
  if (/[:/]/.test(rest))
    throw new ConfigurationError(path, `${quote(text)} has the unknown scheme ${quote(name)}; ${ADDRESS_FORMS}`);
  throw new ConfigurationError(path, `${quote(text)} has a port that is not a number`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function unbracketed(text: string, path: string): ConfigurationError {
  return new ConfigurationError(path, `${quote(text)}: an IPv6 address goes in brackets, as in "[::1]:50051"`);
}

function stripEmptyAuthority(rest: string, text: string, path: string): string {
  if (!rest.startsWith('//')) return rest;
  if (rest.startsWith('///')) return rest.slice(3);
  throw new ConfigurationError(path, `${quote(text)} names a DNS server; write "dns:///name:port"`);
}

function parseUnix(rest: string, text: string, path: string): ParsedAddress {
  if (rest.startsWith('//') && !rest.startsWith('///')) {
    throw new ConfigurationError(path, `${quote(text)} has an authority; write "unix:path" or "unix:///absolute/path"`);
  }
  const file = rest.startsWith('///') ? rest.slice(2) : rest;
  if (file === '') throw new ConfigurationError(path, `${quote(text)} has no socket path`);
  if (Buffer.byteLength(file) > MAX_UNIX_PATH_BYTES) {
    throw new ConfigurationError(path, `${quote(text)} has a socket path of more than ${MAX_UNIX_PATH_BYTES} bytes`);
  }
  const target = file.startsWith('/') ? `unix://${file}` : `unix:${file}`;
  return { kind: 'unix', path: file, isLoopback: true, target, text };
}

function parseHostPort(hostPort: string, text: string, path: string): ParsedAddress {
  if (hostPort.startsWith('[')) return parseBracketed(hostPort, text, path);
  const colon = hostPort.lastIndexOf(':');
  if (colon === -1) throw new ConfigurationError(path, `${quote(text)} has no port; ${ADDRESS_FORMS}`);
  const host = hostPort.slice(0, colon);
  if (host.includes(':')) throw unbracketed(text, path);
  if (host === '') throw new ConfigurationError(path, `${quote(text)} has no host; ${ADDRESS_FORMS}`);
  const port = parsePort(hostPort.slice(colon + 1), text, path);
  if (isIPv4(host)) {
    return { kind: 'tcp', host, port, isLoopback: host.startsWith('127.'), target: `ipv4:${host}:${port}`, text };
  }
  const name = host.toLowerCase();
  // A trailing dot marks a fully qualified name; digits and dots alone are a mistyped IPv4 address, never a name.
  const labels = (name.endsWith('.') ? name.slice(0, -1) : name).split('.');
  const valid = name.length <= MAX_DNS_NAME_LENGTH && labels.every((label) => DNS_LABEL.test(label));
  if (!valid || /^[\d.]+$/.test(name)) {
    throw new ConfigurationError(path, `${quote(text)} has the invalid host ${quote(host)}`);
  }
  const isLoopback = name === 'localhost' || name === 'localhost.';
  return { kind: 'dns', host: name, port, isLoopback, target: `dns:///${name}:${port}`, text };
}

function parseBracketed(hostPort: string, text: string, path: string): ParsedAddress {
  const end = hostPort.indexOf(']');
  const host = hostPort.slice(1, end === -1 ? undefined : end);
  if (end === -1 || !isIPv6(host)) {
    throw new ConfigurationError(path, `${quote(text)} has the invalid IPv6 address ${quote(host)}`);
  }
  const rest = hostPort.slice(end + 1);
  if (!rest.startsWith(':')) throw new ConfigurationError(path, `${quote(text)} has no port; ${ADDRESS_FORMS}`);
  const port = parsePort(rest.slice(1), text, path);
  return { kind: 'tcp', host, port, isLoopback: isLoopbackIPv6(host), target: `ipv6:[${host}]:${port}`, text };
}

/** ::1 in any spelling, and 127.0.0.0/8 mapped into IPv6. The URL parser canonicalises both. */
function isLoopbackIPv6(host: string): boolean {
  if (host.includes('%')) return false;
  const canonical = new URL(`http://[${host}]/`).hostname;
  return canonical === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical);
}

function parsePort(digits: string, text: string, path: string): number {
  if (digits === '') throw new ConfigurationError(path, `${quote(text)} has no port; ${ADDRESS_FORMS}`);
  if (!/^\d+$/.test(digits)) throw new ConfigurationError(path, `${quote(text)} has a port that is not a number`);
  const port = Number(digits);
  if (port < 1 || port > 65535) {
    throw new ConfigurationError(path, `${quote(text)} has a port outside 1 to 65535`);
  }
  return port;
}

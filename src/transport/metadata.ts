/** Headers that callers may send with a call. */

import { ConfigurationError } from '../errors.js';
import type { WireMetadata } from './port.js';

/** Names HTTP/2 or gRPC keep for themselves. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);

/** What a header counts for beside its name and value. */
const HEADER_OVERHEAD_BYTES = 32;

const NAME = /^[0-9a-z_.-]+$/;
const PRINTABLE = /^[\x20-\x7e]*$/;
const BASE64 = /^(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}(?:==)?|[0-9A-Za-z+/]{3}=?)?$/;

/**
 * Checks and copies metadata: names in lower case, printable ASCII values, base64 values under names that end in `-bin`.
 *
 * @param path names the option in the error.
 * @returns a frozen copy without a prototype.
 * @throws ConfigurationError naming `<path>.<name>`. It never quotes a value: values are often secrets.
 */
export function validateMetadata(metadata: Readonly<Record<string, unknown>>, path = 'metadata'): WireMetadata {
  const result = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(metadata)) {
    const at = `${path}.${name}`;
    const lower = name.toLowerCase();
    if (!NAME.test(lower)) throw new ConfigurationError(at, 'is not a header name: use a-z, 0-9, "_", "-" and "."');
    if (RESERVED_NAMES.has(lower) || lower.startsWith('grpc-')) {
      throw new ConfigurationError(at, 'is a reserved header name');
    }
    if (lower in result) throw new ConfigurationError(at, 'is given twice (names are compared in lower case)');
    if (typeof value !== 'string') throw new ConfigurationError(at, 'must be a string');
    if (lower.endsWith('-bin')) {
      if (!BASE64.test(value)) throw new ConfigurationError(at, 'must be base64, because its name ends in "-bin"');
    } else if (!PRINTABLE.test(value)) {
      throw new ConfigurationError(at, 'must be printable ASCII');
    } else if (value.trim() !== value) {
      throw new ConfigurationError(at, 'must not begin or end with a space');
    }
    result[lower] = value;
  }
  return Object.freeze(result);
}

/**
 * Why a call cannot carry this metadata, or undefined. What {@link validateMetadata} passed always can; a transport asks again because
 * HTTP/2 libraries put any text on the wire, or take it out on the whole connection. It never quotes a value.
 *
 * @param maxBytes of all headers, counted as RFC 9113 (6.5.2) does.
 */
export function metadataProblem(metadata: WireMetadata, maxBytes: number): string | undefined {
  let bytes = 0;
  for (const name of Object.keys(metadata)) {
    const value = metadata[name] as string;
    if (!NAME.test(name)) return `${JSON.stringify(name)} is not a header name`;
    if (!PRINTABLE.test(value)) return `the header ${name} is not printable ASCII`;
    bytes += name.length + value.length + HEADER_OVERHEAD_BYTES;
  }
  return bytes > maxBytes ? `the metadata of ${bytes} bytes is larger than the limit of ${maxBytes}` : undefined;
}

/** The longest number `grpc-timeout` takes. */
const MAX_TIMEOUT_DIGITS = 99_999_999;

/** The value of `grpc-timeout`, rounded up so that the server never gives up before this side does. */
export function timeoutHeader(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  if (ms <= MAX_TIMEOUT_DIGITS) return `${ms}m`;
  return `${Math.min(MAX_TIMEOUT_DIGITS, Math.ceil(ms / 1000))}S`;
}

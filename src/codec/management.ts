/** The rare messages: the management rpcs, by protobufjs' own generated code, and the health answer. */

import { ConfigurationError } from '../errors.js';
import type { LoadPoliciesResult, PolicySource, ReloadPoliciesResult } from '../types.js';
import { HealthStatus } from '../types.js';
import { authzTypes } from './proto.js';
import { malformed } from './response-decoder.js';
import { WireReader } from './wire-reader.js';

function typeOf(name: string): ReturnType<ReturnType<typeof authzTypes>['lookupType']> {
  return authzTypes().lookupType(`authz.v1.${name}`);
}

/** Gives `decode`'s message with every field filled in. Throws ProtocolError. */
function decodeWhole(name: string, bytes: Uint8Array): Record<string, unknown> {
  const type = typeOf(name);
  try {
    return type.toObject(type.decode(bytes), { defaults: true, arrays: true });
  } catch (error) {
    throw malformed(name, error);
  }
}

/** Throws ConfigurationError unless exactly one of `path`, `url` and `inline` is given. */
export function encodeLoadPolicies(source: PolicySource): Uint8Array {
  // From untyped callers, `source` may be anything.
  const given: unknown = source;
  const { path, url, inline } = (typeof given === 'object' && given !== null ? given : {}) as {
    path?: string;
    url?: string;
    inline?: readonly string[];
  };
  if ([path, url, inline].filter((one) => one !== undefined).length !== 1)
    throw new ConfigurationError('source', 'must be an object with exactly one of path, url and inline');
  const type = typeOf('LoadPoliciesRequest');
  const fields = inline === undefined ? (path === undefined ? { url } : { path }) : { inline: { documents: inline } };
  const fault = type.verify(fields);
  if (fault !== null) throw new ConfigurationError('source', fault);
  return type.encode(fields).finish();
}

export function decodeLoadPolicies(bytes: Uint8Array): LoadPoliciesResult {
  const { count, errors } = decodeWhole('LoadPoliciesResponse', bytes) as unknown as LoadPoliciesResult;
  return { count, errors: errors.map(({ source, line, reason }) => ({ source, line, reason })) };
}

/** Throws ConfigurationError unless `force` is a boolean or absent. */
export function encodeReloadPolicies({ force = false }: { readonly force?: boolean }): Uint8Array {
  if (typeof force !== 'boolean') throw new ConfigurationError('reloadPolicies.force', 'must be a boolean');
  return typeOf('ReloadPoliciesRequest').encode({ force }).finish();
}

export function decodeReloadPolicies(bytes: Uint8Array): ReloadPoliciesResult {
  const { success, count, durationMs } = decodeWhole(
    'ReloadPoliciesResponse',
    bytes,
  ) as unknown as ReloadPoliciesResult;
  return { success, count, durationMs };
}

/** By the numbers of `grpc.health.v1`. */
const HEALTH_STATUSES: readonly HealthStatus[] = [
  HealthStatus.UNKNOWN,
  HealthStatus.SERVING,
  HealthStatus.NOT_SERVING,
  HealthStatus.SERVICE_UNKNOWN,
];

/** A status this client does not know is UNKNOWN. */
export function decodeHealthCheck(bytes: Uint8Array): HealthStatus {
  const reader = new WireReader();
  let status = 0;
  try {
    reader.reset(bytes);
    while (reader.hasMore) {
      const tag = reader.tag();
      if (tag === 0x08) status = reader.varint();
      else reader.skip(tag);
    }
  } catch (error) {
    throw malformed('HealthCheckResponse', error);
  }
  return HEALTH_STATUSES[status] ?? HealthStatus.UNKNOWN;
}

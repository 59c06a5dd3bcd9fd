/** The services as grpc-js wants them, read from the package's proto files. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ConfigurationError } from '../errors.js';

const AUTHZ_PROTO = path.join('proto', 'authz', 'v1', 'authz.proto');

export interface ServiceDefinitions {
  /** Its three check rpcs take and give bytes. */
  readonly authz: ServiceDefinition;
  readonly health: ServiceDefinition;
}

/** @throws ConfigurationError when the package's proto files are missing. */
export function loadServiceDefinitions(): ServiceDefinitions {
  const definitions = loadSync(['authz/v1/authz.proto', 'grpc/health/v1/health.proto'], {
    includeDirs: [path.join(findPackageRoot(), 'proto')],
    longs: Number,
    enums: Number,
    defaults: true,
    oneofs: true,
  });
  const authz = { ...(definitions['authz.v1.AuthzService'] as ServiceDefinition) };
  for (const name of ['Check', 'CheckBatch', 'CheckStream']) {
    const method = authz[name];
    if (method !== undefined) authz[name] = rawMethod(method);
  }
  return { authz, health: definitions['grpc.health.v1.Health'] as ServiceDefinition };
}

/** The handlers read and write these bytes themselves, which is faster and lets them answer bad bytes with a status of their own. */
function rawMethod(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  const asIs = (bytes: unknown): Buffer => bytes as Buffer;
  return { ...method, requestDeserialize: asIs, responseSerialize: asIs };
}

/** The sources and the build stand at different depths below the package's root, so it is found by what is in it. */
function findPackageRoot(): string {
  const start = path.dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = path.dirname(directory)) {
    if (existsSync(path.join(directory, AUTHZ_PROTO))) return directory;
    if (directory === path.dirname(directory)) {
      throw new ConfigurationError('proto', `${AUTHZ_PROTO} was not found in any folder above the engine`);
    }
  }
}

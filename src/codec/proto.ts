/** Where the wire contract lies, and protobufjs' reading of it. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type protobuf from 'protobufjs';
import { ConfigurationError } from '../errors.js';

const AUTHZ_PROTO = join('authz', 'v1', 'authz.proto');

let knownRoot: string | undefined;
let knownTypes: protobuf.Root | undefined;

/**
 * The directory of the `.proto` files: the nearest `proto/` above this file that holds the contract, whether it runs from the sources or
 * from the build. Throws ConfigurationError when there is none.
 */
export function protoRoot(): string {
  if (knownRoot !== undefined) return knownRoot;
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    const candidate = join(directory, 'proto');
    if (existsSync(join(candidate, AUTHZ_PROTO))) {
      knownRoot = candidate;
      return candidate;
    }
    if (dirname(directory) === directory) {
      throw new ConfigurationError(
        'proto',
        `no proto/${AUTHZ_PROTO} in ${start} or above it: the package is incomplete`,
      );
    }
  }
}

/**
 * The message types of `authz.v1`, read once per process. protobufjs is loaded with them and not before: it would be the greater part of
 * the package's start-up time, and a client that only checks does without.
 */
export function authzTypes(): protobuf.Root {
  if (knownTypes === undefined) {
    const library = createRequire(import.meta.url)('protobufjs') as typeof protobuf;
    const root = new library.Root();
    root.loadSync(join(protoRoot(), AUTHZ_PROTO));
    root.resolveAll();
    knownTypes = root;
  }
  return knownTypes;
}

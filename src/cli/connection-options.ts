/** How to reach an engine: the options that `check`, `watch` and `inspect` share. */

import { type Command, Option } from 'commander';
import type { PooledClientOptions } from '../index.js';
import { address, nonEmpty } from './arguments.js';
import type { FailureContext } from './failure.js';

export interface ConnectionFlags {
  readonly address: string;
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly serverName?: string;
  readonly token?: string;
}

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--address <address>', 'the engine: host:port, dns:///name:port or unix:path')
        .default('127.0.0.1:50051')
        .env('AUTHZ_ADDRESS')
        .argParser(address),
    )
    .option('--tls', 'speak TLS, trusting the authorities the system trusts')
    .option('--tls-ca <file>', 'trust this PEM file of authorities instead (implies --tls)', nonEmpty)
    .option('--tls-cert <file>', 'PEM file of the client certificate, for mutual TLS', nonEmpty)
    .option('--tls-key <file>', 'PEM file of its private key', nonEmpty)
    .option('--server-name <name>', "the name that the engine's certificate must bear (default: the host)", nonEmpty)
    .addOption(
      new Option('--token <token>', 'bearer token; prefer the variable, other users see options')
        .env('AUTHZ_TOKEN')
        .argParser(nonEmpty),
    );
}

export function usesTls({ tls, tlsCa, tlsCert, tlsKey, serverName }: ConnectionFlags): boolean {
  return tls === true || [tlsCa, tlsCert, tlsKey, serverName].some((value) => value !== undefined);
}

/** As options of the client. */
export function toClientOptions(flags: ConnectionFlags): PooledClientOptions {
  const { tlsCa, tlsCert, tlsKey, serverName, token } = flags;
  return {
    ...(usesTls(flags) ? { tls: true } : {}),
    ...(tlsCa === undefined ? {} : { caPath: tlsCa }),
    ...(tlsCert === undefined ? {} : { certPath: tlsCert }),
    ...(tlsKey === undefined ? {} : { keyPath: tlsKey }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(token === undefined ? {} : { credentials: token }),
  };
}

const FLAGS: ReadonlyMap<string, string> = new Map([
  ['address', '--address'],
  ['tls', '--tls'],
  ['caPath', '--tls-ca'],
  ['certPath', '--tls-cert'],
  ['keyPath', '--tls-key'],
  ['serverName', '--server-name'],
  ['credentials', '--token'],
  ['timeout', '--timeout-ms'],
  ['request.principal.id', '--principal'],
  ['request.actions', '--action'],
]);

export function connectionContext(command: string, flags: ConnectionFlags): FailureContext {
  return { command, address: flags.address, flags: FLAGS, usesTls: usesTls(flags) };
}

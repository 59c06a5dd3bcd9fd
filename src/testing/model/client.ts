import { type AuthzClient, createClient, createPooledClient } from '../../client.js';
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import { type InspectOption, type PooledClientOptions, resolveOptions, type ResolvedOptions } from '../../options.js';
import type { Transport } from '../../transport/port.js';

/** What the simulation has its own of, or none. */
const LEFT_OUT: readonly string[] = [
  'transport',
  'clock',
  'random',
  'inspect',
  'logger',
  'tls',
  'certPath',
  'keyPath',
  'caPath',
  'serverName',
  'credentials',
  'metadata',
] satisfies (keyof PooledClientOptions)[];

/** The caller's options, of which a simulation makes sense. */
export function simulatedOptions(options: PooledClientOptions): PooledClientOptions {
  const kept = Object.entries(options).filter(([name]) => !LEFT_OUT.includes(name));
  // Said in so many words, it is not warned of: nothing leaves the process.
  return { ...(Object.fromEntries(kept) as PooledClientOptions), tls: false };
}

/** @throws ConfigurationError as the client does */
export function resolveSimulated(addresses: readonly string[], options: PooledClientOptions): ResolvedOptions {
  const [first] = addresses;
  return addresses.length === 1
    ? resolveOptions(undefined, { address: first, ...options })
    : resolveOptions(addresses, options);
}

export interface SimulatedParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly inspect: InspectOption;
}

/** The real client, on simulated ground. */
export function createSimulatedClient(
  addresses: readonly string[],
  options: PooledClientOptions,
  parts: SimulatedParts,
): AuthzClient {
  const [first = ''] = addresses;
  return addresses.length === 1
    ? createClient({ address: first, ...options, ...parts })
    : createPooledClient(addresses, { ...options, ...parts });
}

/** Where the processes and clients of a test live, and what sees to it that nothing of them stays. */

import { afterEach } from 'vitest';

import type { AuthzClient } from '../../../src/client.js';
import {
  createClient,
  createPooledClient,
  type AuthzClientOptions,
  type PooledClientOptions,
} from '../../../src/index.js';
import { EventLog } from '../../support/fault-load.js';
import { Engine, type EngineOptions } from './engine.js';

export interface Subject {
  readonly client: AuthzClient;
  readonly events: EventLog;
}

/** Everything that waits is short, and no test is too short for its checks; nothing is asserted of how long it took. */
function quick(options: PooledClientOptions): PooledClientOptions {
  return {
    timeout: 20_000,
    connectTimeout: 2_000,
    retryDelay: 20,
    ...options,
    reconnect: { initialDelay: 20, maxDelay: 100, maxAttempts: 1_000, ...options.reconnect },
    healthCheck: { interval: 1_000, timeout: 1_000, ...options.healthCheck },
  };
}

export class Yard {
  readonly #cleanups: (() => unknown)[] = [];

  constructor() {
    afterEach(async () => {
      const failures: unknown[] = [];
      for (const cleanup of this.#cleanups.splice(0).reverse()) {
        try {
          await cleanup();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'not everything could be cleaned up');
    });
  }

  afterwards(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async engine(name: string, options?: EngineOptions): Promise<Engine> {
    const engine = await Engine.start(name, options);
    this.afterwards(() => engine.close());
    return engine;
  }

  async pair(): Promise<[Engine, Engine]> {
    return await Promise.all([this.engine('alpha'), this.engine('beta')]);
  }

  async trio(): Promise<[Engine, Engine, Engine]> {
    return await Promise.all([this.engine('alpha'), this.engine('beta'), this.engine('gamma')]);
  }

  client(options: AuthzClientOptions): Subject {
    return this.#watch(createClient({ ...quick(options), address: options.address }));
  }

  /** Traffic goes to the first; the others are its backups, in order. */
  failoverClient(engines: readonly { readonly address: string }[], options: PooledClientOptions = {}): Subject {
    const [address = '', ...fallbackAddresses] = engines.map((engine) => engine.address);
    const failover = { enabled: true, fallbackAddresses, failbackDelay: 100, ...options.failover };
    return this.client({ address, ...options, failover });
  }

  pooledClient(engines: readonly { readonly address: string }[], options: PooledClientOptions = {}): Subject {
    const addresses = engines.map((engine) => engine.address);
    return this.#watch(createPooledClient(addresses, quick(options)));
  }

  #watch(client: AuthzClient): Subject {
    this.afterwards(() => client.disconnect({ force: true }));
    return { client, events: new EventLog(client) };
  }
}

/** Engines, clients and proxies of one test file, closed after each test. */

import { afterAll, afterEach } from 'vitest';

import type { AuthzClient } from '../../src/client.js';
import {
  createClient,
  createPooledClient,
  type AuthzClientOptions,
  type PooledClientOptions,
} from '../../src/index.js';
import { EngineProcess, type EngineSettings } from './fault-engine.js';
import { EventLog } from './fault-load.js';

/** Everything that waits is short; nothing is asserted of how long it took. */
function quick(options: PooledClientOptions): PooledClientOptions {
  return {
    retryDelay: 20,
    ...options,
    reconnect: { initialDelay: 20, maxDelay: 100, ...options.reconnect },
    healthCheck: { interval: 1_000, timeout: 1_000, ...options.healthCheck },
  };
}

export interface Subject {
  readonly client: AuthzClient;
  readonly events: EventLog;
}

export class Bench {
  readonly #engines = new Map<string, EngineProcess>();
  readonly #clients: AuthzClient[] = [];
  readonly #cleanups: (() => unknown)[] = [];

  constructor() {
    afterEach(async () => {
      await Promise.all(this.#clients.splice(0).map((client) => client.disconnect({ force: true })));
      for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
    });
    afterAll(async () => {
      for (const engine of this.#engines.values()) await engine.close();
    });
  }

  /** Runs and serves. Engines are kept between the tests of a file: a process costs a second. */
  async engine(name: string, settings: EngineSettings = {}): Promise<EngineProcess> {
    let engine = this.#engines.get(name);
    if (engine === undefined) {
      engine = await EngineProcess.start(name, settings);
      this.#engines.set(name, engine);
    }
    if (!engine.running) await engine.restart();
    engine.thaw();
    await engine.setHealth('SERVING');
    return engine;
  }

  async engines(...names: string[]): Promise<EngineProcess[]> {
    return await Promise.all(names.map((name) => this.engine(name)));
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

  afterwards(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  #watch(client: AuthzClient): Subject {
    this.#clients.push(client);
    return { client, events: new EventLog(client) };
  }
}

/** A primary, which denies, and a backup, which allows, on a virtual clock: who answered is told by what was answered. */

import { expect } from 'vitest';

import { type AuthzClient, createClient } from '../../src/client.js';
import { createSeededRandom } from '../../src/core/random.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { TimeoutError } from '../../src/errors.js';
import { isAllowed } from '../../src/index.js';
import type { PooledClientOptions } from '../../src/options.js';
import {
  replyToAll,
  type SimulatedEvent,
  type SimulatedHandler,
  SimulatedNetwork,
  type SimulatedServer,
} from '../../src/testing/index.js';
import { Effect, type CheckInput } from '../../src/types.js';

export const PRIMARY = '127.0.0.1:1001';
export const BACKUP = '127.0.0.1:1002';
export const TIMEOUT_MS = 2_000;

export interface Pair {
  readonly clock: VirtualClock;
  readonly primary: SimulatedServer;
  readonly client: AuthzClient;
  /** Where traffic went, one word for each move. */
  readonly moves: string[];
  /** Everything on the network, in order. */
  readonly events: SimulatedEvent[];
}

/** Connected, and answered once. From then on the primary answers by this handler. */
export async function openPair(handler: SimulatedHandler, options: PooledClientOptions = {}): Promise<Pair> {
  const clock = new VirtualClock();
  const events: SimulatedEvent[] = [];
  const network = new SimulatedNetwork({ clock, minLatencyMs: 1, observer: (event) => events.push(event) });
  const [primary, backup] = [network.server(PRIMARY), network.server(BACKUP)];
  primary.handler = replyToAll(Effect.DENY);
  backup.handler = replyToAll(Effect.ALLOW);
  const client = createClient({
    address: PRIMARY,
    clock,
    random: createSeededRandom(1),
    transport: network,
    timeout: TIMEOUT_MS,
    retryDelay: 10,
    reconnect: { initialDelay: 100, maxDelay: 10_000 },
    failover: { enabled: true, fallbackAddresses: [BACKUP], failbackDelay: 1_000 },
    ...options,
  });
  const moves: string[] = [];
  client.on('failover_completed', () => moves.push('backup'));
  client.on('failback_completed', () => moves.push('primary'));
  const connected = client.connect();
  await clock.advanceAsync(100);
  await connected;
  const first = client.check(question(0));
  await clock.advanceAsync(100);
  expect(isAllowed(await first)).toBe(false);
  primary.handler = handler;
  return { clock, primary, client, moves, events };
}

export const question = (index: number): CheckInput => ({
  principal: { id: 'alice', roles: ['user'] },
  resource: { kind: 'document', id: `${index}` },
  actions: ['read'],
});

/** Asks now, and tells who answered. */
export async function ask(client: AuthzClient, ...indexes: number[]): Promise<string[]> {
  const outcomes = await Promise.allSettled(indexes.map((index) => client.check(question(index))));
  return outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') return isAllowed(outcome.value) ? 'backup' : 'primary';
    return outcome.reason instanceof TimeoutError ? 'timeout' : String(outcome.reason);
  });
}

export const SEVERAL = [0, 1, 2, 3, 4, 5, 6, 7];
export const each = (outcome: string): string[] => SEVERAL.map(() => outcome);

/** A client that looks on, until Ctrl-C: what `watch` and `inspect` share. */

import type { Command } from 'commander';
import { setTimeout as delay } from 'node:timers/promises';
import type { AuthzClient } from '../index.js';
import { address, collect, milliseconds } from './arguments.js';
import { addConnectionOptions, type ConnectionFlags, toClientOptions } from './connection-options.js';
import { type FailureContext, toCliError } from './failure.js';

export interface WatchingFlags extends ConnectionFlags {
  readonly fallback?: readonly string[];
  readonly intervalMs: number;
  readonly failbackMs: number;
}

export function addWatchingOptions(command: Command): Command {
  return addConnectionOptions(command)
    .option('--fallback <address>', 'backup engine; several times, in order of preference', collect(address))
    .option('--interval-ms <ms>', 'between health probes', milliseconds(10), 1_000)
    .option('--failback-ms <ms>', 'unbroken health of the primary until traffic moves back', milliseconds(0), 1_000);
}

export async function createWatchingClient(flags: WatchingFlags, context: FailureContext): Promise<AuthzClient> {
  const { createClient } = await import('../index.js');
  const fallbackAddresses = [...(flags.fallback ?? [])];
  try {
    return createClient({
      ...toClientOptions(flags),
      address: flags.address,
      // A watcher wants to see an engine come back soon, and costs it next to nothing.
      reconnect: { initialDelay: 250, maxDelay: 2_000 },
      healthCheck: { interval: flags.intervalMs, timeout: Math.max(250, Math.min(flags.intervalMs, 5_000)) },
      failover: { enabled: fallbackAddresses.length > 0, fallbackAddresses, failbackDelay: flags.failbackMs },
    });
  } catch (error) {
    throw toCliError(error, context);
  }
}

/** Between attempts while no engine has been reached yet; from then on the client redials by itself. */
export const RETRY_MS = 1_000;

/**
 * Connects when that is possible, and asks for health then.
 * @param onUnreachable why an attempt failed, as long as no engine has been reached; once for each reason
 */
export async function watchHealth(
  client: AuthzClient,
  intervalMs: number,
  context: FailureContext,
  signal: AbortSignal,
  onUnreachable: (reason: string) => void,
): Promise<void> {
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      await client.connect();
      break;
    } catch (error) {
      const reason = toCliError(error, context).message;
      if (reason !== told) onUnreachable(reason);
      told = reason;
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  if (!signal.aborted) client.createHealthMonitoringStream(intervalMs);
}

/** Runs until SIGINT or SIGTERM. */
export async function withInterruption<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await run(interruption.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Holds the process open meanwhile: the client's own timers and sockets do not, nor do an inspector's. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const hold = setInterval(() => undefined, 2 ** 31 - 1);
    signal.addEventListener('abort', () => {
      clearInterval(hold);
      resolve();
    });
  });
}

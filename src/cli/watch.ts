/** `authz watch`: health and failover as they happen. */

import type { Command } from 'commander';
import { CLIENT_EVENT_NAMES, type ClientEventName, type ClientEvents } from '../events.js';
import { connectionContext } from './connection-options.js';
import { ExitCode, oneLine } from './failure.js';
import { createTerminal, type Style, type Terminal, timeOfDay } from './terminal.js';
import {
  addWatchingOptions,
  createWatchingClient,
  RETRY_MS,
  untilAborted,
  watchHealth,
  type WatchingFlags,
  withInterruption,
} from './watching.js';

export interface WatchFlags extends WatchingFlags {
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ authz watch --address 127.0.0.1:50051
  $ authz watch --address 127.0.0.1:50051 --fallback 127.0.0.1:50052 --fallback 127.0.0.1:50053
  $ authz watch --address 127.0.0.1:50051 --json | jq -r .event

Ends with Ctrl-C.`;

export function configureWatch(command: Command): Command {
  return addWatchingOptions(command.description('show health and failover live, a line for each event'))
    .option('--json', 'print one JSON object for each event')
    .addHelpText('after', EXAMPLES);
}

/** What has no place in a picture of health and failover. */
const UNWATCHED: ReadonlySet<ClientEventName> = new Set([
  'backpressure_start',
  'backpressure_end',
  'message_dropped',
  'health_stream_check',
]);

/** Each attempt to reach an engine that never was tells the same again; `unreachable` says it once. */
function isOfAttempt(name: ClientEventName, payload: ClientEvents[ClientEventName]): boolean {
  if (name === 'pool_connection_failed' || name === 'pool_connection_removed') return true;
  return 'state' in payload && (payload.state === 'connecting' || payload.state === 'idle');
}

/** Watches until SIGINT or SIGTERM. Resolves with the exit code. */
export function watch(flags: WatchFlags): Promise<number> {
  return withInterruption(async (signal) => {
    const report = createReporter(createTerminal(), flags.json === true);
    const context = connectionContext('watch', flags);
    const client = await createWatchingClient(flags, context);
    let isUnreachable = false;
    try {
      for (const name of CLIENT_EVENT_NAMES) {
        if (UNWATCHED.has(name)) continue;
        client.on(name, (payload) => {
          if (!isUnreachable || !isOfAttempt(name, payload)) report(name, payload);
        });
      }
      report('watching', { address: flags.address, fallback: flags.fallback ?? [] });
      await watchHealth(client, flags.intervalMs, context, signal, (reason) => {
        isUnreachable = true;
        report('unreachable', { reason, retryMs: RETRY_MS });
      });
      isUnreachable = false;
      await untilAborted(signal);
      return ExitCode.OK;
    } finally {
      await client.disconnect({ timeoutMs: 1_000 });
    }
  });
}

const STYLES: Readonly<Partial<Record<string, Style>>> = {
  connected: 'green',
  pool_reconnected: 'green',
  failback_completed: 'green',
  failover_completed: 'green',
  failover_started: 'yellow',
  failback_scheduled: 'yellow',
  stream_reconnecting: 'yellow',
  unreachable: 'red',
  disconnected: 'red',
  failover_failed: 'red',
  pool_connection_failed: 'red',
  health_stream_error: 'red',
  error: 'red',
};

type Reporter = (event: string, payload: ClientEvents[ClientEventName] | Readonly<Record<string, unknown>>) => void;

function createReporter(terminal: Terminal, asJson: boolean): Reporter {
  return (event, payload) => {
    const time = new Date();
    if (asJson) {
      terminal.line(JSON.stringify({ time: time.toISOString(), event, ...toPlain(payload) }));
      return;
    }
    const style = STYLES[event];
    const name = event.padEnd(24);
    const details = oneLine(describe(payload));
    terminal.line(
      `${terminal.paint('dim', timeOfDay(time))}  ${style === undefined ? name : terminal.paint(style, name)} ${details}`.trimEnd(),
    );
  };
}

/** Errors are empty objects to JSON. */
function toPlain(payload: object): object {
  if (payload instanceof Error) return { error: errorToPlain(payload) };
  return Object.fromEntries(
    Object.entries(payload).map(([key, value]) => [
      key,
      value instanceof Error ? errorToPlain(value) : (value as unknown),
    ]),
  );
}

function errorToPlain(error: Error): object {
  const { code } = error as { code?: unknown };
  return { name: error.name, ...(typeof code === 'string' ? { code } : {}), message: error.message };
}

/** `address 127.0.0.1:50051 · status serving → not_serving`. */
function describe(payload: object): string {
  if (payload instanceof Error) return payload.message;
  const { previous, status, state, from, to, ...rest } = payload as Readonly<Record<string, unknown>>;
  const now = status ?? state;
  const parts = [
    ...(now === undefined ? [] : [previous === undefined ? text(now) : `${text(previous)} → ${text(now)}`]),
    ...(from === undefined ? [] : [`${text(from)} → ${text(to ?? rest['address'])}`]),
    ...Object.entries(rest)
      .filter(
        ([key, value]) => !(from !== undefined && key === 'address') && !(Array.isArray(value) && value.length === 0),
      )
      .map(([key, value]) => `${key} ${text(value)}`),
  ];
  return parts.join(' · ');
}

function text(value: unknown): string {
  if (value instanceof Error) return value.message;
  if (Array.isArray(value)) return value.map(text).join(', ');
  if (typeof value === 'number') return String(Math.round(value * 10) / 10);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

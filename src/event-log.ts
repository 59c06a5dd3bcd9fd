/** What a log is told of the client's events: an operator's account of connections, health and failover, without a listener of one's own. */

import type { ClientEventName, ClientEvents, TypedEmitter } from './events.js';
import type { Logger, SafeLogger } from './observe/logger.js';
import { ConnectionState, HealthStatus } from './types.js';

interface Line {
  readonly level: keyof Logger;
  readonly message: string;
  /** Absent: the payload itself. */
  readonly details?: object;
}

type Told = { readonly [Name in ClientEventName]: ((payload: ClientEvents[Name]) => Line) | null };

const info = (message: string) => (): Line => ({ level: 'info', message });
const warn = (message: string) => (): Line => ({ level: 'warn', message });
const debug = (message: string) => (): Line => ({ level: 'debug', message });

/** The stack of an error that the network caused tells of this library's inside only. */
const becauseOf = (message: string) => {
  return ({ error, ...rest }: { readonly error: Error }): Line => ({
    level: 'warn',
    message,
    details: { ...rest, reason: error.message },
  });
};

const stateChanged = debug('connection state changed');

/** Of every event what is logged; null: nothing. */
const TOLD: Omit<Told, 'connection_state_change' | 'disconnected'> = {
  connected: info('connected'),
  pool_connection_created: debug('connection opened'),
  pool_connection_failed: becauseOf('connection failed'),
  pool_reconnected: info('connection reopened'),
  pool_connection_removed: debug('connection removed'),
  health_status_change: ({ status }) => ({
    level: status === HealthStatus.SERVING ? 'info' : 'warn',
    message: `endpoint health is ${status}`,
  }),
  failover_started: warn('failover started'),
  failover_completed: warn('failover completed'),
  failover_failed: becauseOf('failover failed'),
  failback_scheduled: info('failback scheduled'),
  failback_completed: info('failback completed'),
  backpressure_start: debug('stream reached its high-water mark'),
  backpressure_end: debug('stream came down to its low-water mark'),
  stream_reconnecting: debug('stream reconnecting'),
  stream_reconnected: debug('stream reconnected'),
  stream_pool_creation_error: becauseOf('stream could not be created'),
  // As often as whoever monitors chose, who hears of each.
  health_stream_check: null,
  health_stream_error: null,
  message_dropped: debug('message dropped'),
  // Logged where nobody listens for it.
  error: null,
};

/** Logs the events from now on. */
export function logEvents(events: TypedEmitter, logger: SafeLogger): void {
  let isClosing = false;
  const told: Told = {
    ...TOLD,
    connection_state_change: ({ state }) => {
      isClosing = state === ConnectionState.SHUTDOWN;
      return stateChanged();
    },
    disconnected: () =>
      isClosing ? { level: 'info', message: 'disconnected' } : { level: 'warn', message: 'no endpoint is served' },
  };
  for (const name of Object.keys(told) as ClientEventName[]) logEvent(events, logger, name, told[name]);
}

function logEvent<Name extends ClientEventName>(
  events: TypedEmitter,
  logger: SafeLogger,
  name: Name,
  tell: Told[Name],
): void {
  if (tell === null) return;
  events.on(name, (payload) => {
    const { level, message, details = payload } = tell(payload);
    logger[level](details, message);
  });
}

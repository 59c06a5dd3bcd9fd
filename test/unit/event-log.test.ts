import { describe, expect, it } from 'vitest';
import { logEvents } from '../../src/event-log.js';
import { CLIENT_EVENT_NAMES, type ClientEventName, type ClientEvents, EventHub } from '../../src/events.js';
import { FailoverError } from '../../src/errors.js';
import { type Logger, SafeLogger } from '../../src/observe/logger.js';
import { Redactor } from '../../src/observe/redact.js';
import { ConnectionState, HealthStatus } from '../../src/types.js';

type Emitted = { [Name in ClientEventName]: readonly [Name, ClientEvents[Name]] }[ClientEventName];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function logOf(...emitted: readonly Emitted[]): Promise<[string, string, object][]> {
  const lines: [string, string, object][] = [];
  const add = (level: string) => (details: object, message: string) => lines.push([level, message, { ...details }]);
  const logger: Logger = { debug: add('debug'), info: add('info'), warn: add('warn'), error: add('error') };
  const redactor = new Redactor();
  redactor.addSecret('canary');
  const safe = new SafeLogger(logger, redactor);
  const hub = new EventHub(safe);
  logEvents(hub, safe);
  for (const [name, payload] of emitted) hub.emit(name, payload);
  await turn();
  return lines;
}

describe('a log of events', () => {
  it('a loss is a warning, and the end that was asked for is none', async () => {
    const lines = await logOf(
      ['connection_state_change', { state: ConnectionState.TRANSIENT_FAILURE, previous: ConnectionState.READY }],
      ['disconnected', { reason: 'a:1 (reset)' }],
      ['connection_state_change', { state: ConnectionState.SHUTDOWN, previous: ConnectionState.READY }],
      ['disconnected', { reason: 'disconnect() was called' }],
    );
    expect(lines.filter(([level]) => level !== 'debug')).toEqual([
      ['warn', 'no endpoint is served', { reason: 'a:1 (reset)' }],
      ['info', 'disconnected', { reason: 'disconnect() was called' }],
    ]);
  });

  it('health is a warning unless the endpoint serves', async () => {
    const lines = await logOf(
      ...[HealthStatus.SERVING, HealthStatus.NOT_SERVING, HealthStatus.SERVICE_UNKNOWN, HealthStatus.UNKNOWN].map(
        (status) =>
          [
            'health_status_change',
            { status, previous: HealthStatus.UNKNOWN, address: 'a:1' },
          ] as const satisfies Emitted,
      ),
    );
    expect(lines.map(([level, message]) => `${level} ${message}`)).toEqual([
      'info endpoint health is serving',
      'warn endpoint health is not_serving',
      'warn endpoint health is service_unknown',
      'warn endpoint health is unknown',
    ]);
  });

  it('an error is told by its reason, without stack and secrets', async () => {
    const error = new FailoverError('no endpoint is served: canary', 'a:1', 'b:2');
    expect(await logOf(['failover_failed', { address: 'b:2', error }])).toEqual([
      ['warn', 'failover failed', { address: 'b:2', reason: 'no endpoint is served: [redacted]' }],
    ]);
  });

  it('an error that nobody listens for is still logged as such, once', async () => {
    const lines = await logOf(['error', new Error('alone')]);
    expect(lines.map(([level, message]) => [level, message])).toEqual([['error', 'an error that nobody listens for']]);
  });

  it('listens for every event but those that are somebody else’s', () => {
    const hub = new EventHub(new SafeLogger(undefined));
    logEvents(hub, new SafeLogger(undefined));
    expect(CLIENT_EVENT_NAMES.filter((name) => hub.listenerCount(name) === 0)).toEqual([
      'health_stream_check',
      'health_stream_error',
      'error',
    ]);
  });
});

import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ConfigurationError } from '../../src/errors.js';
import { CLIENT_EVENT_NAMES, EventHub, MAX_LISTENERS_PER_EVENT, toError } from '../../src/events.js';
import type { ClientEventName } from '../../src/events.js';
import { SafeLogger } from '../../src/observe/logger.js';

interface LogLine {
  details: object;
  message: string;
}

function createHub() {
  const lines: LogLine[] = [];
  const hub = new EventHub(new SafeLogger({ error: (details, message) => lines.push({ details, message }) }));
  return { hub, lines };
}

/** Lets every microtask queued so far, and those they queue, run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an event hub', () => {
  afterEach(() => vi.restoreAllMocks());

  it('emit with a listener delivers one payload, but not before emit has returned', async () => {
    const { hub } = createHub();
    const calls: unknown[][] = [];
    hub.on('connected', (...args) => calls.push(args));
    expect(hub.emit('connected', { address: 'a:1' })).toBe(true);
    expect(calls).toEqual([]);
    await turn();
    expect(calls).toEqual([[{ address: 'a:1' }]]);
  });

  it('emit without a listener gives false and delivers nothing to one that comes later', async () => {
    const { hub } = createHub();
    const listener = vi.fn();
    expect(hub.emit('connected', { address: 'a:1' })).toBe(false);
    hub.on('connected', listener);
    await turn();
    expect(listener).not.toHaveBeenCalled();
  });

  it('several events in one turn reach several listeners in order', async () => {
    const { hub } = createHub();
    const seen: string[] = [];
    hub.on('backpressure_start', ({ streamId }) => seen.push(`start ${streamId} first`));
    hub.on('backpressure_start', ({ streamId }) => seen.push(`start ${streamId} second`));
    hub.on('backpressure_end', ({ streamId }) => seen.push(`end ${streamId}`));
    hub.emit('backpressure_start', { streamId: '1' });
    hub.emit('backpressure_end', { streamId: '1' });
    hub.emit('backpressure_start', { streamId: '2' });
    await turn();
    expect(seen).toEqual(['start 1 first', 'start 1 second', 'end 1', 'start 2 first', 'start 2 second']);
  });

  it('a listener that emits sees its event delivered after those already queued', async () => {
    const { hub } = createHub();
    const seen: string[] = [];
    hub.on('connected', () => {
      hub.emit('disconnected', { reason: 'nested' });
      seen.push('connected');
    });
    hub.on('disconnected', ({ reason }) => seen.push(reason));
    hub.emit('connected', { address: 'a:1' });
    hub.emit('disconnected', { reason: 'queued' });
    await turn();
    expect(seen).toEqual(['connected', 'queued', 'nested']);
  });

  it('on, once and off give the hub back, for chaining', () => {
    const { hub } = createHub();
    const listener = vi.fn();
    expect(hub.on('connected', listener).once('connected', listener).off('connected', listener)).toBe(hub);
    expect(hub.listenerCount('connected')).toBe(1);
  });

  it('a once listener hears one of two events emitted in the same turn', async () => {
    const { hub } = createHub();
    const listener = vi.fn();
    hub.once('connected', listener);
    hub.emit('connected', { address: 'a:1' });
    hub.emit('connected', { address: 'a:2' });
    await turn();
    expect(listener.mock.calls).toEqual([[{ address: 'a:1' }]]);
    expect(hub.listenerCount('connected')).toBe(0);
  });

  it('a listener removed after emit and before delivery hears nothing', async () => {
    const { hub } = createHub();
    const listener = vi.fn();
    hub.on('connected', listener);
    hub.emit('connected', { address: 'a:1' });
    hub.off('connected', listener);
    await turn();
    expect(listener).not.toHaveBeenCalled();
  });

  it('a listener added twice and removed once is called once', async () => {
    const { hub } = createHub();
    const listener = vi.fn();
    hub.on('connected', listener).on('connected', listener).off('connected', listener);
    hub.emit('connected', { address: 'a:1' });
    await turn();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('a listener added twice, both removed, leaves none; removing an unknown one changes nothing', () => {
    const { hub } = createHub();
    const listener = vi.fn();
    hub.on('connected', listener).off('connected', vi.fn());
    expect(hub.listenerCount('connected')).toBe(1);
    hub.off('connected', listener).off('connected', listener);
    expect(hub.listenerCount('connected')).toBe(0);
  });

  it('removeAllListeners silences what is queued', async () => {
    const { hub } = createHub();
    const listener = vi.fn();
    hub.on('connected', listener).on('error', listener);
    hub.emit('connected', { address: 'a:1' });
    hub.removeAllListeners();
    await turn();
    expect(listener).not.toHaveBeenCalled();
    expect(hub.listenerCount('connected') + hub.listenerCount('error')).toBe(0);
  });

  it('a listener that throws becomes an error event and the next listener is still called', async () => {
    const { hub } = createHub();
    const boom = new Error('boom');
    const errors: Error[] = [];
    const next = vi.fn();
    hub.on('error', (error) => errors.push(error));
    hub.on('connected', () => {
      throw boom;
    });
    hub.on('connected', next);
    hub.emit('connected', { address: 'a:1' });
    await turn();
    expect(next).toHaveBeenCalledTimes(1);
    expect(errors).toEqual([boom]);
  });

  it('a listener whose promise rejects becomes an error event', async () => {
    const { hub } = createHub();
    const boom = new Error('later');
    const errors: Error[] = [];
    hub.on('error', (error) => errors.push(error));
    hub.on('connected', () => Promise.reject(boom));
    hub.emit('connected', { address: 'a:1' });
    await turn();
    expect(errors).toEqual([boom]);
  });

  it('a listener that throws no error is reported as one with the thrown value as its cause', async () => {
    const { hub } = createHub();
    const errors: Error[] = [];
    hub.on('error', (error) => errors.push(error));
    hub.on('connected', () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- users do
      throw 'text';
    });
    hub.emit('connected', { address: 'a:1' });
    await turn();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(Error);
    expect(errors[0]?.cause).toBe('text');
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('again');
      },
    ],
    ['rejects', () => Promise.reject(new Error('again'))],
  ])('an error listener that %s is logged once and causes no further event', async (_how, listener: () => unknown) => {
    const { hub, lines } = createHub();
    const calls = vi.fn(listener);
    hub.on('error', calls);
    hub.reportError(new Error('first'));
    await turn();
    await turn();
    expect(calls).toHaveBeenCalledTimes(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.message).toContain('error');
  });

  it('an error that nobody listens for throws nothing and is logged', async () => {
    const { hub, lines } = createHub();
    expect(() => hub.emit('error', new Error('alone'))).not.toThrow();
    await turn();
    expect(JSON.stringify(lines)).toContain('alone');
  });

  it('more listeners than the limit on one event warn once, and all of them are kept', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { hub } = createHub();
    for (let count = 0; count < MAX_LISTENERS_PER_EVENT; count++) hub.on('connected', () => undefined);
    expect(warn).not.toHaveBeenCalled();
    hub.on('connected', () => undefined).on('connected', () => undefined);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toContain('connected');
    expect(hub.listenerCount('connected')).toBe(MAX_LISTENERS_PER_EVENT + 2);
  });

  it.each([
    ['a slip', 'conected', /did you mean 'connected'\?/],
    ['a name of Object.prototype', 'toString', /there is no event "toString"/],
    ['no string', 7, /must be the name of an event, got number/],
  ])('an unknown event (%s) is refused by on, once and off', (_what, name, message) => {
    const { hub } = createHub();
    for (const method of ['on', 'once', 'off'] as const) {
      const call = () => hub[method](name as ClientEventName, () => undefined);
      expect(call).toThrow(ConfigurationError);
      expect(call).toThrow(message);
    }
  });

  it.each([undefined, null, 'listener', {}])(
    'a listener that is no function (%j) is refused by on, once and off',
    (listener) => {
      const { hub } = createHub();
      for (const method of ['on', 'once', 'off'] as const) {
        expect(() => hub[method]('connected', listener as never)).toThrow(/listener: must be a function/);
      }
    },
  );

  it('knows every event of the contract', () => {
    expect([...CLIENT_EVENT_NAMES].sort()).toEqual(
      [
        'connected',
        'disconnected',
        'connection_state_change',
        'pool_connection_created',
        'pool_connection_failed',
        'pool_reconnected',
        'pool_connection_removed',
        'health_status_change',
        'failover_started',
        'failover_completed',
        'failover_failed',
        'failback_scheduled',
        'failback_completed',
        'backpressure_start',
        'backpressure_end',
        'stream_reconnecting',
        'stream_reconnected',
        'stream_pool_creation_error',
        'health_stream_check',
        'health_stream_error',
        'message_dropped',
        'error',
      ].sort(),
    );
  });

  it('types each payload after its event', () => {
    const { hub } = createHub();
    hub.on('failover_completed', ({ durationMs }) => durationMs.toFixed());
    // @ts-expect-error -- this event has no such field
    hub.on('failover_completed', ({ streamId }) => String(streamId));
    // @ts-expect-error -- the payload lacks its address
    hub.emit('connected', {});
    expect(hub.listenerCount('failover_completed')).toBe(2);
  });
});

describe('toError', () => {
  it('an error of another realm is given back as it is', () => {
    const foreign: unknown = runInNewContext('new Error()');
    expect(foreign).not.toBeInstanceOf(Error);
    expect(toError(foreign)).toBe(foreign);
  });
});

import type { TimerHandle } from '../core/clock.js';
import { ConfigurationError } from '../errors.js';
import type { ClientEvents } from '../events.js';
import type { HealthCheckResult, HealthStatus, HealthStreamCallbacks } from '../types.js';
import type { Environment } from './environment.js';
import type { ServedEndpoint } from './served-endpoint.js';

export interface HealthSource {
  readonly env: Pick<Environment, 'clock' | 'hub'>;
  readonly primaryEndpoint: ServedEndpoint;
  onHealth: (endpoint: ServedEndpoint, result: HealthCheckResult) => void;
}

/** Subscriptions and monitors at most, per client. */
const MAX_SUBSCRIPTIONS = 1_000;

/** Who follows the client's health, and how. */
export class HealthSubscriptions {
  readonly #source: HealthSource;
  readonly #callbacks = new Set<HealthStreamCallbacks>();
  readonly #monitors = new Set<() => void>();

  constructor(source: HealthSource) {
    this.#source = source;
    source.onHealth = (_endpoint, result) => {
      for (const callbacks of this.#callbacks) {
        this.#call(() =>
          result.error === undefined ? callbacks.onHealthCheck(result) : callbacks.onError(result.error),
        );
      }
    };
    source.env.hub.on('health_status_change', ({ status, previous, address }) => {
      if (address !== source.primaryEndpoint.address.text) return;
      this.#tellStatus(status, previous);
    });
  }

  subscribe(callbacks: HealthStreamCallbacks): () => void {
    const given: unknown = callbacks;
    if (typeof given !== 'object' || given === null) throw new ConfigurationError('callbacks', 'must be an object');
    for (const name of ['onStatusChange', 'onHealthCheck', 'onError'] as const) {
      if (typeof callbacks[name] !== 'function')
        throw new ConfigurationError(`callbacks.${name}`, 'must be a function');
    }
    if (this.#callbacks.size >= MAX_SUBSCRIPTIONS) {
      throw new ConfigurationError('callbacks', `at most ${MAX_SUBSCRIPTIONS} subscriptions to health at a time`);
    }
    // A copy, so that the same callbacks may subscribe twice.
    const own = { ...callbacks };
    this.#callbacks.add(own);
    return () => {
      this.#callbacks.delete(own);
    };
  }

  /** The next probe starts `intervalMs` after the last has ended. */
  monitor(intervalMs: number, probe: () => Promise<HealthCheckResult>): { unsubscribe(): void } {
    const { clock, hub } = this.#source.env;
    if (this.#monitors.size >= MAX_SUBSCRIPTIONS) {
      throw new ConfigurationError('interval', `at most ${MAX_SUBSCRIPTIONS} health monitors at a time`);
    }
    let timer: TimerHandle;
    let isProbing = false;
    let told: HealthStatus | undefined;
    const ended = new AbortController();
    const round = async (): Promise<void> => {
      if (ended.signal.aborted) return;
      isProbing = true;
      const result = await probe();
      isProbing = false;
      if (isAborted(ended)) return;
      told = result.status;
      if (result.error === undefined) hub.emit('health_stream_check', result);
      else hub.emit('health_stream_error', result.error);
      timer = clock.setTimeout(() => void round(), intervalMs);
    };
    // What a Watch says is not left to the interval.
    const onChange = ({ status, address }: ClientEvents['health_status_change']): void => {
      if (isProbing || status === told || address !== this.#source.primaryEndpoint.address.text) return;
      clock.clearTimeout(timer);
      void round();
    };
    hub.on('health_status_change', onChange);
    void round();
    const unsubscribe = (): void => {
      ended.abort();
      clock.clearTimeout(timer);
      hub.off('health_status_change', onChange);
      this.#monitors.delete(unsubscribe);
    };
    this.#monitors.add(unsubscribe);
    return { unsubscribe };
  }

  /** The client is closing: no more probes, no more subscribers. */
  stop(): void {
    for (const unsubscribe of [...this.#monitors]) unsubscribe();
    this.#callbacks.clear();
  }

  #tellStatus(status: HealthStatus, previous: HealthStatus): void {
    for (const callbacks of this.#callbacks) this.#call(() => callbacks.onStatusChange(status, previous));
  }

  #call(callback: () => void): void {
    queueMicrotask(() => {
      try {
        callback();
      } catch (error) {
        this.#source.env.hub.emit('error', error instanceof Error ? error : new Error(String(error)));
      }
    });
  }
}

/** Asked anew after an await: meanwhile it may have changed. */
function isAborted({ signal }: AbortController): boolean {
  return signal.aborted;
}

import type { TimerHandle } from '../core/clock.js';
import {
  type AuthzClientError,
  CancelledError,
  ConnectionError,
  GrpcCode,
  StreamClosedError,
  TimeoutError,
} from '../errors.js';
import { ConnectionState } from '../types.js';
import type { Actors } from './actors.js';
import type { Environment } from './environment.js';

const STATES: Readonly<Record<string, ConnectionState>> = {
  idle: ConnectionState.IDLE,
  connecting: ConnectionState.CONNECTING,
  open: ConnectionState.READY,
  failedOver: ConnectionState.READY,
  reconnecting: ConnectionState.TRANSIENT_FAILURE,
  draining: ConnectionState.SHUTDOWN,
  closed: ConnectionState.SHUTDOWN,
};

/** What the lifecycle needs of the client around it. */
export interface LifecycleHost {
  actors(): Actors;
  /** The address that carries traffic, for `connected`. */
  servedAddress(): string;
  /** Nothing is accepted and unsettled, and no handle is open. */
  isIdle(): boolean;
  /** A connection is usable. */
  isServed(): boolean;
  whyUnserved(): string | undefined;
  /** Forgets why endpoints could not be reached: they are tried anew. */
  clearFailures(): void;
  /** Why each address could not be reached. */
  failures(): { address: string; reason: string }[];
  /** Every endpoint has failed, none is served. */
  isHopeless(): boolean;
}

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/** `connect()` and `disconnect()`: the promises around the root statechart, and the events that tell of it. */
export class Lifecycle {
  readonly #env: Environment;
  readonly #host: LifecycleHost;
  #told: ConnectionState = ConnectionState.IDLE;
  #connecting: Deferred | undefined;
  #connectTimer: TimerHandle;
  #disconnecting: Promise<void> | undefined;
  #drained: Deferred | undefined;
  #sockets = 0;
  #socketsGone: Deferred | undefined;

  constructor(env: Environment, host: LifecycleHost) {
    this.#env = env;
    this.#host = host;
  }

  get connectionState(): ConnectionState {
    return STATES[this.#host.actors().state] ?? ConnectionState.IDLE;
  }

  get isClosing(): boolean {
    return this.connectionState === ConnectionState.SHUTDOWN;
  }

  /** `disconnect()` was called: what is torn down now is torn down for good. */
  get isFinal(): boolean {
    return this.#drained !== undefined;
  }

  refuseWhenClosing(what: string, request?: { readonly requestId: string }): void {
    if (!this.isClosing) return;
    const requestId = request?.requestId;
    throw new StreamClosedError(`${what} after disconnect(): the client takes no more requests`, { requestId });
  }

  connect(): Promise<void> {
    if (this.isClosing) {
      return Promise.reject(
        new StreamClosedError('connect after disconnect(): the client is closed for good; make another'),
      );
    }
    if (this.connectionState === ConnectionState.READY) return Promise.resolve();
    if (this.#connecting !== undefined) return this.#connecting.promise;
    const { clock, hold, options } = this.#env;
    const { timeoutMs } = options;
    const connecting = createDeferred();
    this.#connecting = connecting;
    hold.acquire();
    this.#connectTimer = clock.setTimeout(() => {
      const why = this.#host.whyUnserved() ?? 'no route';
      this.#settleConnect(
        new TimeoutError(`timeout: no connection within ${timeoutMs} ms: ${why}`, timeoutMs, {
          grpcCode: GrpcCode.UNAVAILABLE,
        }),
      );
    }, timeoutMs);
    this.#host.clearFailures();
    this.#host.actors().tellRoot({ type: 'CONNECT' });
    return connecting.promise;
  }

  /** There is work: dial, if that has not begun. */
  wake(): void {
    if (this.#host.actors().state === 'idle') this.#host.actors().tellRoot({ type: 'CONNECT' });
  }

  onDialFailed(): void {
    if (this.#connecting === undefined || !this.#host.isHopeless()) return;
    this.#settleConnect(
      new ConnectionError(`no endpoint could be reached: ${this.#host.whyUnserved() ?? 'no route'}`, {
        details: { endpoints: this.#host.failures() },
      }),
    );
  }

  disconnect(force: boolean, timeoutMs: number): Promise<void> {
    if (this.#disconnecting === undefined) {
      const { hold } = this.#env;
      hold.acquire();
      this.#disconnecting = this.#disconnect(force, timeoutMs).finally(() => hold.release());
    } else if (force && this.#host.actors().state !== 'closed') {
      this.#host.actors().tellRoot({ type: 'CLOSE' });
    }
    return this.#disconnecting;
  }

  /** Draining ends when nothing is owed, or at once when there is nobody to answer. */
  checkDrained(): void {
    if (this.#host.actors().state !== 'draining') return;
    if (this.#host.isIdle() || !this.#host.isServed()) this.#host.actors().tellRoot({ type: 'DRAINED' });
  }

  /** After the transition that is under way. */
  checkDrainedSoon(): void {
    queueMicrotask(() => this.checkDrained());
  }

  onTornDown(): void {
    this.#drained?.resolve();
  }

  /** A socket of ours opens, or is gone. */
  onSocket(delta: 1 | -1): void {
    this.#sockets += delta;
    if (this.#sockets === 0) this.#socketsGone?.resolve();
  }

  /** The root has moved: tells the application, after the transition that is under way. */
  onState(): void {
    queueMicrotask(() => this.#tellState());
  }

  #tellState(): void {
    const { hub } = this.#env;
    const state = this.connectionState;
    const previous = this.#told;
    if (state === previous) return;
    this.#told = state;
    hub.emit('connection_state_change', { state, previous });
    if (state === ConnectionState.READY) {
      hub.emit('connected', { address: this.#host.servedAddress() });
      // Not before: whoever awaits connect() finds the client ready, and may end it in the same turn.
      this.#settleConnect();
    }
    if (previous === ConnectionState.READY) {
      const reason = this.isClosing ? 'disconnect() was called' : (this.#host.whyUnserved() ?? 'the route was lost');
      hub.emit('disconnected', { reason });
    }
  }

  #settleConnect(error?: AuthzClientError): void {
    const connecting = this.#connecting;
    if (connecting === undefined) return;
    this.#connecting = undefined;
    this.#env.clock.clearTimeout(this.#connectTimer);
    this.#env.hold.release();
    if (error === undefined) {
      connecting.resolve();
      return;
    }
    this.#env.flight?.attach(error);
    connecting.reject(error);
    // What was accepted meanwhile waits to its deadline; only an idle client goes back to rest.
    if (this.#host.isIdle()) this.#host.actors().tellRoot({ type: 'CONNECT_ABANDONED' });
  }

  async #disconnect(force: boolean, timeoutMs: number): Promise<void> {
    const { clock } = this.#env;
    const actors = this.#host.actors();
    this.#settleConnect(new CancelledError('connect() was cut short by disconnect()'));
    const drained = createDeferred();
    this.#drained = drained;
    const timer = clock.setTimeout(() => actors.tellRoot({ type: 'CLOSE' }), timeoutMs);
    actors.tellRoot({ type: force ? 'CLOSE' : 'DISCONNECT' });
    await drained.promise;
    clock.clearTimeout(timer);
    if (this.#sockets > 0) {
      this.#socketsGone = createDeferred();
      await this.#socketsGone.promise;
    }
    actors.root.stop();
  }
}

function createDeferred(): Deferred {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

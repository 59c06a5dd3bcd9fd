import type { TimerHandle } from '../core/clock.js';
import type {
  ConnectionListener,
  ConnectOptions,
  DownCause,
  StreamListener,
  TransportConnection,
  UnaryOptions,
  UnaryResult,
  WireMetadata,
  WireStream,
} from '../transport/port.js';
import { cancelledStatus, lostStatus, notSentStatus } from '../transport/status.js';
import { unaryCall } from '../transport/unary.js';
import { type CallHost, SimulatedCall } from './sim-call.js';
import type { ClientFrame, ServerFrame, SimulatedEvent } from './sim-frames.js';

/** What the client's end of a connection needs of the network. */
export interface ConnectionWire {
  send(frame: ClientFrame): void;
  window(): number;
  /** Runs `fn` after so many milliseconds of the network's time. */
  after(delayMs: number, fn: () => void): TimerHandle;
  tell(event: Omit<SimulatedEvent, 'at' | 'address' | 'connection'>): void;
  /** The client is done with it. */
  onDown(): void;
  /** In [0, 1). */
  random(): number;
  readonly hasPing: boolean;
}

/** The client's end of one connection. */
export class SimulatedConnection implements TransportConnection, CallHost {
  ping?: (timeoutMs: number) => Promise<boolean>;
  readonly #options: ConnectOptions;
  readonly #listener: ConnectionListener;
  readonly #wire: ConnectionWire;
  readonly #connectTimer: TimerHandle;
  readonly #calls = new Set<SimulatedCall>();
  readonly #waiting: { readonly call: SimulatedCall; readonly metadata: WireMetadata }[] = [];
  readonly #pings = new Map<number, (alive: boolean) => void>();
  #state: 'connecting' | 'up' | 'draining' | 'ending' | 'down' = 'connecting';
  #cause: DownCause = { kind: 'other', message: 'the connection ended' };
  #maxStreams = Infinity;
  #nextStream = 1;
  #pingCount = 0;

  constructor(options: ConnectOptions, listener: ConnectionListener, wire: ConnectionWire) {
    this.#options = options;
    this.#listener = listener;
    this.#wire = wire;
    const { clock, connectTimeoutMs } = options;
    this.#connectTimer = clock.setTimeout(() => {
      this.#shutdown({ kind: 'connectTimeout', message: `not connected within ${connectTimeoutMs} ms` });
    }, connectTimeoutMs);
  }

  get usable(): boolean {
    return this.#state === 'up';
  }

  openStream(path: string, metadata: WireMetadata, listener: StreamListener): WireStream {
    return this.#open(path, metadata, listener, Infinity);
  }

  unary(path: string, bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult> {
    return unaryCall(
      (callPath, metadata, listener, deadlineAt) => this.#open(callPath, metadata, listener, deadlineAt),
      path,
      bytes,
      options,
      this.#options,
    );
  }

  setReferenced(): void {
    // There is no socket that could hold the process open.
  }

  close(): void {
    const closed = { kind: 'closed', message: 'the connection was closed by this side' } as const;
    if (this.#state === 'ending') this.#cause = closed;
    this.#shutdown(closed);
  }

  receive(frame: ServerFrame): void {
    if (this.#state === 'ending' || this.#state === 'down') return;
    switch (frame.kind) {
      case 'refused':
        this.#shutdown({ kind: 'refused', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' });
        break;
      case 'settings':
        this.#onSettings(frame.maxStreams ?? Infinity);
        break;
      case 'goaway':
        this.#onGoaway(frame.reason, frame.lastStream);
        break;
      case 'pong':
        this.#pings.get(frame.id)?.(true);
        break;
      case 'close':
        this.#lost(frame.message);
        break;
      default:
        for (const call of this.#calls) if (call.stream === frame.stream) call.receive(frame);
    }
  }

  // -- What its calls ask for

  now(): number {
    return this.#options.clock.now();
  }

  window(): number {
    return this.#wire.window();
  }

  send(frame: ClientFrame): void {
    this.#wire.send(frame);
  }

  later(fn: () => void): void {
    this.#wire.after(0, fn);
  }

  tell(event: Omit<SimulatedEvent, 'at' | 'address' | 'connection'>): void {
    this.#wire.tell(event);
  }

  onEnded(call: SimulatedCall): void {
    this.#calls.delete(call);
    const index = this.#waiting.findIndex((waiting) => waiting.call === call);
    if (index !== -1) this.#waiting.splice(index, 1);
    this.#startWaiting();
    this.#endDrained();
  }

  // -- Its life

  #open(path: string, metadata: WireMetadata, listener: StreamListener, deadlineAt: number): SimulatedCall {
    const isUp = this.#state === 'up';
    const call = new SimulatedCall(isUp ? this.#nextStream : 0, path, listener, this, deadlineAt);
    if (!isUp) {
      call.abort(notSentStatus(`the connection is ${this.#state === 'connecting' ? 'not up yet' : 'closing'}`));
      return call;
    }
    this.#nextStream += 2;
    this.#calls.add(call);
    this.#waiting.push({ call, metadata });
    this.#startWaiting();
    return call;
  }

  #startWaiting(): void {
    while (this.#state === 'up' && this.#calls.size - this.#waiting.length < this.#maxStreams) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { stream } = next.call;
      this.#wire.tell({ kind: 'open', stream, detail: next.call.path });
      this.#wire.send({ kind: 'headers', stream, path: next.call.path, metadata: next.metadata });
      next.call.start();
    }
  }

  #onSettings(maxStreams: number): void {
    const isFirst = this.#state === 'connecting';
    if (isFirst) {
      this.#state = 'up';
      this.#options.clock.clearTimeout(this.#connectTimer);
      if (this.#wire.hasPing) this.ping = (timeoutMs) => this.#ping(timeoutMs);
      this.#wire.tell({ kind: 'up', stream: 0, detail: `streams ${maxStreams}` });
    }
    if (maxStreams !== this.#maxStreams) {
      this.#maxStreams = maxStreams;
      this.#listener.onStreamLimit(maxStreams);
    }
    if (isFirst && this.usable) this.#listener.onUp();
    this.#startWaiting();
  }

  #ping(timeoutMs: number): Promise<boolean> {
    const id = this.#pingCount++;
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const done = (alive: boolean): void => {
        clock.clearTimeout(timer);
        this.#pings.delete(id);
        resolve(alive);
      };
      const timer = clock.setTimeout(() => done(false), timeoutMs);
      this.#pings.set(id, done);
      if (this.#state === 'up' || this.#state === 'draining') {
        this.#wire.tell({ kind: 'ping', stream: 0, detail: '' });
        this.#wire.send({ kind: 'ping', id });
      } else {
        done(false);
      }
    });
  }

  #onGoaway(reason: string, lastStream: number): void {
    if (this.#state === 'up') {
      this.#state = 'draining';
      this.#wire.tell({ kind: 'goaway', stream: lastStream, detail: reason });
      const tooManyPings = reason.includes('too_many_pings');
      this.#listener.onGoaway({ reason, lastStreamId: lastStream, ...(tooManyPings ? { tooManyPings } : {}) });
    }
    for (const { call } of this.#waiting.splice(0))
      call.lose(notSentStatus(`the server ends the connection (${reason})`));
    for (const call of [...this.#calls]) if (call.stream > lastStream) call.refuse(reason);
    this.#endDrained();
  }

  #endDrained(): void {
    if (this.#state === 'draining' && this.#calls.size === 0) this.later(() => this.#lost('it was drained'));
  }

  /** Ends it for a reason that is not ours. Whether its calls or its owner hear of it first is left to chance: both happen. */
  #lost(message: string): void {
    if (this.#state === 'connecting') {
      this.#shutdown({ kind: 'lost', message, code: 'ECONNRESET' });
      return;
    }
    if (this.#state !== 'up' && this.#state !== 'draining') return;
    this.#state = 'ending';
    this.#cause = { kind: 'lost', message, code: 'ECONNRESET' };
    this.#wire.send({ kind: 'close' });
    if (this.#wire.random() < 0.5) {
      this.#endCalls();
      this.#downLater();
    } else {
      this.#down();
      this.#endCalls();
    }
  }

  #endCalls(): void {
    for (const call of [...this.#calls])
      call.lose(!call.isStarted ? notSentStatus('the connection was lost') : lostStatus());
  }

  /** Ends it from this side, or before it was up. */
  #shutdown(cause: DownCause): void {
    if (this.#state === 'ending' || this.#state === 'down') return;
    this.#state = 'ending';
    this.#cause = cause;
    this.#options.clock.clearTimeout(this.#connectTimer);
    for (const call of this.#calls) call.abort(cancelledStatus('the connection was closed'));
    this.#wire.send({ kind: 'close' });
    // A socket takes its time: there may be another connection by then.
    if (this.#wire.random() < 0.5) this.#downLater();
    else queueMicrotask(() => this.#down());
  }

  #downLater(): void {
    this.#wire.after(Math.floor(this.#wire.random() * 3), () => this.#down());
  }

  #down(): void {
    const cause = this.#cause;
    this.#state = 'down';
    for (const done of [...this.#pings.values()]) done(false);
    this.#wire.tell({ kind: 'down', stream: 0, detail: `${cause.kind}: ${cause.message}` });
    this.#wire.onDown();
    this.#listener.onDown(cause);
  }
}

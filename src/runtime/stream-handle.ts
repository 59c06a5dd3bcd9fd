import type { PauseReason } from '../../machines/index.js';
import type { Clock } from '../core/clock.js';
import { RingBuffer } from '../core/ring-buffer.js';
import type { CheckSink, PendingCheck } from '../data/pending-check.js';
import { Sequencer } from '../data/sequencer.js';
import { AuthzClientError, BackpressureError, CancelledError, ConnectionError, StreamClosedError } from '../errors.js';
import { type EventHub, toError } from '../events.js';
import { FrozenResults } from '../codec/codec.js';
import type { ResolvedCheckOptions } from '../options-call.js';
import type {
  CheckInput,
  CheckOptions,
  CheckRequest,
  CheckResponse,
  StreamLifecycleCallbacks,
  StreamStats,
} from '../types.js';
import type { CheckStream, StreamOwner } from './check-stream.js';
import type { ProcessHold } from './process-hold.js';
import { PromiseSink } from './promise-sink.js';

/** A bidirectional check stream. It outlives the calls and connections it rides on. */
export interface BidirectionalStreamHandle extends AsyncIterable<CheckResponse> {
  /**
   * True: accepted; it will be answered, or reported through `onError` with its `requestId` at its deadline at the latest. False: refused
   * (buffer full, ending or closed), counted in `messagesDropped`, nothing sent.
   * @throws ConfigurationError for a request that breaks a rule
   */
  send(request: CheckRequest): boolean;
  /** Sends and awaits this one answer, past `pause()` and order. Rejects with a typed error. */
  check(request: CheckInput, options?: CheckOptions): Promise<CheckResponse>;
  /** False from the high-water mark until the low-water mark, and once ending. */
  isWritable(): boolean;
  /** Resolves when writable; rejects with `StreamClosedError` once ending. */
  ready(): Promise<void>;
  /** Holds delivery to `onResponse` and the iterator. Sending and `check` go on. */
  pause(): void;
  resume(): void;
  /** Finishes what was accepted, then `onEnd` once. Idempotent. */
  end(): void;
  getStats(): StreamStats;
  getId(): string;
  /** The statechart's state: `open`, `open.rotating`, `paused`, `draining.flushing`, ... */
  getState(): string;
}

/** What a handle needs of the client around it. */
export interface HandleHost {
  readonly clock: Clock;
  readonly hub: EventHub;
  readonly hold: ProcessHold;
  readonly timeoutMs: number;
  readonly maxBufferSize: number;
  readonly ensureOrdering: boolean;
  /** Validates and submits; undefined when refused. */
  submit(
    request: CheckRequest,
    timeoutMs: number,
    sink: CheckSink,
    route: (check: PendingCheck) => boolean,
  ): PendingCheck | undefined;
  toRequest(input: CheckInput, requireRequestId: boolean): CheckRequest;
  resolve(options: CheckOptions | undefined, request: CheckRequest): ResolvedCheckOptions;
  /** A check with headers of its own: it cannot ride on a stream. */
  checkUnary(request: CheckRequest, options: ResolvedCheckOptions): Promise<CheckResponse>;
  /** Settles an aborted check. */
  readonly cancel: (check: PendingCheck, error: AuthzClientError) => void;
  stateOf(id: string): string;
  /** Settles the checks that are meant. */
  failOwned(isOwn: (check: PendingCheck) => boolean, toError: (check: PendingCheck) => AuthzClientError): void;
  onHandleClosed(handle: StreamHandle): void;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

type Delivery =
  | { readonly kind: 'response'; readonly response: CheckResponse }
  | { readonly kind: 'error'; readonly error: AuthzClientError; readonly check: PendingCheck };

/** The application's side of a stream: order, delivery, statistics. */
export class StreamHandle implements BidirectionalStreamHandle, CheckSink, StreamOwner {
  readonly createdAt: number;
  messagesReceived = 0;
  messagesDropped = 0;
  latencySumMs = 0;
  backpressureEvents = 0;
  #stream!: CheckStream;
  readonly #host: HandleHost;
  readonly #callbacks: StreamLifecycleCallbacks;
  readonly #sequencer: Sequencer<Delivery> | undefined;
  readonly #deliveries = new RingBuffer<Delivery>();
  readonly #readers: StreamIterator[] = [];
  readonly #writableWaiters: Waiter[] = [];
  /** Checks of `handle.check`, whose own promises settle them. */
  readonly #promised = new Set<PromiseSink>();
  #delivering = false;
  #held = false;
  #readingStopped = false;
  #ending = false;
  #ended = false;
  #endTold = false;

  constructor(host: HandleHost, callbacks: StreamLifecycleCallbacks) {
    this.#host = host;
    this.#callbacks = callbacks;
    this.createdAt = host.clock.now();
    this.#sequencer = host.ensureOrdering ? new Sequencer((delivery) => this.#enqueue(delivery)) : undefined;
  }

  attach(stream: CheckStream): void {
    this.#stream = stream;
  }

  get stream(): CheckStream {
    return this.#stream;
  }

  send(request: CheckRequest): boolean {
    const checked = this.#host.toRequest(request, true);
    if (this.#ending) {
      this.#drop(checked.requestId);
      const error = new StreamClosedError('send after end(): the stream takes no more requests', {
        requestId: checked.requestId,
      });
      queueMicrotask(() => this.#call('onError', () => this.#callbacks.onError(error)));
      return false;
    }
    let check: PendingCheck | undefined;
    try {
      check = this.#host.submit(checked, this.#host.timeoutMs, this, this.#route);
    } catch (error) {
      if (!(error instanceof BackpressureError)) throw error;
    }
    if (check === undefined) {
      this.#drop(checked.requestId);
      return false;
    }
    if (this.#sequencer !== undefined) check.sequence = this.#sequencer.reserve();
    if (check.isWaiter) this.#stream.pipe.expect();
    return true;
  }

  async check(input: CheckInput, options?: CheckOptions): Promise<CheckResponse> {
    const request = this.#host.toRequest(input, false);
    const resolved = this.#host.resolve(options, request);
    const { timeoutMs, signal } = resolved;
    if (this.#ending)
      throw new StreamClosedError('check after end(): the stream takes no more requests', {
        requestId: request.requestId,
      });
    if (resolved.metadata !== undefined) return this.#host.checkUnary(request, resolved);
    const sink = new PromiseSink((done, settled) => {
      this.#promised.delete(done);
      if (settled.isWaiter) this.#stream.pipe.release();
    });
    const check = this.#host.submit(request, timeoutMs, sink, this.#route);
    if (check === undefined) {
      this.#drop(request.requestId);
      const { length } = this.#stream.pipe.outbox;
      throw new BackpressureError(
        `backpressure.maxBufferSize: ${length} messages are buffered already; await ready()`,
        length,
        {
          requestId: request.requestId,
        },
      );
    }
    this.#promised.add(sink);
    if (check.isWaiter) this.#stream.pipe.expect();
    const response = await sink.settled(check, signal, this.#host.cancel);
    this.messagesReceived++;
    this.latencySumMs += this.#host.clock.now() - check.acceptedAt;
    return response;
  }

  isWritable(): boolean {
    return !this.#ending && !this.#stream.pipe.outbox.isHigh;
  }

  async ready(): Promise<void> {
    if (this.#ending) throw new StreamClosedError('ready() after end(): the stream takes no more requests');
    this.#stream.wake();
    if (this.isWritable()) return;
    this.#host.hold.acquire();
    try {
      await new Promise<void>((resolve, reject) => this.#writableWaiters.push({ resolve, reject }));
    } finally {
      this.#host.hold.release();
    }
  }

  pause(): void {
    this.#held = true;
    this.#stream.tell({ type: 'PAUSE', reason: 'application' });
  }

  resume(): void {
    this.#held = false;
    this.#stream.tell({ type: 'RESUME', reason: 'application' });
    this.#deliverSoon();
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#rejectWaiters(new StreamClosedError('the stream was ended'));
    this.#stream.tell({ type: 'END' });
  }

  getStats(): StreamStats {
    return {
      messagesSent: this.#stream.pipe.sent,
      messagesReceived: this.messagesReceived,
      messagesDropped: this.messagesDropped,
      bufferSize: this.#stream.pipe.outbox.length,
      uptimeMs: this.#host.clock.now() - this.createdAt,
      avgLatencyMs: this.messagesReceived === 0 ? 0 : this.latencySumMs / this.messagesReceived,
    };
  }

  getId(): string {
    return this.#stream.id;
  }

  getState(): string {
    return this.#stream.closed ? 'closed' : this.#host.stateOf(this.#stream.id);
  }

  [Symbol.asyncIterator](): AsyncIterator<CheckResponse> {
    const iterator = new StreamIterator(
      this.#host.hold,
      () => {
        const index = this.#readers.indexOf(iterator);
        if (index !== -1) this.#readers.splice(index, 1);
        this.#deliverSoon();
      },
      () => this.#deliverSoon(),
    );
    if (this.#endTold) iterator.finish();
    else this.#readers.push(iterator);
    return iterator;
  }

  // --- what settles -------------------------------------------------------------------------------------------------------------

  answered(check: PendingCheck, response: CheckResponse): void {
    this.messagesReceived++;
    this.latencySumMs += this.#host.clock.now() - check.acceptedAt;
    this.#order(check, { kind: 'response', response });
    if (check.isWaiter) this.#stream.pipe.release();
  }

  failed(check: PendingCheck, error: AuthzClientError): void {
    this.#order(check, { kind: 'error', error, check });
    if (check.isWaiter) this.#stream.pipe.release();
  }

  // --- the stream's owner -------------------------------------------------------------------------------------------------------

  onHighWater(): void {
    this.backpressureEvents++;
    this.#host.hub.emit('backpressure_start', { streamId: this.getId() });
    this.#callSoon('onBackpressure', () => this.#callbacks.onBackpressure?.(true));
  }

  onLowWater(): void {
    this.#host.hub.emit('backpressure_end', { streamId: this.getId() });
    this.#callSoon('onBackpressure', () => this.#callbacks.onBackpressure?.(false));
    for (const waiter of this.#writableWaiters.splice(0)) waiter.resolve();
  }

  onReconnecting(attempt: number, delayMs: number): void {
    this.#host.hub.emit('stream_reconnecting', { streamId: this.getId(), attempt, delayMs: Math.round(delayMs) });
    this.#callSoon('onReconnect', () => this.#callbacks.onReconnect?.(attempt));
  }

  onReconnected(attempt: number): void {
    this.#host.hub.emit('stream_reconnected', { streamId: this.getId(), attempt });
  }

  onPauses(pauses: readonly PauseReason[]): void {
    this.#held = pauses.includes('application');
    this.#deliverSoon();
  }

  onClosed(reason: string): void {
    this.#ending = true;
    this.#ended = true;
    this.#host.failOwned(
      ({ sink }) => sink === this || (sink instanceof PromiseSink && this.#promised.has(sink)),
      (check) => closedError(reason, check),
    );
    // What is left here is shared with others: it goes on, by another way.
    this.#stream.pipe.failAll((check) => new StreamClosedError(reason, { requestId: check.requestId }));
    this.#rejectWaiters(new StreamClosedError(`the stream was closed: ${reason}`));
    this.#host.onHandleClosed(this);
    this.#deliverSoon();
  }

  // --- delivery -----------------------------------------------------------------------------------------------------------------

  readonly #route = (check: PendingCheck): boolean => {
    if (!this.#stream.pipe.offer(check)) return false;
    this.#stream.wake();
    return true;
  };

  #order(check: PendingCheck, delivery: Delivery): void {
    if (this.#sequencer !== undefined && check.sequence >= 0) this.#sequencer.complete(check.sequence, delivery);
    else this.#enqueue(delivery);
  }

  #enqueue(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    this.#deliverSoon();
    if (!this.#readingStopped && this.#deliveries.length >= this.#host.maxBufferSize) {
      this.#readingStopped = true;
      this.#stream.pipe.pauseReading();
    }
  }

  /** Never in the middle of a transition or a read: the application's code runs from a microtask, in order. */
  #deliverSoon(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (!this.#isHeld() && this.#deliveries.length > 0) {
      const delivery = this.#deliveries.shift();
      if (delivery === undefined) break;
      this.#hand(delivery);
    }
    if (this.#readingStopped && this.#deliveries.length < this.#host.maxBufferSize) {
      this.#readingStopped = false;
      this.#stream.pipe.resumeReading();
    }
    if (this.#ended && this.#deliveries.length === 0 && !this.#endTold) {
      this.#endTold = true;
      for (const reader of this.#readers.splice(0)) reader.finish();
      this.#call('onEnd', () => this.#callbacks.onEnd());
    }
  }

  /** A closed stream is held no longer: what is left is delivered, then `onEnd`. */
  #isHeld(): boolean {
    if (this.#ended) return false;
    return this.#held || this.#readers.some((reader) => reader.length >= this.#host.maxBufferSize);
  }

  #hand(delivery: Delivery): void {
    if (delivery.kind === 'response') {
      for (const reader of this.#readers) reader.push(delivery.response);
      this.#call('onResponse', () => this.#callbacks.onResponse(delivery.response));
      return;
    }
    const { error, check } = delivery;
    for (const reader of this.#readers) {
      reader.push({ requestId: check.requestId, results: new FrozenResults(check.actions), error });
    }
    this.#call('onError', () => this.#callbacks.onError(error));
  }

  #callSoon(name: keyof StreamLifecycleCallbacks, call: () => void): void {
    queueMicrotask(() => this.#call(name, call));
  }

  #call(name: keyof StreamLifecycleCallbacks, call: () => unknown): void {
    try {
      const returned = call();
      if (returned instanceof Promise) returned.catch((thrown: unknown) => this.#report(name, thrown));
    } catch (thrown) {
      this.#report(name, thrown);
    }
  }

  #report(name: keyof StreamLifecycleCallbacks, cause: unknown): void {
    this.#host.hub.emit(
      'error',
      new AuthzClientError(
        `callbacks.${name} of ${this.getId()} threw: ${toError(cause).message}`,
        'ERR_AUTHZ_CALLBACK',
        {
          cause,
          outcome: 'answered',
        },
      ),
    );
  }

  #drop(requestId: string): void {
    this.messagesDropped++;
    this.#host.hub.emit('message_dropped', { streamId: this.getId(), requestId });
  }

  #rejectWaiters(error: Error): void {
    for (const waiter of this.#writableWaiters.splice(0)) waiter.reject(error);
  }
}

function closedError(reason: string, check: PendingCheck): AuthzClientError {
  const options = { requestId: check.requestId, outcome: check.outcome };
  if (reason === 'disconnected') return new CancelledError('the client was disconnected', options);
  if (reason.startsWith('gave up')) return new ConnectionError(`the stream ${reason}`, options);
  return new StreamClosedError(`the stream was closed: ${reason}`, options);
}

/** One `for await` over a handle. What it has not taken yet is bounded: at `maxBufferSize` delivery is held. */
class StreamIterator implements AsyncIterator<CheckResponse> {
  readonly #hold: ProcessHold;
  readonly #onReturn: () => void;
  readonly #onTaken: () => void;
  readonly #queue = new RingBuffer<CheckResponse>();
  #pending: ((result: IteratorResult<CheckResponse>) => void)[] = [];
  #finished = false;

  constructor(hold: ProcessHold, onReturn: () => void, onTaken: () => void) {
    this.#hold = hold;
    this.#onReturn = onReturn;
    this.#onTaken = onTaken;
  }

  get length(): number {
    return this.#queue.length;
  }

  push(response: CheckResponse): void {
    const resolve = this.#pending.shift();
    if (resolve === undefined) this.#queue.push(response);
    else this.#settle(resolve, { done: false, value: response });
  }

  finish(): void {
    this.#finished = true;
    for (const resolve of this.#pending.splice(0)) this.#settle(resolve, { done: true, value: undefined });
  }

  next(): Promise<IteratorResult<CheckResponse>> {
    const value = this.#queue.shift();
    if (value !== undefined) {
      this.#onTaken();
      return Promise.resolve({ done: false, value });
    }
    if (this.#finished) return Promise.resolve({ done: true, value: undefined });
    this.#hold.acquire();
    return new Promise((resolve) => this.#pending.push(resolve));
  }

  return(): Promise<IteratorResult<CheckResponse>> {
    this.#queue.clear();
    this.finish();
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  #settle(resolve: (result: IteratorResult<CheckResponse>) => void, result: IteratorResult<CheckResponse>): void {
    this.#hold.release();
    resolve(result);
  }
}

import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { RetryBudget } from '../data/retry-budget.js';
import {
  AuthzClientError,
  BackpressureError,
  CancelledError,
  ConnectionError,
  GrpcCode,
  TimeoutError,
} from '../errors.js';
import type { UnaryResult, WireMetadata, WireStatus } from '../transport/port.js';
import type { PoolConnection } from './pool-connection.js';
import { errorFromStatus, exhaustedError, isBroken, isProven, isTurnedAway } from './status-error.js';

export interface UnaryDeskHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly maxPending: number;
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  /** One with room for a call. */
  pickConnection(): PoolConnection | undefined;
  readonly acquireTimeoutMs: number;
  whyUnserved(): string | undefined;
  whyWaiting(): string | undefined;
  isServed(): boolean;
  /** A call waits for room on a connection. */
  onShort(): void;
  /** There is work: connect, if that has not begun. */
  onWork(): void;
  /** Whether anything is outstanding here has changed. */
  onBusy(busy: boolean): void;
  mayRefreshToken(sentAt: number): boolean;
  /** A call rejects with this. */
  onFailed(error: AuthzClientError): void;
}

export interface UnaryExchange {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly metadata?: WireMetadata | undefined;
  readonly requestId?: string | undefined;
  /** Whether it may be asked again: checks are idempotent reads, management is not. */
  readonly idempotent: boolean;
  /** It is asked again, and may have been processed. */
  readonly onDoubt?: () => void;
}

/** What is known of a call that is cancelled. */
interface Progress {
  written: boolean;
  /** When the last attempt was, on the clock. */
  sentAt: number;
  /** It was refused for its token once, and goes out with a fresh one. */
  authenticatedAnew: boolean;
}

/** Unary calls of the client's own: batches, checks with metadata of their own, management. Each has a deadline, and a retry within it. */
export class UnaryDesk {
  readonly #host: UnaryDeskHost;
  readonly #budget: RetryBudget;
  readonly #wakers = new Set<() => void>();
  readonly #cancels = new Set<(message: string) => void>();
  #count = 0;
  #waiting = 0;

  constructor(host: UnaryDeskHost, budget: RetryBudget) {
    this.#host = host;
    this.#budget = budget;
  }

  get size(): number {
    return this.#count;
  }

  /** A call waits for a connection. */
  get isShort(): boolean {
    return this.#waiting > 0;
  }

  /** A connection became usable. */
  wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  /** Ends what is outstanding. */
  cancelAll(): void {
    for (const cancel of [...this.#cancels]) cancel('the client was disconnected');
  }

  /** The answer's bytes; rejects with a typed error. */
  async exchange(call: UnaryExchange): Promise<Uint8Array> {
    const { maxPending, clock } = this.#host;
    if (this.#count >= maxPending) {
      throw new BackpressureError(`maxPendingChecks: ${maxPending} calls are pending already`, this.#count, {
        requestId: call.requestId,
      });
    }
    const abort = new AbortController();
    const progress: Progress = { written: false, sentAt: 0, authenticatedAnew: false };
    const cancel = (message: string, cause?: unknown): void => {
      const outcome = progress.written ? 'unknown' : 'notSent';
      abort.abort(new CancelledError(message, { requestId: call.requestId, outcome, cause }));
    };
    const onAbort = (): void => cancel('the call was aborted by its signal', call.signal?.reason);
    this.#cancels.add(cancel);
    call.signal?.addEventListener('abort', onAbort, { once: true });
    if (call.signal?.aborted === true) onAbort();
    if (++this.#count === 1) this.#host.onBusy(true);
    try {
      return await this.#attempt(call, clock.now() + call.timeoutMs, abort.signal, progress);
    } catch (error) {
      if (error instanceof AuthzClientError) this.#host.onFailed(error);
      throw error;
    } finally {
      this.#cancels.delete(cancel);
      call.signal?.removeEventListener('abort', onAbort);
      if (--this.#count === 0) this.#host.onBusy(false);
    }
  }

  async #attempt(
    call: UnaryExchange,
    deadlineAt: number,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<Uint8Array> {
    const { clock, random, retryDelayMs } = this.#host;
    this.#budget.onCheck();
    for (let retries = 0; ; retries++) {
      const wasWritten = progress.written;
      const result = await this.#send(call, deadlineAt, signal, progress);
      signal.throwIfAborted();
      // Late is late, whatever the timer has done so far.
      if (clock.now() >= deadlineAt) throw this.#timeout(call, 'unknown');
      if (result.ok) return result.bytes;
      if (result.status.outcome === 'notSent') progress.written = wasWritten;
      if (!this.#mayRetry(call, result.status, retries, progress)) {
        // That the last attempt never left says nothing of those before it.
        const outcome = wasWritten && result.status.outcome !== 'answered' ? 'unknown' : result.status.outcome;
        throw errorFromStatus({ ...result.status, outcome }, call.requestId, call.timeoutMs);
      }
      if (!isProven(result.status)) call.onDoubt?.();
      if (retries > 0)
        await this.#sleep(Math.min(random() * retryDelayMs * 2 ** (retries - 1), deadlineAt - clock.now()), signal);
    }
  }

  #mayRetry(call: UnaryExchange, status: WireStatus, retries: number, progress: Progress): boolean {
    if (retries >= this.#host.maxRetries) return false;
    const isMendable =
      status.code === GrpcCode.UNAVAILABLE || isBroken(status) || this.#mayAuthenticate(status, progress);
    if (!isProven(status) && !(call.idempotent && isMendable)) return false;
    const isFree = retries === 0 && !isTurnedAway(status);
    return isFree || this.#budget.tryTake();
  }

  /** UNAUTHENTICATED is mended by a fresh token, once per call. */
  #mayAuthenticate(status: WireStatus, progress: Progress): boolean {
    if (status.code !== GrpcCode.UNAUTHENTICATED || progress.authenticatedAnew) return false;
    progress.authenticatedAnew = this.#host.mayRefreshToken(progress.sentAt);
    return progress.authenticatedAnew;
  }

  /** Picked and sent in one go, as soon as there is room on a connection: nobody takes its place between the two. */
  async #send(call: UnaryExchange, deadlineAt: number, signal: AbortSignal, progress: Progress): Promise<UnaryResult> {
    const { acquireTimeoutMs, clock } = this.#host;
    const startedAt = clock.now();
    this.#host.onWork();
    for (;;) {
      signal.throwIfAborted();
      const sent = this.#trySend(call, deadlineAt, signal, progress);
      if (sent !== undefined) return sent;
      const now = clock.now();
      if (now >= deadlineAt) throw this.#timeout(call, progress.written ? 'unknown' : 'notSent');
      const acquireAt = startedAt + acquireTimeoutMs;
      if (now >= acquireAt && this.#host.isServed()) throw this.#exhausted(call, progress);
      this.#host.onShort();
      const untilMs = (now >= acquireAt ? deadlineAt : Math.min(acquireAt, deadlineAt)) - now;
      const sentLater = await this.#untilSent(() => this.#trySend(call, deadlineAt, signal, progress), untilMs, signal);
      if (sentLater !== undefined) return sentLater;
    }
  }

  #trySend(
    call: UnaryExchange,
    deadlineAt: number,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<UnaryResult> | undefined {
    const now = this.#host.clock.now();
    // Our own loop may have stood still: nobody waits for it any more.
    if (now >= deadlineAt) return undefined;
    const connection = this.#host.pickConnection();
    if (connection?.hasHeaders !== true) return undefined;
    progress.written = true;
    progress.sentAt = now;
    const { metadata } = call;
    const timeoutMs = Math.max(1, deadlineAt - now);
    return connection.unary(call.path, call.bytes, {
      timeoutMs,
      signal,
      ...(metadata === undefined ? {} : { metadata }),
    });
  }

  #timeout(call: UnaryExchange, outcome: 'notSent' | 'unknown'): Error {
    const why = outcome === 'notSent' ? this.#host.whyUnserved() : undefined;
    const waits = outcome === 'notSent' ? this.#host.whyWaiting() : undefined;
    const after = `within ${Math.round(call.timeoutMs)} ms`;
    const options = { requestId: call.requestId, outcome };
    if (why !== undefined) return new ConnectionError(`no endpoint was served ${after}: ${why}`, options);
    return new TimeoutError(`no answer ${after}${waits === undefined ? '' : `: ${waits}`}`, call.timeoutMs, options);
  }

  #exhausted(call: UnaryExchange, progress: Progress): Error {
    return exhaustedError(this.#host.acquireTimeoutMs, this.#host.whyWaiting(), {
      requestId: call.requestId,
      outcome: progress.written ? 'unknown' : 'notSent',
    });
  }

  /** Until it is sent, the time is up, or the call is aborted. */
  async #untilSent(
    trySend: () => Promise<UnaryResult> | undefined,
    delayMs: number,
    signal: AbortSignal,
  ): Promise<UnaryResult | undefined> {
    let sent: Promise<UnaryResult> | undefined;
    this.#waiting++;
    try {
      await this.#sleep(delayMs, signal, () => {
        sent = trySend();
        return sent !== undefined;
      });
    } finally {
      this.#waiting--;
    }
    return sent;
  }

  /** Until the time is up, something woke it that was worth it, or the call is aborted. */
  #sleep(delayMs: number, signal: AbortSignal, isWorthIt: () => boolean = () => true): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#host;
      const leave = (): void => {
        clock.clearTimeout(timer);
        this.#wakers.delete(wake);
        signal.removeEventListener('abort', onAbort);
      };
      const done = (): void => {
        leave();
        resolve();
      };
      const wake = (): void => {
        if (isWorthIt()) done();
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      const timer = clock.setTimeout(done, delayMs);
      this.#wakers.add(wake);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

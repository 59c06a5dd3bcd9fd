import type { CheckSink, PendingCheck } from '../data/pending-check.js';
import { type AuthzClientError, CancelledError } from '../errors.js';
import type { CheckResponse } from '../types.js';

/** A check whose caller awaits a promise. */
export class PromiseSink implements CheckSink {
  readonly #promise: Promise<CheckResponse>;
  readonly #onDone: ((sink: PromiseSink, check: PendingCheck) => void) | undefined;
  #resolve!: (response: CheckResponse) => void;
  #reject!: (error: Error) => void;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  constructor(onDone?: (sink: PromiseSink, check: PendingCheck) => void) {
    this.#onDone = onDone;
    this.#promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The answer; an abort of `signal` rejects with `CancelledError` through `cancel`. */
  settled(
    check: PendingCheck,
    signal: AbortSignal | undefined,
    cancel?: (check: PendingCheck, error: AuthzClientError) => void,
  ): Promise<CheckResponse> {
    if (signal !== undefined && cancel !== undefined && !check.settled) {
      const onAbort = (): void => cancel(check, abortError(check, signal));
      this.#signal = signal;
      this.#onAbort = onAbort;
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    }
    return this.#promise;
  }

  answered(check: PendingCheck, response: CheckResponse): void {
    this.#done(check);
    this.#resolve(response);
  }

  failed(check: PendingCheck, error: AuthzClientError): void {
    this.#done(check);
    this.#reject(error);
  }

  #done(check: PendingCheck): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onDone?.(this, check);
  }
}

function abortError(check: PendingCheck, signal: AbortSignal): CancelledError {
  return new CancelledError('the check was aborted by its signal', {
    requestId: check.requestId,
    outcome: check.outcome,
    cause: signal.reason,
  });
}

import type { UnaryOptions, UnaryResult, WireMetadata, WriteResult } from '../transport/port.js';
import { Call, type CallInit } from './call.js';
import { messageIn } from '../core/framed-message.js';
import type { PendingCheck } from './pending-check.js';

/** Unary calls under way at once on one such call; more wait in the outbox. */
const MAX_CONCURRENT = 100;

/** What such a call needs of its connection. */
export interface UnaryCarrier {
  readonly headers: WireMetadata;
  /** The peer allows one more call. */
  hasRoom(): boolean;
  send(bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult>;
}

/** A generation without a stream: each check is a unary call of its own. For servers without CheckStream, and for per-call metadata. */
export class UnaryCall extends Call {
  readonly #unary: UnaryCarrier;
  readonly #aborts = new Map<PendingCheck, AbortController>();
  #wasFull = false;
  #paused = false;

  constructor(init: CallInit, unary: UnaryCarrier) {
    super(init);
    this.#unary = unary;
  }

  override tryWrite(check: PendingCheck, now: number): WriteResult {
    if (this.state !== 'current') return 'closed';
    if (this.#paused || this.#aborts.size >= MAX_CONCURRENT || !this.#unary.hasRoom()) {
      this.#wasFull = true;
      return 'full';
    }
    this.take(check, now);
    void this.#exchange(check);
    return 'accepted';
  }

  /** Aborted on the wire too: a unary call shares its fate with nothing else. */
  override forget(check: PendingCheck): void {
    this.#aborts.get(check)?.abort();
    super.forget(check);
  }

  /** Nobody takes the answers: no more is asked. */
  override pause(): void {
    this.#paused = true;
  }

  override resume(): void {
    this.#paused = false;
    this.wake();
  }

  override lose(reason: string): void {
    const aborts = [...this.#aborts.values()];
    super.lose(reason);
    for (const abort of aborts) abort.abort();
  }

  protected override end(): void {
    this.onStatus({ code: 0, message: '', outcome: 'answered' });
  }

  async #exchange(check: PendingCheck): Promise<void> {
    const abort = new AbortController();
    this.#aborts.set(check, abort);
    const result = await this.#unary.send(messageIn(check.message), {
      metadata: this.#unary.headers,
      timeoutMs: Math.max(1, check.deadlineAt - this.now()),
      signal: abort.signal,
    });
    this.#aborts.delete(check);
    if (check.place === this) {
      if (result.ok) this.answerOne(check, result.bytes);
      else this.failOne(check, result.status);
    }
    this.wake();
  }

  /** There may be room again. */
  wake(): void {
    if (!this.#wasFull || this.#paused || this.state !== 'current') return;
    this.#wasFull = false;
    this.onDrain();
  }
}

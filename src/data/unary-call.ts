import type { UnaryOptions, UnaryResult, WireMetadata, WriteResult } from '../transport/port.js';
import { Call, type CallInit } from './call.js';
import type { PendingCheck } from './pending-check.js';

/** Unary calls under way at once on one such call; more wait in the outbox. */
const MAX_CONCURRENT = 100;

export type SendUnary = (bytes: Uint8Array, options: UnaryOptions) => Promise<UnaryResult>;

/** A generation without a stream: each check is a unary call of its own. For servers without CheckStream, and for per-call metadata. */
export class UnaryCall extends Call {
  readonly #send: SendUnary;
  readonly #metadata: WireMetadata;
  readonly #aborts = new Map<PendingCheck, AbortController>();
  #wasFull = false;
  #paused = false;

  constructor(init: CallInit, send: SendUnary, metadata: WireMetadata) {
    super(init);
    this.#send = send;
    this.#metadata = metadata;
  }

  override tryWrite(check: PendingCheck): WriteResult {
    if (this.state !== 'current') return 'closed';
    if (this.#paused || this.#aborts.size >= MAX_CONCURRENT) {
      this.#wasFull = true;
      return 'full';
    }
    this.take(check);
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
    this.#drainIfFull();
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
    const result = await this.#send(check.bytes, {
      metadata: this.#metadata,
      timeoutMs: Math.max(1, check.deadlineAt - this.now()),
      signal: abort.signal,
    });
    this.#aborts.delete(check);
    if (check.place === this) {
      if (result.ok) this.answerOne(check, result.bytes);
      else this.failOne(check, result.status);
    }
    this.#drainIfFull();
  }

  #drainIfFull(): void {
    if (!this.#wasFull || this.#paused || this.state !== 'current') return;
    this.#wasFull = false;
    this.onDrain();
  }
}

import type { OwnIds, WireId } from '../codec/wire-id.js';
import { DeadlineWheel } from '../core/deadline-wheel.js';
import type { LatencyHistogram } from '../core/latency-histogram.js';
import type { Clock } from '../core/clock.js';
import { type AuthzClientError, BackpressureError, ConnectionError, TimeoutError } from '../errors.js';
import type { CheckInput, CheckRequest, CheckResponse } from '../types.js';
import { FRAME_HEADER_BYTES, type FramedMessage } from '../core/framed-message.js';
import { OwnRequest } from './own-request.js';
import { refuseOversize } from './message-size.js';
import { type CheckSink, PendingCheck } from './pending-check.js';
import { WireIds } from './wire-ids.js';

export interface CheckBookOptions {
  readonly clock: Clock;
  /** The ids that this client makes. */
  readonly ownIds: OwnIds;
  readonly maxPendingChecks: number;
  readonly maxPendingBytes: number;
  readonly maxMessageBytes: number;
  readonly encode: (request: CheckRequest, wireId: WireId) => FramedMessage;
  /** Told when the last accepted check has settled, and when the first is accepted. */
  readonly onBusy: (busy: boolean) => void;
  /** Why no endpoint is served, or undefined while one is. */
  readonly whyUnserved: () => string | undefined;
  /** Why what is queued is not written though an endpoint is served; undefined when there is nothing to tell. */
  readonly whyWaiting: () => string | undefined;
  /** A check is about to be failed with this. */
  readonly onFailed: (error: AuthzClientError) => void;
}

export interface CheckTotals {
  total: number;
  successful: number;
  failed: number;
  latencySumMs: number;
}

const zeroTotals = (): CheckTotals => ({ total: 0, successful: 0, failed: 0, latencySumMs: 0 });

/**
 * The book of accepted checks: admits them within the bounds, holds their deadlines, and settles each exactly once.
 * It is the only place that settles, so that invariant 1 of the fault contract is one `if`.
 */
export class CheckBook {
  readonly #options: CheckBookOptions;
  readonly #wheel: DeadlineWheel<PendingCheck>;
  readonly #ids: WireIds;
  #size = 0;
  /** Of those, the application's requests: the bound is on them. An exchange that waiters share comes on top, never without a waiter. */
  #requests = 0;
  #bytes = 0;
  #keptActions: readonly string[] = [];
  totals = zeroTotals();
  /** Where somebody looks: how long answers took, from being asked for to being given. */
  latencies: LatencyHistogram | undefined;

  constructor(options: CheckBookOptions) {
    this.#options = options;
    this.#ids = new WireIds(options.ownIds);
    this.#wheel = new DeadlineWheel(options.clock, (check) => this.expire(check));
  }

  get size(): number {
    return this.#size;
  }

  /** Those that the application waits for. */
  get requests(): number {
    return this.#requests;
  }

  get bytes(): number {
    return this.#bytes;
  }

  resetTotals(): void {
    this.totals = zeroTotals();
  }

  /**
   * Encodes and admits a request.
   * @throws BackpressureError (`notSent`) past `maxPendingChecks` or `maxPendingBytes`; ConfigurationError for what cannot be encoded or is
   * larger than `maxMessageBytes`.
   * @param now of the clock, milliseconds
   * @param counted whether it is a request of the application's, for the totals; an exchange that waiters share is not
   */
  accept(request: CheckRequest, now: number, timeoutMs: number, sink: CheckSink, counted = true): PendingCheck {
    const { maxPendingChecks, maxMessageBytes, encode, ownIds } = this.#options;
    if (counted && this.#requests >= maxPendingChecks) throw this.#tooManyChecks(request.requestId);
    const givenId = request instanceof OwnRequest ? undefined : request.requestId;
    const wireId = request instanceof OwnRequest ? request.number : this.#ids.take(request.requestId);
    let message: FramedMessage;
    try {
      message = encode(request, wireId);
      const byteLength = message.end - message.start - FRAME_HEADER_BYTES;
      if (byteLength > maxMessageBytes) refuseOversize(byteLength, maxMessageBytes, 'request', request.requestId);
      if (this.#bytes + byteLength > this.#options.maxPendingBytes) throw this.#tooManyBytes(request.requestId);
    } catch (error) {
      this.#ids.release(wireId, false);
      throw error;
    }
    const check = new PendingCheck({
      givenId,
      ownIds,
      wireId,
      actions: this.#keep(request.actions),
      message,
      sink,
      acceptedAt: now,
      timeoutMs,
      deadlineAt: now + timeoutMs,
      counted,
    });
    this.#admit(check);
    return check;
  }

  /** Requests were answered, each after so long. */
  countAnswered(latencyMs: number, count = 1): void {
    this.totals.successful += count;
    this.totals.latencySumMs += latencyMs * count;
    this.latencies?.add(latencyMs, count);
  }

  /** A request was answered from memory, in no time. */
  countRecalled(): void {
    this.totals.total++;
    this.countAnswered(0);
  }

  /** Admits one that waits on another's exchange: it has a deadline of its own and no bytes. */
  acceptWaiter(request: CheckRequest, now: number, timeoutMs: number, sink: CheckSink): PendingCheck {
    const { maxPendingChecks, ownIds } = this.#options;
    if (this.#requests >= maxPendingChecks) throw this.#tooManyChecks(request.requestId);
    const check = new PendingCheck({
      givenId: request.requestId,
      ownIds,
      wireId: '',
      actions: request.actions,
      message: NO_MESSAGE,
      sink,
      acceptedAt: now,
      timeoutMs,
      deadlineAt: now + timeoutMs,
      counted: true,
    });
    this.#admit(check);
    return check;
  }

  /** Gives a request without an id one of our making. */
  named(input: CheckInput): OwnRequest {
    return new OwnRequest(input, this.#ids.make(), this.#options.ownIds);
  }

  /** The id under which a request goes out that is not kept here (an item of a batch, a unary call of its own). Held until {@link releaseWireId}. */
  reserveWireId(request: CheckRequest): WireId {
    return request instanceof OwnRequest ? request.number : this.#ids.takeAlone(request.requestId);
  }

  releaseWireId(wireId: WireId): void {
    this.#ids.release(wireId, false);
  }

  /** Takes a check back as if it had never been accepted; nobody is told. */
  retract(check: PendingCheck): void {
    if (!this.#remove(check)) return;
    if (check.counted) this.totals.total--;
    leave(check);
  }

  /** Admits what a settled check asked once more, to its old deadline, for the same sink. */
  renew(check: PendingCheck): PendingCheck {
    const { requestId, wireId, actions, message, sink, acceptedAt, timeoutMs, deadlineAt, counted } = check;
    const renewed = new PendingCheck({
      givenId: requestId,
      ownIds: this.#options.ownIds,
      wireId,
      actions,
      message,
      sink,
      acceptedAt,
      timeoutMs,
      deadlineAt,
      counted,
    });
    renewed.written = check.written;
    this.#ids.retake(wireId);
    this.#admit(renewed);
    return renewed;
  }

  setDeadline(check: PendingCheck, deadlineAt: number): void {
    if (check.settled || deadlineAt === check.deadlineAt) return;
    this.#wheel.remove(check);
    check.deadlineAt = deadlineAt;
    this.#wheel.add(check);
  }

  /** Settles with the server's answer; late is late, whatever the timer has done so far. */
  answer(check: PendingCheck, response: CheckResponse, now = this.#options.clock.now()): void {
    if (now >= check.deadlineAt) {
      this.expire(check);
      return;
    }
    if (!this.#remove(check)) return;
    if (check.counted) this.countAnswered(now - check.acceptedAt);
    check.sink.answered(check, response);
    leave(check);
  }

  fail(check: PendingCheck, error: AuthzClientError): void {
    if (!this.#remove(check)) return;
    if (check.counted) this.totals.failed++;
    this.#options.onFailed(error);
    check.sink.failed(check, error);
    leave(check);
  }

  /** Its time is up. */
  expire(check: PendingCheck): void {
    const { outcome } = check;
    const { whyUnserved, whyWaiting } = this.#options;
    const why = outcome === 'unknown' ? undefined : whyUnserved();
    const waiting = outcome === 'unknown' ? undefined : whyWaiting();
    const waits = waiting === undefined ? '' : `: ${waiting}`;
    this.fail(
      check,
      why === undefined
        ? new TimeoutError(`no answer within ${Math.round(check.timeoutMs)} ms${waits}`, check.timeoutMs, {
            requestId: check.requestId,
            outcome,
          })
        : new ConnectionError(`no endpoint was served within ${Math.round(check.timeoutMs)} ms: ${why}`, {
            requestId: check.requestId,
            outcome,
          }),
    );
  }

  /** Settles every check that is left, or those for which `isMeant` says so. */
  failAll(
    toError: (check: PendingCheck) => AuthzClientError,
    isMeant: (check: PendingCheck) => boolean = () => true,
  ): void {
    const meant = this.#wheel.entries().filter(isMeant);
    meant.sort((a, b) => a.acceptedAt - b.acceptedAt);
    for (const check of meant) this.fail(check, toError(check));
  }

  stop(): void {
    this.#wheel.stop();
  }

  #admit(check: PendingCheck): void {
    this.#bytes += check.byteLength;
    if (check.counted) {
      this.#requests++;
      this.totals.total++;
    }
    this.#wheel.add(check);
    if (++this.#size === 1) this.#options.onBusy(true);
  }

  #remove(check: PendingCheck): boolean {
    if (check.settled) return false;
    check.settled = true;
    this.#wheel.remove(check);
    if (typeof check.wireId === 'string') this.#ids.release(check.wireId, check.outcome === 'unknown');
    this.#bytes -= check.byteLength;
    if (check.counted) this.#requests--;
    if (--this.#size === 0) this.#options.onBusy(false);
    return true;
  }

  #tooManyChecks(requestId: string): BackpressureError {
    const { maxPendingChecks } = this.#options;
    return new BackpressureError(
      `maxPendingChecks: ${maxPendingChecks} checks are pending already; await some, or raise the limit`,
      this.#requests,
      { requestId },
    );
  }

  #tooManyBytes(requestId: string): BackpressureError {
    return new BackpressureError(
      `maxPendingBytes: ${this.#bytes} bytes are pending already; await some checks, or raise the limit`,
      this.#size,
      { requestId },
    );
  }

  /** A copy that the caller cannot change; that of the last request where it asks for the same, which is common. */
  #keep(actions: readonly string[]): readonly string[] {
    const kept = this.#keptActions;
    let same = actions.length === kept.length;
    for (let index = 0; same && index < kept.length; index++) same = actions[index] === kept[index];
    if (!same) this.#keptActions = [...actions];
    return this.#keptActions;
  }
}

/** After its sink was told: what waits for the last check to settle must find it settled. */
function leave(check: PendingCheck): void {
  const { place } = check;
  check.place = null;
  place?.forget(check);
}

const NO_MESSAGE: FramedMessage = { bytes: new Uint8Array(0), start: 0, end: 0 };

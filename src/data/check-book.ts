import { DeadlineWheel } from '../core/deadline-wheel.js';
import type { Clock } from '../core/clock.js';
import { type AuthzClientError, BackpressureError, ConnectionError, TimeoutError } from '../errors.js';
import type { CheckRequest, CheckResponse } from '../types.js';
import { refuseOversize } from './message-size.js';
import { type CheckSink, PendingCheck } from './pending-check.js';

export interface CheckBookOptions {
  readonly clock: Clock;
  readonly maxPendingChecks: number;
  readonly maxPendingBytes: number;
  readonly maxMessageBytes: number;
  readonly encode: (request: CheckRequest, wireId: string) => Uint8Array;
  /** Told when the last accepted check has settled, and when the first is accepted. */
  readonly onBusy: (busy: boolean) => void;
  /** Why no endpoint is served, or undefined while one is. */
  readonly whyUnserved: () => string | undefined;
  /** Why what is queued is not written though an endpoint is served; undefined when there is nothing to tell. */
  readonly whyWaiting: () => string | undefined;
}

export interface CheckTotals {
  total: number;
  successful: number;
  failed: number;
  latencySumMs: number;
}

/** Ids used on the wire that are kept from being used again: at least so many, at most twice that. */
const LINGERING_IDS = 8_192;

const zeroTotals = (): CheckTotals => ({ total: 0, successful: 0, failed: 0, latencySumMs: 0 });

/**
 * The book of accepted checks: admits them within the bounds, holds their deadlines, and settles each exactly once.
 * It is the only place that settles, so that invariant 1 of the fault contract is one `if`.
 */
export class CheckBook {
  readonly #options: CheckBookOptions;
  readonly #wheel: DeadlineWheel<PendingCheck>;
  readonly #live = new Set<PendingCheck>();
  readonly #wireIds = new Set<string>();
  /** A late or repeated answer to them may still come, and must not find the next check of the same id. */
  #lingering = new Set<string>();
  #lingeringBefore: ReadonlySet<string> = new Set();
  #bytes = 0;
  #suffix = 0;
  totals = zeroTotals();

  constructor(options: CheckBookOptions) {
    this.#options = options;
    this.#wheel = new DeadlineWheel(options.clock, (check) => this.#expire(check));
  }

  get size(): number {
    return this.#live.size;
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
   * @param counted whether it is a request of the application's, for the totals; an exchange that waiters share is not
   */
  accept(request: CheckRequest, timeoutMs: number, sink: CheckSink, counted = true): PendingCheck {
    const { clock, maxPendingChecks, maxPendingBytes, maxMessageBytes, encode } = this.#options;
    if (this.#live.size >= maxPendingChecks) {
      throw new BackpressureError(
        `maxPendingChecks: ${maxPendingChecks} checks are pending already; await some, or raise the limit`,
        this.#live.size,
        { requestId: request.requestId },
      );
    }
    const wireId = this.#isTaken(request.requestId) ? this.#suffixed(request.requestId) : request.requestId;
    const bytes = encode(request, wireId);
    refuseOversize(bytes, maxMessageBytes, 'request', request.requestId);
    if (this.#bytes + bytes.length > maxPendingBytes) {
      throw new BackpressureError(
        `maxPendingBytes: ${this.#bytes} bytes are pending already; await some checks, or raise the limit`,
        this.#live.size,
        { requestId: request.requestId },
      );
    }
    const now = clock.now();
    const check = new PendingCheck({
      requestId: request.requestId,
      wireId,
      actions: request.actions.length === 1 ? [request.actions[0] ?? ''] : [...request.actions],
      bytes,
      sink,
      acceptedAt: now,
      timeoutMs,
      deadlineAt: now + timeoutMs,
      counted,
    });
    this.#admit(check);
    return check;
  }

  /** Admits one that waits on another's exchange: it has a deadline of its own and no bytes. */
  acceptWaiter(request: CheckRequest, timeoutMs: number, sink: CheckSink): PendingCheck {
    const { clock, maxPendingChecks } = this.#options;
    if (this.#live.size >= maxPendingChecks) {
      throw new BackpressureError(`maxPendingChecks: ${maxPendingChecks} checks are pending already`, this.#live.size, {
        requestId: request.requestId,
      });
    }
    const now = clock.now();
    const check = new PendingCheck({
      requestId: request.requestId,
      wireId: '',
      actions: request.actions,
      bytes: NO_BYTES,
      sink,
      acceptedAt: now,
      timeoutMs,
      deadlineAt: now + timeoutMs,
      counted: true,
    });
    this.#admit(check);
    return check;
  }

  /**
   * The id under which a request goes out that is not kept here (an item of a batch, a unary call of its own): its own, or with a suffix
   * where that is in flight. Held until {@link releaseWireId}. A late answer cannot cross such a call, so that ids that linger are free to it.
   */
  reserveWireId(requestId: string): string {
    const wireId = this.#wireIds.has(requestId) ? this.#suffixed(requestId) : requestId;
    this.#wireIds.add(wireId);
    return wireId;
  }

  releaseWireId(wireId: string): void {
    this.#wireIds.delete(wireId);
  }

  /** Takes a check back as if it had never been accepted; nobody is told. */
  retract(check: PendingCheck): void {
    if (!this.#remove(check)) return;
    if (check.counted) this.totals.total--;
    leave(check);
  }

  /** Admits what a settled check asked once more, to its old deadline, for the same sink. */
  renew(check: PendingCheck): PendingCheck {
    const { requestId, wireId, actions, bytes, sink, acceptedAt, timeoutMs, deadlineAt, counted } = check;
    const renewed = new PendingCheck({
      requestId,
      wireId,
      actions,
      bytes,
      sink,
      acceptedAt,
      timeoutMs,
      deadlineAt,
      counted,
    });
    renewed.written = check.written;
    this.#admit(renewed);
    return renewed;
  }

  extend(check: PendingCheck, deadlineAt: number): void {
    if (check.settled || deadlineAt <= check.deadlineAt) return;
    this.#wheel.remove(check);
    check.deadlineAt = deadlineAt;
    this.#wheel.add(check);
  }

  /** Settles with the server's answer; late is late, whatever the timer has done so far. */
  answer(check: PendingCheck, response: CheckResponse): void {
    const now = this.#options.clock.now();
    if (now >= check.deadlineAt) {
      this.#expire(check);
      return;
    }
    if (!this.#remove(check)) return;
    if (check.counted) {
      this.totals.successful++;
      this.totals.latencySumMs += now - check.acceptedAt;
    }
    check.sink.answered(check, response);
    leave(check);
  }

  fail(check: PendingCheck, error: AuthzClientError): void {
    if (!this.#remove(check)) return;
    if (check.counted) this.totals.failed++;
    check.sink.failed(check, error);
    leave(check);
  }

  /** Settles every check that is left, or those for which `isMeant` says so. */
  failAll(
    toError: (check: PendingCheck) => AuthzClientError,
    isMeant: (check: PendingCheck) => boolean = () => true,
  ): void {
    for (const check of [...this.#live]) if (isMeant(check)) this.fail(check, toError(check));
  }

  stop(): void {
    this.#wheel.stop();
  }

  #admit(check: PendingCheck): void {
    this.#live.add(check);
    if (check.wireId !== '') this.#wireIds.add(check.wireId);
    this.#bytes += check.bytes.length;
    if (check.counted) this.totals.total++;
    this.#wheel.add(check);
    if (this.#live.size === 1) this.#options.onBusy(true);
  }

  #remove(check: PendingCheck): boolean {
    if (check.settled) return false;
    check.settled = true;
    this.#wheel.remove(check);
    this.#live.delete(check);
    this.#wireIds.delete(check.wireId);
    if (check.wireId !== '' && check.outcome === 'unknown') this.#linger(check.wireId);
    this.#bytes -= check.bytes.length;
    if (this.#live.size === 0) this.#options.onBusy(false);
    return true;
  }

  #expire(check: PendingCheck): void {
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

  #suffixed(requestId: string): string {
    let wireId: string;
    do {
      this.#suffix++;
      wireId = `${requestId}#${this.#suffix}`;
    } while (this.#isTaken(wireId));
    return wireId;
  }

  #isTaken(wireId: string): boolean {
    return this.#wireIds.has(wireId) || this.#lingering.has(wireId) || this.#lingeringBefore.has(wireId);
  }

  #linger(wireId: string): void {
    // Two generations, the older dropped whole: taking the oldest out of one large set, again and again, costs more than a check does.
    if (this.#lingering.size >= LINGERING_IDS) {
      this.#lingeringBefore = this.#lingering;
      this.#lingering = new Set();
    }
    this.#lingering.add(wireId);
  }
}

/** After its sink was told: what waits for the last check to settle must find it settled. */
function leave(check: PendingCheck): void {
  const { place } = check;
  check.place = null;
  place?.forget(check);
}

const NO_BYTES = new Uint8Array(0);

import type { Clock } from '../core/clock.js';
import { RingBuffer } from '../core/ring-buffer.js';
import type { AuthzClientError } from '../errors.js';
import type { WireStatus } from '../transport/port.js';
import { type Call, type CallOwner, isUnimplemented } from './call.js';
import type { CheckBook } from './check-book.js';
import { Outbox, type OutboxLimits } from './outbox.js';
import type { CheckPlace, PendingCheck } from './pending-check.js';

/** What the pipe tells its stream's statechart: edges, never messages. */
export interface PipeEdges {
  /** The current call died; its unanswered checks are back in the pipe. */
  onLost(call: Call, status: WireStatus): void;
  /** The server ended the current call and nothing was owed. */
  onEnded(call: Call): void;
  onFirstAnswer(call: Call): void;
  onRotationDue(call: Call): void;
  onHighWater(): void;
  onLowWater(): void;
  /** Asked to drain, and nothing is owed any more. */
  onDrained(): void;
}

export interface PipeOptions {
  readonly clock: Clock;
  readonly book: CheckBook;
  readonly limits: OutboxLimits;
  readonly edges: PipeEdges;
  /** Written and unanswered at most; then the outbox stops. */
  readonly maxInFlight: number;
  /** Requests after which the call is rotated; Infinity: never. */
  readonly maxRequestsPerCall: number;
  /** What becomes of a check whose call died: undefined to ask it again, or the error it ends with. */
  readonly redress: (check: PendingCheck, status: WireStatus) => AuthzClientError | undefined;
  /** Where checks to be asked again go; undefined: back into this pipe, ahead of its queue. */
  readonly reroute?: (check: PendingCheck) => void;
}

/**
 * The way of a stream's checks to the wire: resend list, then outbox, then the current call. The statechart sets `writing`; the write itself
 * is authoritative, and what was not written stays here.
 */
export class CheckPipe implements CallOwner, CheckPlace {
  readonly outcome = 'notSent' as const;
  readonly outbox: Outbox<PendingCheck>;
  readonly #options: PipeOptions;
  readonly #resend = new RingBuffer<PendingCheck>();
  #resendLive = 0;
  #current: Call | undefined;
  readonly #retired = new Set<Call>();
  #writing = false;
  #unanswered = 0;
  #flushDue = false;
  #draining = false;
  #readingPaused = false;
  /** Owed by way of another stream: shared answers. */
  #expected = 0;
  #rotationAsked = false;
  /** When something was last sent or settled; the idle timeout counts from it. */
  lastActiveAt: number;
  sent = 0;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.lastActiveAt = options.clock.now();
    this.outbox = new Outbox<PendingCheck>(options.limits, options.edges);
  }

  get current(): Call | undefined {
    return this.#current;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Accepted and unsettled in this pipe. */
  get owed(): number {
    return this.#unanswered + this.outbox.length + this.#resendLive;
  }

  get writing(): boolean {
    return this.#writing;
  }

  /** Takes a check in; false when the outbox is full. */
  offer(check: PendingCheck): boolean {
    if (!this.outbox.offer(check)) return false;
    check.place = this;
    this.lastActiveAt = check.acceptedAt;
    // A burst within one turn goes out early: it is not to be lost to batching.
    if (this.outbox.isHigh) this.flush();
    else this.#flushSoon();
    return true;
  }

  /** The call that is written to from now on; the one before retires. */
  use(call: Call): void {
    this.retireCurrent();
    this.#current = call;
    this.#rotationAsked = false;
    if (this.#readingPaused) call.pause();
    else call.resume();
  }

  retireCurrent(): void {
    const call = this.#current;
    if (call === undefined) return;
    this.#current = undefined;
    this.#retired.add(call);
    call.retire();
  }

  /** Gives the current call away, if nothing is owed on it. */
  surrender(): Call | undefined {
    const call = this.#current;
    if (call === undefined || call.unanswered > 0 || call.state !== 'current') return undefined;
    this.#current = undefined;
    return call;
  }

  setWriting(writing: boolean): void {
    this.#writing = writing;
    if (writing) this.#flushSoon();
  }

  /** From now on `onDrained` is told when nothing is owed. */
  drain(): void {
    this.#draining = true;
    this.#checkDrained();
  }

  /** An answer is owed that comes by another way than this pipe. */
  expect(): void {
    this.#expected++;
  }

  /** It has come. */
  release(): void {
    this.#expected--;
    this.#checkDrained();
  }

  /** Takes back everything unwritten, in order. */
  takeUnwritten(): PendingCheck[] {
    const taken: PendingCheck[] = [];
    for (let check = this.#resend.shift(); check !== undefined; check = this.#resend.shift()) {
      if (!check.settled) taken.push(check);
    }
    this.#resendLive = 0;
    taken.push(...this.outbox.drain());
    for (const check of taken) check.place = null;
    return taken;
  }

  /** Fails everything that is still in here, queued and unanswered alike. */
  failAll(toError: (check: PendingCheck) => AuthzClientError): void {
    const { book } = this.#options;
    for (const check of this.takeUnwritten()) book.fail(check, toError(check));
    for (let check = this.oldest(); check !== undefined; check = this.oldest()) book.fail(check, toError(check));
  }

  /** Ends every call now; their unanswered checks come back through `onDead`. */
  loseCalls(reason: string): void {
    const calls = this.#current === undefined ? [...this.#retired] : [...this.#retired, this.#current];
    for (const call of calls) call.lose(reason);
  }

  pauseReading(): void {
    this.#readingPaused = true;
    this.#current?.pause();
    for (const call of this.#retired) call.pause();
  }

  resumeReading(): void {
    this.#readingPaused = false;
    this.#current?.resume();
    for (const call of this.#retired) call.resume();
  }

  oldest(): PendingCheck | undefined {
    for (const call of this.#retired) {
      const oldest = call.oldest();
      if (oldest !== undefined) return oldest;
    }
    return this.#current?.oldest();
  }

  flush(): void {
    const { book, clock, maxInFlight, maxRequestsPerCall, edges } = this.#options;
    const call = this.#current;
    if (!this.#writing || call === undefined) return;
    const now = clock.now();
    while (this.#unanswered < maxInFlight && call.written < maxRequestsPerCall) {
      const resent = this.#nextResend();
      const check = resent ?? this.outbox.peek();
      if (check === undefined) break;
      if (now >= check.deadlineAt) {
        // Nobody waits for it any more, though the timer has not said so yet: it leaves by `forget`.
        book.expire(check);
        continue;
      }
      // Out of the outbox before the write, so that its place is the call's when the write returns.
      if (call.tryWrite(check, now) !== 'accepted') break;
      if (resent === undefined) this.outbox.take();
      else {
        this.#resend.shift();
        this.#resendLive--;
      }
      this.#unanswered++;
      this.sent++;
    }
    call.flush();
    if (call.written >= maxRequestsPerCall && !this.#rotationAsked) {
      this.#rotationAsked = true;
      edges.onRotationDue(call);
    }
  }

  /** A queued check settles otherwise. */
  forget(check: PendingCheck): void {
    if (check.queued) this.outbox.remove(check);
    else this.#resendLive--;
    this.#checkDrained();
  }

  onFirstAnswer(call: Call): void {
    this.#options.edges.onFirstAnswer(call);
  }

  onSettled(now: number): void {
    this.#unanswered--;
    this.lastActiveAt = now;
    if (this.outbox.length > 0 || this.#resendLive > 0) this.#flushSoon();
    this.#checkDrained();
  }

  onDrain(): void {
    this.flush();
  }

  onDead(call: Call, status: WireStatus, unanswered: PendingCheck[]): void {
    this.#unanswered -= unanswered.length;
    const wasCurrent = call === this.#current;
    if (wasCurrent) this.#current = undefined;
    this.#retired.delete(call);
    const owedNothing = unanswered.length === 0 && this.owed === 0;
    for (const check of unanswered) {
      // It has not failed: without streams it is asked by other rpcs, which is no retry.
      if (isUnimplemented(status)) this.#askAgain(check);
      else this.#redress(check, status);
    }
    if (wasCurrent) {
      if (status.code === 0 && owedNothing) this.#options.edges.onEnded(call);
      else this.#options.edges.onLost(call, status);
    } else {
      this.#flushSoon();
    }
    this.#checkDrained();
  }

  onCheckFailed(_call: Call, check: PendingCheck, status: WireStatus): void {
    this.#unanswered--;
    this.#redress(check, status);
    this.#flushSoon();
    this.#checkDrained();
  }

  onUngrouped(_call: Call, check: PendingCheck): void {
    this.#unanswered--;
    this.#askAgain(check);
    this.#flushSoon();
    this.#checkDrained();
  }

  #redress(check: PendingCheck, status: WireStatus): void {
    const error = this.#options.redress(check, status);
    if (error === undefined) this.#askAgain(check);
    else this.#options.book.fail(check, error);
  }

  #askAgain(check: PendingCheck): void {
    if (this.#options.reroute !== undefined) {
      this.#options.reroute(check);
    } else {
      check.place = this;
      this.#resend.push(check);
      this.#resendLive++;
    }
  }

  #nextResend(): PendingCheck | undefined {
    for (;;) {
      const check = this.#resend.peek();
      if (check === undefined || !check.settled) return check;
      this.#resend.shift();
    }
  }

  #flushSoon(): void {
    if (this.#flushDue || !this.#writing) return;
    this.#flushDue = true;
    this.#options.clock.soon(() => {
      this.#flushDue = false;
      this.flush();
    });
  }

  #checkDrained(): void {
    if (this.#draining && this.owed + this.#expected === 0) {
      this.#draining = false;
      this.#options.edges.onDrained();
    }
  }
}

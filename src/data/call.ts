import type { DecodedResponse } from '../codec/codec.js';
import type { FramedMessage } from '../core/framed-message.js';
import type { WireId } from '../codec/wire-id.js';
import { GrpcCode } from '../errors.js';
import type { StreamListener, WireStatus, WireStream, WriteResult } from '../transport/port.js';
import type { CheckResponse } from '../types.js';
import type { CheckBook } from './check-book.js';
import { InflightTable } from './inflight.js';
import type { CheckPlace, PendingCheck } from './pending-check.js';

/** What a call needs of the connection it rides on. */
export interface CallCarrier {
  readonly id: string;
  /** Written and unanswered on this connection. */
  inFlight: number;
  noteAnswer(latencyMs: number): void;
  /** Something came from the peer. */
  noteReceived(now: number): void;
  /** The server has no CheckStream. */
  noteNoStreams(): void;
  /** The status without secrets: a server may echo what it was sent. */
  clean(status: WireStatus): WireStatus;
  /** A call opened, or a check written, at `since` ended without the answers it owed. */
  noteFailed(status: WireStatus, since: number): void;
  /** A call opened or ended on it. */
  noteCallEnded(call: Call): void;
}

export interface CallCodec {
  decodeCheckResponse(bytes: Uint8Array, start?: number, end?: number): DecodedResponse;
  joinBatch(checks: readonly FramedMessage[]): Uint8Array;
  decodeBatch(bytes: Uint8Array, maxAnswers: number): DecodedResponse[];
  /** Whose answer it is, of one that is cut short or malformed; undefined where that cannot be told. */
  readRequestId(bytes: Uint8Array, start?: number, end?: number): WireId | undefined;
  buildResponse(
    decoded: DecodedResponse,
    requestId: string,
    actions: readonly string[],
  ): { response: CheckResponse; foreign: number };
}

/** Counts of what a server should not do; shown in diagnostics. */
export interface ProtocolCounters {
  duplicateAnswers: number;
  unknownAnswers: number;
  foreignResults: number;
  malformedAnswers: number;
}

/** Whose call it is: told of edges, never of messages. */
export interface CallOwner {
  /** The first answer of this call. */
  onFirstAnswer(call: Call): void;
  /** A written check settled: there is room for another. `now` in milliseconds of the clock. */
  onSettled(now: number): void;
  onDrain(call: Call): void;
  /** The call is dead. `unanswered`, in the order they were written, are the owner's again. */
  onDead(call: Call, status: WireStatus, unanswered: PendingCheck[]): void;
  /** One check came back with a status of its own (a server without streams). */
  onCheckFailed(call: Call, check: PendingCheck, status: WireStatus): void;
  /** One check is to be asked again by itself: that it was asked together with others was the client's choice, and is no fault of its. */
  onUngrouped(call: Call, check: PendingCheck): void;
}

export interface CallInit {
  readonly generation: number;
  readonly carrier: CallCarrier;
  readonly owner: CallOwner;
  readonly book: CheckBook;
  readonly codec: CallCodec;
  readonly counters: ProtocolCounters;
  readonly now: () => number;
}

/** Answers nobody asked for, after which a call is not trusted any more. */
export const MAX_UNKNOWN_ANSWERS = 100;

/** Fewer than these are not worth a write of their own. */
const YIELD_AFTER_ANSWERS = 32;

/** The server has no such rpc: what was asked may be asked by another. */
export function isUnimplemented({ code, outcome }: WireStatus): boolean {
  return code === GrpcCode.UNIMPLEMENTED && outcome === 'answered';
}

/**
 * One generation of a check stream: a call on the wire and the checks written on it. `current` it is written to; `draining` its answers
 * still count; `dead` it is over, and what it owed has gone back to its owner.
 */
export class Call implements StreamListener, CheckPlace {
  readonly outcome = 'unknown' as const;
  generation: number;
  readonly carrier: CallCarrier;
  state: 'current' | 'draining' | 'dead' = 'current';
  readonly #openedAt: number;
  /** Requests written, for rotation. */
  written = 0;
  #answered = false;
  #ended = false;
  #unknown = 0;
  /** Nobody takes the answers. */
  #held = false;
  #readingSince = -Infinity;
  /** Answers since the last write. */
  #answersInARow = 0;
  #owner: CallOwner;
  readonly #book: CheckBook;
  protected readonly codec: CallCodec;
  readonly #counters: ProtocolCounters;
  protected readonly now: () => number;
  readonly #table = new InflightTable<PendingCheck>();
  #wire: WireStream | undefined;

  constructor(init: CallInit) {
    this.generation = init.generation;
    this.carrier = init.carrier;
    this.#owner = init.owner;
    this.#book = init.book;
    this.codec = init.codec;
    this.#counters = init.counters;
    this.now = init.now;
    this.#openedAt = init.now();
  }

  attach(wire: WireStream): void {
    this.#wire = wire;
  }

  get unanswered(): number {
    return this.#table.size;
  }

  oldest(): PendingCheck | undefined {
    return this.#table.oldest();
  }

  tryWrite(check: PendingCheck, now: number): WriteResult {
    const wire = this.#wire;
    if (this.state !== 'current' || wire === undefined) return 'closed';
    const result = wire.writeFramed(check.message);
    if (result === 'accepted') this.take(check, now);
    return result;
  }

  /** Enters a written check in the table. */
  protected take(check: PendingCheck, now: number): void {
    check.place = this;
    check.written = true;
    check.writtenAt = now;
    this.#table.add(check);
    this.carrier.inFlight++;
    this.written++;
    this.#answersInARow = 0;
  }

  /** One check, and no other, ended with a status. */
  protected failOne(check: PendingCheck, status: WireStatus): void {
    if (this.#table.take(check.wireId) === undefined) return;
    check.place = null;
    this.carrier.inFlight--;
    this.carrier.noteFailed(status, check.writtenAt);
    this.#owner.onCheckFailed(this, check, status);
    this.endWhenAnswered();
  }

  /** One check of a batch that says nothing of it goes back, to be asked by itself. */
  protected ungroup(check: PendingCheck): void {
    if (this.#table.take(check.wireId) === undefined) return;
    check.place = null;
    check.alone = true;
    check.inDoubt = true;
    this.carrier.inFlight--;
    this.#owner.onUngrouped(this, check);
    this.endWhenAnswered();
  }

  /** All that goes out together has been given to `tryWrite`. */
  flush(): void {
    // A stream's transport gathers by itself.
  }

  /** Takes no more; half-closes once nothing is owed on it. */
  retire(): void {
    if (this.state !== 'current') return;
    this.state = 'draining';
    this.endWhenAnswered();
  }

  /** Gives the call, on which nothing is owed, to another owner, under a generation of theirs. */
  transfer(owner: CallOwner, generation: number): void {
    this.#owner = owner;
    this.generation = generation;
    this.#answered = false;
  }

  pause(): void {
    this.#held = true;
    this.#wire?.pause();
  }

  resume(): void {
    if (this.#held) this.#readingSince = this.now();
    this.#held = false;
    this.#wire?.resume();
  }

  /** How many answers are waited for: none while reading is held, for then it is not the server that is silent. */
  get awaited(): number {
    return this.#held ? 0 : this.#table.size;
  }

  /** Since when the first of them is, on the clock. */
  awaitedSince(): number | undefined {
    const oldest = this.#held ? undefined : this.oldest();
    return oldest === undefined ? undefined : this.#since(oldest);
  }

  #since({ writtenAt }: PendingCheck): number {
    return Math.max(writtenAt, this.#readingSince);
  }

  /** Over at once, and cancelled on the wire; what it owes may be asked again elsewhere. */
  lose(reason: string): void {
    this.#abort({ code: GrpcCode.UNAVAILABLE, message: reason, outcome: 'unknown' });
  }

  /** The check settles otherwise (deadline, abort): its late answer will find a tombstone. */
  forget(check: PendingCheck): void {
    this.#table.abandon(check);
    this.#released(this.now());
  }

  onMessage(bytes: Uint8Array, start: number, end: number, now: number): void {
    this.carrier.noteReceived(now);
    let decoded: DecodedResponse;
    try {
      decoded = this.codec.decodeCheckResponse(bytes, start, end);
    } catch {
      this.#onMalformed(this.codec.readRequestId(bytes, start, end));
      return;
    }
    const check = this.#table.take(decoded.requestId);
    if (check === undefined) {
      this.#noteUnasked(decoded.requestId);
      return;
    }
    this.#deliver(check, decoded, now);
  }

  /** Its check fails, where that is known; the stream is replaced, and what else it owes is asked again. */
  #onMalformed(wireId: WireId | undefined): void {
    this.#counters.malformedAnswers++;
    const status = { code: GrpcCode.INTERNAL, message: 'the server sent a malformed answer' };
    const check = this.#ownerOf(wireId);
    if (check !== undefined) this.failOne(check, { ...status, outcome: 'answered' });
    this.#abort({ ...status, outcome: 'unknown' });
  }

  onOversize(head: Uint8Array, size: number): void {
    this.carrier.noteReceived(this.now());
    const wireId = this.codec.readRequestId(head);
    const message = `the server sent an answer of ${size} bytes, which is larger than the limit`;
    const check = this.#ownerOf(wireId);
    if (check !== undefined) this.failOne(check, { code: GrpcCode.RESOURCE_EXHAUSTED, message, outcome: 'answered' });
    else if (wireId !== undefined) this.#noteUnasked(wireId);
    else this.#abort({ code: GrpcCode.RESOURCE_EXHAUSTED, message, outcome: 'unknown' });
  }

  /** Whose answer it is, by its id, or because it can be nobody else's. */
  #ownerOf(wireId: WireId | undefined): PendingCheck | undefined {
    return wireId === undefined ? this.#table.sole : this.#table.get(wireId);
  }

  /** The answer to one check, known by the exchange it came in and not by its id. */
  protected answerOne(check: PendingCheck, bytes: Uint8Array): void {
    const now = this.now();
    this.carrier.noteReceived(now);
    let decoded: DecodedResponse;
    try {
      decoded = this.codec.decodeCheckResponse(bytes);
    } catch {
      this.#counters.malformedAnswers++;
      this.failOne(check, {
        code: GrpcCode.INTERNAL,
        message: 'the server sent a malformed answer',
        outcome: 'answered',
      });
      return;
    }
    if (decoded.requestId !== '' && decoded.requestId !== check.wireId) {
      this.#counters.unknownAnswers++;
      this.failOne(check, {
        code: GrpcCode.INTERNAL,
        message: 'the server answered another request',
        outcome: 'answered',
      });
      return;
    }
    if (this.#table.take(check.wireId) !== undefined) this.#deliver(check, decoded, now);
  }

  /** The answers to checks that were asked together, known by their ids. What is left unanswered stays in the table. */
  protected answerBatch(checks: readonly PendingCheck[], bytes: Uint8Array): void {
    const now = this.now();
    this.carrier.noteReceived(now);
    let answers: DecodedResponse[];
    try {
      answers = this.codec.decodeBatch(bytes, checks.length + MAX_UNKNOWN_ANSWERS);
    } catch {
      this.#counters.malformedAnswers++;
      return;
    }
    const asked = new Map(checks.map((check) => [check.wireId, check]));
    for (const answer of answers) {
      const check = asked.get(answer.requestId);
      // Those of other calls, though they be under way, were not asked here. Whoever is told of an answer may end this call.
      if (check?.place === this && this.#table.take(check.wireId) !== undefined) this.#deliver(check, answer, now);
      else if (this.state !== 'dead') this.#noteUnasked(answer.requestId);
    }
  }

  #deliver(check: PendingCheck, decoded: DecodedResponse, now: number): void {
    check.place = null;
    const { response, foreign } = this.codec.buildResponse(decoded, check.requestId, check.actions);
    this.#counters.foreignResults += foreign;
    this.carrier.noteAnswer(now - this.#since(check));
    if (!this.#answered) {
      this.#answered = true;
      this.#owner.onFirstAnswer(this);
    }
    this.#book.answer(check, response, now);
    this.#released(now);
    this.#yieldToCallers();
  }

  /** Once half of what the server had to do is done, whoever waited for that may ask on before the rest is delivered. */
  #yieldToCallers(): void {
    this.#answersInARow++;
    const left = this.#table.size;
    if (this.#answersInARow < YIELD_AFTER_ANSWERS || this.#answersInARow < left || left === 0) return;
    this.#answersInARow = 0;
    this.#wire?.yieldTurn?.();
  }

  onDrain(): void {
    this.#owner.onDrain(this);
  }

  onStatus(status: WireStatus): void {
    this.#die(this.carrier.clean(status));
  }

  /** Replaces a call that cannot be trusted: dead at once, cancelled on the wire. */
  #abort(status: WireStatus): void {
    const wire = this.#wire;
    this.#die(status);
    this.cancel(wire);
  }

  /** Ends on the wire what is under way there. */
  protected cancel(wire: WireStream | undefined): void {
    wire?.cancel();
  }

  #die(status: WireStatus): void {
    if (this.state === 'dead') return;
    this.state = 'dead';
    this.#wire = undefined;
    const unanswered = this.#table.drain();
    for (const check of unanswered) check.place = null;
    this.carrier.inFlight -= unanswered.length;
    // Of whatever generation it is: the next opening must not be another stream.
    if (isUnimplemented(status)) this.carrier.noteNoStreams();
    this.carrier.noteCallEnded(this);
    if (unanswered.length > 0) this.carrier.noteFailed(status, this.#openedAt);
    this.#owner.onDead(this, status, unanswered);
  }

  #noteUnasked(wireId: WireId): void {
    if (this.#table.isTombstone(wireId)) return;
    if (this.#table.recentlySettled(wireId)) {
      this.#counters.duplicateAnswers++;
      return;
    }
    this.#counters.unknownAnswers++;
    this.#unknown++;
    if (this.#unknown > MAX_UNKNOWN_ANSWERS) {
      this.#abort({
        code: GrpcCode.INTERNAL,
        message: 'the server answers requests that were never asked',
        outcome: 'unknown',
      });
    }
  }

  #released(now: number): void {
    this.carrier.inFlight--;
    this.#owner.onSettled(now);
    this.endWhenAnswered();
  }

  protected endWhenAnswered(): void {
    if (this.state !== 'draining' || this.#ended || this.#table.size > 0) return;
    this.#ended = true;
    this.end();
  }

  /** Nothing more is written and nothing is owed. */
  protected end(): void {
    this.#wire?.end();
  }
}

import type { OwnIds, WireId } from '../codec/wire-id.js';
import type { WheelEntry } from '../core/deadline-wheel.js';
import type { FramedMessage } from '../core/framed-message.js';
import type { AuthzClientError } from '../errors.js';
import type { CheckResponse } from '../types.js';
import type { InflightEntry } from './inflight.js';

/** Who asked: told exactly once, one way or the other. */
export interface CheckSink {
  answered(check: PendingCheck, response: CheckResponse): void;
  failed(check: PendingCheck, error: AuthzClientError): void;
}

/** Where an accepted check is kept just now; the place it must be taken from when its time is up. */
export interface CheckPlace {
  /** Forgets the check, which settles otherwise. */
  forget(check: PendingCheck): void;
  /** What is known of a check that ends while it is here. */
  readonly outcome: 'notSent' | 'unknown';
}

/** One accepted check, from admission to settlement. A record: no closure and no timer of its own. */
export class PendingCheck implements WheelEntry, InflightEntry {
  /** Undefined for an id of the client's own making. */
  readonly #givenId: string | undefined;
  readonly #ownIds: OwnIds;
  /** The id on the wire: the request's own, or with a suffix where that is in flight already; '' for one that is never written itself. */
  readonly wireId: WireId;
  readonly actions: readonly string[];
  /** Encoded at admission: what the caller changes afterwards is never sent. */
  readonly message: FramedMessage;
  readonly sink: CheckSink;
  readonly acceptedAt: number;
  readonly timeoutMs: number;
  /** Counts in the client's totals. */
  readonly counted: boolean;
  deadlineAt: number;
  wheelNext: WheelEntry | null = null;
  wheelPrevious: WheelEntry | null = null;
  wheelSlot = -1;
  inflightNext: InflightEntry | null = null;
  inflightPrevious: InflightEntry | null = null;
  queued = false;
  settled = false;
  writtenAt = 0;
  /** It was refused for its token once, and goes out with a fresh one. */
  authenticatedAnew = false;
  /** The batch it was in came to nothing that can be told of it: from now on it is asked by itself. */
  alone = false;
  /** How often it was moved to another call. */
  moves = 0;
  /** Since when it waits for a connection, on the clock. */
  parkedAt = 0;
  /** Its turn in its handle's order. */
  sequence = -1;
  place: CheckPlace | null = null;
  /** Written, and not proven unprocessed since: its outcome is not `notSent`. */
  written = false;
  /** A call it was written on ended, and left open whether it was processed. */
  inDoubt = false;

  constructor(init: {
    givenId: string | undefined;
    ownIds: OwnIds;
    wireId: WireId;
    actions: readonly string[];
    message: FramedMessage;
    sink: CheckSink;
    acceptedAt: number;
    timeoutMs: number;
    deadlineAt: number;
    counted: boolean;
  }) {
    this.#givenId = init.givenId;
    this.#ownIds = init.ownIds;
    this.wireId = init.wireId;
    this.actions = init.actions;
    this.message = init.message;
    this.sink = init.sink;
    this.acceptedAt = init.acceptedAt;
    this.timeoutMs = init.timeoutMs;
    this.deadlineAt = init.deadlineAt;
    this.counted = init.counted;
  }

  get byteLength(): number {
    return this.message.end - this.message.start;
  }

  get requestId(): string {
    return this.#givenId ?? this.#ownIds.text(this.wireId);
  }

  /** It waits on an exchange shared with others, and is never written itself. */
  get isWaiter(): boolean {
    return this.wireId === '';
  }

  /** What is known of it if it ends now. One that waits on another's exchange was written when that was. */
  get outcome(): 'notSent' | 'unknown' {
    return this.written || this.place?.outcome === 'unknown' ? 'unknown' : 'notSent';
  }
}

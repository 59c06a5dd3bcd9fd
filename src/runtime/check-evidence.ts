import { GrpcCode } from '../errors.js';
import type { WireStatus } from '../transport/port.js';

/** What becomes of the checks of one endpoint, whatever its health says of it: a proxy may answer for the one, and have nobody for the other. */
export class CheckEvidence {
  /** Answers that must be owed, and failures in a row, before it says anything: one slow or broken check is no evidence. */
  readonly #threshold: number;
  #answeredAt = -Infinity;
  /** Since when answers are owed and none has come. */
  #silentSince: number | undefined;
  /** In a row. */
  #failures = 0;
  #failedAt = -Infinity;

  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  noteAnswer(now: number): void {
    this.#answeredAt = now;
    this.#failures = 0;
  }

  /**
   * A call that was opened, or a check that was written, at `since` ended without its answer. What failed together counts as one.
   * @returns whether as many in a row have as prove something; it is said once
   */
  noteFailure(status: WireStatus, since: number, now: number): boolean {
    if (!isByPath(status) || since < this.#failedAt) return false;
    this.#failedAt = now;
    this.#failures++;
    if (this.#failures < this.#threshold) return false;
    this.#failures = 0;
    return true;
  }

  /**
   * One look at what is owed.
   * @param oldestAt when the oldest of it was written
   * @param listeningSince before that it was we who did not listen
   * @returns how long enough of it has been owed without a single answer, milliseconds
   */
  silentMs(now: number, owed: number, oldestAt: number, listeningSince: number): number {
    if (owed === 0) {
      this.#silentSince = undefined;
      return 0;
    }
    // What expires is owed no more, and yet it was not answered.
    this.#silentSince = Math.max(this.#silentSince ?? oldestAt, this.#answeredAt, listeningSince);
    return owed < this.#threshold ? 0 : now - this.#silentSince;
  }
}

/** The server, or what is between, said that it cannot: nothing about the question, the caller or the load. A lost connection tells by itself. */
function isByPath({ code, outcome }: WireStatus): boolean {
  if (outcome === 'answered') return code === GrpcCode.UNAVAILABLE;
  return outcome === 'unknown' && (code === GrpcCode.INTERNAL || code === GrpcCode.CANCELLED);
}

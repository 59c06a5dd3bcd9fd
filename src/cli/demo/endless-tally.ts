/** Keeps the books of a demo that ends when somebody ends it: what is settled is only counted, so that the books do not grow. */

import type { CheckResponse } from '../../types.js';
import { type Latencies, LatencyBook } from './latency-book.js';
import { isAsExpected, type KnownQuestion } from './questions.js';

const KEPT_SAMPLES = 3;

export interface EndlessTallyResult {
  readonly asked: number;
  readonly answered: number;
  /** Checks that ended in an error, as they must when no engine is left to ask. */
  readonly failed: number;
  /** Checks that nothing was heard of: neither an answer nor an error. */
  readonly lost: number;
  /** Answers and errors for a check that had one already. */
  readonly settledTwice: number;
  /** Answers to what was never asked. */
  readonly unknown: number;
  /** Answers that differ from what the policies say. */
  readonly wrong: number;
  /** A few of the answers and errors that should not be, in words, and the last failure. */
  readonly samples: readonly string[];
}

interface Outstanding {
  readonly question: KnownQuestion;
  readonly askedAtMs: number;
}

/** Checks are numbered from 0 in the order of asking, and their request ids say their numbers. */
export class EndlessTally {
  /** Its size is bounded by who asks, see {@link outstanding}. */
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #histogram = new LatencyBook();
  readonly #samples: string[] = [];
  #lastFailure: string | undefined;
  #asked = 0;
  #answered = 0;
  #failed = 0;
  #settledTwice = 0;
  #unknown = 0;
  #wrong = 0;

  /** Asked, and neither answered nor failed. */
  get outstanding(): number {
    return this.#outstanding.size;
  }

  /** The request id to ask the next question under. */
  get nextRequestId(): string {
    return `demo-${this.#asked}`;
  }

  /** A check was accepted under {@link nextRequestId}. */
  onAsked(question: KnownQuestion, nowMs: number): void {
    this.#outstanding.set(this.#asked, { question, askedAtMs: nowMs });
    this.#asked++;
  }

  onAnswer(response: CheckResponse, nowMs: number): void {
    const outstanding = this.#settle(response.requestId);
    if (outstanding === undefined) return;
    this.#answered++;
    this.#histogram.record(nowMs - outstanding.askedAtMs);
    if (isAsExpected(outstanding.question, response)) return;
    this.#wrong++;
    this.#sample(`${response.requestId} was decided otherwise than the policies say`);
  }

  /** @param requestId undefined: an error of no check in particular */
  onFailure(error: unknown, requestId: string | undefined): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (requestId === undefined) this.#sample(text);
    else if (this.#settle(requestId) !== undefined) {
      this.#failed++;
      this.#lastFailure = text;
    }
  }

  latencies(): Latencies {
    return this.#histogram.latencies();
  }

  result(): EndlessTallyResult {
    return {
      asked: this.#asked,
      answered: this.#answered,
      failed: this.#failed,
      lost: this.#outstanding.size,
      settledTwice: this.#settledTwice,
      unknown: this.#unknown,
      wrong: this.#wrong,
      samples: [...this.#samples, ...(this.#lastFailure === undefined ? [] : [this.#lastFailure])],
    };
  }

  /** Takes it off the books, once. */
  #settle(requestId: string): Outstanding | undefined {
    const digits = /^demo-(0|[1-9]\d{0,14})$/.exec(requestId)?.[1];
    const number = digits === undefined ? NaN : Number(digits);
    const outstanding = this.#outstanding.get(number);
    if (outstanding !== undefined) {
      this.#outstanding.delete(number);
      return outstanding;
    }
    if (number < this.#asked) {
      this.#settledTwice++;
      this.#sample(`${requestId} was settled again`);
    } else {
      this.#unknown++;
      this.#sample(`an answer to ${requestId}, which was never asked`);
    }
    return undefined;
  }

  #sample(text: string): void {
    if (this.#samples.length < KEPT_SAMPLES) this.#samples.push(text);
  }
}

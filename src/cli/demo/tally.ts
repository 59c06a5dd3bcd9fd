/** Keeps the books of the demo: each check sent, how often it was answered, and whether with what the policies say. */

import { AuthzClientError } from '../../errors.js';
import { type CheckResponse, Effect } from '../../types.js';
import { type Latencies, LatencyBook } from './latency-book.js';
import { isAsExpected, type KnownQuestion } from './questions.js';

const KEPT_SAMPLES = 3;

export interface TallyResult {
  readonly sent: number;
  /** Checks answered at least once. */
  readonly answered: number;
  readonly lost: number;
  readonly answeredTwice: number;
  /** Answers to what was never asked. */
  readonly unknown: number;
  readonly errors: number;
  /** Answers that differ from what the policies say. */
  readonly wrong: number;
  readonly decisions: { readonly allowed: number; readonly denied: number };
  readonly uniqueQuestions: number;
  /** A few of the failures, in words. */
  readonly samples: readonly string[];
}

/** Checks are numbered from 0 in the order of sending, and their request ids say their numbers. */
export class Tally {
  readonly #questions: readonly KnownQuestion[];
  readonly #questionOf: Int32Array;
  readonly #sentAt: Float64Array;
  /** Saturates: twice is as wrong as 200 times. */
  readonly #answers: Uint8Array;
  readonly #failed: Uint8Array;
  readonly #asked = new Set<number>();
  readonly #histogram = new LatencyBook();
  readonly #samples: string[] = [];
  #sent = 0;
  #answered = 0;
  #answeredTwice = 0;
  #unknown = 0;
  #errors = 0;
  #unsettled = 0;
  #wrong = 0;
  #allowed = 0;
  #denied = 0;
  #lastAnswerAt: number | undefined;
  #longestPauseMs = 0;

  /** @param total checks at most */
  constructor(questions: readonly KnownQuestion[], total: number) {
    this.#questions = questions;
    this.#questionOf = new Int32Array(total);
    this.#sentAt = new Float64Array(total);
    this.#answers = new Uint8Array(total);
    this.#failed = new Uint8Array(total);
  }

  get sent(): number {
    return this.#sent;
  }

  get answered(): number {
    return this.#answered;
  }

  /** Sent and neither answered nor failed. */
  get inFlight(): number {
    return this.#unsettled;
  }

  /** Milliseconds: the longest time between two answers, or since the last while something is awaited. */
  get longestPauseMs(): number {
    return this.#longestPauseMs;
  }

  static requestId(number: number): string {
    return `demo-${number}`;
  }

  onSent(question: number, nowMs: number): void {
    this.#questionOf[this.#sent] = question;
    this.#sentAt[this.#sent] = nowMs;
    this.#sent++;
    this.#unsettled++;
    this.#asked.add(question);
  }

  onAnswer(response: CheckResponse, nowMs: number): void {
    const number = this.#numberOf(response.requestId);
    if (number === undefined) {
      this.#unknown++;
      this.#sample(`an answer to ${response.requestId}, which was never asked`);
      return;
    }
    const before = this.#answers[number] ?? 0;
    if (before > 0) {
      if (before === 1) this.#answeredTwice++;
      this.#answers[number] = 2;
      this.#sample(`${response.requestId} was answered again`);
      return;
    }
    this.#answers[number] = 1;
    this.#answered++;
    if (this.#failed[number] === 0) this.#unsettled--;
    this.#measure(number, nowMs);
    this.#judge(number, response);
  }

  onError(error: Error): void {
    this.#errors++;
    this.#sample(`${error.name}: ${error.message}`);
    const number = error instanceof AuthzClientError ? this.#numberOf(error.requestId ?? '') : undefined;
    if (number === undefined || this.#failed[number] === 1 || this.#answers[number] !== 0) return;
    this.#failed[number] = 1;
    this.#unsettled--;
  }

  /** Milliseconds. */
  latencies(): Latencies {
    return this.#histogram.latencies();
  }

  result(): TallyResult {
    return {
      sent: this.#sent,
      answered: this.#answered,
      lost: this.#sent - this.#answered,
      answeredTwice: this.#answeredTwice,
      unknown: this.#unknown,
      errors: this.#errors,
      wrong: this.#wrong,
      decisions: { allowed: this.#allowed, denied: this.#denied },
      uniqueQuestions: this.#asked.size,
      samples: [...this.#samples],
    };
  }

  #numberOf(requestId: string): number | undefined {
    const digits = /^demo-(0|[1-9]\d{0,8})$/.exec(requestId)?.[1];
    const number = digits === undefined ? NaN : Number(digits);
    return number < this.#sent ? number : undefined;
  }

  #measure(number: number, nowMs: number): void {
    this.#histogram.record(nowMs - (this.#sentAt[number] ?? nowMs));
    const pauseMs = nowMs - (this.#lastAnswerAt ?? nowMs);
    if (pauseMs > this.#longestPauseMs) this.#longestPauseMs = pauseMs;
    this.#lastAnswerAt = nowMs;
  }

  #judge(number: number, response: CheckResponse): void {
    for (const { effect } of response.results.values()) {
      if (effect === Effect.ALLOW) this.#allowed++;
      else if (effect === Effect.DENY) this.#denied++;
    }
    const known = this.#questions[this.#questionOf[number] ?? -1];
    if (known !== undefined && isAsExpected(known, response)) return;
    this.#wrong++;
    this.#sample(`${response.requestId} was decided otherwise than the policies say`);
  }

  #sample(text: string): void {
    if (this.#samples.length < KEPT_SAMPLES) this.#samples.push(text);
  }
}

import { type CheckResponse, type CheckInput, Effect } from '../../types.js';
import { DEADLINE_SLACK_MS } from './bounds.js';
import type { ObservedCheck } from './observation.js';
import type { SentAnswer } from './servers.js';

/** What is broken, in one sentence. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Violation(what());
}

export interface Coverage {
  /** Whether one server was well from long enough before `askedAtMs` until now, and nothing stalled since then. */
  covers(askedAtMs: number): boolean;
}

class Check implements ObservedCheck {
  settledAtMs: number | undefined;
  outcome: ObservedCheck['outcome'] = 'pending';
  error: Error | undefined;
  answeredBy: string | undefined;
  isCovered = false;
  readonly number: number;
  readonly kind: ObservedCheck['kind'];
  readonly askedAtMs: number;
  readonly deadlineAtMs: number;
  readonly question: string;
  readonly actions: readonly string[];

  constructor(number: number, kind: ObservedCheck['kind'], askedAtMs: number, timeoutMs: number, input: CheckInput) {
    this.number = number;
    this.kind = kind;
    this.askedAtMs = askedAtMs;
    this.deadlineAtMs = askedAtMs + timeoutMs;
    this.question = input.resource.id;
    this.actions = input.actions;
  }
}

export type { Check };

/** What was asked, what the network brought, and what the client made of it. */
export class Ledger {
  readonly checks: Check[] = [];
  /** In the order of their deadlines, which is that of their asking. */
  readonly #pending = new Set<Check>();
  readonly #arrived = new Map<string, SentAnswer>();
  readonly #timeoutMs: number;
  readonly #coverage: Coverage;

  constructor(timeoutMs: number, coverage: Coverage) {
    this.#timeoutMs = timeoutMs;
    this.#coverage = coverage;
  }

  get pending(): ReadonlySet<ObservedCheck> {
    return this.#pending;
  }

  ask(kind: ObservedCheck['kind'], input: CheckInput, nowMs: number): Check {
    const check = new Check(this.checks.length + 1, kind, nowMs, this.#timeoutMs, input);
    this.checks.push(check);
    this.#pending.add(check);
    return check;
  }

  /** An answer reached the client. */
  noteArrival(answer: SentAnswer): void {
    this.#arrived.set(answer.tag, answer);
  }

  answered(check: Check, response: CheckResponse, nowMs: number): void {
    this.#settle(check, nowMs);
    check.outcome = 'denied';
    const { results } = response;
    const asked = [...new Set(check.actions)].sort().join();
    const got = [...results.keys()].sort().join();
    must(got === asked, () => `check ${check.number} asked for ${asked}, and got results for ${got}`);
    for (const action of check.actions) this.#holdDecision(check, action, results.get(action));
    if (check.actions.every((action) => results.get(action)?.effect === Effect.ALLOW)) check.outcome = 'allowed';
    // Answers of a batch, and those of a stream that come in order, may wait for others.
    must(
      check.kind !== 'check' || nowMs < check.deadlineAtMs,
      () =>
        `check ${check.number} was answered ${Math.round(nowMs - check.askedAtMs)} ms after it was asked: past its deadline`,
    );
  }

  failed(check: Check, error: Error, nowMs: number): void {
    this.#settle(check, nowMs);
    check.outcome = 'failed';
    check.error = error;
  }

  /** @param stalledUntilMs when the event loop last stood still: nothing can be settled meanwhile */
  holdDeadlines(nowMs: number, stalledUntilMs: number): void {
    if (nowMs <= stalledUntilMs) return;
    const [oldest] = this.#pending;
    must(
      oldest === undefined || nowMs <= oldest.deadlineAtMs + DEADLINE_SLACK_MS,
      () =>
        `check ${oldest?.number} is not settled, ${Math.round(nowMs - (oldest?.askedAtMs ?? 0))} ms after it was asked: past its deadline`,
    );
  }

  #settle(check: Check, nowMs: number): void {
    must(check.settledAtMs === undefined, () => `check ${check.number} was settled twice`);
    check.settledAtMs = nowMs;
    check.isCovered = this.#coverage.covers(check.askedAtMs);
    this.#pending.delete(check);
  }

  /** The one mistake that must not be possible: an ALLOW that nobody decided. */
  #holdDecision(check: Check, action: string, result: { effect: Effect; policy?: string } | undefined): void {
    const { effect = Effect.UNSPECIFIED, policy: tag = '' } = result ?? {};
    must(effect !== Effect.UNSPECIFIED, () => `check ${check.number} was answered, and ${action} is not decided`);
    const name = effect === Effect.ALLOW ? 'ALLOW' : 'DENY';
    const sent = this.#arrived.get(tag);
    const isOwn = sent?.question === check.question;
    must(
      sent !== undefined && isOwn,
      () => `check ${check.number} was given ${name} for ${action}, which no server said of it`,
    );
    const said = sent.results.get(action)?.effect;
    must(
      said === effect,
      () => `check ${check.number} was given ${name} for ${action}; ${sent.address} had said otherwise`,
    );
    check.answeredBy = sent.address;
  }
}

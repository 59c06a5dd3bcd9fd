import type { AuthzClient } from '../../client.js';
import { AuthzClientError } from '../../errors.js';
import type { BidirectionalStreamHandle } from '../../index.js';
import type { CheckInput, CheckRequest, CheckResponse, StreamLifecycleCallbacks } from '../../types.js';
import { type Check, type Ledger, must } from './ledger.js';

export interface AskerHost {
  readonly client: AuthzClient;
  readonly ledger: Ledger;
  readonly ensureOrdering: boolean;
  nowMs(): number;
  /** Runs what an answer causes, and tells the run of what it throws. */
  guard(fn: () => void): void;
  onSettled(check: Check): void;
}

const ACTIONS = ['read', 'write', 'share', 'delete'] as const;

/** The application: asks questions, each of its own, by every way there is. */
export class Asker {
  readonly #host: AskerHost;
  #stream: Stream | undefined;
  #asked = 0;

  constructor(host: AskerHost) {
    this.#host = host;
  }

  check(): Check {
    const question = this.#question();
    const check = this.#note('check', question);
    this.#host.client.check(question).then(
      (response) => this.#answered(check, response),
      (error: unknown) => this.#failed(check, error),
    );
    return check;
  }

  batch(count: number): void {
    const questions = Array.from({ length: count }, () => this.#question());
    const checks = questions.map((question) => this.#note('batch', question));
    this.#host.client.checkBatch(questions).then(
      (responses) => {
        checks.forEach((check, index) => {
          const response = responses[index];
          if (response?.error === undefined) this.#answered(check, response);
          else this.#failed(check, response.error);
        });
      },
      (error: unknown) => {
        for (const check of checks) this.#failed(check, error);
      },
    );
  }

  /** On the one handle that the application has; where it was closed, on a new one. */
  send(count: number): void {
    for (let sent = 0; sent < count; sent++) {
      const question = this.#question();
      const check = this.#note('send', question);
      try {
        if (this.#stream === undefined || this.#stream.isOver) this.#stream = this.#openStream();
        this.#stream.send(check, question);
      } catch (error) {
        this.#failed(check, error);
      }
    }
  }

  #openStream(): Stream {
    const { client, ensureOrdering } = this.#host;
    return new Stream(client, ensureOrdering, {
      guard: (fn) => this.#host.guard(fn),
      answered: (check, response) => this.#answered(check, response),
      failed: (check, error) => this.#failed(check, error),
    });
  }

  #question(): CheckRequest {
    this.#asked++;
    return {
      requestId: `r${this.#asked}`,
      principal: { id: 'alice', roles: ['user'] },
      resource: { kind: 'document', id: `q${this.#asked}` },
      actions: ACTIONS.slice(0, 1 + (this.#asked % ACTIONS.length)),
    };
  }

  #note(kind: Check['kind'], question: CheckInput): Check {
    return this.#host.ledger.ask(kind, question, this.#host.nowMs());
  }

  #answered(check: Check, response: CheckResponse | undefined): void {
    this.#host.guard(() => {
      must(response !== undefined, () => `check ${check.number} of a batch has no response`);
      this.#host.ledger.answered(check, response, this.#host.nowMs());
      this.#host.onSettled(check);
    });
  }

  #failed(check: Check, error: unknown): void {
    this.#host.guard(() => {
      this.#host.ledger.failed(check, error instanceof Error ? error : new Error(String(error)), this.#host.nowMs());
      this.#host.onSettled(check);
    });
  }
}

interface StreamHost {
  guard(fn: () => void): void;
  answered(check: Check, response: CheckResponse): void;
  failed(check: Check, error: Error): void;
}

/** A handle, and what it owes. */
class Stream implements StreamLifecycleCallbacks {
  isOver = false;
  readonly #handle: BidirectionalStreamHandle;
  readonly #isOrdered: boolean;
  readonly #host: StreamHost;
  /** By request id, in the order of `send`. */
  readonly #owed = new Map<string, Check>();
  /** Told by `send` already. */
  readonly #refused = new Set<string>();

  constructor(client: AuthzClient, isOrdered: boolean, host: StreamHost) {
    this.#isOrdered = isOrdered;
    this.#host = host;
    this.#handle = client.createBidirectionalStream(this);
  }

  send(check: Check, question: CheckRequest): void {
    if (this.#handle.send(question)) {
      this.#owed.set(question.requestId, check);
      return;
    }
    this.#refused.add(question.requestId);
    this.#host.failed(check, new Error('send() refused it'));
  }

  readonly onResponse = (response: CheckResponse): void => {
    this.#host.guard(() => this.#host.answered(this.#take(response.requestId), response));
  };

  readonly onError = (error: Error): void => {
    this.#host.guard(() => {
      const requestId = error instanceof AuthzClientError ? (error.requestId ?? '') : '';
      if (!this.#refused.delete(requestId)) this.#host.failed(this.#take(requestId), error);
    });
  };

  readonly onEnd = (): void => {
    this.#host.guard(() => {
      must(!this.isOver, () => 'a stream ended twice');
      must(this.#owed.size === 0, () => `a stream ended, and owes ${this.#owed.size} answers`);
      this.isOver = true;
    });
  };

  #take(requestId: string): Check {
    const check = this.#owed.get(requestId);
    must(check !== undefined, () => `a stream told of ${requestId}, which it does not owe`);
    const [oldest] = this.#owed.values();
    must(
      !this.#isOrdered || oldest === check,
      () => `a stream told of check ${check.number} before check ${oldest?.number}, which was sent first`,
    );
    this.#owed.delete(requestId);
    return check;
  }
}

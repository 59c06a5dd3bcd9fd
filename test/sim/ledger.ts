/** What was asked, what went over the wire, and what the client made of it: the books that every answer is held against. */

import { decodeCheckBatchRequest, decodeCheckRequest } from '../../src/engine/wire.js';
import { type AuthzClientError } from '../../src/errors.js';
import type { SimulatedEvent } from '../../src/testing/index.js';
import { type CheckResponse, Effect } from '../../src/types.js';
import type { Answer } from './chaos.js';

export interface Ask {
  readonly number: number;
  readonly kind: 'check' | 'unary' | 'batch' | 'send' | 'handleCheck';
  /** Undefined: the client made one. */
  readonly requestId: string | undefined;
  readonly question: string;
  readonly actions: readonly string[];
  readonly askedAt: number;
  readonly deadlineAt: number;
  state: 'pending' | 'answered' | 'failed';
  settledAt: number;
  error?: AuthzClientError;
}

interface Write {
  readonly at: number;
  readonly isBatch: boolean;
  /** The connection and the stream, as one. */
  readonly call: string;
  readonly connection: number;
  readonly stream: number;
}

interface Arrival {
  readonly answer: Answer;
  readonly at: number;
  /** Where the request was last written then. */
  readonly lastWrite: Write | undefined;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Violation(what());
}

/** Of one connection: redials at once, then after 50 ms and more, each backoff up to twice the one before; and one that stood for 100 ms starts anew. */
const DIALS_PER_SECOND = 24;
/** Suspects are probed every 250 ms, silent connections at least 300 ms apart, and there is the periodic look. */
const PROBES_PER_SECOND = 14;

function mostWithin(times: readonly number[], windowMs: number): number {
  let most = 0;
  let from = 0;
  times.forEach((at, index) => {
    while ((times[from] ?? at) <= at - windowMs) from++;
    most = Math.max(most, index - from + 1);
  });
  return most;
}

/** Of a question and an id on the wire, under which it went out. */
const keyOf = (question: string, wireId: string): string => `${question} ${wireId}`;

export class Ledger {
  readonly asks: Ask[] = [];
  /** By question, then by id on the wire. */
  readonly #writes = new Map<string, Map<string, Write[]>>();
  readonly #arrivals = new Map<string, Arrival>();
  readonly #deduplication: boolean;
  /** The first answer that reached the client for a request on a call, under the id it was asked under. */
  readonly #first = new Map<string, string>();

  /** Times, by address. */
  readonly #dials = new Map<string, number[]>();
  readonly #probes = new Map<string, number[]>();
  faults = 0;
  /** Probes that the application asked for. */
  probes = 0;
  /** Calls whose server proved that it did not process what it owed on them, and those of an rpc that it does not know. */
  readonly #disclaimed = new Set<string>();
  readonly #unimplemented = new Set<string>();

  constructor(deduplication: boolean) {
    this.#deduplication = deduplication;
  }

  ask(ask: Omit<Ask, 'number' | 'state' | 'settledAt'>): Ask {
    const entry: Ask = { ...ask, number: this.asks.length, state: 'pending', settledAt: NaN };
    this.asks.push(entry);
    return entry;
  }

  /** How often it was written, under whatever id. */
  writesOf(question: string): number {
    let count = 0;
    for (const writes of this.#writes.get(question)?.values() ?? []) count += writes.length;
    return count;
  }

  get pending(): number {
    return this.asks.filter(({ state }) => state === 'pending').length;
  }

  // -- From the network

  onEvent(event: SimulatedEvent): void {
    must(
      event.kind !== 'misuse',
      () => `invariant 5: ${event.detail} (connection ${event.connection}, call ${event.stream})`,
    );
    if (event.kind === 'status') this.#onStatus(event);
    if (event.kind === 'dial') this.#note(this.#dials, event);
    if (event.kind === 'write' && event.detail.endsWith('Health/Check')) this.#note(this.#probes, event);
    if (event.kind === 'fault') this.faults++;
    if (event.kind === 'write' && event.bytes !== undefined) this.#onWrite(event, event.bytes);
    if (event.kind !== 'receive' || event.note === undefined) return;
    const answers = (Array.isArray(event.note) ? event.note : [event.note]) as Answer[];
    for (const answer of answers) this.#onArrival(event, answer);
  }

  #note(times: Map<string, number[]>, { address, at }: SimulatedEvent): void {
    const known = times.get(address);
    if (known === undefined) times.set(address, [at]);
    else known.push(at);
  }

  #onStatus({ connection, stream, detail }: SimulatedEvent): void {
    const call = `${connection} ${stream}`;
    if (detail === '12 answered') this.#unimplemented.add(call);
    if (/ (refused|notSent)$/.test(detail)) this.#disclaimed.add(call);
  }

  #onWrite({ at, connection, stream, detail }: SimulatedEvent, bytes: Uint8Array): void {
    if (!detail.startsWith('/authz.v1.')) return;
    const requests = detail.endsWith('CheckBatch') ? decodeCheckBatchRequest(bytes) : [decodeCheckRequest(bytes)];
    for (const { requestId, resource } of requests) {
      const question = resource?.id ?? '';
      let byId = this.#writes.get(question);
      if (byId === undefined) {
        byId = new Map<string, Write[]>();
        this.#writes.set(question, byId);
      }
      const writes = byId.get(requestId) ?? [];
      writes.push({ at, isBatch: detail.endsWith('CheckBatch'), call: `${connection} ${stream}`, connection, stream });
      byId.set(requestId, writes);
    }
  }

  #onArrival({ at, connection, stream }: SimulatedEvent, answer: Answer): void {
    const lastWrite = this.#writes.get(answer.question)?.get(answer.askedAs)?.at(-1);
    this.#arrivals.set(answer.tag, { answer, at, lastWrite });
    const isOwn = answer.requestId === answer.askedAs;
    const first = `${connection} ${stream} ${keyOf(answer.question, answer.askedAs)}`;
    if (isOwn && !this.#first.has(first)) this.#first.set(first, answer.tag);
  }

  // -- What the client made of it

  settled(ask: Ask, now: number): void {
    must(ask.state === 'pending', () => `invariant 1: ask ${ask.number} settled twice`);
    ask.settledAt = now;
  }

  answered(ask: Ask, response: CheckResponse, now: number, delivery: 'at once' | 'held' = 'at once'): void {
    this.settled(ask, now);
    ask.state = 'answered';
    const name = `ask ${ask.number} (${ask.requestId ?? 'unnamed'})`;
    must(
      ask.requestId === undefined || response.requestId === ask.requestId,
      () => `${name} was answered as ${response.requestId}`,
    );
    must(
      delivery === 'held' || now < ask.deadlineAt,
      () => `invariant 8: ${name} succeeded at ${now}, its deadline was ${ask.deadlineAt}`,
    );
    const asked = [...new Set(ask.actions)].sort().join();
    must(
      [...response.results.keys()].sort().join() === asked,
      () => `invariant 10: ${name} got results for ${[...response.results.keys()].join()}, asked were ${asked}`,
    );
    const tags = new Set<string>();
    for (const [action, { effect, policy = '' }] of response.results) {
      if (policy !== '') tags.add(policy);
      this.#holdEffect(ask, name, action, effect, policy);
    }
    must(tags.size <= 1, () => `${name} mixes the answers ${[...tags].join()}`);
    for (const tag of tags) this.#holdOrigin(ask, name, tag);
  }

  failed(ask: Ask, error: AuthzClientError, now: number): void {
    this.settled(ask, now);
    ask.state = 'failed';
    ask.error = error;
    // What was written for another ask of the same question cannot be told apart.
    const isAlone = this.asks.every(({ number, question }) => number === ask.number || question !== ask.question);
    const isKnown = ask.requestId !== undefined && !this.#deduplication && isAlone;
    must(
      !(isKnown && error.outcome === 'notSent' && this.#mayBeProcessed(ask)),
      () => `ask ${ask.number} failed as notSent, but it was written: ${error.message}`,
    );
  }

  /** Invariant 10, for one action. */
  #holdEffect(ask: Ask, name: string, action: string, effect: number, tag: string): void {
    const sent = this.#arrivals.get(tag)?.answer.results.get(action)?.effect;
    if (effect === Effect.ALLOW) {
      must(
        sent === Effect.ALLOW,
        () => `invariant 10: ${name} was allowed ${action}, on the wire it was ${sent ?? 'not answered'}`,
      );
    }
    if (effect === Effect.DENY)
      must(sent === Effect.DENY, () => `${name} was denied ${action}, on the wire it was not`);
    if (tag !== '') {
      const question = this.#arrivals.get(tag)?.answer.question;
      must(question === ask.question, () => `invariant 10: ${name} was given the answer to ${question ?? 'nothing'}`);
    }
  }

  /** Invariants 8 and 9: in time, from the call that it was last written on, and the first that came there. */
  #holdOrigin(ask: Ask, name: string, tag: string): void {
    const arrival = this.#arrivals.get(tag);
    must(arrival !== undefined, () => `${name} has an answer that never came`);
    const { answer, at, lastWrite } = arrival;
    must(
      at < ask.deadlineAt,
      () => `invariant 8: ${name} succeeded by an answer that came at ${at}, its deadline was ${ask.deadlineAt}`,
    );
    must(
      answer.requestId === answer.askedAs,
      () => `${name} was answered by an answer to ${answer.requestId}, asked was ${answer.askedAs}`,
    );
    must(
      lastWrite?.connection === answer.connection && lastWrite.stream === answer.stream,
      () =>
        `invariant 9: ${name} was settled by call ${answer.stream} of connection ${answer.connection}, last written on ${lastWrite?.stream} of ${lastWrite?.connection}`,
    );
    const first = this.#first.get(`${answer.connection} ${answer.stream} ${keyOf(answer.question, answer.askedAs)}`);
    must(first === tag, () => `${name} was settled by ${tag}, but ${first ?? 'none'} came first`);
  }

  #mayBeProcessed({ question, requestId }: Ask): boolean {
    const byId = this.#writes.get(question);
    if (byId === undefined || requestId === undefined) return false;
    for (const [wireId, writes] of byId) {
      if (wireId !== requestId && !wireId.startsWith(`${requestId}#`)) continue;
      if (writes.some(({ call }) => !this.#disclaimed.has(call) && !this.#unimplemented.has(call))) return true;
    }
    return false;
  }

  // -- Budgets

  /** Invariant 11: dials and probes of one address, in any second. Each fault may cost every connection another of both. */
  holdPace(connections: number): void {
    const allowed = connections * (DIALS_PER_SECOND + this.faults);
    for (const [address, times] of this.#dials) {
      const most = mostWithin(times, 1_000);
      must(most <= allowed, () => `invariant 11: ${most} dials to ${address} within a second, allowed are ${allowed}`);
    }
    const allowedProbes = connections * (PROBES_PER_SECOND + this.faults) + this.probes;
    for (const [address, times] of this.#probes) {
      const most = mostWithin(times, 1_000);
      must(
        most <= allowedProbes,
        () => `invariant 11: ${most} probes of ${address} within a second, allowed are ${allowedProbes}`,
      );
    }
  }

  /** Invariants 7 and 11: how often each question went out, and how many of those were more than the first move. */
  holdRetries(maxRetries: number, checks: number, elapsedMs: number): void {
    let paid = 0;
    for (const [question, byId] of this.#writes) {
      // An id may be used again for the next ask of the same question.
      const asks = this.asks.filter((ask) => ask.question === question).length;
      const allowed = asks * (maxRetries + 1);
      for (const [wireId, writes] of byId) {
        // Where the server has no such rpc it is asked by another, and what failed together is asked one by one: neither is a retry.
        const tries = writes.filter(({ call }) => !this.#unimplemented.has(call));
        const batched = tries.filter(({ isBatch }) => isBatch).length;
        for (const times of [batched, tries.length - batched]) {
          must(
            times <= allowed,
            () => `invariant 7: ${question} was written ${times} times as ${wireId}, allowed are ${allowed}`,
          );
          paid += Math.max(0, times - 2 * asks);
        }
      }
    }
    const budget = 0.2 * checks + 10 * (elapsedMs / 1_000) + 10;
    must(paid <= budget, () => `invariant 11: ${paid} retries were paid for, the budget is ${budget}`);
  }
}

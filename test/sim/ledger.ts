/** What was asked, what went over the wire, and what the client made of it: the books that every answer is held against. */

import { decodeCheckBatchRequest, decodeCheckRequest } from '../../src/engine/wire.js';
import { type AuthzClientError } from '../../src/errors.js';
import type { SimulatedEvent } from '../../src/testing/index.js';
import { type CheckResponse, Effect } from '../../src/types.js';
import { Budgets } from './budgets.js';
import type { Answer } from './chaos.js';
import type { Sightings } from './sightings.js';

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
  /** Counts all of them. */
  readonly sequence: number;
  readonly isBatch: boolean;
  /** The connection and the stream, as one. */
  readonly call: string;
  readonly connection: number;
  readonly stream: number;
}

/** What the books need to know of the client. */
export interface LedgerSetup {
  readonly deduplication: boolean;
  readonly maxRetries: number;
  readonly maxConnections: number;
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

/** Three addresses, each without two rpcs. */
const MAX_UNIMPLEMENTED = 3 * 2;

/** Of a question and an id on the wire, under which it went out. */
const keyOf = (question: string, wireId: string): string => `${question} ${wireId}`;

export class Ledger {
  readonly asks: Ask[] = [];
  /** By question, then by id on the wire. */
  readonly #writes = new Map<string, Map<string, Write[]>>();
  readonly #arrivals = new Map<string, Arrival>();
  readonly #setup: LedgerSetup;
  /** The first answer that reached the client for a request on a call, under the id it was asked under. */
  readonly #first = new Map<string, string>();
  readonly budgets: Budgets;
  readonly #sightings: Sightings;
  #written = 0;
  /** By call, the youngest write that was answered. */
  readonly #answeredUpTo = new Map<string, number>();
  readonly #byQuestion = new Map<string, Ask[]>();
  /** The nth try of a question that was paid for last. */
  readonly #paidFor = new Map<string, number>();
  /** Calls whose server proved that it did not process what it owed on them, those of an rpc that it does not know, and those that it turned away. */
  readonly #disclaimed = new Set<string>();
  readonly #unimplemented = new Set<string>();
  readonly #turnedAway = new Set<string>();
  /** Connections whose server asked to go. */
  readonly #drained = new Set<number>();

  constructor(setup: LedgerSetup, startedAt: number, sightings: Sightings) {
    this.#setup = setup;
    this.#sightings = sightings;
    this.budgets = new Budgets(setup.maxConnections, startedAt);
  }

  ask(ask: Omit<Ask, 'number' | 'state' | 'settledAt'>): Ask {
    const entry: Ask = { ...ask, number: this.asks.length, state: 'pending', settledAt: NaN };
    this.asks.push(entry);
    const alike = this.#byQuestion.get(ask.question);
    if (alike === undefined) this.#byQuestion.set(ask.question, [entry]);
    else alike.push(entry);
    this.budgets.onCheck();
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
    const { at, address } = event;
    if (event.kind === 'status') this.#onStatus(event);
    if (event.kind === 'dial') this.budgets.onDial(address, at);
    const isHealthCheck = event.kind === 'write' && event.detail.endsWith('Health/Check');
    if (isHealthCheck || event.kind === 'ping') this.budgets.onProbe(address, at);
    if (event.kind === 'fault') this.budgets.onFault();
    if (event.kind === 'goaway') this.#drained.add(event.connection);
    if (event.kind === 'write' && event.bytes !== undefined) this.#onWrite(event, event.bytes);
    if (event.kind !== 'receive' || event.note === undefined) return;
    const answers = (Array.isArray(event.note) ? event.note : [event.note]) as Answer[];
    for (const answer of answers) this.#onArrival(event, answer);
  }

  #onStatus({ connection, stream, detail }: SimulatedEvent): void {
    const call = `${connection} ${stream}`;
    if (detail === '12 answered') this.#unimplemented.add(call);
    if (detail === '14 answered') this.#turnedAway.add(call);
    if (/ (refused|notSent)$/.test(detail)) this.#disclaimed.add(call);
  }

  #onWrite({ at, connection, stream, detail }: SimulatedEvent, bytes: Uint8Array): void {
    if (!detail.startsWith('/authz.v1.')) return;
    must(!this.#drained.has(connection), () => `invariant 5: connection ${connection} drains, and was written to`);
    const isBatch = detail.endsWith('CheckBatch');
    const requests = isBatch ? decodeCheckBatchRequest(bytes) : [decodeCheckRequest(bytes)];
    const isPaid = requests.map(({ requestId, resource }) => {
      const question = resource?.id ?? '';
      let byId = this.#writes.get(question);
      if (byId === undefined) {
        byId = new Map<string, Write[]>();
        this.#writes.set(question, byId);
      }
      const writes = byId.get(requestId) ?? [];
      this.#written++;
      writes.push({ at, sequence: this.#written, isBatch, call: `${connection} ${stream}`, connection, stream });
      byId.set(requestId, writes);
      return this.#holdWrites(question, requestId, writes);
    });
    // A batch is sent again as a whole.
    if (isPaid.includes(true)) this.budgets.onPaid(at);
  }

  /**
   * Invariant 7: in time, and not too often.
   * @returns whether the last of them had to be paid for
   */
  #holdWrites(question: string, wireId: string, writes: readonly Write[]): boolean {
    const asks = this.#byQuestion.get(question) ?? [];
    const last = writes.at(-1);
    // A message of a handle may be written before `send` has returned.
    if (asks.length === 0 || last === undefined) return false;
    must(
      asks.some(({ state, deadlineAt }) => state === 'pending' && last.at < deadlineAt),
      () => `invariant 7: ${question} was written as ${wireId} at ${last.at}, and nobody waits for it any more`,
    );
    // Where the server has no such rpc it is asked by another, and what failed together is asked one by one: neither is a retry.
    const tries = writes.filter(({ call, isBatch }) => isBatch === last.isBatch && !this.#unimplemented.has(call));
    // An id may be used again for the next ask of the same question.
    const allowed = asks.length * (this.#setup.maxRetries + 1);
    must(
      tries.length <= allowed,
      () => `invariant 7: ${question} was written ${tries.length} times as ${wireId}, allowed are ${allowed}`,
    );
    const other = asks.length * MAX_UNIMPLEMENTED;
    must(
      writes.length <= 2 * allowed + other,
      () =>
        `invariant 7: ${question} was written ${writes.length} times as ${wireId} to servers that do not know the rpc`,
    );
    const previous = tries.at(-2);
    const isFree = tries.length <= 2 * asks.length && (asks.length > 1 || !this.#turnedAway.has(previous?.call ?? ''));
    if (previous === undefined || isFree) return false;
    // Where it turned out that the server has no such rpc, the same retry is made by another.
    const key = `${keyOf(question, wireId)} ${last.isBatch ? 'batch' : 'alone'}`;
    const isPaid = (this.#paidFor.get(key) ?? 0) < tries.length;
    this.#paidFor.set(key, tries.length);
    return isPaid;
  }

  #onArrival({ at, connection, stream }: SimulatedEvent, answer: Answer): void {
    const lastWrite = this.#writes.get(answer.question)?.get(answer.askedAs)?.at(-1);
    this.#arrivals.set(answer.tag, { answer, at, lastWrite });
    const isOwn = answer.requestId === answer.askedAs;
    const first = `${connection} ${stream} ${keyOf(answer.question, answer.askedAs)}`;
    if (isOwn && !this.#first.has(first)) this.#first.set(first, answer.tag);
    this.#sight(answer, lastWrite);
  }

  #sight({ results, question }: Answer, lastWrite: Write | undefined): void {
    const asked = this.#byQuestion.get(question)?.[0]?.actions ?? [];
    this.#sightings.note(
      'an answer with actions missing',
      asked.some((action) => !results.has(action)),
    );
    if (lastWrite === undefined) return;
    const { call, sequence } = lastWrite;
    const youngest = this.#answeredUpTo.get(call) ?? 0;
    this.#sightings.note('answers out of order', sequence < youngest);
    this.#answeredUpTo.set(call, Math.max(youngest, sequence));
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
    const isKnown = ask.requestId !== undefined && !this.#setup.deduplication && isAlone;
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
}

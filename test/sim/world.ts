import { getEventListeners } from 'node:events';

import { createSeededRandom } from '../../src/core/random.js';
import type { TimerHandle } from '../../src/core/clock.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { type AuthzClient, createClient, createPooledClient, runtimeOf } from '../../src/client.js';
import { AuthzClientError, BackpressureError } from '../../src/errors.js';
import { CLIENT_EVENT_NAMES } from '../../src/events.js';
import type { PooledClientOptions } from '../../src/options.js';
import type { ClientRuntime } from '../../src/runtime/client-runtime.js';
import { ServingStatusCode, type SimulatedEvent, SimulatedNetwork } from '../../src/testing/index.js';
import type { CheckInput, CheckRequest, CheckResponse } from '../../src/types.js';
import { chaoticHandler } from './chaos.js';
import { CountedClock } from './clock.js';
import { HandleWatch } from './handle-watch.js';
import { failoverOf, holdBounds, holdFlags, holdNothing, holdTables, holdWakeups } from './invariants.js';
import { type Ask, Ledger, must } from './ledger.js';
import { type Chaos, type Command, type Fault, NO_CHAOS, type Setup } from './scenario.js';
import { Sightings } from './sightings.js';

const CONNECT_TIMEOUT_MS = 400;
const MAX_BACKOFF_MS = 1_000;
const FAILBACK_DELAY_MS = 1_500;
const KEEPALIVE_TIMEOUT_MS = 300;
/** How late a deadline may be noticed: the resolution of the wheel. */
const WHEEL_MS = 8;
const MAX_HANDLES = 3;
/** Messages of one call that a server takes which reads none of them. */
const SMALL_WINDOW = 4;
const { SERVING, NOT_SERVING } = ServingStatusCode;
const ADDRESSES = ['127.0.0.1:1001', '127.0.0.1:1002', '127.0.0.1:1003'] as const;
/** Ready again, faults gone: a dial that hangs, two backoffs, and the probes of an endpoint on probation. */
const RECOVERY_MS = CONNECT_TIMEOUT_MS + 2 * MAX_BACKOFF_MS + 4_000;

const ACTIONS = ['read', 'write', 'share', 'delete'] as const;

/** A client, its network and what is known of both: one run. */
export class World {
  readonly clock = new VirtualClock(1_000_000);
  readonly client: AuthzClient;
  readonly ledger: Ledger;
  readonly sightings = new Sightings();
  readonly transcript: (SimulatedEvent | string)[] = [];
  readonly #setup: Setup;
  readonly #runtime: ClientRuntime;
  readonly #clientClock = new CountedClock(this.clock);
  readonly #network: SimulatedNetwork;
  readonly #addresses: readonly string[];
  readonly #handles: HandleWatch[] = [];
  readonly #startedAt = this.clock.now();
  readonly #maxBufferSize: number;
  #chaos: Chaos = NO_CHAOS;
  #route = { level: -1, epoch: 0 };
  #asked = 0;
  #lastQuestion: CheckRequest | undefined;
  /** By address. */
  readonly #flapping = new Map<string, TimerHandle>();
  #nextAbort: number | undefined;
  /** Of asks that were not settled at the last look. */
  readonly #signals = new Map<Ask, AbortSignal>();
  #disconnecting: Promise<void> | undefined;
  #isDisconnected = false;
  #stalled = false;
  /** Thrown by what the client calls: told at the next look. */
  #failure: unknown;

  constructor(setup: Setup) {
    this.#setup = setup;
    const random = createSeededRandom(setup.seed);
    this.ledger = new Ledger(setup, this.#startedAt, this.sightings);
    this.#network = new SimulatedNetwork({
      clock: this.clock,
      seed: Math.floor(random() * 2 ** 31),
      maxLatencyMs: setup.maxLatencyMs,
      hasPing: setup.hasPing,
      observer: (event) => {
        this.transcript.push(event);
        this.#guard(() => {
          this.sightings.onEvent(event, this.#network);
          this.ledger.onEvent(event);
          this.#holdRoute(event);
        });
      },
    });
    this.#addresses = ADDRESSES.slice(0, { single: 1, pooled: 2, failover: 2, levels: 3 }[setup.layout]);
    const handler = chaoticHandler(
      createSeededRandom(Math.floor(random() * 2 ** 31)),
      () => this.#chaos,
      () => this.sightings.note('an answer that never comes'),
    );
    for (const address of this.#addresses) {
      const server = this.#network.server(address);
      server.handler = handler;
      server.sequential = setup.sequential;
    }
    this.#maxBufferSize = setup.highWaterMark * 2;
    this.client = this.#createClient(createSeededRandom(Math.floor(random() * 2 ** 31)));
    this.#runtime = runtimeOf(this.client);
    for (const name of CLIENT_EVENT_NAMES) this.client.on(name, (payload) => this.#onClientEvent(name, payload));
  }

  #createClient(random: () => number): AuthzClient {
    const setup = this.#setup;
    const options: PooledClientOptions = {
      clock: this.#clientClock,
      random,
      transport: this.#network,
      timeout: setup.timeoutMs,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepAliveInterval: setup.keepAliveIntervalMs,
      keepAliveTimeout: KEEPALIVE_TIMEOUT_MS,
      maxPendingChecks: setup.maxPendingChecks,
      maxRetries: setup.maxRetries,
      retryDelay: 100,
      connectionPool: {
        minConnections: setup.minConnections,
        maxConnections: setup.maxConnections,
        idleTimeout: 3_000,
        acquireTimeout: 500,
        loadBalancingStrategy: setup.strategy,
      },
      backpressure: {
        highWaterMark: setup.highWaterMark,
        lowWaterMark: setup.highWaterMark >> 1,
        maxBufferSize: this.#maxBufferSize,
      },
      healthCheck: { interval: setup.healthIntervalMs, timeout: 300 },
      reconnect: { initialDelay: 100, maxDelay: MAX_BACKOFF_MS, maxAttempts: setup.maxAttempts },
      streamPool: { maxConcurrentStreams: MAX_HANDLES, streamIdleTimeout: setup.streamIdleMs, streamReuseTimeout: 700 },
      streams: {
        multiplexing: setup.multiplexing,
        maxRequestsPerStream: setup.maxRequestsPerStream,
        deduplication: setup.deduplication,
        ensureOrdering: setup.ensureOrdering,
      },
    };
    const [first = '', second = '', third = ''] = this.#addresses;
    const failover = { enabled: true, failbackDelay: FAILBACK_DELAY_MS };
    switch (setup.layout) {
      case 'single':
        return createClient({ address: first, ...options });
      case 'pooled':
        return createPooledClient([first, second], options);
      case 'failover':
        return createClient({ address: first, ...options, failover: { ...failover, fallbackAddresses: [second] } });
      case 'levels':
        return createPooledClient([first, second], {
          ...options,
          failover: { ...failover, fallbackAddresses: [third] },
        });
    }
  }

  // --- time -----------------------------------------------------------------------------------------------------------------------

  /** Moves on, deadline by deadline, and looks at everything after each. */
  async advance(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    for (;;) {
      const next = this.clock.nextDeadline();
      if (next === undefined || next > until) break;
      await this.clock.advanceAsync(Math.max(0, next - this.clock.now()));
      this.look();
    }
    await this.clock.advanceAsync(until - this.clock.now());
    this.#stalled = false;
    this.look();
  }

  /** Every invariant that can be seen just now. */
  look(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
    const runtime = this.#runtime;
    this.sightings.look(runtime);
    for (const watch of this.#handles) this.sightings.note('a handle that holds its answers', watch.holds);
    holdTables(runtime);
    holdBounds(runtime, this.#maxBufferSize);
    if (!this.#isDisconnected) {
      holdFlags(runtime);
      holdWakeups(runtime);
    }
    this.#holdEpoch();
    const now = this.clock.now();
    for (const ask of this.ledger.asks) {
      const isOverdue =
        ask.state === 'pending' && ask.kind !== 'send' && !this.#stalled && now > ask.deadlineAt + WHEEL_MS;
      must(!isOverdue, () => `ask ${ask.number} is pending at ${now}, its deadline was ${ask.deadlineAt}`);
    }
    this.#holdSignals();
    if (this.#isDisconnected) this.#holdSilence();
  }

  /** Invariant 6, of what is settled: nobody listens to its signal. */
  #holdSignals(): void {
    for (const [ask, signal] of this.#signals) {
      if (ask.state === 'pending') continue;
      this.#signals.delete(ask);
      const count = getEventListeners(signal, 'abort').length;
      must(count === 0, () => `invariant 6: ask ${ask.number} is settled, and ${count} listen to its signal`);
    }
  }

  /** Invariant 3: epochs are counted, and each change of route is one. */
  #holdEpoch(): void {
    const { epoch = 0 } = failoverOf(this.#runtime) ?? {};
    const { level } = this.#runtime.route;
    const last = this.#route;
    if (epoch === 0 || level === -1) {
      if (epoch === 0) this.#route = { level: -1, epoch: 0 };
      return;
    }
    if (level === last.level) return;
    must(
      epoch > last.epoch,
      () => `invariant 3: level ${level} is routed in epoch ${epoch}, level ${last.level} was in epoch ${last.epoch}`,
    );
    this.#route = { level, epoch };
  }

  /** Invariant 3: nothing is asked but where traffic goes. */
  #holdRoute({ kind, address, detail }: SimulatedEvent): void {
    if (kind !== 'write' || !detail.startsWith('/authz.v1.')) return;
    const { route, endpoints } = this.#runtime;
    const level = endpoints.find((endpoint) => endpoint.address.text === address)?.level;
    must(level === route.level, () => `invariant 3: level ${level} was asked, ${route.level} is routed`);
  }

  // --- commands -------------------------------------------------------------------------------------------------------------------

  async run(command: Command): Promise<void> {
    this.#log(`> ${JSON.stringify(command)}`);
    switch (command.do) {
      case 'advance':
        await this.advance(command.ms);
        return;
      case 'stall':
        this.#stalled = true;
        this.sightings.note('a stall of our own loop', this.ledger.pending > 0 && command.ms > 100);
        this.clock.stall(command.ms);
        break;
      case 'fault':
        this.#fault(this.#addresses[command.server % this.#addresses.length] ?? '', command.what);
        break;
      case 'heal':
        this.heal();
        break;
      case 'disconnect':
        this.#disconnect(command.force);
        break;
      default:
        this.#call(command);
    }
    await this.advance(0);
  }

  #call(command: Exclude<Command, { do: 'advance' | 'stall' | 'fault' | 'heal' | 'disconnect' }>): void {
    switch (command.do) {
      case 'check':
        for (let count = 0; count < command.count; count++)
          this.#check(this.#question(command.named), command.timeoutMs);
        break;
      case 'again':
        if (this.#lastQuestion !== undefined) {
          const { requestId } = this.#lastQuestion;
          this.#check(command.other ? { ...this.#question(true), requestId } : this.#lastQuestion, undefined);
        }
        break;
      case 'abort':
        this.#nextAbort = command.afterMs;
        break;
      case 'unary':
        this.#unary();
        break;
      case 'batch':
        this.#batch(command.count);
        break;
      case 'connect':
        this.client.connect().catch((error: unknown) => this.#log(`connect: ${String(error)}`));
        break;
      case 'scale':
        this.#scale(command.size);
        break;
      case 'probe':
        this.ledger.budgets.onProbeAsked();
        void this.client.checkHealth().then(({ status }) => this.#log(`probe: ${status}`));
        break;
      case 'openHandle':
        this.#openHandle();
        break;
      default:
        this.#callHandle(command);
    }
  }

  #callHandle(command: Extract<Command, { do: 'send' | 'handleCheck' | 'pause' | 'resume' | 'end' }>): void {
    const watch = this.#handles[command.handle];
    if (watch === undefined) return;
    switch (command.do) {
      case 'send':
        for (let count = 0; count < command.count; count++) this.#send(watch);
        break;
      case 'handleCheck':
        this.#handleCheck(watch);
        break;
      case 'pause':
        watch.isPaused = true;
        watch.handle.pause();
        break;
      case 'resume':
        watch.isPaused = false;
        watch.handle.resume();
        break;
      case 'end':
        watch.isEnding = true;
        watch.handle.end();
    }
  }

  // --- asking ---------------------------------------------------------------------------------------------------------------------

  #question(named: true): CheckRequest;
  #question(named: boolean): CheckInput;
  #question(named: boolean): CheckInput {
    const number = this.#asked++;
    const question: CheckInput = {
      principal: { id: 'alice', roles: ['user'] },
      resource: { kind: 'document', id: `q${number}` },
      actions: ACTIONS.slice(0, 1 + (number % ACTIONS.length)),
      ...(named ? { requestId: `r${number}` } : {}),
    };
    return question;
  }

  #note(kind: Ask['kind'], { requestId, resource, actions }: CheckInput, timeoutMs = this.#setup.timeoutMs): Ask {
    const askedAt = this.clock.now();
    return this.ledger.ask({
      kind,
      requestId,
      question: resource.id,
      actions,
      askedAt,
      deadlineAt: askedAt + timeoutMs,
    });
  }

  #check(question: CheckInput, timeoutMs: number | undefined): void {
    const ask = this.#note('check', question, timeoutMs);
    if (question.requestId !== undefined) this.#lastQuestion = question as CheckRequest;
    const abort = this.#takeAbort(ask);
    const answer = this.client.check(question, {
      ...(timeoutMs === undefined ? {} : { deadline: timeoutMs }),
      ...(abort === undefined ? {} : { signal: abort }),
    });
    this.#expect(ask, answer);
  }

  #takeAbort(ask: Ask): AbortSignal | undefined {
    const afterMs = this.#nextAbort;
    this.#nextAbort = undefined;
    if (afterMs === undefined) return undefined;
    const abort = new AbortController();
    this.clock.setTimeout(() => abort.abort(), afterMs);
    this.#signals.set(ask, abort.signal);
    return abort.signal;
  }

  #unary(): void {
    const question = this.#question(true);
    const ask = this.#note('unary', question);
    const abort = this.#takeAbort(ask);
    const options = { metadata: { 'x-tenant': 'one' }, ...(abort === undefined ? {} : { signal: abort }) };
    this.#expect(ask, this.client.check(question, options));
  }

  #batch(count: number): void {
    const questions = Array.from({ length: count }, () => this.#question(true));
    const asks = questions.map((question) => this.#note('batch', question));
    const settle = (each: (ask: Ask, index: number) => void): void => this.#guard(() => asks.forEach(each));
    this.client.checkBatch(questions).then(
      (responses) =>
        settle((ask, index) => {
          const response = responses[index];
          must(response !== undefined, () => `the batch has no answer to ask ${ask.number}`);
          const { error } = response;
          if (error instanceof AuthzClientError) this.#onFailure(ask, error);
          else this.#onAnswer(ask, response);
        }),
      (error: unknown) => settle((ask) => this.#onFailure(ask, error as AuthzClientError)),
    );
  }

  #expect(ask: Ask, answer: Promise<CheckResponse>): void {
    answer.then(
      (response) => this.#guard(() => this.#onAnswer(ask, response)),
      (error: unknown) => this.#guard(() => this.#onFailure(ask, error as AuthzClientError)),
    );
  }

  #onAnswer(ask: Ask, response: CheckResponse): void {
    this.#log(`ask ${ask.number} answered`);
    // The items of a batch are told together, when the last is settled.
    this.ledger.answered(ask, response, this.clock.now(), ask.kind === 'batch' ? 'held' : 'at once');
  }

  #onFailure(ask: Ask, error: AuthzClientError): void {
    this.sightings.onFailure(error.name);
    this.#log(`ask ${ask.number} failed: ${error.name} ${error.outcome} ${error.message}`);
    this.ledger.failed(ask, error, this.clock.now());
  }

  // --- handles --------------------------------------------------------------------------------------------------------------------

  #openHandle(): void {
    if (this.#handles.length >= MAX_HANDLES || this.#disconnecting !== undefined) return;
    const watch = new HandleWatch(
      this.ledger,
      () => this.clock.now(),
      this.#setup.ensureOrdering,
      (line) => this.#log(line),
    );
    const guarded = {
      onResponse: (response: CheckResponse) => this.#guard(() => watch.onResponse(response)),
      onError: (error: Error) => this.#guard(() => watch.onError(error)),
      onEnd: () => this.#guard(() => watch.onEnd()),
    };
    watch.handle = this.client.createBidirectionalStream(guarded);
    this.#handles.push(watch);
  }

  #send(watch: HandleWatch): void {
    const question = this.#question(true);
    if (!watch.handle.send(question)) {
      this.#log(`send ${question.requestId} refused`);
      watch.onRefused(question.requestId);
      return;
    }
    must(!watch.isEnding, () => `${watch.handle.getId()} is ending, and took ${question.requestId}`);
    watch.onSent(this.#note('send', question));
  }

  #handleCheck(watch: HandleWatch): void {
    const question = this.#question(true);
    const ask = this.#note('handleCheck', question);
    watch.asks.push(ask);
    const answer = watch.handle.check(question);
    answer.catch((error: unknown) => {
      // What the client as a whole has no room for is not the handle's.
      const isOwn = error instanceof BackpressureError && error.message.startsWith('backpressure.');
      if (isOwn) watch.refused++;
    });
    this.#expect(ask, answer);
  }

  #scale(size: number): void {
    const { minConnections, maxConnections } = this.#runtime.env.options.connectionPool;
    if (size < minConnections || size > maxConnections || this.#disconnecting !== undefined) return;
    this.client.scalePool(size).catch((error: unknown) => this.#log(`scale: ${String(error)}`));
  }

  // --- faults ---------------------------------------------------------------------------------------------------------------------

  #fault(address: string, what: Fault): void {
    const server = this.#network.server(address);
    switch (what.fault) {
      case 'stop': {
        server.stop();
        return;
      }
      case 'start': {
        server.start();
        return;
      }
      case 'freeze': {
        server.freeze();
        return;
      }
      case 'thaw': {
        server.thaw();
        return;
      }
      case 'resetConnections': {
        server.reset();
        return;
      }
      case 'open': {
        this.#network.setLink(address);
        return;
      }
      case 'goaway': {
        server.goaway(what.processed);
        return;
      }
      case 'resetCalls': {
        server.resetCalls(what.code);
        return;
      }
      case 'endCalls': {
        server.endCalls(what.code, 'ended by the server');
        return;
      }
      case 'maxStreams':
        server.maxStreams = what.maxStreams;
        return;
      case 'health':
        this.#stopFlapping(address);
        server.health = what.status;
        return;
      case 'flap': {
        this.#flap(address, what.everyMs);
        return;
      }
      case 'healthService':
        server.hasHealth = what.exists;
        return;
      case 'healthAnswers':
        server.answersHealth = what.answers;
        return;
      case 'streams':
        server.hasStreams = what.exist;
        return;
      case 'batch':
        server.hasBatch = what.exists;
        return;
      case 'reads':
        server.reads = what.reads;
        // Its window is soon used up.
        if (!what.reads) this.#network.setLink(address, { window: SMALL_WINDOW });
        return;
      case 'hold': {
        this.#network.setLink(address, { toServerHeld: what.toServer, toClientHeld: what.toClient });
        return;
      }
      case 'dial': {
        this.#network.setLink(address, { dial: what.dial });
        return;
      }
      case 'delay': {
        this.#network.setLink(address, { delayMs: what.delayMs });
        return;
      }
      case 'clog': {
        this.#network.setLink(address, { window: what.window });
        return;
      }
      case 'chaos':
        this.#chaos = what.chaos;
    }
  }

  #flap(address: string, everyMs: number): void {
    this.#stopFlapping(address);
    const server = this.#network.server(address);
    server.health = server.health === SERVING ? NOT_SERVING : SERVING;
    const timer = this.clock.setTimeout(() => this.#flap(address, everyMs), everyMs);
    this.#flapping.set(address, timer);
  }

  #stopFlapping(address: string): void {
    this.clock.clearTimeout(this.#flapping.get(address));
  }

  /** Everything works again. */
  heal(): void {
    this.#chaos = NO_CHAOS;
    for (const address of this.#addresses) {
      this.#stopFlapping(address);
      const server = this.#network.server(address);
      if (!server.isRunning) server.start();
      server.thaw();
      server.hasHealth = true;
      server.answersHealth = true;
      server.hasStreams = true;
      server.hasBatch = true;
      if (server.maxStreams !== undefined) server.maxStreams = undefined;
      if (server.health !== SERVING) server.health = SERVING;
      if (!server.reads) server.reads = true;
      this.#network.setLink(address);
    }
  }

  // --- the end --------------------------------------------------------------------------------------------------------------------

  #disconnect(force: boolean): void {
    for (const watch of this.#handles) watch.isEnding = true;
    this.#disconnecting ??= this.client.disconnect({ force }).then(() => {
      this.#log('disconnected');
      this.#isDisconnected = true;
    });
    if (force) void this.client.disconnect({ force });
  }

  /** Faults stop, and everything must come right. */
  async finish(): Promise<void> {
    this.#log('> faults stop');
    this.heal();
    await this.advance(0);
    if (this.#disconnecting === undefined) await this.#holdLiveness();
    this.#disconnect(false);
    for (const watch of this.#handles) {
      watch.isPaused = false;
      watch.handle.resume();
    }
    await this.advance(this.#setup.timeoutMs + 2 * WHEEL_MS + 1_000);
    must(this.#isDisconnected, () => 'invariant 6: disconnect() did not end');
    await this.advance(60_000);
    this.#holdEnd();
  }

  /** After a failure: leaves nothing behind that could disturb the next run. */
  async abandon(): Promise<void> {
    void this.client.disconnect({ force: true });
    // What is broken may throw again on its way out.
    await this.clock.advanceAsync(1_000).catch(() => undefined);
  }

  /** As an application would: a dial from before may still fail. */
  #connectAgain(): void {
    this.client.connect().catch((error: unknown) => {
      this.#log(`connect: ${String(error)}`);
      if (this.#disconnecting === undefined) this.clock.setTimeout(() => this.#connectAgain(), 100);
    });
  }

  async #holdLiveness(): Promise<void> {
    this.#connectAgain();
    await this.advance(RECOVERY_MS);
    must(
      this.client.isConnected(),
      () => `invariant 12: ${RECOVERY_MS} ms after the faults the client is ${this.client.getState()}`,
    );
    // Once answered the last of what was done to it is over: quotas are used up, lanes replaced.
    const question = this.#question(true);
    const ask = this.#note('check', question, 2_000);
    this.#expect(ask, this.client.check(question, { deadline: 2_000 }));
    await this.advance(2_000 + WHEEL_MS);
    must(ask.state === 'answered', () => `invariant 12: a check after the faults failed: ${String(ask.error)}`);
    await this.advance(FAILBACK_DELAY_MS + RECOVERY_MS);
    must(this.client.getState() === 'open', () => `invariant 12: the client is ${this.client.getState()}, all is well`);
  }

  #holdSilence(): void {
    const timers = this.#clientClock.pendingTimers;
    must(timers === 0, () => `invariant 6: disconnected, ${timers} timers are left`);
    must(
      this.#network.openConnections === 0,
      () => `invariant 6: disconnected, ${this.#network.openConnections} connections are left`,
    );
    holdNothing(this.#runtime);
  }

  #holdEnd(): void {
    this.look();
    must(this.clock.pendingTimers === 0, () => `${this.clock.pendingTimers} timers of the network are left`);
    for (const ask of this.ledger.asks)
      must(ask.state !== 'pending', () => `invariant 1: ask ${ask.number} never settled`);
    for (const watch of this.#handles) this.#holdHandle(watch);
    const { total, successful, failed } = this.#runtime.book.totals;
    must(total === successful + failed, () => `of ${total} requests ${successful} succeeded and ${failed} failed`);
  }

  #holdHandle(watch: HandleWatch): void {
    const id = watch.handle.getId();
    must(watch.isOver, () => `${id} never told of its end`);
    const { messagesDropped, messagesSent, bufferSize } = watch.handle.getStats();
    must(
      messagesDropped === watch.refused,
      () => `${id} counts ${messagesDropped} dropped, it refused ${watch.refused}`,
    );
    must(bufferSize === 0, () => `${id} still buffers ${bufferSize}`);
    const written = watch.asks.reduce((count, { question }) => count + this.ledger.writesOf(question), 0);
    must(messagesSent === written, () => `${id} counts ${messagesSent} sent, ${written} were written`);
  }

  // --- telling --------------------------------------------------------------------------------------------------------------------

  #onClientEvent(name: string, payload: unknown): void {
    this.sightings.onClientEvent(name);
    if (name === 'error') {
      const error = payload as Error;
      this.#guard(() => must(false, () => `the client reported an error: ${error.stack ?? String(error)}`));
    }
    const { reason, address, state } = payload as { reason?: string; address?: string; state?: string };
    this.#log(`event ${name} ${state ?? address ?? ''} ${reason ?? ''}`);
  }

  #guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      if (this.#failure !== undefined) return;
      this.#failure = error;
      // What went wrong may go on for ever, in no time: nothing arrives any more.
      for (const address of this.#addresses) this.#network.setLink(address, { toServerHeld: true, toClientHeld: true });
    }
  }

  #log(line: string): void {
    this.transcript.push(`${this.clock.now() - this.#startedAt} ${line}`);
  }
}

import type { Clock, TimerHandle } from '../core/clock.js';
import {
  decodeCheckBatchRequest,
  decodeCheckRequest,
  encodeCheckBatchResponse,
  encodeCheckResponse,
  type WireCheckRequest,
} from '../engine/wire.js';
import { Effect } from '../types.js';
import { GrpcCode } from '../errors.js';
import type { ClientFrame, ServerFrame, SimulatedEvent } from './sim-frames.js';

/** One check as it reached a simulated server. */
export interface SimulatedRequest {
  readonly address: string;
  /** Connections are numbered in the order of their dials. */
  readonly connection: number;
  /** The HTTP/2 id of the call. */
  readonly stream: number;
  readonly rpc: 'Check' | 'CheckBatch' | 'CheckStream';
  readonly request: WireCheckRequest;
}

/** Of one action. */
export interface SimulatedDecision {
  /** Any number: servers send what they like. */
  readonly effect: number;
  readonly policy?: string;
  readonly matched?: boolean;
}

/** `afterMs` is how long the server takes, default its `serviceMs`. */
export type SimulatedReply = { readonly afterMs?: number } & (
  | {
      readonly kind: 'answer';
      /** Default: the request's own. */
      readonly requestId?: string;
      readonly results: ReadonlyMap<string, SimulatedDecision>;
      /** Handed to the network's observer when the answer reaches the client. */
      readonly note?: unknown;
    }
  /** A message that may be none. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Ends the call. */
  | { readonly kind: 'status'; readonly code: GrpcCode; readonly message: string }
  /** Resets the call, with an HTTP/2 error code. */
  | { readonly kind: 'reset'; readonly code: number }
);

/** What a server does with a check: no reply, one, or several. */
export type SimulatedHandler = (request: SimulatedRequest) => readonly SimulatedReply[];

/** grpc.health.v1's numbers. */
export const ServingStatusCode = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** The handler that says the same to every action. Default: DENY. */
export function replyToAll(effect: number = Effect.DENY): SimulatedHandler {
  return ({ request }) => [
    { kind: 'answer', results: new Map(request.actions.map((action) => [action, { effect, matched: true }])) },
  ];
}

/** What a server needs of the network. */
export interface ServerHost {
  readonly address: string;
  readonly clock: Clock;
  tell(event: Omit<SimulatedEvent, 'at' | 'address'>): void;
  /** What was held by a frozen server may arrive. */
  wake(): void;
}

/** The server's end of a connection, as the network gives it. */
export interface ServerWire {
  readonly connection: number;
  send(frame: ServerFrame): void;
}

interface ServerCall {
  readonly stream: number;
  readonly path: string;
  /** Messages that were not read. */
  unread: Uint8Array[];
  readonly requests: Uint8Array[];
  halfClosed: boolean;
  /** Replies on their way. */
  owed: number;
  lastReplyAt: number;
  readonly timers: Set<TimerHandle>;
}

interface ServerConnection {
  readonly wire: ServerWire;
  readonly calls: Map<number, ServerCall>;
  lastStream: number;
  /** Calls above it are not processed. */
  acceptedUpTo: number;
}

const AUTHZ = '/authz.v1.AuthzService/';
const HEALTH = '/grpc.health.v1.Health/';
const CHECK_STREAM = `${AUTHZ}CheckStream`;

/** A server of `authz.v1` and `grpc.health.v1` that does what it is told, well or badly. Its fields may be changed at any time. */
export class SimulatedServer {
  /** What it answers to checks. Default: DENY to everything. */
  handler: SimulatedHandler = replyToAll();
  /** How long an answer takes, milliseconds, where the handler does not say. Default 0. */
  serviceMs = 0;
  /** Answers each stream strictly in the order of its requests. Default false. */
  sequential = false;
  /** Whether the rpcs exist; UNIMPLEMENTED otherwise. */
  hasStreams = true;
  hasBatch = true;
  hasHealth = true;
  hasWatch = true;
  /** False: health Checks and Watches are left unanswered. */
  answersHealth = true;
  readonly address: string;
  readonly #host: ServerHost;
  readonly #connections = new Map<number, ServerConnection>();
  #isRunning = true;
  #isFrozen = false;
  #reads = true;
  #maxStreams: number | undefined;
  #health: number = ServingStatusCode.SERVING;

  constructor(host: ServerHost) {
    this.#host = host;
    this.address = host.address;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  // -- What may be done to it

  /** As SIGKILL: its connections are reset, dials refused. */
  stop(): void {
    this.#fault('stop');
    this.#isRunning = false;
    this.reset('the server was killed');
    this.thaw();
  }

  start(): void {
    this.#fault('start');
    this.#isRunning = true;
  }

  /** As SIGSTOP: its kernel accepts, and nobody answers. */
  freeze(): void {
    this.#fault('freeze');
    this.#isFrozen = true;
  }

  /** As SIGCONT. */
  thaw(): void {
    if (!this.#isFrozen) return;
    this.#fault('thaw');
    this.#isFrozen = false;
    this.#host.wake();
  }

  /** Loses its connections. */
  reset(message = 'read ECONNRESET'): void {
    this.#fault('reset connections');
    for (const { wire } of [...this.#connections.values()]) {
      wire.send({ kind: 'close', message });
      this.drop(wire.connection);
    }
  }

  /**
   * Asks its clients to go.
   * @param processed `all` it had of them is answered, `none` of the calls under way is
   */
  goaway(processed: 'all' | 'none' = 'all', reason = 'GOAWAY NO_ERROR'): void {
    this.#fault(`goaway ${processed}`);
    for (const connection of this.#connections.values()) {
      const lastStream = processed === 'all' ? connection.lastStream : 0;
      connection.acceptedUpTo = lastStream;
      for (const call of [...connection.calls.values()]) if (call.stream > lastStream) this.#forget(connection, call);
      connection.wire.send({ kind: 'goaway', lastStream, reason });
    }
  }

  /** Ends every call of this rpc (default: CheckStream) with RST_STREAM. */
  resetCalls(code: number, path = CHECK_STREAM): void {
    this.#fault(`reset calls ${code}`);
    this.#endCalls(path, (stream) => ({ kind: 'reset', stream, code }));
  }

  /** Ends every call of this rpc (default: CheckStream) with a status. */
  endCalls(code: GrpcCode, message: string, path = CHECK_STREAM): void {
    this.#fault(`end calls ${code}`);
    this.#endCalls(path, (stream) => ({ kind: 'trailers', stream, code, message }));
  }

  get maxStreams(): number | undefined {
    return this.#maxStreams;
  }

  /** SETTINGS_MAX_CONCURRENT_STREAMS of its connections, told at once; undefined: no limit. */
  set maxStreams(maxStreams: number | undefined) {
    this.#fault(`max streams ${maxStreams ?? 'unlimited'}`);
    this.#maxStreams = maxStreams;
    for (const { wire } of this.#connections.values()) wire.send({ kind: 'settings', maxStreams });
  }

  get health(): number {
    return this.#health;
  }

  /** What it says of itself; its watchers hear of it. */
  set health(status: number) {
    this.#fault(`health ${status}`);
    this.#health = status;
    for (const connection of this.#connections.values()) {
      for (const call of connection.calls.values())
        if (call.path === `${HEALTH}Watch`) this.#tellHealth(connection, call);
    }
  }

  get reads(): boolean {
    return this.#reads;
  }

  /** False: it reads no more of its check streams, and their writers soon find no room. What else it does goes on. */
  set reads(reads: boolean) {
    this.#fault(`reads ${reads}`);
    this.#reads = reads;
    if (!reads) return;
    for (const connection of this.#connections.values()) {
      for (const call of connection.calls.values()) {
        for (const bytes of call.unread.splice(0)) this.#read(connection, call, bytes);
        if (call.path === CHECK_STREAM) this.#checkDone(connection, call);
      }
    }
  }

  // -- From the network

  accept(wire: ServerWire): void {
    this.#connections.set(wire.connection, {
      wire,
      calls: new Map(),
      lastStream: 0,
      acceptedUpTo: Infinity,
    });
    wire.send({ kind: 'settings', maxStreams: this.#maxStreams });
  }

  drop(connectionNumber: number): void {
    const connection = this.#connections.get(connectionNumber);
    if (connection === undefined) return;
    this.#connections.delete(connectionNumber);
    for (const call of [...connection.calls.values()]) this.#forget(connection, call);
  }

  receive(connectionNumber: number, frame: ClientFrame): void {
    const connection = this.#connections.get(connectionNumber);
    if (connection === undefined) return;
    if (frame.kind === 'ping') connection.wire.send({ kind: 'pong', id: frame.id });
    else if (frame.kind === 'close') this.drop(connectionNumber);
    else if (frame.kind === 'headers') this.#onHeaders(connection, frame.stream, frame.path);
    else if (frame.kind !== 'dial') this.#onCallFrame(connection, frame);
  }

  #onCallFrame(connection: ServerConnection, frame: Extract<ClientFrame, { kind: 'data' | 'end' | 'reset' }>): void {
    const call = connection.calls.get(frame.stream);
    if (call === undefined) return;
    if (frame.kind === 'reset') {
      this.#forget(connection, call);
    } else if (frame.kind === 'end') {
      call.halfClosed = true;
      this.#onEnd(connection, call);
    } else if (this.#reads || call.path !== CHECK_STREAM) {
      this.#read(connection, call, frame.bytes);
    } else {
      call.unread.push(frame.bytes);
    }
  }

  // -- Calls

  #onHeaders(connection: ServerConnection, stream: number, path: string): void {
    // Under way before the client heard of the GOAWAY.
    if (stream > connection.acceptedUpTo) return;
    connection.lastStream = stream;
    const known: Readonly<Record<string, boolean>> = {
      [`${AUTHZ}Check`]: true,
      [`${AUTHZ}CheckBatch`]: this.hasBatch,
      [CHECK_STREAM]: this.hasStreams,
      [`${HEALTH}Check`]: this.hasHealth,
      [`${HEALTH}Watch`]: this.hasHealth && this.hasWatch,
    };
    if (known[path] !== true) {
      connection.wire.send({ kind: 'trailers', stream, code: GrpcCode.UNIMPLEMENTED, message: `no ${path}` });
      return;
    }
    connection.calls.set(stream, {
      stream,
      path,
      unread: [],
      requests: [],
      halfClosed: false,
      owed: 0,
      lastReplyAt: 0,
      timers: new Set(),
    });
  }

  #read(connection: ServerConnection, call: ServerCall, bytes: Uint8Array): void {
    const { stream, path } = call;
    connection.wire.send({ kind: 'window', stream, messages: 1 });
    this.#host.tell({ kind: 'request', connection: connection.wire.connection, stream, detail: path, bytes });
    if (path !== CHECK_STREAM) {
      call.requests.push(bytes);
      return;
    }
    for (const reply of this.#ask(connection, call, decodeCheckRequest(bytes), 'CheckStream').replies) {
      this.#reply(connection, call, reply, reply.requestId);
    }
  }

  #onEnd(connection: ServerConnection, call: ServerCall): void {
    const [bytes] = call.requests;
    switch (call.path) {
      case `${AUTHZ}Check`:
        if (bytes === undefined) return;
        this.#answerCheck(connection, call, decodeCheckRequest(bytes));
        break;
      case `${AUTHZ}CheckBatch`:
        if (bytes === undefined) return;
        this.#answerBatch(connection, call, decodeCheckBatchRequest(bytes));
        break;
      case `${HEALTH}Check`:
        if (!this.answersHealth) return;
        this.#tellHealth(connection, call);
        this.#checkDone(connection, call);
        break;
      case `${HEALTH}Watch`:
        if (this.answersHealth) this.#tellHealth(connection, call);
        break;
      default:
        this.#checkDone(connection, call);
    }
  }

  #ask(
    { wire }: ServerConnection,
    { stream }: ServerCall,
    request: WireCheckRequest,
    rpc: SimulatedRequest['rpc'],
  ): { replies: (SimulatedReply & { requestId: string })[] } {
    const replies = this.handler({ address: this.address, connection: wire.connection, stream, rpc, request });
    return { replies: replies.map((reply) => ({ requestId: request.requestId, ...reply })) };
  }

  /** Without a reply the call stays open: the server forgot it. */
  #answerCheck(connection: ServerConnection, call: ServerCall, request: WireCheckRequest): void {
    for (const reply of this.#ask(connection, call, request, 'Check').replies) {
      this.#reply(connection, call, reply, reply.requestId);
    }
  }

  #answerBatch(connection: ServerConnection, call: ServerCall, requests: readonly WireCheckRequest[]): void {
    const replies = requests.flatMap((request) => this.#ask(connection, call, request, 'CheckBatch').replies);
    const afterMs = Math.max(this.serviceMs, ...replies.map((reply) => reply.afterMs ?? 0));
    const failure = replies.find((reply) => reply.kind !== 'answer');
    if (failure !== undefined) {
      this.#reply(connection, call, { ...failure, afterMs }, '');
      return;
    }
    const answers = replies.filter((reply) => reply.kind === 'answer');
    const bytes = encodeCheckBatchResponse(
      answers.map(({ requestId, results }) => ({ requestId, results: toDecisions(results) })),
      0,
    );
    this.#later(connection, call, afterMs, () => {
      this.#sendData(
        connection,
        call,
        bytes,
        answers.map(({ note }) => note),
      );
    });
  }

  #reply(connection: ServerConnection, call: ServerCall, reply: SimulatedReply, requestId: string): void {
    this.#later(connection, call, reply.afterMs ?? this.serviceMs, () => {
      const { stream } = call;
      switch (reply.kind) {
        case 'answer':
          this.#sendData(
            connection,
            call,
            encodeCheckResponse({ requestId, results: toDecisions(reply.results) }),
            reply.note,
          );
          break;
        case 'bytes':
          this.#sendData(connection, call, reply.bytes, undefined);
          break;
        case 'status':
          this.#forget(connection, call);
          connection.wire.send({ kind: 'trailers', stream, code: reply.code, message: reply.message });
          break;
        case 'reset':
          this.#forget(connection, call);
          connection.wire.send({ kind: 'reset', stream, code: reply.code });
      }
    });
  }

  #later(connection: ServerConnection, call: ServerCall, afterMs: number, fn: () => void): void {
    const { clock } = this.#host;
    const now = clock.now();
    const at = this.sequential ? Math.max(now + afterMs, call.lastReplyAt) : now + afterMs;
    call.lastReplyAt = at;
    call.owed++;
    const run = (): void => {
      call.timers.delete(timer);
      // Frozen in the middle of it; asked again now and then, which is as good as going on when thawed.
      if (this.#isFrozen) {
        timer = clock.setTimeout(run, FROZEN_POLL_MS);
        call.timers.add(timer);
        return;
      }
      call.owed--;
      fn();
      this.#checkDone(connection, call);
    };
    let timer = clock.setTimeout(run, at - now);
    call.timers.add(timer);
  }

  #sendData({ wire }: ServerConnection, { stream }: ServerCall, bytes: Uint8Array, note: unknown): void {
    wire.send({ kind: 'data', stream, bytes, note });
  }

  #tellHealth({ wire }: ServerConnection, { stream }: ServerCall): void {
    const bytes = this.#health === 0 ? new Uint8Array(0) : Uint8Array.of(0x08, this.#health);
    wire.send({ kind: 'data', stream, bytes, note: undefined });
  }

  /** Both sides are through: OK. A unary call that got no reply is left open. */
  #checkDone(connection: ServerConnection, call: ServerCall): void {
    const { stream, path } = call;
    if (!call.halfClosed || call.owed > 0 || call.unread.length > 0 || path === `${HEALTH}Watch`) return;
    if (connection.calls.get(stream) !== call) return;
    this.#forget(connection, call);
    connection.wire.send({ kind: 'trailers', stream, code: GrpcCode.OK, message: '' });
  }

  #endCalls(path: string, toFrame: (stream: number) => ServerFrame): void {
    for (const connection of this.#connections.values()) {
      for (const call of [...connection.calls.values()]) {
        if (call.path !== path) continue;
        this.#forget(connection, call);
        connection.wire.send(toFrame(call.stream));
      }
    }
  }

  #forget(connection: ServerConnection, call: ServerCall): void {
    connection.calls.delete(call.stream);
    for (const timer of call.timers) this.#host.clock.clearTimeout(timer);
  }

  #fault(detail: string): void {
    this.#host.tell({ kind: 'fault', connection: 0, stream: 0, detail });
  }
}

const FROZEN_POLL_MS = 50;

function toDecisions(
  results: ReadonlyMap<string, SimulatedDecision>,
): Map<string, { effect: 1 | 2; policy: string; rule: string; matched: boolean }> {
  const decisions = new Map<string, { effect: 1 | 2; policy: string; rule: string; matched: boolean }>();
  for (const [action, { effect, policy = '', matched = true }] of results) {
    // The engine itself never says anything else; what a server may say is any number.
    decisions.set(action, { effect: effect as 1 | 2, policy, rule: '', matched });
  }
  return decisions;
}

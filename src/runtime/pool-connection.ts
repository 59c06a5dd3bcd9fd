import type { ConnectionContext, ConnectionEvent } from '../../machines/index.js';
import type { ParsedAddress } from '../core/address.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import {
  Call,
  type CallCarrier,
  type CallCodec,
  type CallOwner,
  isUnimplemented,
  type ProtocolCounters,
} from '../data/call.js';
import type { CheckBook } from '../data/check-book.js';
import type { Routable } from '../data/router.js';
import { StreamSlots } from '../data/stream-slots.js';
import { UnaryCall } from '../data/unary-call.js';
import { GrpcCode } from '../errors.js';
import { type Redactor, secretsIn } from '../observe/redact.js';
import type { ResolvedOptions } from '../options.js';
import { lostStatus } from '../transport/status.js';
import type {
  DownCause,
  StreamListener,
  Transport,
  TransportConnection,
  UnaryOptions,
  UnaryResult,
  WireMetadata,
  WireStatus,
  WireStream,
} from '../transport/port.js';
import type { CheckStream } from './check-stream.js';
import type { ServedEndpoint } from './served-endpoint.js';
import { LatencyEstimate } from './latency.js';
import { CHECK, CHECK_BATCH, CHECK_STREAM, HEALTH_CHECK } from './paths.js';

/** An answer is overdue past this, or past four times the usual 99th percentile. */
const OVERDUE_MS = 250;
const OVERDUE_FACTOR = 4;
/** Of a check's time. What was slow for a while must not teach us to wait for longer than checks live: the rest is for asking elsewhere. */
const OVERDUE_SHARE = 0.75;

/** What a pooled connection needs of the client around it. */
export interface ConnectionHost {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly userAgent: string;
  readonly book: CheckBook;
  readonly codec: CallCodec & { encodeHealthCheck(service: string): Uint8Array };
  readonly counters: ProtocolCounters;
  tell(connection: PoolConnection, event: ConnectionEvent): void;
  /** The headers of a call, or undefined while a token is being fetched. */
  headers(): WireMetadata | undefined;
  /** Whether our own event loop stalled since then. */
  stalledSince(startedAt: number): boolean;
  onUsableChange(connection: PoolConnection): void;
  /** It was at its peer's stream limit, and is no longer. */
  onRoom(): void;
  onOpened(connection: PoolConnection): void;
  onLost(connection: PoolConnection, reason: string): void;
  onDialFailed(connection: PoolConnection, reason: string): void;
  onDraining(connection: PoolConnection, reason: string): void;
  /** Its address is a name that leads elsewhere by now. */
  onMoved(connection: PoolConnection): void;
  onClosed(connection: PoolConnection, reason: string): void;
  readonly redactor: Redactor;
  /** A connection is about to be opened. */
  onDial(): void;
  /** A socket of ours opens, or is gone. */
  onSocket(delta: 1 | -1): void;
}

/** A health Watch takes a call for good: not where the peer allows fewer than this. */
const MIN_STREAMS_TO_WATCH = 4;

const NOT_OPEN: UnaryResult = {
  ok: false,
  status: { code: 14, message: 'the connection is not open', outcome: 'notSent' },
};

const GIVEN_UP = 'the connection was given up';
const RPCS = { Check: CHECK, CheckBatch: CHECK_BATCH } as const;

/** As its server said before. */
const NO_BATCH: UnaryResult = {
  ok: false,
  status: { code: GrpcCode.UNIMPLEMENTED, message: 'the server has no CheckBatch', outcome: 'answered' },
};

/** One pooled connection: the effects of its statechart, and what the router and the calls know of it. */
export class PoolConnection implements CallCarrier, Routable {
  readonly id: string;
  readonly endpoint: ServedEndpoint;
  readonly createdAt: number;
  lastUsedAt: number;
  weight = 1;
  inFlight = 0;
  totalRequests = 0;
  /** Flag of the statechart's `open`: new work may come. */
  admitted = false;
  /** The transport is up. */
  connected = false;
  /** It has been up at least once. */
  proven = false;
  closed = false;
  /** Draining: takes no more, and is not counted. */
  leaving = false;
  /** Its first dial is still under way. */
  untried = true;
  healthCheckFailures = 0;
  lastReceivedAt = 0;
  /** When the transport was up last, on the clock. */
  openedAt = 0;
  /** The client's own check streams on it. */
  readonly lanes: CheckStream[] = [];
  readonly #host: ConnectionHost;
  readonly #calls = new Set<Call>();
  /** Checks that went by calls of their own, batches above all, and are not answered; the oldest first. */
  readonly #asked = new Set<{ readonly sinceMs: number }>();
  readonly #latency = new LatencyEstimate();
  /** Of the transport of now: what still ends on the one before is not counted against it. */
  #slots = this.#createSlots();
  #slotsChanged = false;
  #isFull = false;
  #transport: TransportConnection | undefined;
  /** The transport a probe is under way on. */
  #probed: TransportConnection | undefined;
  #examinedFor = -1;
  #connectTimer: TimerHandle;
  #downReason = '';
  #draining = false;

  constructor(id: string, endpoint: ServedEndpoint, host: ConnectionHost) {
    this.id = id;
    this.endpoint = endpoint;
    this.#host = host;
    this.createdAt = Date.now();
    this.lastUsedAt = host.clock.now();
  }

  get address(): ParsedAddress {
    return this.endpoint.address;
  }

  get ewmaLatencyMs(): number {
    return this.#latency.averageMs;
  }

  /** Moving estimates, of answers from when they were asked on this connection; 0 before the first. */
  get latency(): Readonly<Pick<LatencyEstimate, 'p50Ms' | 'p99Ms'>> {
    return this.#latency;
  }

  /** A check that has waited for longer is overdue. */
  get overdueMs(): number {
    const limitMs = OVERDUE_SHARE * this.#host.options.timeoutMs;
    return Math.max(OVERDUE_MS, Math.min(OVERDUE_FACTOR * this.#latency.p99Ms, limitMs));
  }

  /** Every one of the client's own streams on it waits out a backoff. */
  get isBackingOff(): boolean {
    for (const lane of this.lanes) if (!lane.backingOff) return false;
    return this.lanes.length > 0;
  }

  /** How many calls its peer allows at once; Infinity without a limit. */
  get maxStreams(): number {
    return this.#slots.limit;
  }

  /** Calls that can be opened before its peer's limit is reached. */
  get freeStreams(): number {
    return this.#slots.free;
  }

  get hasRoom(): boolean {
    return this.#slots.free > 0;
  }

  /** Not where a loss is about to be told: a call opened now would be one more lost attempt. */
  get opensCalls(): boolean {
    return this.#transport !== undefined && this.#transport.usable !== false;
  }

  /** A check finds a stream here, or room to open one. */
  get takesChecks(): boolean {
    return this.hasRoom || this.lanes.length > 0 || !this.endpoint.hasStreams;
  }

  get allowsWatch(): boolean {
    return this.connected && this.maxStreams >= MIN_STREAMS_TO_WATCH;
  }

  get calls(): ReadonlySet<Call> {
    return this.#calls;
  }

  /** Calls can be opened: no token is being fetched. */
  get hasHeaders(): boolean {
    return this.#host.headers() !== undefined;
  }

  /** Answers that are waited for; not those that the application holds back. */
  get awaited(): number {
    let awaited = this.inFlight;
    for (const call of this.#calls) awaited += call.awaited - call.unanswered;
    return awaited;
  }

  /** Since when the first that is asked on a stream is, or undefined. */
  awaitedSince(): number | undefined {
    let oldest: number | undefined;
    for (const call of this.#calls) {
      const since = call.awaitedSince();
      if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since;
    }
    return oldest;
  }

  /** The same, of everything that checks are asked by. */
  owedSince(): number | undefined {
    const since = this.awaitedSince();
    const [oldest] = this.#asked;
    return oldest === undefined ? since : Math.min(oldest.sinceMs, since ?? Infinity);
  }

  // --- the statechart's effects -------------------------------------------------------------------------------------------------

  dial(): void {
    this.#host.onDial();
    this.#host.onSocket(1);
    try {
      this.#connect();
    } catch (cause) {
      // A transport of the caller's own: it should not throw, but then there is no socket, and nobody else will say so.
      this.#host.onSocket(-1);
      const message = `the transport threw: ${cause instanceof Error ? cause.message : String(cause)}`;
      queueMicrotask(() => this.#lose({ kind: 'other', message }));
      throw cause;
    }
  }

  #connect(): void {
    const { transport, options, clock, userAgent } = this.#host;
    const tls = options.readTls?.();
    const slots = this.#createSlots();
    this.#slots = slots;
    if (this.#isFull) this.#slotsChangedSoon();
    const connection: TransportConnection = transport.connect(
      { address: this.address.text },
      {
        connectTimeoutMs: options.connectTimeoutMs,
        ...(tls === undefined ? {} : { tls }),
        maxMessageBytes: options.maxMessageBytes,
        userAgent,
        clock,
      },
      {
        onUp: () => {
          if (this.#transport !== connection) return;
          this.connected = true;
          this.untried = false;
          this.openedAt = clock.now();
          this.lastReceivedAt = clock.now();
          this.lastUsedAt = clock.now();
          this.#host.tell(this, { type: 'TRANSPORT_UP' });
        },
        onStreamLimit: (maxStreams) => slots.setLimit(maxStreams),
        onGoaway: ({ reason, tooManyPings = false }) => {
          if (tooManyPings) this.endpoint.noteTooManyPings();
          if (this.#transport !== connection) return;
          this.#host.tell(this, { type: 'GOAWAY', reason: this.#host.redactor.text(reason) });
        },
        onMoved: () => {
          if (this.#transport === connection) this.#host.onMoved(this);
        },
        onDown: (cause) => {
          this.#host.onSocket(-1);
          if (this.#transport === connection) this.#lose(cause);
        },
      },
    );
    this.#transport = connection;
  }

  /** Dials after a while. */
  connectLater(delayMs: number): void {
    this.#connectTimer = this.#host.clock.setTimeout(() => this.#host.tell(this, { type: 'CONNECT' }), delayMs);
  }

  admit(): void {
    this.admitted = true;
    this.#host.onUsableChange(this);
  }

  withdraw(): void {
    this.admitted = false;
    this.#host.onUsableChange(this);
  }

  /** A sign of life within the keepalive timeout: an HTTP/2 ping where the transport has one, else a health check; any answer will do. */
  probe(): void {
    const transport = this.#transport;
    if (transport === undefined || this.#probed === transport) return;
    this.#probed = transport;
    void this.#probe(transport);
  }

  async #probe(transport: TransportConnection): Promise<void> {
    const { options, clock } = this.#host;
    const startedAt = clock.now();
    const timeoutMs = options.keepAliveTimeoutMs;
    const alive =
      transport.ping === undefined
        ? isAlive(
            await transport.unary(HEALTH_CHECK, this.#host.codec.encodeHealthCheck(''), {
              timeoutMs,
              ...withMetadata(this.#host.headers()),
            }),
          )
        : await transport.ping(timeoutMs);
    if (this.#transport !== transport) return;
    this.#probed = undefined;
    // Something else came meanwhile, or it was we who did not listen: the silence proves nothing.
    const heard = alive || this.lastReceivedAt > startedAt || this.#host.stalledSince(startedAt);
    if (heard) this.lastReceivedAt = clock.now();
    this.#host.tell(this, { type: heard ? 'PROBE_ANSWERED' : 'PROBE_MISSED' });
  }

  drainCalls(): void {
    this.#draining = true;
    this.#checkDrained();
  }

  destroyTransport(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    this.connected = false;
    if (transport === undefined) return;
    // Told by us, not by the transport's CANCELLED: what these calls owe may be asked again elsewhere.
    this.#endCalls(this.#downReason || GIVEN_UP);
    transport.close();
  }

  reportOpened(): void {
    this.#host.onOpened(this);
    this.proven = true;
  }

  reportLost({ reason }: ConnectionContext): void {
    this.#host.onLost(this, this.#downReason || reason);
  }

  reportDialFailed({ reason }: ConnectionContext): void {
    this.untried = false;
    this.#host.onDialFailed(this, this.#downReason || reason);
  }

  reportDraining({ reason }: ConnectionContext): void {
    this.#host.onDraining(this, reason);
  }

  reportClosed({ reason }: Pick<ConnectionContext, 'reason'>): void {
    this.closed = true;
    this.#host.clock.clearTimeout(this.#connectTimer);
    this.#host.onClosed(this, reason);
  }

  /** Answers are overdue, and nothing came since then: is it this end? Looked into once. */
  examine(silentSince: number): void {
    if (this.#examinedFor === silentSince) return;
    this.#examinedFor = silentSince;
    this.#transport?.examine?.();
  }

  /** Its endpoint is suspect: takes no more until that is settled. */
  cordon(): void {
    this.#host.tell(this, { type: 'CORDON', reason: 'suspect' });
  }

  /** It idled for long: ask for a sign of life beside the next check, rather than find out at its deadline. */
  verify(): void {
    this.#host.tell(this, { type: 'SILENT' });
  }

  uncordon(): void {
    this.#host.tell(this, { type: 'UNCORDON', reason: 'suspect' });
  }

  /** Its level is routed, or about to be. */
  promote(): void {
    this.#host.tell(this, { type: 'PROMOTE' });
  }

  /** Its level is not routed: stay warm. */
  demote(): void {
    this.#host.tell(this, { type: 'DEMOTE' });
  }

  // --- calls --------------------------------------------------------------------------------------------------------------------

  /** Opens a generation; undefined while the headers, the connection or room on it are not there. */
  openCall(generation: number, owner: CallOwner): Call | undefined {
    const transport = this.#transport;
    const headers = this.#host.headers();
    if (transport === undefined || !this.connected || headers === undefined) return undefined;
    if (!this.opensCalls) return undefined;
    const { book, codec, counters, clock } = this.#host;
    const init = { generation, carrier: this, owner, book, codec, counters, now: () => clock.now() };
    let call: Call;
    if (this.endpoint.hasStreams) {
      if (!this.hasRoom) return undefined;
      this.#slots.take();
      call = new Call(init);
      call.attach(transport.openStream(CHECK_STREAM, headers, call));
    } else {
      call = new UnaryCall(init, {
        maxMessageBytes: this.#host.options.maxMessageBytes,
        hasRoom: () => this.hasRoom && this.hasHeaders && this.opensCalls,
        hasBatch: () => this.endpoint.hasBatch,
        send: (rpc, bytes, options) =>
          this.#exchange(transport, RPCS[rpc], bytes, { ...options, ...withMetadata(this.#host.headers()) }),
      });
    }
    this.#calls.add(call);
    return call;
  }

  /** One unary exchange; never rejects. */
  async unary(
    path: string,
    bytes: Uint8Array,
    options: Omit<UnaryOptions, 'metadata'> & { metadata?: WireMetadata },
  ): Promise<UnaryResult> {
    const transport = this.#transport;
    const headers = this.#host.headers();
    if (transport === undefined || headers === undefined) return NOT_OPEN;
    if (path === CHECK_BATCH && !this.endpoint.hasBatch) return NO_BATCH;
    this.inFlight++;
    this.lastUsedAt = this.#host.clock.now();
    const asked = { sinceMs: this.lastUsedAt };
    if (path === CHECK || path === CHECK_BATCH) this.#asked.add(asked);
    try {
      const metadata = { ...headers, ...options.metadata };
      const result = await this.#exchange(transport, path, bytes, { ...options, metadata });
      if (isAlive(result)) this.noteReceived(this.#host.clock.now());
      if (result.ok) return result;
      // Told by us, as to streams: nobody cancelled the call, we gave its connection up.
      const isGivenUp =
        result.status.code === GrpcCode.CANCELLED && this.#transport !== transport && options.signal?.aborted !== true;
      const status = isGivenUp ? lostStatus(this.#downReason || GIVEN_UP) : result.status;
      return { ok: false, status: this.clean(status, options.metadata) };
    } finally {
      this.#asked.delete(asked);
      this.inFlight--;
      this.#checkDrained();
    }
  }

  openStream(path: string, listener: StreamListener): WireStream | undefined {
    const headers = this.#host.headers();
    const transport = this.#transport;
    if (headers === undefined || transport === undefined) return undefined;
    const slots = this.#slots;
    slots.take();
    return transport.openStream(path, headers, {
      onMessage: (bytes, start, end, now) => listener.onMessage(bytes, start, end, now),
      onDrain: () => listener.onDrain(),
      onStatus: (status) => {
        slots.release();
        listener.onStatus(status);
      },
    });
  }

  /** There is room, or a token. */
  wakeCalls(): void {
    for (const call of this.#calls) if (call instanceof UnaryCall) call.wake();
  }

  /** Round trip of an HTTP/2 PING; undefined where the transport has none. */
  ping(timeoutMs: number): Promise<boolean> | undefined {
    return this.#transport?.ping?.(timeoutMs);
  }

  noteAnswer(latencyMs: number): void {
    this.totalRequests++;
    this.#latency.add(latencyMs);
    // Whatever is answered was received just now.
    this.endpoint.noteCheckAnswered(this.lastReceivedAt);
  }

  noteFailed(status: WireStatus, since: number): void {
    this.endpoint.noteCheckFailed(status, since);
  }

  noteReceived(now: number): void {
    this.lastReceivedAt = now;
    this.lastUsedAt = now;
    if (this.endpoint.suspect) this.endpoint.noteAnswer();
  }

  /** Without secrets, those among the call's own headers included: a server may say what it was told. */
  clean(status: WireStatus, headers?: WireMetadata): WireStatus {
    const secrets = headers === undefined ? [] : secretsIn(headers);
    return { ...status, message: this.#host.redactor.text(status.message, secrets) };
  }

  noteNoStreams(): void {
    this.endpoint.hasStreams = false;
  }

  noteCallEnded(call: Call): void {
    if (!this.#calls.delete(call)) return;
    if (!(call instanceof UnaryCall)) this.#slots.release();
    this.#checkDrained();
  }

  /** The client's own streams on it have changed. */
  noteLanes(): void {
    if (!this.hasRoom) this.#slotsChangedSoon();
  }

  async #exchange(
    transport: TransportConnection,
    path: string,
    bytes: Uint8Array,
    options: UnaryOptions,
  ): Promise<UnaryResult> {
    const slots = this.#slots;
    slots.take();
    try {
      const result = await transport.unary(path, bytes, options);
      if (path === CHECK_BATCH && !result.ok && isUnimplemented(result.status)) this.endpoint.hasBatch = false;
      return result;
    } finally {
      slots.release();
    }
  }

  #createSlots(): StreamSlots {
    const slots = new StreamSlots(() => {
      if (slots === this.#slots) this.#slotsChangedSoon();
    });
    return slots;
  }

  /** From a microtask: a call that is being opened is not to be overtaken by what its opening leads to. */
  #slotsChangedSoon(): void {
    if (this.#slotsChanged) return;
    this.#slotsChanged = true;
    queueMicrotask(() => {
      this.#slotsChanged = false;
      if (this.closed) return;
      // One that checks can still ride on stays in the route, full as it is.
      const isFull = !this.takesChecks;
      if (isFull !== this.#isFull) {
        this.#isFull = isFull;
        this.#host.tell(this, { type: isFull ? 'CORDON' : 'UNCORDON', reason: 'streamLimit' });
      }
      this.endpoint.reviewWatch();
      if (!this.hasRoom) return;
      this.wakeCalls();
      this.#host.onRoom();
    });
  }

  #lose(cause: DownCause): void {
    this.#transport = undefined;
    this.connected = false;
    this.#downReason = this.#host.redactor.text(cause.message);
    this.#host.tell(this, { type: 'TRANSPORT_LOST', reason: this.#downReason });
    // The transport ends its streams with a status each; a call made of unary exchanges has none of its own.
    for (const call of [...this.#calls]) {
      if (call instanceof UnaryCall) call.onStatus({ code: 14, message: this.#downReason, outcome: 'unknown' });
    }
  }

  #endCalls(reason: string): void {
    for (const call of [...this.#calls]) call.onStatus({ code: 14, message: reason, outcome: 'unknown' });
  }

  #checkDrained(): void {
    if (this.#draining && this.#calls.size === 0 && this.inFlight === 0) this.#host.tell(this, { type: 'DRAINED' });
  }
}

/** Only silence is a sign of death: whatever status the server itself answers with, it lives. */
function isAlive(result: UnaryResult): boolean {
  return result.ok || result.status.outcome === 'answered';
}

function withMetadata(metadata: WireMetadata | undefined): { metadata?: WireMetadata } {
  return metadata === undefined ? {} : { metadata };
}

import type { ActorRefFrom } from 'xstate';
import type { clientMachine } from '../machines/index.js';
import { type DecodedResponse, FrozenResults } from './codec/codec.js';
import { type FramedMessage, messageIn } from './core/framed-message.js';
import { MAX_UNKNOWN_ANSWERS } from './data/call.js';
import { refuseOversize } from './data/message-size.js';
import {
  AuthzClientError,
  ConfigurationError,
  GrpcCode,
  PoolExhaustedError,
  ProtocolError,
  TimeoutError,
  type Outcome,
} from './errors.js';
import { logEvents } from './event-log.js';
import type { ClientEventListener, ClientEventName, TypedEmitter } from './events.js';
import type { FlightDump } from './flight.js';
import {
  type AdvancedStreamOptions,
  type AuthzClientOptions,
  type BackpressureConfig,
  type DeduplicationOptions,
  type PooledClientOptions,
  requireOptions,
  requireWholeNumber,
  resolveAdvancedStreamOptions,
  resolveBackpressure,
  resolveDeduplication,
  resolveOptions,
  type ResolvedCheckOptions,
  type ResolvedOptions,
  resolveStreamPoolConfig,
  type StreamPoolConfig,
  validateCallbacks,
  validateCheckOptions,
} from './options.js';
import { SafeLogger } from './observe/logger.js';
import { ClientRuntime } from './runtime/client-runtime.js';
import { dump } from './runtime/flight-dump.js';
import { encodeRequest } from './runtime/encode-request.js';
import { HealthSubscriptions } from './runtime/health-subscriptions.js';
import { CHECK, CHECK_BATCH, LOAD_POLICIES, RELOAD_POLICIES } from './runtime/paths.js';
import { PromiseSink } from './runtime/promise-sink.js';
import { type BidirectionalStreamHandle, type HandleHost, StreamHandle } from './runtime/stream-handle.js';
import type { WireId } from './codec/wire-id.js';
import { createTransport } from './transport/index.js';
import type {
  CheckInput,
  CheckOptions,
  CheckRequest,
  CheckResponse,
  ClientStats,
  ConnectionHealth,
  ConnectionState,
  DeduplicationStats,
  HealthCheckResult,
  HealthStreamCallbacks,
  LoadPoliciesResult,
  PolicySource,
  PooledConnection,
  PoolStats,
  ReloadPoliciesResult,
  StreamLifecycleCallbacks,
  StreamMonitoringMetrics,
} from './types.js';
import { validateRequest } from './validate-request.js';

/** Items of one batch at most. */
const MAX_BATCH = 10_000;

/** The older, basic form of a stream. */
export interface BasicStream {
  send(request: CheckRequest): boolean;
  end(): void;
}

/** A consistent picture of the client's streams. */
export interface StreamDiagnostics {
  metrics: StreamMonitoringMetrics;
  poolConfig: StreamPoolConfig;
  advancedOptions: AdvancedStreamOptions;
  deduplicationStats: { size: number; capacity: number };
  activeStreamIds: string[];
}

/** Totals of the handles that are gone. */
interface GoneTotals {
  sent: number;
  received: number;
  latencySumMs: number;
  peakBufferSize: number;
  backpressureEvents: number;
}

/** The parts of a client, for this package's own simulations: not among what the package exports. */
export let runtimeOf: (client: AuthzClient) => ClientRuntime;

/** The authorization client. Everything that waits has a deadline; everything that queues has a bound; every failure is a typed error. */
export class AuthzClient implements TypedEmitter {
  readonly #runtime: ClientRuntime;
  readonly #options: ResolvedOptions;
  readonly #health: HealthSubscriptions;
  /** Of a check without options. */
  readonly #plainCheck: ResolvedCheckOptions;
  readonly #gone: GoneTotals = { sent: 0, received: 0, latencySumMs: 0, peakBufferSize: 0, backpressureEvents: 0 };

  static {
    runtimeOf = (client) => client.#runtime;
  }

  /**
   * Dials nothing yet: `connect()`, or the first check or stream, does.
   * @param addresses those of a pooled client; see {@link createPooledClient}
   * @throws ConfigurationError naming the option and the rule it breaks
   */
  constructor(options: AuthzClientOptions | PooledClientOptions, addresses?: readonly string[]) {
    this.#options = resolveOptions(addresses, options);
    const { transport, logger } = this.#options;
    this.#runtime = new ClientRuntime(this.#options, createTransport(transport));
    const { hub, redactor } = this.#runtime.env;
    if (logger !== undefined) logEvents(hub, new SafeLogger(logger, redactor));
    this.#runtime.streams.onHandleGone = (handle) => this.#addGone(handle);
    this.#plainCheck = validateCheckOptions(undefined, this.#options.timeoutMs);
    this.#health = new HealthSubscriptions(this.#runtime);
  }

  // --- life -----------------------------------------------------------------------------------------------------------------------

  /**
   * Resolves when an endpoint is served. Calls share one promise.
   * @throws ConnectionError when every address has failed once; TimeoutError at `timeout`; StreamClosedError after `disconnect()`
   */
  connect(): Promise<void> {
    return this.#runtime.lifecycle.connect();
  }

  /**
   * Refuses new work, finishes what is owed, closes. Final and idempotent; never rejects for what it could not finish: that rejects with
   * `CancelledError`.
   * @param options `force`: do not wait; `timeoutMs`: how long to wait, milliseconds (default: the client's `timeout`)
   */
  disconnect(options: { force?: boolean; timeoutMs?: number } = {}): Promise<void> {
    requireOptions('disconnect', options, ['force', 'timeoutMs']);
    const { force = false, timeoutMs = this.#options.timeoutMs } = options;
    if (typeof force !== 'boolean') throw new ConfigurationError('disconnect.force', 'must be a boolean');
    requireWholeNumber('disconnect.timeoutMs', timeoutMs, 0, 2 ** 31 - 1);
    this.#health.stop();
    return this.#runtime.lifecycle.disconnect(force, timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }

  isConnected(): boolean {
    return this.#runtime.connectionState() === 'ready';
  }

  getConnectionState(): ConnectionState {
    return this.#runtime.connectionState();
  }

  /** The root statechart's state value. */
  getState(): string {
    return this.#runtime.actors.state;
  }

  /** The root actor, for looking at. */
  get actor(): ActorRefFrom<typeof clientMachine> {
    return this.#runtime.actors.root;
  }

  on<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    this.#runtime.env.hub.on(name, listener);
    return this;
  }

  once<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    this.#runtime.env.hub.once(name, listener);
    return this;
  }

  off<Name extends ClientEventName>(name: Name, listener: ClientEventListener<Name>): this {
    this.#runtime.env.hub.off(name, listener);
    return this;
  }

  getStats(): ClientStats {
    const { total, successful, failed, latencySumMs } = this.#runtime.book.totals;
    const { hits, joined, misses, conflicts } = this.#runtime.desk.dedupStats();
    const lookUps = hits + joined + misses + conflicts;
    return {
      totalRequests: total,
      successfulRequests: successful,
      failedRequests: failed,
      avgLatencyMs: successful === 0 ? 0 : latencySumMs / successful,
      cacheHitRate: lookUps === 0 ? 0 : (hits + joined) / lookUps,
    };
  }

  resetStats(): void {
    this.#runtime.book.resetTotals();
  }

  /**
   * What an operator wants to see of a client that misbehaves, as plain JSON without secrets: options, statistics, every statechart's state and
   * context, and the last transitions (`flightRecorderSize`), from which `authz replay` makes them again. At any time, after
   * `disconnect()` too.
   */
  dump(): FlightDump {
    const { env, actors } = this.#runtime;
    return dump(env, actors, {
      connectionState: this.getConnectionState(),
      client: { ...this.getStats() },
      pool: { ...this.getPoolStats() },
      streams: { ...this.getStreamMonitoringMetrics() },
      deduplication: { ...this.getDeduplicationCacheStats() },
      protocol: { ...env.counters },
    });
  }

  // --- checks ---------------------------------------------------------------------------------------------------------------------

  /**
   * Asks one question. Only an explicit ALLOW in the answer is an allow: see `isAllowed`.
   * @throws ConfigurationError, BackpressureError, TimeoutError, ConnectionError, CancelledError, ProtocolError, PoolExhaustedError
   */
  // Not `async`: that would be a second promise, and three turns of the microtask queue, for each check.
  check(request: CheckInput, options?: CheckOptions): Promise<CheckResponse> {
    try {
      return this.#check(request, options);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #check(request: CheckInput, options: CheckOptions | undefined): Promise<CheckResponse> {
    const checked = this.#toRequest(request, false);
    this.#runtime.lifecycle.refuseWhenClosing('check', checked);
    return this.#ask(checked, options);
  }

  #ask(checked: CheckRequest, options: CheckOptions | undefined): Promise<CheckResponse> {
    const resolved = this.#resolve(options, checked);
    if (resolved.metadata !== undefined) return this.#checkUnary(checked, resolved);
    const { timeoutMs, signal } = resolved;
    if (signal === undefined) {
      const known = this.#runtime.desk.recall(checked);
      if (known !== undefined) return Promise.resolve(known);
    }
    const sink = new PromiseSink();
    const check = this.#runtime.desk.submit(checked, timeoutMs, sink, this.#runtime.desk.dispatch);
    if (check === undefined) throw new AuthzClientError('the client refused its own check', 'ERR_AUTHZ_INTERNAL');
    return sink.settled(check, signal, this.#runtime.cancel);
  }

  /**
   * Asks many questions in one call; the answers come in the same order. A bad or failed item does not fail the rest: its response has `error`.
   * @throws ConfigurationError for what is no array, or too long; typed errors when the whole batch failed
   */
  async checkBatch(requests: readonly CheckInput[], options?: CheckOptions): Promise<CheckResponse[]> {
    if (!Array.isArray(requests)) throw new ConfigurationError('requests', 'must be an array of requests');
    if (requests.length > MAX_BATCH)
      throw new ConfigurationError('requests', `must be at most ${MAX_BATCH} long, got ${requests.length}`);
    this.#runtime.lifecycle.refuseWhenClosing('checkBatch');
    return this.#runtime.whole(() => this.#checkBatch(requests, options));
  }

  async #checkBatch(requests: readonly CheckInput[], options: CheckOptions | undefined): Promise<CheckResponse[]> {
    const resolved = this.#resolve(options);
    const items = requests.map((input: CheckInput, index) => this.#toBatchItem(input, index));
    const valid = items.filter((item) => item.error === undefined);
    if (valid.length === 0) return items.map(toErrorResponse);
    const { clock, book } = this.#runtime;
    const deadlineAt = clock.now() + resolved.timeoutMs;
    let responses: CheckResponse[] | undefined;
    let inDoubt = false;
    try {
      responses = await this.#askBatch(items, valid, resolved, () => (inDoubt = true));
    } finally {
      for (const { wireId } of valid) book.releaseWireId(wireId);
    }
    return responses ?? this.#checkEach(items, { ...options, deadline: deadlineAt - clock.now() }, inDoubt);
  }

  // --- streams --------------------------------------------------------------------------------------------------------------------

  /**
   * @throws ConfigurationError for a missing callback or watermarks out of order; PoolExhaustedError past `maxConcurrentStreams`;
   * StreamClosedError after `disconnect()`
   */
  createBidirectionalStream(
    callbacks: StreamLifecycleCallbacks,
    backpressure?: Partial<BackpressureConfig>,
  ): BidirectionalStreamHandle {
    validateCallbacks(callbacks);
    const limits = resolveBackpressure(this.#options.backpressure, backpressure);
    this.#runtime.lifecycle.refuseWhenClosing('createBidirectionalStream');
    this.#refuseStreamsBeyond(1);
    const handle = new StreamHandle(this.#handleHost(limits), callbacks);
    this.#runtime.streams.openHandle(handle, limits);
    this.#runtime.lifecycle.wake();
    return handle;
  }

  /** The older, basic form. */
  createStream(
    onResponse: (response: CheckResponse) => void,
    onError: (error: Error) => void,
    onEnd: () => void,
  ): BasicStream {
    const handle = this.createBidirectionalStream({ onResponse, onError, onEnd });
    return { send: (request) => handle.send(request), end: () => handle.end() };
  }

  /**
   * `count` handles that share callbacks. One that cannot be made emits `stream_pool_creation_error`.
   * @throws PoolExhaustedError when there would be more than `maxConcurrentStreams`: never silently fewer
   */
  createStreamPool(
    count: number,
    callbacks: StreamLifecycleCallbacks,
    backpressure?: Partial<BackpressureConfig>,
  ): BidirectionalStreamHandle[] {
    requireWholeNumber('count', count, 1, 10_000);
    validateCallbacks(callbacks);
    resolveBackpressure(this.#options.backpressure, backpressure);
    this.#refuseStreamsBeyond(count);
    const handles: BidirectionalStreamHandle[] = [];
    for (let index = 0; index < count; index++) {
      try {
        handles.push(this.createBidirectionalStream(callbacks, backpressure));
      } catch (error) {
        this.#runtime.env.hub.emit('stream_pool_creation_error', {
          index,
          error: error instanceof Error ? error : new Error(String(error)),
        });
        if (handles.length === 0) throw error;
      }
    }
    return handles;
  }

  /** @throws ConfigurationError */
  configureStreamPool(config: Partial<StreamPoolConfig>): void {
    this.#runtime.streams.poolConfig = resolveStreamPoolConfig(this.#runtime.streams.poolConfig, config);
  }

  /**
   * For streams made from now on; `deduplication` takes effect at once.
   * @throws ConfigurationError
   */
  configureAdvancedStreamOptions(options: Partial<AdvancedStreamOptions>): void {
    const before = this.#runtime.streams.streamOptions;
    const after = resolveAdvancedStreamOptions(before, options);
    this.#runtime.streams.streamOptions = after;
    const isSame =
      before.deduplication === after.deduplication && before.deduplicationCacheSize === after.deduplicationCacheSize;
    if (!isSame)
      this.#runtime.desk.configureDedup(
        after.deduplication,
        after.deduplicationCacheSize,
        this.#options.deduplicationTtlMs,
      );
  }

  getStream(id: string): BidirectionalStreamHandle | null {
    for (const handle of this.#runtime.streams.handles) if (handle.getId() === id) return handle;
    return null;
  }

  listActiveStreamIds(): string[] {
    return [...this.#runtime.streams.handles].map((handle) => handle.getId());
  }

  getActiveStreamCount(): number {
    return this.#runtime.streams.handles.size;
  }

  /** Ends one handle, as its `end()` does. Unknown ids are passed over. */
  closeStream(id: string): void {
    this.getStream(id)?.end();
  }

  closeAllStreams(): void {
    for (const handle of [...this.#runtime.streams.handles]) handle.end();
  }

  getStreamMonitoringMetrics(): StreamMonitoringMetrics {
    const sum = { ...this.#gone };
    for (const handle of this.#runtime.streams.handles) addTotals(sum, handle);
    return {
      activeStreams: this.#runtime.streams.handles.size,
      totalMessagesSent: sum.sent,
      totalMessagesReceived: sum.received,
      avgLatencyMs: sum.received === 0 ? 0 : sum.latencySumMs / sum.received,
      peakBufferSize: sum.peakBufferSize,
      backpressureEvents: sum.backpressureEvents,
    };
  }

  getStreamDiagnostics(): StreamDiagnostics {
    return {
      metrics: this.getStreamMonitoringMetrics(),
      poolConfig: { ...this.#runtime.streams.poolConfig },
      advancedOptions: { ...this.#runtime.streams.streamOptions },
      deduplicationStats: this.getDeduplicationCacheStats(),
      activeStreamIds: this.listActiveStreamIds(),
    };
  }

  // --- pool -----------------------------------------------------------------------------------------------------------------------

  getPoolStats(): PoolStats {
    const connections = [...this.#runtime.pool];
    const { acquired, acquireSumMs } = this.#runtime.desk;
    const connected = connections.filter((connection) => connection.connected);
    const active = connected.filter((connection) => connection.inFlight > 0).length;
    return {
      totalConnections: connections.length,
      activeConnections: active,
      idleConnections: connected.length - active,
      failedConnections: this.#runtime.pool.failed,
      totalRequests: this.#runtime.book.totals.total,
      avgAcquireTimeMs: acquired === 0 ? 0 : acquireSumMs / acquired,
    };
  }

  getConnections(): PooledConnection[] {
    const now = this.#runtime.clock.now();
    return [...this.#runtime.pool].map((connection) => ({
      id: connection.id,
      address: connection.address.text,
      state: this.#runtime.actors.stateOf(connection.id),
      activeRequests: connection.inFlight,
      weight: connection.weight,
      lastUsed: new Date(Date.now() - (now - connection.lastUsedAt)),
      createdAt: new Date(connection.createdAt),
      healthCheckFailures: connection.healthCheckFailures,
    }));
  }

  /**
   * Scales the routed level to `size` connections, within min and max. Scaling down drains. Resolves when they are open.
   * @throws ConfigurationError
   */
  async scalePool(size: number): Promise<void> {
    this.#runtime.pool.checkSize(size);
    this.#runtime.lifecycle.refuseWhenClosing('scalePool');
    await this.connect();
    // It may have been called meanwhile.
    this.#runtime.lifecycle.refuseWhenClosing('scalePool');
    await this.#runtime.pool.scale(size);
  }

  /**
   * Share of new work under the weighted strategy; 0 gives it none under any strategy; all 0 counts as equal.
   * @throws ConfigurationError for a negative or unreal weight, or an unknown id
   */
  setConnectionWeight(id: string, weight: number): void {
    if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) {
      throw new ConfigurationError('weight', `must be a finite number ≥ 0, got ${String(weight)}`);
    }
    for (const connection of this.#runtime.pool) {
      if (connection.id !== id) continue;
      connection.weight = weight;
      this.#runtime.route.refresh();
      return;
    }
    throw new ConfigurationError('id', `no connection is called ${JSON.stringify(id)}; see getConnections()`);
  }

  // --- health ---------------------------------------------------------------------------------------------------------------------

  /** Probes the served endpoint now, connecting first where nothing is. Never rejects: a failed probe is a result with `error`. */
  async checkHealth(): Promise<HealthCheckResult> {
    const { hold } = this.#runtime.env;
    hold.acquire();
    try {
      // What keeps it from connecting is the endpoint's to tell, in the result.
      if (this.#runtime.primaryEndpoint.connectedCount === 0) await this.connect().catch(() => undefined);
      return await this.#runtime.primaryEndpoint.checkNow(this.#options.healthCheck.timeout);
    } finally {
      hold.release();
    }
  }

  getHealth(): ConnectionHealth {
    const endpoint = this.#runtime.primaryEndpoint;
    return {
      status: endpoint.status,
      connectionState: this.#runtime.connectionState(),
      consecutiveFailures: endpoint.consecutiveFailures,
      consecutiveSuccesses: endpoint.consecutiveSuccesses,
      history: endpoint.history,
      ...(endpoint.lastSuccessfulCheck === undefined ? {} : { lastSuccessfulCheck: endpoint.lastSuccessfulCheck }),
    };
  }

  /** @returns what ends the subscription */
  subscribeToHealthStream(callbacks: HealthStreamCallbacks): () => void {
    return this.#health.subscribe(callbacks);
  }

  /** Probes every `interval` milliseconds and emits `health_stream_check`, or `health_stream_error`. @throws ConfigurationError */
  createHealthMonitoringStream(interval = 5_000): { unsubscribe(): void } {
    requireWholeNumber('interval', interval, 1, 2 ** 31 - 1);
    return this.#health.monitor(interval, () => this.checkHealth());
  }

  // --- deduplication --------------------------------------------------------------------------------------------------------------

  /** Answers a repeated request id, for the very same question, from the cache. Empties the cache. @throws ConfigurationError */
  enableDeduplication(cacheSize = 100, options: Pick<DeduplicationOptions, 'ttlMs'> = {}): void {
    const resolved = resolveDeduplication(cacheSize, options);
    this.#runtime.streams.streamOptions = resolveAdvancedStreamOptions(this.#runtime.streams.streamOptions, {
      deduplication: true,
      deduplicationCacheSize: resolved.cacheSize,
    });
    this.#runtime.desk.configureDedup(true, resolved.cacheSize, resolved.ttlMs);
  }

  disableDeduplication(): void {
    const { deduplicationCacheSize } = this.#runtime.streams.streamOptions;
    this.#runtime.streams.streamOptions = resolveAdvancedStreamOptions(this.#runtime.streams.streamOptions, {
      deduplication: false,
    });
    this.#runtime.desk.configureDedup(false, deduplicationCacheSize, this.#options.deduplicationTtlMs);
  }

  isDeduplicated(requestId: string): boolean {
    return this.#runtime.desk.dedup.has(requestId);
  }

  getDedupedResponse(requestId: string): CheckResponse | null {
    const answer = this.#runtime.desk.dedup.get(requestId);
    return answer === null ? null : { requestId, ...answer };
  }

  getDeduplicationCacheStats(): DeduplicationStats {
    return this.#runtime.desk.dedupStats();
  }

  clearDeduplicationCache(): void {
    this.#runtime.desk.dedup.clear();
  }

  // --- policies -------------------------------------------------------------------------------------------------------------------

  /** @throws ConfigurationError; ProtocolError PERMISSION_DENIED where management is closed */
  async loadPolicies(source: PolicySource): Promise<LoadPoliciesResult> {
    const { codec } = this.#runtime.env;
    const answer = await this.#manage(LOAD_POLICIES, codec.encodeLoadPolicies(source));
    return codec.decodeLoadPolicies(answer);
  }

  /** @throws ProtocolError PERMISSION_DENIED where management is closed */
  async reloadPolicies(options: { force?: boolean } = {}): Promise<ReloadPoliciesResult> {
    const { codec } = this.#runtime.env;
    requireOptions('reloadPolicies', options, ['force']);
    const answer = await this.#manage(RELOAD_POLICIES, codec.encodeReloadPolicies(options));
    return codec.decodeReloadPolicies(answer);
  }

  async #manage(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    this.#runtime.lifecycle.refuseWhenClosing('policy management');
    refuseOversize(bytes.length, this.#options.maxMessageBytes, 'source');
    try {
      return await this.#runtime.unary.exchange({ path, bytes, timeoutMs: this.#options.timeoutMs, idempotent: false });
    } finally {
      // Answers given before the change are not to be repeated after it, whether or not its outcome is known.
      this.#runtime.desk.dedup.clear();
    }
  }

  // --- inside ---------------------------------------------------------------------------------------------------------------------

  #toRequest(input: CheckInput, requireRequestId: boolean, root = 'request'): CheckRequest {
    validateRequest(input, requireRequestId, root);
    if (input.requestId !== undefined) return input as CheckRequest;
    return this.#runtime.book.named(input);
  }

  /** @throws ConfigurationError; TimeoutError for a deadline that has passed already */
  #resolve(options: CheckOptions | undefined, request?: CheckRequest): ResolvedCheckOptions {
    if (options === undefined) return this.#plainCheck;
    const resolved = validateCheckOptions(options, this.#options.timeoutMs, {
      allowCredentials: !this.#options.isExposed,
    });
    if (resolved.timeoutMs <= 0)
      throw new TimeoutError('options.deadline: has passed already', 0, { requestId: request?.requestId });
    return resolved;
  }

  async #checkUnary(request: CheckRequest, options: ResolvedCheckOptions): Promise<CheckResponse> {
    const { book } = this.#runtime;
    const wireId = book.reserveWireId(request);
    try {
      return await this.#askUnary(request, wireId, options);
    } finally {
      book.releaseWireId(wireId);
    }
  }

  async #askUnary(
    request: CheckRequest,
    wireId: WireId,
    { timeoutMs, signal, metadata }: ResolvedCheckOptions,
  ): Promise<CheckResponse> {
    const { env, unary, book, clock } = this.#runtime;
    const { codec, counters } = env;
    const { requestId } = request;
    const bytes = messageIn(encodeRequest(codec, request, wireId));
    refuseOversize(bytes.length, this.#options.maxMessageBytes, 'request', requestId);
    const actions = [...request.actions];
    const startedAt = clock.now();
    book.totals.total++;
    try {
      const answer = await unary.exchange({
        path: CHECK,
        bytes,
        timeoutMs,
        signal,
        metadata,
        requestId,
        idempotent: true,
      });
      const decoded = codec.decodeCheckResponse(answer);
      if (decoded.requestId !== '' && decoded.requestId !== wireId) {
        throw new ProtocolError('the server answered another request', { requestId });
      }
      const { response, foreign } = codec.buildResponse(decoded, requestId, actions);
      counters.foreignResults += foreign;
      book.countAnswered(clock.now() - startedAt);
      return response;
    } catch (error) {
      book.totals.failed++;
      throw error;
    }
  }

  #toBatchItem(input: CheckInput, index: number): BatchItem {
    const { book, env } = this.#runtime;
    let wireId: WireId | undefined;
    try {
      const given = this.#toRequest(input, false, `requests[${index}]`);
      wireId = book.reserveWireId(given);
      // What cannot be encoded is this item's error and not the batch's.
      const message = encodeRequest(env.codec, given, wireId, `requests[${index}]`);
      // A copy, by the rules of what is encoded: it may be asked again one by one, and the caller may change its own meanwhile.
      const { requestId } = given;
      const request = { ...(JSON.parse(JSON.stringify(given)) as CheckInput), requestId };
      return { request, wireId, message, error: undefined };
    } catch (error) {
      if (wireId !== undefined) book.releaseWireId(wireId);
      const isTyped = error instanceof AuthzClientError;
      const fault = isTyped ? error : new ConfigurationError(`requests[${index}]`, 'cannot be read', { cause: error });
      return { request: placeholder(input), wireId: '', message: undefined, error: fault };
    }
  }

  /** Undefined where the server has no CheckBatch. */
  async #askBatch(
    items: readonly BatchItem[],
    valid: readonly BatchItem[],
    { timeoutMs, signal, metadata }: ResolvedCheckOptions,
    onDoubt: () => void,
  ): Promise<CheckResponse[] | undefined> {
    const { env, book, clock, unary } = this.#runtime;
    const bytes = env.codec.joinBatch(valid.flatMap(({ message }) => message ?? []));
    refuseOversize(bytes.length, this.#options.maxMessageBytes, 'requests');
    const { totals } = book;
    const startedAt = clock.now();
    totals.total += valid.length;
    try {
      const call = { path: CHECK_BATCH, bytes, timeoutMs, signal, metadata, idempotent: true, onDoubt };
      const answer = await unary.exchange(call);
      const responses = this.#matchBatch(items, env.codec.decodeBatch(answer, valid.length + MAX_UNKNOWN_ANSWERS));
      const answered = responses.filter(({ error }) => error === undefined).length;
      book.countAnswered(clock.now() - startedAt, answered);
      totals.failed += valid.length - answered;
      return responses;
    } catch (error) {
      if (!(error instanceof AuthzClientError) || error.grpcCode !== GrpcCode.UNIMPLEMENTED) {
        totals.failed += valid.length;
        throw error;
      }
      // Each is counted as it is asked by itself.
      totals.total -= valid.length;
      return undefined;
    }
  }

  #matchBatch(items: readonly BatchItem[], answers: readonly DecodedResponse[]): CheckResponse[] {
    const byId = new Map<WireId, DecodedResponse>();
    for (const answer of answers) {
      if (byId.has(answer.requestId)) this.#runtime.env.counters.duplicateAnswers++;
      else byId.set(answer.requestId, answer);
    }
    const responses = items.map((item) => {
      if (item.error !== undefined) return toErrorResponse(item);
      const { requestId, actions } = item.request;
      const answer = byId.get(item.wireId);
      if (answer === undefined) {
        return toErrorResponse({
          ...item,
          error: new ProtocolError('the server left this item of the batch unanswered', { requestId }),
        });
      }
      byId.delete(item.wireId);
      const { response, foreign } = this.#runtime.env.codec.buildResponse(answer, requestId, actions);
      this.#runtime.env.counters.foreignResults += foreign;
      return response;
    });
    this.#runtime.env.counters.unknownAnswers += byId.size;
    return responses;
  }

  /** For servers without CheckBatch. What was accepted before `disconnect()` is owed its answers, one by one too. */
  async #checkEach(items: readonly BatchItem[], options: CheckOptions, inDoubt: boolean): Promise<CheckResponse[]> {
    const { actors, lifecycle } = this.#runtime;
    if (actors.state === 'closed') lifecycle.refuseWhenClosing('checkBatch');
    return Promise.all(
      items.map(async (item) => {
        if (item.error !== undefined) return toErrorResponse(item);
        try {
          return await this.#ask(item.request, options);
        } catch (error) {
          if (!(error instanceof AuthzClientError)) throw error;
          return toErrorResponse({ ...item, error: inDoubt ? doubted(error) : error });
        }
      }),
    );
  }

  #refuseStreamsBeyond(more: number): void {
    const { maxConcurrentStreams } = this.#runtime.streams.poolConfig;
    const size = this.#runtime.streams.handles.size;
    if (size + more <= maxConcurrentStreams) return;
    throw new PoolExhaustedError(
      `streamPool.maxConcurrentStreams: ${size} streams are open and ${more} more would exceed ${maxConcurrentStreams}; end some, or raise it with configureStreamPool`,
    );
  }

  #handleHost(limits: BackpressureConfig): HandleHost {
    const runtime = this.#runtime;
    return {
      clock: runtime.clock,
      hub: runtime.env.hub,
      hold: runtime.env.hold,
      timeoutMs: this.#options.timeoutMs,
      maxBufferSize: limits.maxBufferSize,
      ensureOrdering: runtime.streams.streamOptions.ensureOrdering,
      submit: (request, timeoutMs, sink, route) => runtime.desk.submit(request, timeoutMs, sink, route),
      toRequest: (input, requireRequestId) => this.#toRequest(input, requireRequestId),
      resolve: (options, request) => this.#resolve(options, request),
      checkUnary: (request, options) => this.#checkUnary(request, options),
      cancel: runtime.cancel,
      stateOf: (id) => runtime.actors.stateOf(id),
      failOwned: (isOwn, toError) => runtime.book.failAll(toError, isOwn),
      onHandleClosed: (handle) => runtime.streams.onHandleClosed(handle),
    };
  }

  #addGone(handle: StreamHandle): void {
    addTotals(this.#gone, handle);
  }
}

interface BatchItem {
  readonly request: CheckRequest;
  readonly wireId: WireId;
  /** Of a valid one. */
  readonly message: FramedMessage | undefined;
  readonly error: AuthzClientError | undefined;
}

/** As much of an invalid item as its error response needs. */
function placeholder(input: unknown): CheckRequest {
  const { requestId, actions } = (typeof input === 'object' && input !== null ? input : {}) as Partial<
    Record<'requestId' | 'actions', unknown>
  >;
  return {
    requestId: typeof requestId === 'string' ? requestId : '',
    principal: { id: '', roles: [] },
    resource: { kind: '', id: '' },
    actions: Array.isArray(actions) ? actions.filter((action) => typeof action === 'string') : [],
  };
}

/** Of an item that went out with its batch, which may have been processed: that it is not sent by itself says nothing of that. */
function doubted(error: AuthzClientError): AuthzClientError {
  if (error.outcome === 'notSent') (error as { outcome: Outcome }).outcome = 'unknown';
  return error;
}

function toErrorResponse({ request, error }: BatchItem): CheckResponse {
  return {
    requestId: request.requestId,
    results: new FrozenResults(request.actions),
    ...(error === undefined ? {} : { error }),
  };
}

function addTotals(sum: GoneTotals, handle: StreamHandle): void {
  sum.sent += handle.stream.pipe.sent;
  sum.received += handle.messagesReceived;
  sum.latencySumMs += handle.latencySumMs;
  sum.peakBufferSize = Math.max(sum.peakBufferSize, handle.stream.pipe.outbox.peakLength);
  sum.backpressureEvents += handle.backpressureEvents;
}

/** @throws ConfigurationError naming the option and the rule it breaks */
export function createClient(options: AuthzClientOptions): AuthzClient {
  return new AuthzClient(options);
}

/**
 * A client that balances over all `addresses`; with `failover.enabled` and no `fallbackAddresses` they are a priority list instead.
 * @throws ConfigurationError naming the option and the rule it breaks
 */
export function createPooledClient(addresses: readonly string[], options: PooledClientOptions = {}): AuthzClient {
  return new AuthzClient(options, addresses);
}

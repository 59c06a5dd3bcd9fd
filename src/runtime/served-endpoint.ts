import type { EndpointContext, EndpointEvent } from '../../machines/index.js';
import type { ParsedAddress } from '../core/address.js';
import type { Clock } from '../core/clock.js';
import { RingBuffer } from '../core/ring-buffer.js';
import { GrpcCode, HealthCheckError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { WireStatus, WireStream } from '../transport/port.js';
import { type ConnectionState, type HealthCheckResult, HealthStatus } from '../types.js';
import { CheckEvidence } from './check-evidence.js';
import { HEALTH_CHECK, HEALTH_WATCH } from './paths.js';
import type { PoolConnection } from './pool-connection.js';
import { errorFromStatus, reasonOfStatus } from './status-error.js';

/** What an endpoint needs of the client around it. */
export interface EndpointHost {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly codec: {
    encodeHealthCheck(service: string): Uint8Array;
    decodeHealthCheck(bytes: Uint8Array): HealthStatus;
  };
  tellEndpoint(endpoint: ServedEndpoint, event: EndpointEvent): void;
  connectionState(): ConnectionState;
  /** No other endpoint is served. */
  isSole(endpoint: ServedEndpoint): boolean;
  stalledSince(startedAt: number): boolean;
  /** When our own loop last went on after a stall. */
  listeningSince(): number;
  onServedChange(endpoint: ServedEndpoint, reason: string): void;
  onHealthCheck(endpoint: ServedEndpoint, result: HealthCheckResult): void;
  onHealthChange(endpoint: ServedEndpoint, status: HealthStatus, previous: HealthStatus): void;
}

const HISTORY_LIMIT = 100;
/** Details of a result that no health service gave. */
const CONNECTIVITY = { source: 'connectivity' } as const;

/** One address: the effects of its statechart, its health as it was reported, and what is known of its server. */
export class ServedEndpoint {
  readonly address: ParsedAddress;
  readonly level: number;
  readonly id: string;
  readonly connections = new Set<PoolConnection>();
  /** Flag of the statechart: its level may route to it. */
  served = false;
  suspect = false;
  /** Connections in a row that it turned away soon after they had opened. */
  quickDrains = 0;
  /** False once the server said that it has no CheckStream. */
  hasStreams = true;
  /** The same for CheckBatch. */
  hasBatch = true;
  /** Silence after which it is pinged, milliseconds. */
  keepAliveIntervalMs: number;
  /** Why its last connection ended, or takes no more. */
  lastLoss: string | undefined;
  /** Its dials have failed at least once since the client began to connect. */
  lastDialError: string | undefined;
  status: HealthStatus = HealthStatus.UNKNOWN;
  consecutiveFailures = 0;
  consecutiveSuccesses = 0;
  lastSuccessfulCheck: Date | undefined;
  readonly #host: EndpointHost;
  readonly #evidence: CheckEvidence;
  /** Its checks failed while its health was well, and none has been answered since. */
  #isFailing = false;
  readonly #history = new RingBuffer<HealthCheckResult>();
  #watch: WireStream | undefined;
  #watchedBy: PoolConnection | undefined;
  #watchable = true;

  constructor(address: ParsedAddress, level: number, host: EndpointHost) {
    this.address = address;
    this.level = level;
    this.id = `endpoint:${address.text}`;
    this.#host = host;
    this.#evidence = new CheckEvidence(host.options.failover.failoverThreshold);
    this.keepAliveIntervalMs = host.options.keepAliveIntervalMs;
  }

  /** Its last word was that it does not serve: it lives, and answers what it was asked. */
  get isAnswering(): boolean {
    return this.status === HealthStatus.NOT_SERVING || this.status === HealthStatus.SERVICE_UNKNOWN;
  }

  /** Its first dial is still under way. */
  get isUntried(): boolean {
    if (this.lastDialError !== undefined) return false;
    for (const { untried } of this.connections) if (untried) return true;
    return false;
  }

  get history(): readonly HealthCheckResult[] {
    return [...this.#history];
  }

  /** Connections whose transport is up. One on its way out takes no work: while no other is there, nothing can be asked here. */
  get connectedCount(): number {
    let count = 0;
    for (const { connected, leaving } of this.connections) if (connected && !leaving) count++;
    return count;
  }

  /** Something came from a suspect. */
  noteAnswer(): void {
    this.suspect = false;
    this.#host.tellEndpoint(this, { type: 'ANSWER_ARRIVED' });
  }

  noteCheckAnswered(now: number): void {
    this.#evidence.noteAnswer(now);
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#host.tellEndpoint(this, { type: 'CHECK_ANSWERED' });
  }

  /** A call opened, or a check written, at `since` ended without its answer. */
  noteCheckFailed(status: WireStatus, since: number): void {
    const isFailing = this.#evidence.noteFailure(status, since, this.#host.clock.now());
    if (isFailing) this.#tellFailing(`checks fail one after the other: ${reasonOfStatus(status)}`);
  }

  /** One look at what its checks wait for. Half of a check's time is left, to ask another endpoint. */
  inspectChecks(now: number): void {
    if (!this.served) return;
    let owed = 0;
    let oldestAt = now;
    let limitMs = this.#host.options.timeoutMs / 2;
    for (const connection of this.connections) {
      const since = connection.awaitedSince();
      if (since === undefined) continue;
      owed += connection.awaited;
      oldestAt = Math.min(oldestAt, since);
      limitMs = Math.max(limitMs, connection.overdueMs);
    }
    const silentMs = this.#evidence.silentMs(now, owed, oldestAt, this.#host.listeningSince());
    if (silentMs > limitMs) this.#tellFailing('checks go unanswered');
  }

  #tellFailing(reason: string): void {
    const sole = this.#host.isSole(this);
    if (!this.served || sole) return;
    this.#isFailing = true;
    this.#host.tellEndpoint(this, { type: 'CHECKS_FAILING', sole, reason });
  }

  /** gRFC A8: it gets half as many from now on, on whatever connection. */
  noteTooManyPings(): void {
    this.keepAliveIntervalMs *= 2;
  }

  // --- the statechart's effects -------------------------------------------------------------------------------------------------

  /** @param periodic a look at a served endpoint; otherwise one that decides about a suspect, and is to be fast */
  probe(context: EndpointContext, periodic: boolean): void {
    const { healthCheck } = this.#host.options;
    const timeoutMs = periodic ? healthCheck.timeout : Math.min(context.config.probeIntervalMs, healthCheck.timeout);
    void this.#probeForChart(timeoutMs);
  }

  async #probeForChart(timeoutMs: number): Promise<void> {
    const startedAt = this.#host.clock.now();
    const result = await this.checkNow(timeoutMs);
    const sole = this.#host.isSole(this);
    if (result.status === HealthStatus.SERVING) {
      this.#host.tellEndpoint(this, { type: 'PROBE_ANSWERED', sole });
    } else if (result.status === HealthStatus.UNKNOWN) {
      this.#host.tellEndpoint(this, { type: 'PROBE_MISSED', sole, stalled: this.#host.stalledSince(startedAt) });
    } else {
      this.#host.tellEndpoint(this, { type: 'HEALTH_REPORTED', serving: false });
    }
  }

  openWatch(): void {
    if (!this.#host.options.healthCheck.enabled || this.#watch !== undefined || !this.#watchable) return;
    const { codec, options } = this.#host;
    for (const connection of this.connections) {
      if (!connection.allowsWatch || !connection.hasRoom) continue;
      const watch: WireStream | undefined = connection.openStream(HEALTH_WATCH, {
        onMessage: (bytes, start, end) => {
          if (this.#watch === watch) this.#noteWatchedBytes(bytes.subarray(start, end));
        },
        onDrain: () => undefined,
        onStatus: ({ code }) => {
          if (this.#watch !== watch) return;
          this.#watch = undefined;
          if (code === GrpcCode.UNIMPLEMENTED) this.#watchable = false;
        },
      });
      if (watch === undefined) continue;
      this.#watch = watch;
      this.#watchedBy = connection;
      watch.write(codec.encodeHealthCheck(options.healthCheck.serviceName));
      watch.end();
      return;
    }
  }

  releaseWatch(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    watch?.cancel();
  }

  /** A peer that came to allow fewer calls gets the Watch's back; one that came to allow more is watched. */
  reviewWatch(): void {
    if (this.#watch === undefined) {
      if (this.served) this.openWatch();
    } else if (this.#watchedBy?.allowsWatch === false) {
      this.releaseWatch();
    }
  }

  cordon(): void {
    this.suspect = true;
    for (const connection of this.connections) connection.cordon();
  }

  uncordon(): void {
    this.suspect = false;
    for (const connection of this.connections) connection.uncordon();
  }

  /** The last that is served: silent or not, there is no other to ask. */
  readmit(): void {
    for (const connection of this.connections) connection.uncordon();
  }

  reportServed(): void {
    this.lastDialError = undefined;
    if (this.served) return;
    this.served = true;
    this.#host.onServedChange(this, '');
  }

  reportLost({ reason }: EndpointContext): void {
    const wasServed = this.served;
    this.served = false;
    this.suspect = false;
    if (reason !== '' && this.lastDialError === undefined) this.lastDialError = reason;
    if (wasServed || reason === 'no connection') this.#host.onServedChange(this, reason);
  }

  /** As if never connected. */
  reset(): void {
    this.releaseWatch();
    this.served = false;
    this.suspect = false;
    this.status = HealthStatus.UNKNOWN;
  }

  // --- health -------------------------------------------------------------------------------------------------------------------

  /**
   * One health Check now. UNIMPLEMENTED is answered by connectivity: the server answered; so is a connection with no room for a call, by an
   * HTTP/2 PING. Never rejects.
   */
  async checkNow(timeoutMs: number): Promise<HealthCheckResult> {
    const { clock, codec, options } = this.#host;
    const startedAt = clock.now();
    const connection = this.#probeConnection();
    if (connection === undefined) {
      return this.#note(
        HealthStatus.UNKNOWN,
        0,
        new HealthCheckError(
          `${this.address.text} has no open connection${this.lastDialError ? `: ${this.lastDialError}` : ''}`,
        ),
      );
    }
    if (!connection.hasRoom) {
      const isAlive = await connection.ping(timeoutMs);
      if (isAlive === true) return this.#note(HealthStatus.SERVING, clock.now() - startedAt, undefined, CONNECTIVITY);
    }
    const result = await connection.unary(HEALTH_CHECK, codec.encodeHealthCheck(options.healthCheck.serviceName), {
      timeoutMs,
    });
    const latencyMs = clock.now() - startedAt;
    if (result.ok) {
      try {
        return this.#note(codec.decodeHealthCheck(result.bytes), latencyMs);
      } catch (cause) {
        return this.#note(
          HealthStatus.UNKNOWN,
          latencyMs,
          new HealthCheckError('the health answer is malformed', { cause }),
        );
      }
    }
    const { status } = result;
    if (status.outcome === 'answered' && status.code === GrpcCode.UNIMPLEMENTED) {
      return this.#note(HealthStatus.SERVING, latencyMs, undefined, CONNECTIVITY);
    }
    if (status.outcome === 'answered' && status.code === GrpcCode.NOT_FOUND) {
      return this.#note(HealthStatus.SERVICE_UNKNOWN, latencyMs);
    }
    connection.healthCheckFailures++;
    return this.#note(
      HealthStatus.UNKNOWN,
      latencyMs,
      new HealthCheckError(`the health check of ${this.address.text} failed: ${status.message}`, {
        grpcCode: status.code,
        outcome: status.outcome,
        cause: errorFromStatus(status, undefined, timeoutMs),
      }),
    );
  }

  /** One with room for the call; among those, the one heard from least recently: it is the one in doubt. */
  #probeConnection(): PoolConnection | undefined {
    let best: PoolConnection | undefined;
    for (const connection of this.connections) {
      if (!connection.connected) continue;
      const isBetter =
        best === undefined ||
        (connection.hasRoom === best.hasRoom ? connection.lastReceivedAt < best.lastReceivedAt : connection.hasRoom);
      if (isBetter) best = connection;
    }
    return best;
  }

  /** A server whose Watch cannot be understood is followed by Check alone. */
  #noteWatchedBytes(bytes: Uint8Array): void {
    let status: HealthStatus;
    try {
      status = this.#host.codec.decodeHealthCheck(bytes);
    } catch {
      this.#watchable = false;
      this.releaseWatch();
      return;
    }
    this.#noteWatched(status);
  }

  #noteWatched(status: HealthStatus): void {
    this.#setStatus(status);
    if (status === HealthStatus.SERVING) return;
    if (status === HealthStatus.UNKNOWN) return;
    this.#host.tellEndpoint(this, { type: 'HEALTH_REPORTED', serving: false });
  }

  #note(
    status: HealthStatus,
    latencyMs: number,
    error?: Error,
    details?: Readonly<Record<string, unknown>>,
  ): HealthCheckResult {
    if (status === HealthStatus.SERVING) {
      this.consecutiveSuccesses++;
      this.consecutiveFailures = 0;
      this.lastSuccessfulCheck = new Date();
    } else {
      this.consecutiveFailures++;
      this.consecutiveSuccesses = 0;
    }
    const result: HealthCheckResult = {
      status,
      timestamp: new Date(),
      latencyMs,
      connectionState: this.#host.connectionState(),
      consecutiveFailures: this.consecutiveFailures,
      ...(error === undefined ? {} : { error }),
      ...(details === undefined ? {} : { details }),
    };
    this.#history.push(result);
    if (this.#history.length > HISTORY_LIMIT) this.#history.shift();
    this.#setStatus(status);
    this.#host.onHealthCheck(this, result);
    return result;
  }

  #setStatus(status: HealthStatus): void {
    const previous = this.status;
    if (status === previous) return;
    this.status = status;
    this.#host.onHealthChange(this, status, previous);
  }
}

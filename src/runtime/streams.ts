import { deriveSeed, type StreamConfig } from '../../machines/index.js';
import { invariant } from '../core/assert.js';
import type { Call } from '../data/call.js';
import type { CheckBook } from '../data/check-book.js';
import type { PipeOptions } from '../data/check-pipe.js';
import type { PendingCheck } from '../data/pending-check.js';
import type { AdvancedStreamOptions, BackpressureConfig, StreamPoolConfig } from '../options.js';
import type { Actors } from './actors.js';
import { CheckStream, type StreamHost, type StreamOwner } from './check-stream.js';
import type { Environment } from './environment.js';
import { ParkingLot } from './parking-lot.js';
import type { PoolConnection } from './pool-connection.js';
import type { StreamHandle } from './stream-handle.js';

/** Written and unanswered on one stream at most. */
const MAX_IN_FLIGHT = 10_000;
/** Unwritten on one of the client's own streams before its connection counts as saturated. */
const SATURATED = 1_000;

/** What the streams need of the client around them. */
export interface StreamsHost {
  actors(): Actors;
  readonly book: CheckBook;
  isClosing(): boolean;
  readonly redress: PipeOptions['redress'];
  isUsable(connection: PoolConnection): boolean;
  pickConnection(suits: (connection: PoolConnection) => boolean): PoolConnection | undefined;
  /** It belongs to the route. */
  carries(connection: PoolConnection): boolean;
  /** A stream waits for room on a connection. */
  onShort(): void;
  /** Puts a check on another of the client's own streams. */
  dispatch(check: PendingCheck): void;
  /** The same for one whose call died. */
  redispatch(check: PendingCheck): void;
  onStreamClosed(): void;
}

/** Every stream: the handles', and the client's own (its lanes), each on a connection. */
export class Streams implements StreamHost {
  readonly handles = new Set<StreamHandle>();
  readonly clock;
  /** As configured now; streams made later follow. */
  poolConfig: Readonly<StreamPoolConfig>;
  streamOptions: Readonly<AdvancedStreamOptions>;
  /** Told of every handle that closed, for totals that survive it. */
  onHandleGone: (handle: StreamHandle) => void = () => undefined;
  readonly #env: Environment;
  readonly #host: StreamsHost;
  readonly #streams = new Map<string, CheckStream>();
  readonly #parking: ParkingLot;
  #count = 0;

  constructor(env: Environment, host: StreamsHost) {
    this.#env = env;
    this.#host = host;
    this.clock = env.clock;
    this.poolConfig = env.options.streamPool;
    this.streamOptions = env.options.streams;
    this.#parking = new ParkingLot(env.clock, () => this.poolConfig.streamReuseTimeout);
  }

  [Symbol.iterator](): IterableIterator<CheckStream> {
    return this.#streams.values();
  }

  get(id: string): CheckStream {
    const stream = this.#streams.get(id);
    invariant(stream !== undefined, `no stream ${id}`);
    return stream;
  }

  openHandle(handle: StreamHandle, limits: BackpressureConfig): void {
    const { book, redress } = this.#host;
    const stream = this.#add('handle', handle, {
      clock: this.clock,
      book,
      limits: { ...limits, maxBufferBytes: this.#env.options.maxPendingBytes },
      maxInFlight: this.streamOptions.multiplexing ? MAX_IN_FLIGHT : 1,
      maxRequestsPerCall: this.streamOptions.maxRequestsPerStream,
      redress,
    });
    handle.attach(stream);
    this.handles.add(handle);
  }

  /** One more of the client's own streams on a connection. */
  openLane(connection: PoolConnection): CheckStream | undefined {
    if (connection.closed || !connection.takesChecks) return undefined;
    const { book, redress } = this.#host;
    const { maxPendingChecks, maxPendingBytes } = this.#env.options;
    const highWaterMark = Math.min(SATURATED, maxPendingChecks);
    const owner: StreamOwner = {
      onHighWater: () => undefined,
      onLowWater: () => undefined,
      // What is not written need not wait here: another connection may do.
      onReconnecting: () => {
        if (lane.backingOff) for (const check of lane.pipe.takeUnwritten()) this.#host.dispatch(check);
      },
      onReconnected: () => undefined,
      onPauses: () => undefined,
      onClosed: () => this.#dropLane(connection, lane),
    };
    const lane = this.#add(
      'check',
      owner,
      {
        clock: this.clock,
        book,
        // Admission bounds what is queued here, over all lanes together.
        limits: {
          highWaterMark,
          lowWaterMark: highWaterMark >> 1,
          maxBufferSize: maxPendingChecks,
          maxBufferBytes: maxPendingBytes,
        },
        maxInFlight: MAX_IN_FLIGHT,
        maxRequestsPerCall: Infinity,
        redress,
        reroute: (check) => this.#host.redispatch(check),
      },
      connection,
    );
    connection.lanes.push(lane);
    connection.noteLanes();
    return lane;
  }

  /** The client's own streams leave a connection: what is unwritten goes elsewhere, what is written is answered. */
  retireLanes(connection: PoolConnection): void {
    for (const lane of [...connection.lanes]) this.#dropLane(connection, lane);
  }

  /** Every stream leaves a connection that takes no more, make before break. */
  retireFrom(connection: PoolConnection): void {
    this.retireLanes(connection);
    this.#parking.clear((parkedOn) => parkedOn === connection);
    for (const stream of this) {
      if (stream.kind === 'handle' && stream.connection === connection) retireCall(stream);
    }
  }

  /** Every stream opens its next call with the headers of now. */
  renewCalls(): void {
    this.#parking.clear();
    for (const stream of this) retireCall(stream);
  }

  /** Connections have become usable: whoever waits for one, or rides elsewhere, is told. */
  wake(): void {
    for (const stream of this) {
      const { connection, pinnedTo, waiting } = stream;
      const isElsewhere = pinnedTo === undefined && connection !== undefined && !this.#host.carries(connection);
      if (waiting || isElsewhere) stream.tell({ type: 'ROUTE_READY' });
    }
  }

  carriesHandle(connection: PoolConnection): boolean {
    for (const stream of this) if (stream.kind === 'handle' && stream.connection === connection) return true;
    return false;
  }

  /** Lets go of the calls that nothing was asked on for `streamIdleTimeout`. */
  closeIdle(now: number): void {
    for (const stream of this) {
      const { lastActiveAt, owed } = stream.pipe;
      const isIdle = !stream.idle && owed === 0 && now - lastActiveAt >= this.poolConfig.streamIdleTimeout;
      if (isIdle) stream.tell({ type: 'IDLE_TIMEOUT' });
    }
  }

  /** @param isFinal the root is closed, and makes no more actors: streams whose own is not there yet are closed without one. */
  closeAll(reason: string, isFinal: boolean): void {
    for (const stream of [...this]) {
      if (isFinal && this.#host.actors().isAwaited(stream.id)) stream.reportClosed({ reason });
      else stream.tell({ type: 'CLOSE', reason });
    }
    this.#parking.clear();
  }

  // --- what a stream asks for -----------------------------------------------------------------------------------------------------

  tellStream(id: string, event: Parameters<StreamHost['tellStream']>[1]): void {
    this.#host.actors().tell(id, event);
  }

  connectionFor({ pinnedTo, connection }: CheckStream): PoolConnection | undefined {
    if (pinnedTo !== undefined) return pinnedTo.connected ? pinnedTo : undefined;
    const suits = (candidate: PoolConnection): boolean =>
      candidate.opensCalls && (candidate.hasRoom || !candidate.endpoint.hasStreams || this.#parking.holds(candidate));
    const stays = connection !== undefined && this.#host.carries(connection) && suits(connection);
    return stays ? connection : this.#host.pickConnection(suits);
  }

  /** One of the client's own does not wait for room on its connection: what it holds may find another. */
  onShort(stream: CheckStream): void {
    const { pinnedTo } = stream;
    if (pinnedTo?.connected === true && !pinnedTo.hasRoom) {
      queueMicrotask(() => {
        if (stream.waiting) this.#dropLane(pinnedTo, stream);
      });
    }
    this.#host.onShort();
  }

  /** A handle waits for a call. */
  get isShort(): boolean {
    for (const stream of this) if (stream.waiting && stream.kind === 'handle') return true;
    return false;
  }

  /**
   * Gives calls back on which nothing is owed, for those who wait for room on a connection that has none: parked ones and the client's own;
   * of the handles' only when asked to, since theirs is the next `send`.
   * @returns whether there were any
   */
  yieldCalls(ofHandles: boolean): boolean {
    let yielded = this.#parking.clear(({ hasRoom }) => !hasRoom);
    for (const stream of this) {
      const { connection, idle, kind, pipe } = stream;
      const isMeant = connection?.hasRoom === false && (kind === 'handle') === ofHandles;
      if (!isMeant || idle || pipe.owed > 0 || pipe.current === undefined) continue;
      stream.tell({ type: 'IDLE_TIMEOUT' });
      yielded ||= stream.idle;
    }
    return yielded;
  }

  takeParked(connection: PoolConnection): Call | undefined {
    return this.#parking.take(connection);
  }

  /** Not on a connection that takes no more: it waits for its last call to end. */
  park(call: Call, connection: PoolConnection): boolean {
    const { enableStreamReuse } = this.poolConfig;
    const isReused =
      enableStreamReuse && !this.#host.isClosing() && this.#host.isUsable(connection) && connection.hasRoom;
    return isReused && this.#parking.park(call, connection);
  }

  onStreamClosed({ id }: CheckStream): void {
    this.#streams.delete(id);
    this.#host.actors().forget(id);
    this.#host.actors().tellRoot({ type: 'STREAM_CLOSED', id });
    this.#host.onStreamClosed();
  }

  onHandleClosed(handle: StreamHandle): void {
    this.handles.delete(handle);
    this.onHandleGone(handle);
  }

  #dropLane(connection: PoolConnection, lane: CheckStream): void {
    const index = connection.lanes.indexOf(lane);
    if (index !== -1) connection.lanes.splice(index, 1);
    connection.noteLanes();
    const unwritten = lane.pipe.takeUnwritten();
    if (!lane.closed) lane.tell({ type: 'END' });
    for (const check of unwritten) this.#host.dispatch(check);
  }

  #add(
    kind: 'handle' | 'check',
    owner: StreamOwner,
    pipe: Omit<PipeOptions, 'edges'>,
    pinnedTo?: PoolConnection,
  ): CheckStream {
    this.#count++;
    const id = `stream-${this.#count}`;
    const stream = new CheckStream({
      id,
      kind,
      host: this,
      owner,
      pipe,
      ...(pinnedTo === undefined ? {} : { pinnedTo }),
    });
    this.#streams.set(id, stream);
    const { options, seed } = this.#env;
    const config: StreamConfig = {
      connectTimeoutMs: options.connectTimeoutMs,
      drainTimeoutMs: options.timeoutMs,
      reconnect: options.reconnect,
    };
    this.#host.actors().spawn(id, { type: 'ADD_STREAM', input: { id, kind, seed: deriveSeed(seed, id), config } });
    return stream;
  }
}

function retireCall(stream: CheckStream): void {
  const call = stream.pipe.current;
  if (call !== undefined) stream.tell({ type: 'CALL_RETIRING', generation: call.generation });
}

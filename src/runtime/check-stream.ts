import type { PauseReason, StreamContext, StreamEvent } from '../../machines/index.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import { type Call, isUnimplemented } from '../data/call.js';
import { CheckPipe, type PipeEdges, type PipeOptions } from '../data/check-pipe.js';
import { GrpcCode } from '../errors.js';
import type { WireStatus } from '../transport/port.js';
import type { PoolConnection } from './pool-connection.js';
import { reasonOfStatus } from './status-error.js';

/** What a stream needs of the client around it. */
export interface StreamHost {
  readonly clock: Clock;
  tellStream(id: string, event: StreamEvent): void;
  /** A connection for a call of this stream, or undefined: `ROUTE_READY` follows when there is one. */
  connectionFor(stream: CheckStream): PoolConnection | undefined;
  /** A parked call to go on with, if there is one on this connection. */
  takeParked(connection: PoolConnection): Call | undefined;
  /** Keeps a call for the next handle; false when it is to be ended instead. */
  park(call: Call, connection: PoolConnection): boolean;
  /** It waits for a call: no connection is usable, or none has room. */
  onShort(stream: CheckStream): void;
  onStreamClosed(stream: CheckStream): void;
}

/** Whose stream it is. */
export interface StreamOwner {
  onHighWater(): void;
  onLowWater(): void;
  onReconnecting(attempt: number, delayMs: number): void;
  onReconnected(attempt: number): void;
  /** Hold or release delivery. */
  onPauses(pauses: readonly PauseReason[]): void;
  onClosed(reason: string): void;
}

/** High water that lasts this long is the statechart's business; a shorter one is the data plane's alone. */
const SUSTAINED_MS = 100;

/** One stream: the effects of its statechart over its pipe. */
export class CheckStream implements PipeEdges {
  readonly id: string;
  readonly kind: 'handle' | 'check';
  readonly pipe: CheckPipe;
  /** The connection its current call rides on. */
  connection: PoolConnection | undefined;
  /** The only connection it may ride on: the client's own streams belong to theirs. */
  readonly pinnedTo: PoolConnection | undefined;
  /** In `idle`: the next check opens a call. */
  idle = true;
  closed = false;
  /** Waits in `connecting` for a connection. */
  waiting = false;
  /** Its call was lost, and the next is not opened yet. */
  backingOff = false;
  readonly #host: StreamHost;
  readonly #owner: StreamOwner;
  #sustained: TimerHandle;
  #highWaterTold = false;

  constructor(init: {
    id: string;
    kind: 'handle' | 'check';
    host: StreamHost;
    owner: StreamOwner;
    pinnedTo?: PoolConnection;
    pipe: Omit<PipeOptions, 'edges'>;
  }) {
    this.id = init.id;
    this.kind = init.kind;
    this.pinnedTo = init.pinnedTo;
    this.#host = init.host;
    this.#owner = init.owner;
    this.pipe = new CheckPipe({ ...init.pipe, edges: this });
  }

  tell(event: StreamEvent): void {
    if (event.type === 'ROUTE_MOVING') this.waiting = true;
    this.#host.tellStream(this.id, event);
  }

  /** Makes sure a call is open or on its way. */
  wake(): void {
    if (!this.idle) return;
    this.idle = false;
    this.tell({ type: 'CONNECT' });
  }

  // --- the statechart's effects -------------------------------------------------------------------------------------------------

  openCall({ generation }: StreamContext): void {
    this.idle = false;
    this.backingOff = false;
    const connection = this.#host.connectionFor(this);
    const parked = connection === undefined || this.kind === 'check' ? undefined : this.#host.takeParked(connection);
    parked?.transfer(this.pipe, generation);
    const call = parked ?? connection?.openCall(generation, this.pipe);
    if (connection === undefined || call === undefined) {
      this.waiting = true;
      this.#host.onShort(this);
      return;
    }
    this.waiting = false;
    this.connection = connection;
    this.pipe.use(call);
    this.tell({ type: 'CALL_OPENED', generation, connectionId: connection.id });
  }

  retireCall(): void {
    this.pipe.retireCurrent();
  }

  releaseCall(): void {
    const call = this.pipe.surrender();
    const { connection } = this;
    if (call !== undefined && !(connection !== undefined && this.#host.park(call, connection))) call.retire();
    this.pipe.retireCurrent();
  }

  allowWrites(): void {
    this.pipe.setWriting(true);
  }

  haltWrites(): void {
    this.pipe.setWriting(false);
  }

  applyPauses({ pauses }: StreamContext): void {
    this.#owner.onPauses(pauses);
  }

  drain(): void {
    this.pipe.drain();
  }

  noteIdle(): void {
    this.idle = true;
    // What was accepted while the statechart was on its way here is not to wait for the next send.
    if (this.pipe.owed > 0) this.wake();
  }

  reportReconnecting({ attempt, delayMs }: StreamContext): void {
    // A route that becomes ready ends the backoff.
    this.waiting = true;
    this.backingOff = delayMs > 0;
    this.#owner.onReconnecting(attempt, delayMs);
  }

  reportReconnected({ attempt }: StreamContext): void {
    if (attempt > 0) this.#owner.onReconnected(attempt);
  }

  reportClosed({ reason }: Pick<StreamContext, 'reason'>): void {
    this.closed = true;
    this.waiting = false;
    this.#host.clock.clearTimeout(this.#sustained);
    this.#owner.onClosed(reason);
    // Told by us, not by the transport's CANCELLED: what is left here may be asked again elsewhere.
    this.pipe.loseCalls(reason);
    this.#host.onStreamClosed(this);
  }

  // --- edges of the pipe --------------------------------------------------------------------------------------------------------

  onLost(call: Call, status: WireStatus): void {
    const isUnsupported = isUnimplemented(status);
    // A server that asks for calm is not called again at once.
    const isExhausted = status.code === GrpcCode.RESOURCE_EXHAUSTED;
    this.tell({
      type: 'CALL_LOST',
      generation: call.generation,
      reason: reasonOfStatus(status),
      ...(isUnsupported || isExhausted ? { immediate: isUnsupported } : {}),
    });
  }

  onEnded(call: Call): void {
    this.tell({ type: 'CALL_ENDED', generation: call.generation });
  }

  onFirstAnswer(call: Call): void {
    this.tell({ type: 'CALL_ANSWERED', generation: call.generation });
  }

  onRotationDue(call: Call): void {
    this.tell({ type: 'ROTATION_DUE', generation: call.generation });
  }

  onDrained(): void {
    this.tell({ type: 'DRAINED' });
  }

  onHighWater(): void {
    this.#owner.onHighWater();
    this.#sustained = this.#host.clock.setTimeout(() => {
      this.#highWaterTold = true;
      this.tell({ type: 'PAUSE', reason: 'highWater' });
    }, SUSTAINED_MS);
  }

  onLowWater(): void {
    this.#host.clock.clearTimeout(this.#sustained);
    this.#owner.onLowWater();
    if (!this.#highWaterTold) return;
    this.#highWaterTold = false;
    this.tell({ type: 'RESUME', reason: 'highWater' });
  }
}

import type { FailoverContext, FailoverEvent, RouteState } from '../../machines/index.js';
import type { Clock } from '../core/clock.js';
import { Router } from '../data/router.js';
import { FailoverError } from '../errors.js';
import type { EventHub } from '../events.js';
import type { ResolvedOptions } from '../options.js';
import type { CheckStream } from './check-stream.js';
import type { FlightRecorder } from './flight-recorder.js';
import type { PoolConnection } from './pool-connection.js';

/** How often the strategy is asked for a connection that suits. */
const MAX_PICKS = 16;

/** What the route needs of the client around it. */
export interface RouteHost {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly hub: EventHub;
  readonly flight: FlightRecorder | undefined;
  connections(): Iterable<PoolConnection>;
  streams(): Iterable<CheckStream>;
  tellFailover(event: FailoverEvent): void;
  tellRoute(route: RouteState): void;
  /** Keeps at least one connection dialled to each endpoint of a level. */
  warm(level: number, standby: boolean): void;
  /** Work may flow again. */
  onRouteReady(): void;
  retireLanes(connection: PoolConnection): void;
}

/** Which connections carry traffic: the effects of the failover controller, and the router over the usable connections. */
export class Route {
  readonly #host: RouteHost;
  readonly #router: Router<PoolConnection>;
  /** The level that carries traffic, or -1. */
  level = -1;
  #pending: { readonly level: number; readonly epoch: number } | undefined;
  #epoch = 0;
  #movingSince = 0;

  constructor(host: RouteHost) {
    this.#host = host;
    this.#router = new Router<PoolConnection>(host.options.connectionPool.loadBalancingStrategy, host.options.random);
  }

  get usable(): readonly PoolConnection[] {
    return this.#router.members;
  }

  /** There are connections to it, though they may take no more just now. */
  get isServed(): boolean {
    for (const connection of this.#host.connections()) if (this.carries(connection)) return true;
    return false;
  }

  /** By the strategy, among those that suit: an unlucky strategy is asked again a few times, then the first that suits does. */
  pick(suits: (connection: PoolConnection) => boolean = () => true): PoolConnection | undefined {
    for (let tries = 0; tries < MAX_PICKS; tries++) {
      const picked = this.#router.pick();
      if (picked === undefined || suits(picked)) return picked;
    }
    return this.usable.find(suits);
  }

  /** It belongs to the route: what rides on it may stay. */
  carries({ connected, leaving, endpoint }: PoolConnection): boolean {
    return connected && !leaving && endpoint.served && endpoint.level === this.level;
  }

  /** It takes new work. */
  isUsable(connection: PoolConnection): boolean {
    return connection.admitted && this.carries(connection);
  }

  /** The usable connections may have changed. */
  refresh(): void {
    const hasMoved = this.#completeMove();
    const usable: PoolConnection[] = [];
    for (const connection of this.#host.connections()) if (this.isUsable(connection)) usable.push(connection);
    this.#router.setMembers(usable);
    if (usable.length > 0 || hasMoved) this.#host.onRouteReady();
  }

  // --- the failover controller's effects ----------------------------------------------------------------------------------------

  activate({ target, epoch }: FailoverContext): void {
    this.#pending = { level: target, epoch };
    this.#host.warm(target, false);
    for (const connection of this.#host.connections()) {
      if (connection.endpoint.level === target) connection.promote();
    }
    this.refresh();
  }

  cancelMove(): void {
    const abandoned = this.#pending?.level;
    this.#pending = undefined;
    for (const connection of this.#host.connections()) {
      if (connection.endpoint.level === abandoned) connection.demote();
    }
    this.refresh();
  }

  suspend(): void {
    this.reset();
    this.#host.tellRoute('reconnecting');
  }

  /** As if never connected. */
  reset(): void {
    this.level = -1;
    this.#pending = undefined;
    this.refresh();
  }

  reportOpen(): void {
    this.#host.tellRoute('open');
  }

  reportStarted({ active, previous, target, reason, epoch }: FailoverContext): void {
    this.#movingSince = this.#host.clock.now();
    this.#host.hub.emit('failover_started', {
      from: this.#nameOf(active === -1 ? previous : active),
      to: this.#nameOf(target),
      reason,
    });
    for (const stream of this.#host.streams()) {
      if (stream.kind === 'handle') stream.tell({ type: 'ROUTE_MOVING', epoch });
    }
  }

  reportFailedOver({ active, previous }: FailoverContext): void {
    this.#host.hub.emit('failover_completed', {
      from: this.#nameOf(previous),
      address: this.#nameOf(active),
      durationMs: this.#movingSince === 0 ? 0 : this.#host.clock.now() - this.#movingSince,
    });
    this.#movingSince = 0;
    this.#host.tellRoute('failedOver');
  }

  reportFailed({ active, previous, target, reason, levels }: FailoverContext): void {
    if (levels.length === 1) return;
    const from = this.#nameOf(active === -1 ? previous : active);
    const to = this.#nameOf(target === -1 ? levels.length - 1 : target);
    const error = new FailoverError(`no endpoint is served: ${reason}`, from, to);
    this.#host.flight?.attach(error);
    this.#host.hub.emit('failover_failed', { address: to, error });
  }

  reportFailbackScheduled({ levels, config }: FailoverContext): void {
    this.#host.hub.emit('failback_scheduled', {
      address: this.#nameOf(levels.indexOf('served')),
      delayMs: config.failbackDelayMs,
    });
  }

  reportFailedBack({ active }: FailoverContext): void {
    this.#host.hub.emit('failback_completed', { address: this.#nameOf(active) });
  }

  /**
   * Make before break: the flip happens when the new level has a usable connection, in one turn. Where nothing carries traffic, there is
   * nothing to wait for: a connection at its peer's stream limit is the route, and others grow beside it.
   * @returns whether it did
   */
  #completeMove(): boolean {
    const move = this.#pending;
    if (move === undefined) return false;
    let ready = false;
    for (const { admitted, connected, endpoint } of this.#host.connections()) {
      ready ||= endpoint.level === move.level && (admitted || this.level === -1) && connected && endpoint.served;
    }
    if (!ready) return false;
    this.#pending = undefined;
    this.level = move.level;
    this.#epoch = move.epoch;
    for (const connection of this.#host.connections()) {
      if (connection.endpoint.level === move.level) continue;
      connection.demote();
      this.#host.retireLanes(connection);
    }
    for (const stream of this.#host.streams()) {
      const { connection } = stream;
      const isElsewhere = connection !== undefined && connection.endpoint.level !== move.level;
      if (stream.kind === 'handle' && isElsewhere) stream.tell({ type: 'ROUTE_MOVING', epoch: this.#epoch });
    }
    this.#host.tellFailover({ type: 'ROUTE_READY', epoch: move.epoch });
    if (move.level + 1 < this.#host.options.levels.length) this.#host.warm(move.level + 1, true);
    return true;
  }

  #nameOf(level: number): string {
    return this.#host.options.levels[level]?.map(({ text }) => text).join(',') ?? '';
  }
}

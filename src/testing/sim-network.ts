/**
 * A network of one process on one clock, behind the transport port: servers that do what they are told, links that can be cut, held and
 * slowed. With a virtual clock and a seed, every run of it is the same.
 */

import type { Clock } from '../core/clock.js';
import { createSeededRandom, type Random } from '../core/random.js';
import type { ConnectionListener, ConnectOptions, Target, Transport, TransportConnection } from '../transport/port.js';
import { SimulatedConnection } from './sim-connection.js';
import type { ClientFrame, ServerFrame, SimulatedEvent } from './sim-frames.js';
import { SimPipe } from './sim-pipe.js';
import { SimulatedServer } from './sim-server.js';

export interface SimulatedNetworkOptions {
  /** The client's too. Usually a `VirtualClock`. */
  readonly clock: Clock;
  /** Of latencies and of the order of what happens at once. Default 1. */
  readonly seed?: number;
  /** One way, milliseconds; each frame's is drawn from between the two. Default 0 and 1. */
  readonly minLatencyMs?: number;
  readonly maxLatencyMs?: number;
  /** Whether connections can send HTTP/2 PINGs. Default true. */
  readonly hasPing?: boolean;
  /** Hears of everything that happens, in order. */
  readonly observer?: (event: SimulatedEvent) => void;
}

/** The way to one address. Its fields may be changed at any time, by {@link SimulatedNetwork.setLink}. */
export interface SimulatedLink {
  /** `accept`: as the server does · `silent`: packets are dropped · `refuse`: nobody listens · `reset`: accepted and hung up. */
  dial: 'accept' | 'silent' | 'refuse' | 'reset';
  /** Nothing arrives there; it does once that is lifted. Both: a blackhole; one: an asymmetric partition. */
  toServerHeld: boolean;
  toClientHeld: boolean;
  /** Added to each frame's latency, milliseconds. */
  delayMs: number;
  /** Messages of a call written and not yet read, past which a write is refused as `full`. */
  window: number;
}

const OPEN_LINK: Readonly<SimulatedLink> = {
  dial: 'accept',
  toServerHeld: false,
  toClientHeld: false,
  delayMs: 0,
  window: 4096,
};

interface Cable {
  readonly address: string;
  readonly up: SimPipe<ClientFrame>;
  readonly down: SimPipe<ServerFrame>;
}

/** A transport to simulated servers: `createClient({ address, transport: network, clock, random })`. */
export class SimulatedNetwork implements Transport {
  readonly name = 'simulated';
  readonly #options: Required<Omit<SimulatedNetworkOptions, 'observer'>>;
  readonly #observer: ((event: SimulatedEvent) => void) | undefined;
  readonly #random: Random;
  readonly #servers = new Map<string, SimulatedServer>();
  readonly #links = new Map<string, SimulatedLink>();
  readonly #cables = new Map<number, Cable>();
  #dialled = 0;
  #open = 0;

  constructor({
    clock,
    seed = 1,
    minLatencyMs = 0,
    maxLatencyMs = 1,
    hasPing = true,
    observer,
  }: SimulatedNetworkOptions) {
    this.#options = { clock, seed, minLatencyMs, maxLatencyMs, hasPing };
    this.#observer = observer;
    this.#random = createSeededRandom(seed);
  }

  /** Connections that a client has not yet seen the end of. */
  get openConnections(): number {
    return this.#open;
  }

  /** The server at this address; made, and running, when first asked for. */
  server(address: string): SimulatedServer {
    let server = this.#servers.get(address);
    if (server === undefined) {
      server = new SimulatedServer({
        address,
        clock: this.#options.clock,
        tell: (event) => this.#tell({ ...event, address }),
        wake: () => this.#wake(address),
      });
      this.#servers.set(address, server);
    }
    return server;
  }

  link(address: string): Readonly<SimulatedLink> {
    return this.#links.get(address) ?? OPEN_LINK;
  }

  /** Changes the way to an address; without changes, it is as at first. */
  setLink(address: string, changes?: Partial<SimulatedLink>): void {
    const link = changes === undefined ? OPEN_LINK : { ...this.link(address), ...changes };
    this.#links.set(address, link);
    this.#tell({
      kind: 'fault',
      address,
      connection: 0,
      stream: 0,
      detail: `link ${JSON.stringify(changes ?? 'open')}`,
    });
    this.#wake(address);
  }

  connect({ address }: Target, options: ConnectOptions, listener: ConnectionListener): TransportConnection {
    this.#dialled++;
    const id = this.#dialled;
    this.#open++;
    const { clock, hasPing } = this.#options;
    const tell = (event: Omit<SimulatedEvent, 'at' | 'address' | 'connection'>): void => {
      this.#tell({ ...event, address, connection: id });
    };
    tell({ kind: 'dial', stream: 0, detail: '' });
    const cable = this.#lay(id, address, (frame) => connection.receive(frame));
    const connection = new SimulatedConnection(options, listener, {
      hasPing,
      tell,
      send: (frame) => cable.up.send(frame),
      window: () => this.link(address).window,
      after: (delayMs, fn) => clock.setTimeout(fn, delayMs),
      random: this.#random,
      onDown: () => {
        this.#open--;
        cable.down.close();
      },
    });
    cable.up.send({ kind: 'dial' });
    return connection;
  }

  #lay(id: number, address: string, receive: (frame: ServerFrame) => void): Cable {
    const { clock } = this.#options;
    const server = this.server(address);
    const latencyMs = (): number => this.#latencyMs(address);
    const cable: Cable = {
      address,
      up: new SimPipe({
        clock,
        latencyMs,
        isHeld: () => server.isFrozen || this.link(address).toServerHeld,
        deliver: (frame) => this.#arrive(id, cable, frame),
      }),
      down: new SimPipe({
        clock,
        latencyMs,
        isHeld: () => this.link(address).toClientHeld,
        deliver: receive,
      }),
    };
    this.#cables.set(id, cable);
    return cable;
  }

  #arrive(connection: number, { address, down, up }: Cable, frame: ClientFrame): void {
    const server = this.server(address);
    if (frame.kind === 'dial') {
      const { dial } = this.link(address);
      if (dial === 'silent') return;
      if (dial === 'refuse' || !server.isRunning) down.send({ kind: 'refused' });
      else if (dial === 'reset') down.send({ kind: 'close', message: 'read ECONNRESET' });
      else server.accept({ connection, send: (answer) => down.send(answer) });
      return;
    }
    server.receive(connection, frame);
    if (frame.kind !== 'close') return;
    up.close();
    this.#cables.delete(connection);
  }

  #latencyMs(address: string): number {
    const { minLatencyMs, maxLatencyMs } = this.#options;
    return minLatencyMs + Math.floor(this.#random() * (maxLatencyMs - minLatencyMs + 1)) + this.link(address).delayMs;
  }

  #wake(address: string): void {
    for (const cable of this.#cables.values()) {
      if (cable.address !== address) continue;
      cable.up.wake();
      cable.down.wake();
    }
  }

  #tell(event: Omit<SimulatedEvent, 'at'>): void {
    this.#observer?.({ at: this.#options.clock.now(), ...event });
  }
}

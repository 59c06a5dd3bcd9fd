/** The embedded AuthZ Engine: a real gRPC server of `authz.v1.AuthzService` and `grpc.health.v1.Health`. */

import { createServer } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { Server } from '@grpc/grpc-js';
import type { ConnectionInjector, ServerCredentials } from '@grpc/grpc-js';
import { ConfigurationError } from '../errors.js';
import { createCheckHandlers } from './checks.js';
import type { CheckContext, CheckCounters, CheckFaults } from './checks.js';
import { coalesceWrites } from './coalesce.js';
import { HealthService } from './health.js';
import type { ServingStatus } from './health.js';
import { MAX_CONCURRENT_STREAMS } from './limits.js';
import { createManagementHandlers } from './management.js';
import type { ManagementContext } from './management.js';
import { createServerCredentials, resolveEngineOptions } from './options.js';
import type { EngineOptions, ResolvedEngineOptions } from './options.js';
import { Pace } from './pace.js';
import { loadPolicyDirectory } from './policy-source.js';
import { loadServiceDefinitions } from './service-definitions.js';

export interface EngineStats {
  /** Checks answered since the start, those of batches and streams included. */
  readonly checks: number;
  /** Check streams open now. */
  readonly streams: number;
}

export interface StopOptions {
  /** Milliseconds that calls under way may take to end. Default 5000; 0 ends them at once. */
  graceMs?: number;
}

export interface Engine {
  /** `host:port`, for a client to dial; IPv6 in brackets. */
  readonly address: string;
  readonly port: number;
  /** Policies in force now. */
  readonly policyCount: number;
  readonly stats: EngineStats;
  /** What health says; checks are answered either way. No effect once stopping. */
  setHealth(status: ServingStatus): void;
  /**
   * Health says NOT_SERVING, new connections are refused, calls under way may end, and then everything is closed. What is still open
   * after `graceMs` is cut. Never rejects; later calls wait for the first.
   */
  stop(options?: StopOptions): Promise<void>;
}

/** Node's timers fire at once beyond this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface EngineContext extends CheckContext, ManagementContext {}

/**
 * Loads the policies and serves until `stop()`.
 *
 * @throws ConfigurationError naming the option and the rule it breaks: an invalid value, a missing directory, a broken policy, an
 * unreadable certificate, an address that is in use or cannot be listened on.
 */
export function startEngine(options: EngineOptions): Promise<Engine> {
  return launchEngine(options, undefined);
}

/** As {@link startEngine}, for the engine that misbehaves on demand. */
export async function launchEngine(options: EngineOptions, faults: CheckFaults | undefined): Promise<RunningEngine> {
  const resolved = resolveEngineOptions(options);
  const credentials = createServerCredentials(resolved.tls);
  const stats: CheckCounters = { checks: 0, streams: 0 };
  const context: EngineContext = {
    policies: await loadPolicyDirectory(resolved.policies),
    directory: resolved.policies,
    adminToken: resolved.adminToken,
    urlAllowList: resolved.policyUrlAllowList,
    pace: new Pace(resolved.latencyMs),
    stats,
    faults,
  };
  const health = new HealthService(resolved.healthy ? 'SERVING' : 'NOT_SERVING');
  const server = createGrpcServer(resolved, context, health);
  const listener = new Listener(createInjector(server, credentials));
  try {
    const port = await listener.listen(resolved.host, resolved.port);
    if (resolved.adminToken !== undefined && resolved.tls === undefined && !listener.isLoopback) {
      process.emitWarning('The admin token will cross the network in plaintext: set tls.', 'AuthzEngineWarning');
    }
    return new RunningEngine(resolved.host, port, context, health, server, listener);
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
}

function createGrpcServer(options: ResolvedEngineOptions, context: EngineContext, health: HealthService): Server {
  const services = loadServiceDefinitions();
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_send_message_length': options.maxMessageBytes,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    // Clients that vanished without a word would otherwise keep their streams for ever.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.enable_channelz': 0,
    interceptors: [coalesceWrites],
  });
  server.addService(services.authz, { ...createCheckHandlers(context), ...createManagementHandlers(context) });
  server.addService(services.health, health.implementation);
  return server;
}

function createInjector(server: Server, credentials: ServerCredentials): ConnectionInjector {
  try {
    return server.createConnectionInjector(credentials);
  } catch (cause) {
    throw new ConfigurationError('tls', 'the certificate and key are not a valid pair of PEM files', { cause });
  }
}

/**
 * The listening socket is ours rather than grpc-js's: a failure to listen comes as Node's own error, unlogged, and connections still in
 * their TLS handshake, which grpc-js does not know of yet, can be closed too.
 */
class Listener {
  readonly #injector: ConnectionInjector;
  readonly #sockets = new Set<Socket>();
  #net: NetServer | undefined;
  /** Of each that listened once: its last connection has closed. */
  readonly #closed: Promise<void>[] = [];
  isLoopback = false;

  constructor(injector: ConnectionInjector) {
    this.#injector = injector;
  }

  get isListening(): boolean {
    return this.#net !== undefined;
  }

  listen(host: string, port: number): Promise<number> {
    const net = createServer((socket) => this.#take(socket));
    this.#net = net;
    return new Promise((resolve, reject) => {
      net.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port)));
      net.listen({ host, port }, () => {
        const bound = net.address() as AddressInfo;
        this.isLoopback = bound.address.startsWith('127.') || bound.address === '::1';
        resolve(bound.port);
      });
    });
  }

  /** New connections are refused from now on; those that are open stay. */
  refuse(): void {
    const net = this.#net;
    if (net === undefined) return;
    this.#net = undefined;
    this.#closed.push(
      new Promise((resolve) => {
        net.close(() => resolve());
      }),
    );
  }

  /** Takes no more connections; resolves when the last has closed. */
  async close(): Promise<void> {
    this.refuse();
    await Promise.all(this.#closed);
  }

  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** With a RST. */
  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A client that resets its connection is no fault of ours.
    socket.on('error', () => socket.destroy());
    this.#injector.injectConnection(socket);
  }
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): ConfigurationError {
  switch (cause.code) {
    case 'EADDRINUSE':
      return new ConfigurationError('port', `address in use: ${joinHostPort(host, port)}`, { cause });
    case 'EACCES':
      return new ConfigurationError('port', `no permission to listen on ${joinHostPort(host, port)}`, { cause });
    default:
      return new ConfigurationError('host', `cannot listen on ${joinHostPort(host, port)} (${cause.code ?? 'error'})`, {
        cause,
      });
  }
}

function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The engine, and what only its tests may do to it. */
export class RunningEngine implements Engine {
  readonly #host: string;
  readonly address: string;
  readonly port: number;
  readonly #context: EngineContext;
  readonly #health: HealthService;
  readonly #server: Server;
  readonly #listener: Listener;
  #stopping: Promise<void> | undefined;

  constructor(
    host: string,
    port: number,
    context: EngineContext,
    health: HealthService,
    server: Server,
    listener: Listener,
  ) {
    this.#host = host;
    this.address = joinHostPort(host, port);
    this.port = port;
    this.#context = context;
    this.#health = health;
    this.#server = server;
    this.#listener = listener;
  }

  get policyCount(): number {
    return this.#context.policies.policyCount;
  }

  get stats(): EngineStats {
    return { ...this.#context.stats };
  }

  setHealth(status: ServingStatus): void {
    if (this.#stopping === undefined) this.#health.set(status);
  }

  /** When its answers to checks leave. */
  get pace(): Pace {
    return this.#context.pace;
  }

  get health(): HealthService {
    return this.#health;
  }

  /** New connections are refused; those that are open stay. */
  refuseConnections(): void {
    this.#listener.refuse();
  }

  /** Listens again, on the same port. */
  async acceptConnections(): Promise<void> {
    if (this.#stopping === undefined && !this.#listener.isListening) await this.#listener.listen(this.#host, this.port);
  }

  resetConnections(): void {
    this.#listener.resetConnections();
  }

  stop({ graceMs = 5_000 }: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#health.set('NOT_SERVING');
    const closed = this.#listener.close();
    this.#health.endWatches();
    await this.#drain(graceMs);
    this.#server.forceShutdown();
    this.#listener.destroyConnections();
    await closed;
  }

  /** Sends GOAWAY and waits for the calls under way, at most `graceMs`. */
  #drain(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(graceMs, MAX_TIMER_MS));
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

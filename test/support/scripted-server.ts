/** A server of authz.v1 and grpc.health.v1 whose every answer is the test's own: late, twice, never, for another, or an error. */

import { loadSync } from '@grpc/proto-loader';
import {
  Server,
  ServerCredentials,
  status as grpcStatus,
  type Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import path from 'node:path';
import { Changes } from './recorder.js';

/** As proto-loader gives it. */
export interface WireRequest {
  readonly requestId: string;
  readonly principal: { readonly id: string; readonly roles: readonly string[]; readonly attributes: unknown } | null;
  readonly resource: { readonly kind: string; readonly id: string; readonly attributes: unknown } | null;
  readonly actions: readonly string[];
  readonly context: unknown;
  readonly includeMetadata: boolean;
}

/** As proto-loader takes it: every field may be left out. */
export interface WireResponse {
  readonly requestId?: string;
  readonly results?: Readonly<
    Record<
      string,
      {
        readonly effect?: number;
        readonly policy?: string;
        readonly rule?: string;
        readonly matched?: boolean;
        readonly meta?: Readonly<Record<string, string>>;
      }
    >
  >;
  readonly metadata?: {
    readonly evaluationDurationUs?: number;
    readonly policiesEvaluated?: number;
    readonly matchedPolicies?: readonly string[];
    readonly cacheHit?: boolean;
  };
}

/** One CheckStream call. */
export interface ScriptedStream {
  /** From 0, in the order of opening. */
  readonly index: number;
  readonly metadata: Metadata;
  readonly requests: readonly WireRequest[];
  /** The client half-closed, or the call is gone. */
  readonly halfClosed: boolean;
  readonly closed: boolean;
  reply(response: WireResponse): void;
  end(): void;
  fail(code: number, message?: string): void;
}

export interface Script {
  /** Each request of a stream. Default: {@link allow} at once. */
  onStreamRequest?(request: WireRequest, stream: ScriptedStream): void;
  /** A stream opens. Default: nothing. */
  onStream?(stream: ScriptedStream): void;
  /** A unary check. Default: {@link allow}. */
  onCheck?(request: WireRequest, metadata: Metadata): Answer<WireResponse>;
  /** Default: {@link allow} each, in order. */
  onBatch?(requests: readonly WireRequest[], metadata: Metadata): Answer<{ responses: readonly WireResponse[] }>;
  /** A health status by number (1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN). Default 1. */
  onHealthCheck?(service: string): Answer<number>;
  /** Rpcs that answer UNIMPLEMENTED. */
  unimplemented?: readonly ('Check' | 'CheckStream' | 'CheckBatch' | 'HealthCheck' | 'HealthWatch')[];
}

type Answer<T> = T | Promise<T>;

/** Thrown, or rejected with, by a script: the call ends with this status. */
export class ScriptedStatus extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details = 'scripted') {
    super(details);
    this.code = code;
    this.details = details;
  }
}

const definitions = loadSync(['authz/v1/authz.proto', 'grpc/health/v1/health.proto'], {
  includeDirs: [path.join(import.meta.dirname, '../../proto')],
  longs: Number,
  enums: Number,
  defaults: true,
  oneofs: true,
});
const AUTHZ = definitions['authz.v1.AuthzService'] as ServiceDefinition;
const HEALTH = definitions['grpc.health.v1.Health'] as ServiceDefinition;

/** Every asked action allowed. */
export function allow({ requestId, actions }: WireRequest): WireResponse {
  return answerAll(requestId, actions, 1);
}

export function deny({ requestId, actions }: WireRequest): WireResponse {
  return answerAll(requestId, actions, 2);
}

function answerAll(requestId: string, actions: readonly string[], effect: number): WireResponse {
  return {
    requestId,
    results: Object.fromEntries(actions.map((action) => [action, { effect, policy: 'scripted', matched: true }])),
  };
}

class Stream implements ScriptedStream {
  readonly index: number;
  readonly metadata: Metadata;
  readonly requests: WireRequest[] = [];
  halfClosed = false;
  closed = false;
  readonly #call: ServerDuplexStream<WireRequest, WireResponse>;

  constructor(index: number, call: ServerDuplexStream<WireRequest, WireResponse>) {
    this.index = index;
    this.metadata = call.metadata;
    this.#call = call;
  }

  reply(response: WireResponse): void {
    if (!this.closed) this.#call.write(response);
  }

  end(): void {
    this.#call.end();
  }

  fail(code: number, message = 'scripted'): void {
    this.#call.emit('error', { code, details: message });
  }
}

export class ScriptedServer extends Changes {
  /** May be changed at any time. */
  script: Script;
  readonly streams: Stream[] = [];
  readonly checks: { readonly request: WireRequest; readonly metadata: Metadata }[] = [];
  readonly batches: { readonly requests: readonly WireRequest[]; readonly metadata: Metadata }[] = [];
  healthChecks = 0;
  /** Connections accepted so far. */
  connectionCount = 0;
  readonly #watches = new Set<ServerWritableStream<{ service: string }, { status: number }>>();
  readonly #sockets = new Set<Socket>();
  readonly #grpc: Server;
  readonly #net: NetServer;
  #health = 1;
  /** Kept after the server stopped, for another to take its place. */
  port = 0;

  constructor(script: Script, options: { maxConcurrentStreams?: number; credentials?: ServerCredentials } = {}) {
    super();
    this.script = script;
    this.#grpc = new Server({
      'grpc.enable_channelz': 0,
      ...(options.maxConcurrentStreams === undefined
        ? {}
        : { 'grpc.max_concurrent_streams': options.maxConcurrentStreams }),
    });
    this.#grpc.addService(AUTHZ, this.#authz());
    this.#grpc.addService(HEALTH, this.#healthService());
    const injector = this.#grpc.createConnectionInjector(options.credentials ?? ServerCredentials.createInsecure());
    this.#net = createServer((socket) => {
      this.connectionCount++;
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.changed();
      });
      socket.on('error', () => socket.destroy());
      injector.injectConnection(socket);
      this.changed();
    });
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#net.once('error', reject);
      this.#net.listen({ host: '127.0.0.1', port }, resolve);
    });
    this.port = (this.#net.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  get openStreams(): Stream[] {
    return this.streams.filter((stream) => !stream.closed);
  }

  /** Every request that came on a stream, in order of stream, then of arrival. */
  get streamed(): WireRequest[] {
    return this.streams.flatMap((stream) => stream.requests);
  }

  /** Health says so from now on, to watchers at once. */
  setHealth(status: number): void {
    this.#health = status;
    for (const watch of this.#watches) watch.write({ status });
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** Destroys every connection; goes on listening. */
  cut(): void {
    for (const socket of [...this.#sockets]) socket.resetAndDestroy();
  }

  /** Connections die, and the port refuses. */
  async stop(): Promise<void> {
    if (!this.#net.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#net.close(() => resolve());
    });
    this.#grpc.forceShutdown();
    for (const socket of [...this.#sockets]) socket.destroy();
    await closed;
  }

  #isUnimplemented(rpc: NonNullable<Script['unimplemented']>[number]): boolean {
    return this.script.unimplemented?.includes(rpc) ?? false;
  }

  #authz() {
    return {
      Check: (call: ServerUnaryCall<WireRequest, WireResponse>, callback: sendUnaryData<WireResponse>): void => {
        const { request, metadata } = call;
        this.checks.push({ request, metadata });
        this.changed();
        if (this.#isUnimplemented('Check')) callback(new ScriptedStatus(grpcStatus.UNIMPLEMENTED));
        else settle(() => this.script.onCheck?.(request, metadata) ?? allow(request), callback);
      },
      CheckBatch: (
        call: ServerUnaryCall<{ requests: WireRequest[] }, { responses: readonly WireResponse[] }>,
        callback: sendUnaryData<{ responses: readonly WireResponse[] }>,
      ): void => {
        const { requests } = call.request;
        this.batches.push({ requests, metadata: call.metadata });
        this.changed();
        if (this.#isUnimplemented('CheckBatch')) callback(new ScriptedStatus(grpcStatus.UNIMPLEMENTED));
        else {
          settle(
            () => this.script.onBatch?.(requests, call.metadata) ?? { responses: requests.map((one) => allow(one)) },
            callback,
          );
        }
      },
      CheckStream: (call: ServerDuplexStream<WireRequest, WireResponse>): void => this.#openStream(call),
      LoadPolicies: unimplemented,
      ReloadPolicies: unimplemented,
    };
  }

  #openStream(call: ServerDuplexStream<WireRequest, WireResponse>): void {
    const stream = new Stream(this.streams.length, call);
    this.streams.push(stream);
    const close = (): void => {
      stream.closed = true;
      this.changed();
    };
    call.on('cancelled', close);
    call.on('close', close);
    call.on('error', close);
    if (this.#isUnimplemented('CheckStream')) {
      stream.fail(grpcStatus.UNIMPLEMENTED);
      return;
    }
    this.script.onStream?.(stream);
    call.on('data', (request: WireRequest) => {
      stream.requests.push(request);
      if (this.script.onStreamRequest === undefined) stream.reply(allow(request));
      else this.script.onStreamRequest(request, stream);
      this.changed();
    });
    call.on('end', () => {
      stream.halfClosed = true;
      call.end();
      this.changed();
    });
    this.changed();
  }

  #healthService() {
    return {
      Check: (
        call: ServerUnaryCall<{ service: string }, { status: number }>,
        callback: sendUnaryData<{ status: number }>,
      ): void => {
        this.healthChecks++;
        this.changed();
        if (this.#isUnimplemented('HealthCheck')) callback(new ScriptedStatus(grpcStatus.UNIMPLEMENTED));
        else
          settle(
            async () => ({ status: await (this.script.onHealthCheck?.(call.request.service) ?? this.#health) }),
            callback,
          );
      },
      Watch: (call: ServerWritableStream<{ service: string }, { status: number }>): void => {
        if (this.#isUnimplemented('HealthWatch')) {
          call.emit('error', new ScriptedStatus(grpcStatus.UNIMPLEMENTED));
          return;
        }
        this.#watches.add(call);
        call.write({ status: this.#health });
        const forget = (): void => {
          this.#watches.delete(call);
          this.changed();
        };
        call.on('cancelled', forget);
        call.on('close', forget);
        call.on('error', forget);
        this.changed();
      },
    };
  }
}

function unimplemented(_call: unknown, callback: sendUnaryData<object>): void {
  callback(new ScriptedStatus(grpcStatus.UNIMPLEMENTED));
}

/** A client that aborted its call makes grpc-js's callback a no-op, so a late answer needs no care. */
function settle<T>(answer: () => Answer<T>, callback: sendUnaryData<T>): void {
  void Promise.resolve()
    .then(answer)
    .then(
      (value) => callback(null, value),
      (error: unknown) =>
        callback(error instanceof ScriptedStatus ? error : new ScriptedStatus(grpcStatus.INTERNAL, String(error))),
    );
}

/** Listens on 127.0.0.1; `port` 0 takes a free one. */
export async function startScriptedServer(
  script: Script = {},
  options: { port?: number; maxConcurrentStreams?: number; credentials?: ServerCredentials } = {},
): Promise<ScriptedServer> {
  const server = new ScriptedServer(script, options);
  await server.listen(options.port);
  return server;
}

/**
 * The transport on `@grpc/grpc-js`: its channels, resolvers, HTTP/2 sessions and calls.
 *
 * It plugs in where grpc-js lets load-balancing policies plug in: a policy of our own dials each connection exactly once and hands us the
 * connected subchannel, and calls are opened on that. Going through `Channel.createCall` instead would put four promise-chained layers
 * around each message (resolving, retrying, filtering, picking), which write one message per turn of the loop, hide the RST code, and
 * redial behind our back. What is given up are client interceptors and call credentials; the client above has its own of both.
 */

import type { ClientHttp2Session } from 'node:http2';
import { isIP, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';

import { CallCredentials, Channel, ChannelCredentials, experimental, Metadata, status as Status } from '@grpc/grpc-js';
import type { ChannelOptions } from '@grpc/grpc-js';

import { parseAddress } from '../core/address.js';
import type { ParsedAddress } from '../core/address.js';
import type { TimerHandle } from '../core/clock.js';
import { GrpcCode } from '../errors.js';
import { hasStatus, http2StreamOf, pingSession, sessionOf } from './grpc-js-internals.js';
import { downCauseOf, type ConnectPhase } from './down-cause.js';
import type {
  ConnectionListener,
  ConnectOptions,
  DownCause,
  GoawayDetail,
  StreamListener,
  Target,
  Transport,
  TransportConnection,
  UnaryOptions,
  UnaryResult,
  WireMetadata,
  WireStatus,
  WireStream,
} from './port.js';
import { secureContextOf, startTls } from './secure.js';
import { watchForSilentEnd } from './session-end.js';
import { holdSession } from './session-memory.js';
import {
  answeredStatus,
  brokenStatus,
  cancelledStatus,
  goawayReason,
  isTooManyPings,
  lostStatus,
  notSentStatus,
  RstCode,
  statusFromHttp,
  statusFromRst,
  toGrpcCode,
} from './status.js';
import { unaryCall } from './unary.js';
import { WireCall } from './wire-call.js';

type Subchannel = ReturnType<experimental.SubchannelInterface['getRealSubchannel']>;
type SubchannelStatus = Parameters<Parameters<Subchannel['createCall']>[3]['onReceiveStatus']>[0];

/** grpc-js's ConnectivityState, a const enum that isolated modules cannot import. */
const READY = 2;
const TRANSIENT_FAILURE = 3;

/** RFC 8305: a dial that hangs this long starts the next address of the same name beside it. */
const NEXT_ADDRESS_DELAY_MS = 250;

/** What node:http2 tells of a peer that sets no limit. */
const UNLIMITED_STREAMS = 2 ** 32 - 1;

const POLICY = 'authz_single_dial';
/** The prefix keeps the option from subchannels, which compare and print theirs. */
const DIAL_OPTION = `${experimental.SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX}.authz_dial`;

/** The transport on `@grpc/grpc-js`. */
export function createGrpcJsTransport(): Transport {
  registerPolicy();
  return {
    name: 'grpc-js',
    connect: (target, options, listener) => new GrpcJsConnection(target, options, listener),
  };
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Dialling

interface Resolution {
  resolved(
    addresses: readonly experimental.SubchannelAddress[],
    create: (address: experimental.SubchannelAddress) => experimental.SubchannelInterface,
  ): void;
  unresolved(message: string): void;
}

/** The policy: passes on what the resolver found, and never dials by itself. */
class SingleDialPolicy implements experimental.LoadBalancer {
  readonly #helper: experimental.ChannelControlHelper;

  constructor(helper: experimental.ChannelControlHelper) {
    this.#helper = helper;
  }

  updateAddressList(
    list: experimental.StatusOr<experimental.Endpoint[]>,
    _config: experimental.TypedLoadBalancingConfig,
    options: ChannelOptions,
  ): boolean {
    const resolution = options[DIAL_OPTION] as Resolution;
    if (list.ok) {
      const addresses = list.value.flatMap((endpoint) => endpoint.addresses);
      resolution.resolved(addresses, (address) => this.#helper.createSubchannel(address, options));
    } else {
      resolution.unresolved(list.error.details);
    }
    return true;
  }

  exitIdle(): void {
    // Idle stays idle: a lost connection is replaced by another connect.
  }

  resetBackoff(): void {
    // There is no second attempt to back off from.
  }

  destroy(): void {
    // The connection owns its subchannels: they outlive the channel's idle timeout.
  }

  getTypeName(): string {
    return POLICY;
  }
}

class SingleDialConfig implements experimental.TypedLoadBalancingConfig {
  static createFromJson(): SingleDialConfig {
    return new SingleDialConfig();
  }

  getLoadBalancerName(): string {
    return POLICY;
  }

  toJsonObject(): object {
    return { [POLICY]: {} };
  }
}

let policyRegistered = false;

function registerPolicy(): void {
  if (policyRegistered) return;
  policyRegistered = true;
  experimental.registerLoadBalancerType(POLICY, SingleDialPolicy, SingleDialConfig);
}

/** One dial of one resolved address: its sockets, as grpc-js hands them to its credentials, and how far it got. */
class Attempt {
  phase: ConnectPhase = 'dial';
  /** The first error of any of its sockets: the real cause, which grpc-js keeps to itself. */
  error: unknown;
  /** The one that carries HTTP/2. */
  socket: Socket | undefined;
  readonly sockets: Socket[] = [];
  readonly #abort = new AbortController();
  #subchannel: experimental.SubchannelInterface | undefined;
  #destroyed = false;

  get subchannel(): Subchannel | undefined {
    return this.#subchannel?.getRealSubchannel();
  }

  start(
    address: experimental.SubchannelAddress,
    create: (address: experimental.SubchannelAddress) => experimental.SubchannelInterface,
    onState: experimental.ConnectivityStateListener,
  ): void {
    // grpc-js passes the address to net.connect as it is, so the signal reaches the socket even while it dials and nobody else holds it.
    const dialled: experimental.SubchannelAddress & { signal: AbortSignal } = {
      ...address,
      signal: this.#abort.signal,
    };
    this.#subchannel = create(dialled);
    this.#subchannel.ref();
    this.#subchannel.addConnectivityStateListener(onState);
    this.#subchannel.startConnecting();
  }

  /** Called by grpc-js's connector with the connected socket. */
  async secure(
    raw: Socket,
    secureContext: SecureContext | undefined,
    name: string,
    adopt: (socket: Socket) => void,
  ): Promise<experimental.SecureConnectResult> {
    if (this.#destroyed || this.socket !== undefined) {
      raw.destroy();
      throw new Error('a connection is dialled only once');
    }
    this.#track(raw);
    if (secureContext === undefined) {
      this.phase = 'settings';
      this.socket = raw;
      adopt(raw);
      return { socket: raw, secure: false };
    }
    this.phase = 'tls';
    const { tlsSocket, secured } = startTls(raw, secureContext, name);
    this.#track(tlsSocket);
    this.socket = tlsSocket;
    adopt(tlsSocket);
    await secured;
    this.phase = 'settings';
    return { socket: tlsSocket, secure: true };
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#abort.abort();
    for (const socket of this.sockets) socket.destroy();
    this.#subchannel?.unref();
  }

  #track(socket: Socket): void {
    this.sockets.push(socket);
    socket.on('error', (error) => {
      // The abort is our own doing, never a cause.
      if (error.name !== 'AbortError') this.error ??= error;
    });
  }
}

/** Gives each attempt's sockets to it: the only place where grpc-js shows them. */
class CapturingCredentials extends ChannelCredentials {
  readonly #secure: boolean;
  readonly #connect: (attempt: Attempt, socket: Socket) => Promise<experimental.SecureConnectResult>;
  /** The attempt whose subchannel is being made; grpc-js asks for the connector within that call. */
  attempt: Attempt | undefined;

  constructor(
    secure: boolean,
    connect: (attempt: Attempt, socket: Socket) => Promise<experimental.SecureConnectResult>,
  ) {
    super();
    this.#secure = secure;
    this.#connect = connect;
  }

  _isSecure(): boolean {
    return this.#secure;
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  _createSecureConnector(): experimental.SecureConnector {
    const { attempt } = this;
    if (attempt === undefined) throw new Error('a subchannel was made outside of a dial');
    const callCredentials = CallCredentials.createEmpty();
    return {
      connect: (socket) => this.#connect(attempt, socket),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy: () => undefined,
    };
  }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// The connection

class GrpcJsConnection implements TransportConnection, Resolution {
  /** There once the connection is up. */
  ping?: (timeoutMs: number) => Promise<boolean>;
  readonly #options: ConnectOptions;
  readonly #listener: ConnectionListener;
  readonly #calls = new Set<WireCall>();
  /** `ending`: no more calls; `onDown` is on its way. */
  #state: 'connecting' | 'up' | 'draining' | 'ending' | 'down' = 'connecting';
  #cause: DownCause = { kind: 'other', message: 'the connection ended' };
  #goaway: string | undefined;
  #referenced = false;
  #authority = 'localhost';
  #credentials: CapturingCredentials | undefined;
  #channel: Channel | undefined;
  #attempts: Attempt[] = [];
  #waiting: experimental.SubchannelAddress[] | undefined;
  #create: ((address: experimental.SubchannelAddress) => experimental.SubchannelInterface) | undefined;
  #winner: Attempt | undefined;
  #session: ClientHttp2Session | undefined;
  #streamLimit = UNLIMITED_STREAMS;
  #connectTimer: TimerHandle;
  #nextTimer: TimerHandle;

  constructor(target: Target, options: ConnectOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#connectTimer = options.clock.setTimeout(() => {
      const message = `not connected within ${options.connectTimeoutMs} ms`;
      this.#shutdown({ kind: 'connectTimeout', message });
    }, options.connectTimeoutMs);
    try {
      this.#dial(parseAddress(target.address));
    } catch (error) {
      this.#shutdown({ kind: 'resolve', message: error instanceof Error ? error.message : String(error) });
    }
  }

  get usable(): boolean {
    return this.#state === 'up' && this.#winner?.socket?.destroyed === false && this.#session?.destroyed !== true;
  }

  openStream(path: string, metadata: WireMetadata, listener: StreamListener): WireStream {
    return this.#open(path, metadata, listener, Infinity);
  }

  unary(path: string, bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult> {
    return unaryCall(this.#open, path, bytes, options, this.#options);
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    const socket = this.#winner?.socket;
    if (socket !== undefined) applyReference(socket, referenced);
  }

  examine(): void {
    const attempt = this.#winner;
    const [socket] = attempt?.sockets ?? [];
    if (attempt === undefined || socket === undefined || this.#session === undefined) return;
    watchForSilentEnd(this.#session, socket, this.#options.clock, (error) => {
      attempt.error ??= error;
      socket.destroy();
    });
  }

  close(): void {
    const closed = { kind: 'closed', message: 'the connection was closed by this side' } as const;
    if (this.#state === 'ending') {
      this.#cause = closed;
      this.#abortCalls();
    }
    this.#shutdown(closed);
  }

  // -- Dialling: from the policy, the credentials and the subchannels

  #dial(address: ParsedAddress): void {
    const { tls, maxMessageBytes, userAgent } = this.#options;
    let secureContext: SecureContext | undefined;
    try {
      secureContext = tls === undefined ? undefined : secureContextOf(tls);
    } catch (error) {
      this.#shutdown({ kind: 'tls', message: error instanceof Error ? error.message : String(error) });
      return;
    }
    const name = tls?.serverName ?? address.host ?? 'localhost';
    if (address.host !== undefined && address.port !== undefined) {
      this.#authority = `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`;
    }
    const adopt = (socket: Socket): void => {
      applyReference(socket, false);
    };
    this.#credentials = new CapturingCredentials(tls !== undefined, (attempt, socket) =>
      attempt.secure(socket, secureContext, name, adopt),
    );
    this.#channel = new Channel(address.target, this.#credentials, {
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ [POLICY]: {} }] }),
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.enable_channelz': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.default_authority': this.#authority,
      'grpc.primary_user_agent': userAgent,
      'grpc.max_receive_message_length': maxMessageBytes,
      [DIAL_OPTION]: this,
    });
    this.#channel.getConnectivityState(true);
  }

  resolved(
    addresses: readonly experimental.SubchannelAddress[],
    create: (address: experimental.SubchannelAddress) => experimental.SubchannelInterface,
  ): void {
    if (this.#state !== 'connecting' || this.#waiting !== undefined) return;
    this.#waiting = [...addresses];
    this.#create = create;
    if (!this.#dialNext()) this.#shutdown({ kind: 'resolve', message: 'the name has no address' });
  }

  unresolved(message: string): void {
    if (this.#state === 'connecting') this.#shutdown({ kind: 'resolve', message });
  }

  #dialNext(): boolean {
    const { clock } = this.#options;
    clock.clearTimeout(this.#nextTimer);
    const address = this.#waiting?.shift();
    if (address === undefined || this.#create === undefined || this.#credentials === undefined) return false;
    const attempt = new Attempt();
    this.#attempts.push(attempt);
    this.#credentials.attempt = attempt;
    attempt.start(address, this.#create, (_subchannel, _previous, state, _keepalive, message) => {
      this.#stateChanged(attempt, state, message);
    });
    this.#nextTimer = clock.setTimeout(() => this.#dialNext(), NEXT_ADDRESS_DELAY_MS);
    return true;
  }

  #stateChanged(attempt: Attempt, state: number, message: string | undefined): void {
    // Losers of the race, and attempts that failed, have nothing more to say.
    if (!this.#attempts.includes(attempt)) return;
    if (this.#state === 'connecting') {
      if (state === READY) this.#won(attempt);
      else if (state === TRANSIENT_FAILURE) this.#failed(attempt, message ?? 'the connection failed');
    } else if (this.#state === 'up' && attempt === this.#winner && state !== READY) {
      // A connection that is lost looks the same at first; one turn later its socket is gone.
      setImmediate(() => {
        if (attempt.socket?.destroyed !== true) this.#drain({ reason: 'the server sent GOAWAY' });
      });
    }
  }

  #won(attempt: Attempt): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#connectTimer);
    clock.clearTimeout(this.#nextTimer);
    for (const other of this.#attempts) if (other !== attempt) other.destroy();
    this.#attempts = [attempt];
    this.#winner = attempt;
    attempt.phase = 'up';
    // The subchannel says READY just before it can open calls.
    queueMicrotask(() => {
      if (this.#state === 'connecting') this.#up(attempt);
    });
  }

  #up(attempt: Attempt): void {
    this.#state = 'up';
    const { socket, subchannel } = attempt;
    if (socket === undefined || subchannel === undefined || socket.destroyed) {
      this.#lost(attempt);
      return;
    }
    applyReference(socket, this.#referenced);
    socket.once('close', () => {
      this.#lost(attempt);
    });
    this.#session = sessionOf(subchannel);
    if (this.#session !== undefined) this.#watch(this.#session);
    this.#readStreamLimit();
    this.#listener.onUp();
  }

  #watch(session: ClientHttp2Session): void {
    holdSession(session);
    const { clock } = this.#options;
    session.once('goaway', (code: number, lastStreamId: number, debug?: Buffer) => {
      this.#drain({
        reason: goawayReason(code, debug),
        lastStreamId,
        tooManyPings: isTooManyPings(code, debug),
      });
    });
    this.ping = async (timeoutMs) => {
      const isAnswered = await pingSession(session, (fn) => {
        const timer = clock.setTimeout(fn, timeoutMs);
        return () => {
          clock.clearTimeout(timer);
        };
      });
      this.#readStreamLimit();
      return isAnswered;
    };
  }

  /**
   * grpc-js takes every listener off its session, and with them the hook by which Node learns that someone wants to hear of SETTINGS: changes
   * are looked for whenever something else happens.
   */
  #readStreamLimit(): void {
    const limit = this.#session?.remoteSettings.maxConcurrentStreams ?? UNLIMITED_STREAMS;
    if (limit === this.#streamLimit || this.#state !== 'up') return;
    this.#streamLimit = limit;
    this.#listener.onStreamLimit(limit);
  }

  #drain(detail: GoawayDetail): void {
    if (this.#state !== 'up') return;
    this.#state = 'draining';
    this.#goaway = detail.reason;
    this.#listener.onGoaway(detail);
  }

  #failed(attempt: Attempt, message: string): void {
    // grpc-js appends the time of day to some of its messages.
    const text = message.replace(/ \(\d{4}-[^)]*\)$/, '').replace(/^(?:Type)?Error: /, '');
    let cause = downCauseOf(attempt.phase, attempt.error ?? text);
    if (attempt.phase === 'settings' && attempt.error === undefined && !text.startsWith('Failed to connect')) {
      cause = { kind: 'protocol', message: text };
    }
    if (attempt.phase === 'settings' && cause.kind === 'lost') {
      cause = { ...cause, message: `the server closed the connection before SETTINGS${this.#tlsHint()}` };
    }
    // Of several addresses, one that did more than refuse is the better cause.
    if (this.#cause.kind === 'other' || cause.kind !== 'refused') this.#cause = cause;
    attempt.destroy();
    this.#attempts = this.#attempts.filter((other) => other !== attempt);
    if (this.#dialNext() || this.#attempts.length > 0) return;
    this.#shutdown(this.#cause);
  }

  /** Many servers check client certificates only after the handshake, and just hang up. */
  #tlsHint(): string {
    return this.#options.tls === undefined
      ? ''
      : ', after the TLS handshake: it may have refused the client certificate';
  }

  // -- Ending

  /** The socket is gone. Two turns of the loop let grpc-js hand out what it had read and end its calls with their own statuses. */
  #lost(attempt: Attempt): void {
    if (this.#state !== 'up' && this.#state !== 'draining') return;
    this.#state = 'ending';
    if (this.#goaway !== undefined)
      this.#cause = { kind: 'lost', message: `the connection ended after ${this.#goaway}` };
    else if (attempt.error !== undefined) this.#cause = downCauseOf('up', attempt.error);
    else this.#cause = { kind: 'lost', message: 'the connection was lost' };
    setImmediate(() => {
      setImmediate(() => {
        for (const call of this.#calls) call.settle(lostStatus());
        this.#down();
      });
    });
  }

  /** Ends it from this side: destroys whatever there is of sockets, ends the calls, and reports when the sockets are closed. */
  #shutdown(cause: DownCause): void {
    if (this.#state === 'ending' || this.#state === 'down') return;
    this.#state = 'ending';
    this.#cause = cause;
    this.#abortCalls();
    const sockets = this.#attempts.flatMap((attempt) => attempt.sockets);
    for (const attempt of this.#attempts) attempt.destroy();
    let open = 1;
    const onClosed = (): void => {
      open -= 1;
      if (open === 0) this.#down();
    };
    for (const socket of sockets) {
      if (socket.closed) continue;
      open += 1;
      socket.once('close', onClosed);
    }
    queueMicrotask(onClosed);
  }

  #abortCalls(): void {
    for (const call of this.#calls) call.abort(cancelledStatus('the connection was closed'));
  }

  #down(): void {
    this.#state = 'down';
    const { clock } = this.#options;
    clock.clearTimeout(this.#connectTimer);
    clock.clearTimeout(this.#nextTimer);
    for (const attempt of this.#attempts) attempt.destroy();
    this.#channel?.close();
    this.#listener.onDown(this.#cause);
  }

  // -- Calls

  readonly #open = (
    path: string,
    metadata: WireMetadata,
    listener: StreamListener,
    deadlineAt: number,
    timeoutValue?: string,
  ): WireCall => {
    const call = new WireCall(listener, (ended) => {
      this.#calls.delete(ended);
      this.#readStreamLimit();
    });
    this.#readStreamLimit();
    const subchannel = this.#winner?.subchannel;
    if (this.#state !== 'up' || subchannel === undefined) {
      call.abort(notSentStatus(`the connection is ${this.#state === 'connecting' ? 'not up yet' : 'closing'}`));
      return call;
    }
    let headersReceived = false;
    let contentType = 'application/grpc';
    let httpStatus = 200;
    try {
      const raw = subchannel.createCall(toGrpcMetadata(metadata, timeoutValue), this.#authority, path, {
        onReceiveMetadata: (received) => {
          headersReceived = true;
          contentType = String(received.get('content-type')[0] ?? '');
        },
        onReceiveMessage: (frame: Buffer) => {
          call.received(frame, this.#options.clock.now());
        },
        onReceiveStatus: (status) => {
          const deadlinePassed = this.#options.clock.now() >= deadlineAt;
          const gone = this.#winner?.socket?.destroyed !== false || this.#session?.destroyed === true;
          call.settle(wireStatusOf(status, { headersReceived, contentType, deadlinePassed, gone }));
        },
      });
      const http2Stream = http2StreamOf(raw);
      http2Stream?.once('response', (headers) => {
        httpStatus = headers[':status'] ?? 200;
      });
      // A server that ends its side without trailers leaves the stream half open, for which grpc-js would wait for ever.
      http2Stream?.once('end', () => {
        setImmediate(() => {
          if (!hasStatus(raw)) call.abort(statusWithoutTrailers(httpStatus, { headersReceived, contentType }));
        });
      });
      this.#calls.add(call);
      call.attach({
        write: (chunk, done) => {
          raw.sendMessageWithContext({ callback: done }, chunk);
        },
        halfClose: () => {
          raw.halfClose();
        },
        cancel: () => {
          raw.cancelWithStatus(Status.CANCELLED, '');
        },
        read: () => {
          raw.startRead();
        },
      });
    } catch (error) {
      // Invalid metadata, or a session that began to close: nothing was sent either way.
      call.abort(notSentStatus(error instanceof Error ? error.message : String(error)));
    }
    return call;
  };
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Helpers

/**
 * Says whether the socket may hold the process open. grpc-js references the session again with each first call, so that an idle stream
 * would keep a process alive; on this socket, its say is taken away.
 */
function applyReference(socket: Socket, referenced: boolean): void {
  const prototype = Object.getPrototypeOf(socket) as Socket;
  socket.ref = () => socket;
  socket.unref = () => socket;
  if (referenced) prototype.ref.call(socket);
  else prototype.unref.call(socket);
}

function toGrpcMetadata(metadata: WireMetadata, timeoutValue: string | undefined): Metadata {
  const result = new Metadata();
  for (const [name, value] of Object.entries(metadata)) {
    result.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  }
  result.set('grpc-accept-encoding', 'identity');
  if (timeoutValue !== undefined) result.set('grpc-timeout', timeoutValue);
  return result;
}

/** Response headers that a trailers-only answer mixes with its trailers. */
const NOT_TRAILERS: ReadonlySet<string> = new Set(['content-type', 'date', 'grpc-encoding', 'grpc-accept-encoding']);

function trailersOf(metadata: Metadata): Record<string, string> {
  const result = Object.create(null) as Record<string, string>;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    if (NOT_TRAILERS.has(name)) continue;
    result[name] = values
      .map((value) => (typeof value === 'string' ? value : Buffer.from(value).toString('base64')))
      .join(',');
  }
  return result;
}

interface StatusContext {
  readonly headersReceived: boolean;
  readonly contentType: string;
  readonly deadlinePassed: boolean;
  /** The connection's socket or session is gone. */
  readonly gone: boolean;
}

/**
 * grpc-js's status as ours. It does not say where a status comes from, but only its own statuses carry an RST code, or no trailers and
 * one of a few texts.
 */
function wireStatusOf(status: SubchannelStatus, context: StatusContext): WireStatus {
  const { code, details, metadata, rstCode } = status;
  const http = /^Received HTTP status code (\d+)$/.exec(details);
  if (rstCode === RstCode.REFUSED_STREAM) return statusFromRst(rstCode, context);
  if (http !== null) return statusFromHttp(Number(http[1]));
  if (rstCode !== undefined) {
    if (context.gone || details.startsWith('Write ')) return lostStatus();
    if (rstCode === RstCode.NO_ERROR) return statusWithoutTrailers(200, context);
    return statusFromRst(rstCode, context);
  }
  if (Object.keys(metadata.toJSON()).length === 0) {
    if (context.gone && details === 'Connection dropped') return lostStatus();
    if (details.startsWith('Write ')) return lostStatus();
    if (details.startsWith('Received message larger than max ')) {
      return notGrpc(context) ?? brokenStatus(details, GrpcCode.RESOURCE_EXHAUSTED);
    }
  }
  return answeredStatus(toGrpcCode(code), details, trailersOf(metadata));
}

type AnswerContext = Pick<StatusContext, 'contentType' | 'headersReceived'>;

/** The status of a call whose answer ended without trailers. */
function statusWithoutTrailers(httpStatus: number, context: AnswerContext): WireStatus {
  if (httpStatus !== 200) return statusFromHttp(httpStatus);
  return notGrpc(context) ?? brokenStatus('the server ended the call without a status');
}

/** A 200 with another content type is a web server's answer, and what follows is no gRPC message. */
function notGrpc({ contentType, headersReceived }: AnswerContext): WireStatus | undefined {
  if (!headersReceived || contentType.startsWith('application/grpc')) return undefined;
  const message = `the server answered with content-type ${JSON.stringify(contentType)}, which is not gRPC`;
  return { code: GrpcCode.UNKNOWN, message, outcome: 'answered' };
}

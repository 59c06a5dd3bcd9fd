/**
 * The transport on `node:http2` itself. Beside the one on grpc-js it sees every event of its session, dials its sockets itself, and
 * puts all messages that one turn of the loop writes on a stream into one DATA write, which is where grpc-js spends most of its time.
 */

import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders, Settings } from 'node:http2';
import { isIP } from 'node:net';

import { parseAddress, type ParsedAddress } from '../core/address.js';
import type { TimerHandle } from '../core/clock.js';
import { GrpcCode } from '../errors.js';
import { Http2Call, type CallHost } from './http2-call.js';
import { Dial, type DialListener, type DialTls } from './http2-dial.js';
import { metadataProblem } from './metadata.js';
import { NameWatch } from './name-watch.js';
import { pingSession } from './ping.js';
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
  WireStream,
} from './port.js';
import { resolveTargets, systemLookup, type DialTarget, type Lookup } from './resolve.js';
import { secureContextOf } from './secure.js';
import { cancelledStatus, goawayReason, isTooManyPings, notSentStatus } from './status.js';
import { unaryCall } from './unary.js';

/** RFC 8305: a dial that hangs this long starts the next address of the same name beside it. */
const NEXT_ADDRESS_DELAY_MS = 250;

/** What node:http2 tells of a peer that sets no limit. */
const UNLIMITED_STREAMS = 2 ** 32 - 1;

/** Of one call's headers. From 64 KiB on node:http2 would give up the whole connection. */
const MAX_HEADER_BYTES = 60 * 1024;
/** What every call sends beside its metadata, generously. */
const OWN_HEADER_BYTES = 1024;

export interface Http2TransportOptions {
  /** How names are resolved. Default: as the system does. */
  readonly lookup?: Lookup;
}

/** The transport on `node:http2`. */
export function createHttp2Transport({ lookup = systemLookup }: Http2TransportOptions = {}): Transport {
  return {
    name: 'http2',
    connect: (target, options, listener) => new Http2Connection(target, options, listener, lookup),
  };
}

class Http2Connection implements TransportConnection, DialListener, CallHost {
  /** There once the connection is up. */
  ping?: (timeoutMs: number) => Promise<boolean>;
  readonly maxMessageBytes: number;
  readonly #options: ConnectOptions;
  readonly #listener: ConnectionListener;
  /** Not ended yet. */
  readonly #calls = new Set<Http2Call>();
  /** Of those, the calls that wait until the peer allows another stream; each with what opens it. */
  readonly #waiting = new Map<Http2Call, OutgoingHttpHeaders>();
  /** HTTP/2 streams, which may outlive their calls a little. */
  #streams = 0;
  #maxStreams = UNLIMITED_STREAMS;
  #maxHeaderBytes = MAX_HEADER_BYTES;
  /** `ending`: no more calls; `onDown` is on its way. */
  #state: 'connecting' | 'up' | 'draining' | 'ending' | 'down' = 'connecting';
  #cause: DownCause = { kind: 'other', message: 'the connection ended' };
  #goaway: string | undefined;
  #referenced = false;
  #authority = 'localhost';
  #tls: DialTls | undefined;
  /** Addresses not dialled yet, and dials under way or up. */
  #targets: DialTarget[] = [];
  #dials: Dial[] = [];
  #session: ClientHttp2Session | undefined;
  #connectTimer: TimerHandle;
  #nextTimer: TimerHandle;
  readonly #lookup: Lookup;
  /** What is looked up, where the address is a name. */
  #name: string | undefined;
  #nameWatch: NameWatch | undefined;

  constructor(target: Target, options: ConnectOptions, listener: ConnectionListener, lookup: Lookup) {
    this.#options = options;
    this.#listener = listener;
    this.#lookup = lookup;
    this.maxMessageBytes = options.maxMessageBytes;
    this.#connectTimer = options.clock.setTimeout(() => {
      const message = `not connected within ${options.connectTimeoutMs} ms`;
      this.#shutdown({ kind: 'connectTimeout', message });
    }, options.connectTimeoutMs);
    void this.#connect(target);
  }

  get usable(): boolean {
    return this.#state === 'up' && this.alive && this.#session?.closed === false;
  }

  openStream(path: string, metadata: WireMetadata, listener: StreamListener): WireStream {
    return this.#open(path, metadata, listener, Infinity);
  }

  unary(path: string, bytes: Uint8Array, options: UnaryOptions): Promise<UnaryResult> {
    return unaryCall(this.#open, path, bytes, options, this.#options);
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    if (this.#session !== undefined) this.#dials[0]?.setReferenced(referenced);
  }

  examine(): void {
    if (this.#state === 'up' || this.#state === 'draining') this.#dials[0]?.examine(this.#options.clock);
  }

  close(): void {
    const closed = { kind: 'closed', message: 'the connection was closed by this side' } as const;
    if (this.#state === 'ending') this.#cause = closed;
    this.#shutdown(closed);
  }

  // -- Dialling

  async #connect(target: Target): Promise<void> {
    let address: ParsedAddress;
    try {
      address = parseAddress(target.address);
      this.#tls = this.#tlsFor(address);
      if (this.#state !== 'connecting') return;
      this.#authority = authorityOf(address);
      if (address.kind === 'dns') this.#name = address.host;
      this.#targets = await resolveTargets(address, this.#lookup);
    } catch (error) {
      this.#shutdown({ kind: 'resolve', message: messageOf(error) });
      return;
    }
    if (this.#isConnecting()) this.#dialNext();
  }

  #tlsFor(address: ParsedAddress): DialTls | undefined {
    const { tls } = this.#options;
    if (tls === undefined) return undefined;
    try {
      return { secureContext: secureContextOf(tls), name: tls.serverName ?? address.host ?? 'localhost' };
    } catch (error) {
      this.#shutdown({ kind: 'tls', message: messageOf(error) });
      return undefined;
    }
  }

  #isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  #isUp(): boolean {
    return this.#state === 'up';
  }

  #dialNext(): boolean {
    const { clock } = this.#options;
    clock.clearTimeout(this.#nextTimer);
    const target = this.#targets.shift();
    if (target === undefined) return false;
    this.#dials.push(new Dial(target, this.#tls, this));
    if (this.#targets.length > 0) {
      this.#nextTimer = clock.setTimeout(() => this.#dialNext(), NEXT_ADDRESS_DELAY_MS);
    }
    return true;
  }

  onUp(dial: Dial, session: ClientHttp2Session): void {
    if (!this.#isConnecting()) return;
    const { clock } = this.#options;
    clock.clearTimeout(this.#connectTimer);
    clock.clearTimeout(this.#nextTimer);
    this.#targets = [];
    for (const other of this.#dials) if (other !== dial) other.destroy();
    this.#dials = [dial];
    this.#state = 'up';
    this.#session = session;
    dial.setReferenced(this.#referenced);
    this.#watch(session);
    this.#watchName(dial.target);
    // It may have been closed within onStreamLimit.
    if (this.#isUp()) this.#listener.onUp();
  }

  #watch(session: ClientHttp2Session): void {
    const { clock } = this.#options;
    this.#limit(session.remoteSettings);
    session.on('remoteSettings', (settings: Settings) => {
      this.#limit(settings);
      this.#openWaiting();
    });
    session.on('goaway', (code: number, lastStreamId: number, debug?: Buffer) => {
      this.#drain(goawayReason(code, debug), { lastStreamId, tooManyPings: isTooManyPings(code, debug) });
    });
    this.ping = (timeoutMs) =>
      pingSession(session, (fn) => {
        const timer = clock.setTimeout(fn, timeoutMs);
        return () => {
          clock.clearTimeout(timer);
        };
      });
  }

  /** Not where it was closed within onStreamLimit. */
  #watchName(target: DialTarget): void {
    const name = this.#name;
    if (name === undefined || !('host' in target) || !this.#isUp()) return;
    this.#nameWatch = new NameWatch({
      name,
      ip: target.host,
      lookup: this.#lookup,
      clock: this.#options.clock,
      onMoved: () => this.#listener.onMoved?.(),
    });
  }

  #limit({ maxConcurrentStreams = UNLIMITED_STREAMS, maxHeaderListSize = MAX_HEADER_BYTES }: Settings): void {
    this.#maxHeaderBytes = Math.min(maxHeaderListSize, MAX_HEADER_BYTES);
    if (maxConcurrentStreams === this.#maxStreams || this.#state !== 'up') return;
    this.#maxStreams = maxConcurrentStreams;
    this.#listener.onStreamLimit(maxConcurrentStreams);
  }

  /** The peer takes no new calls, and none of those above the last id it names. It may say so again, with a lower one. */
  #drain(reason: string, detail: Omit<GoawayDetail, 'reason'> = {}): void {
    const { lastStreamId } = detail;
    if (this.#state === 'up') {
      this.#state = 'draining';
      this.#nameWatch?.stop();
      this.#goaway = reason;
      this.#listener.onGoaway({ reason, ...detail });
    }
    for (const call of [...this.#calls]) {
      const { id } = call;
      if (id === undefined || (lastStreamId !== undefined && id > lastStreamId)) call.refuse(reason);
    }
    this.#waiting.clear();
    this.#endDrained();
  }

  // -- Ending

  onLost(dial: Dial): void {
    if (this.#state === 'up' || this.#state === 'draining') {
      this.#lost();
      return;
    }
    if (!this.#isConnecting()) return;
    // Of several addresses, one that did more than refuse is the better cause.
    const { cause } = dial;
    if (this.#cause.kind === 'other' || cause.kind !== 'refused') this.#cause = cause;
    dial.destroy();
    this.#dials = this.#dials.filter((other) => other !== dial);
    if (!this.#dialNext() && this.#dials.length === 0) this.#shutdown(this.#cause);
  }

  /** The peer may keep a drained connection open for ever; and its session may be over before its socket is. */
  #endDrained(): void {
    if (this.#state !== 'draining' || this.#calls.size > 0) return;
    // By then what the last call had to send is with the kernel.
    setImmediate(() => {
      this.#lost();
    });
  }

  /** Ends it for a reason that is not ours. Whatever had come before was handed out as it came. */
  #lost(): void {
    if (this.#state !== 'up' && this.#state !== 'draining') return;
    this.#state = 'ending';
    const [dial] = this.#dials;
    if (this.#goaway !== undefined) {
      this.#cause = { kind: 'lost', message: `the connection ended after ${this.#goaway}` };
    } else if (dial !== undefined) {
      this.#cause = dial.cause;
    }
    for (const call of [...this.#calls]) call.lose();
    this.#destroyDials();
  }

  /** Ends it from this side, or before it was up. */
  #shutdown(cause: DownCause): void {
    if (this.#state === 'ending' || this.#state === 'down') return;
    this.#state = 'ending';
    this.#cause = cause;
    for (const call of this.#calls) call.abort(cancelledStatus('the connection was closed'));
    this.#destroyDials();
  }

  #destroyDials(): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#connectTimer);
    clock.clearTimeout(this.#nextTimer);
    this.#nameWatch?.stop();
    this.#waiting.clear();
    let open = 1;
    const onClosed = (): void => {
      open -= 1;
      if (open > 0) return;
      this.#state = 'down';
      this.#listener.onDown(this.#cause);
    };
    for (const dial of this.#dials) {
      open += 1;
      dial.destroy(onClosed);
    }
    queueMicrotask(onClosed);
  }

  // -- Calls

  readonly #open = (
    path: string,
    metadata: WireMetadata,
    listener: StreamListener,
    deadlineAt: number,
    timeoutValue?: string,
  ): Http2Call => {
    const call = new Http2Call(listener, this, deadlineAt);
    const problem = metadataProblem(metadata, this.#maxHeaderBytes - OWN_HEADER_BYTES);
    if (this.#state !== 'up' || this.#session === undefined) {
      call.abort(notSentStatus(`the connection is ${this.#state === 'connecting' ? 'not up yet' : 'closing'}`));
    } else if (problem !== undefined) {
      call.abort(notSentStatus(problem, GrpcCode.INTERNAL));
    } else {
      this.#calls.add(call);
      const headers = this.#headers(path, metadata, timeoutValue);
      if (this.#streams < this.#maxStreams) this.#start(call, headers, this.#session);
      else {
        call.wait();
        this.#waiting.set(call, headers);
      }
    }
    return call;
  };

  #headers(path: string, metadata: WireMetadata, timeoutValue: string | undefined): OutgoingHttpHeaders {
    return {
      ...metadata,
      ':method': 'POST',
      ':scheme': this.#tls === undefined ? 'http' : 'https',
      ':authority': this.#authority,
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': this.#options.userAgent,
      'grpc-accept-encoding': 'identity',
      ...(timeoutValue === undefined ? {} : { 'grpc-timeout': timeoutValue }),
    };
  }

  #start(call: Http2Call, headers: OutgoingHttpHeaders, session: ClientHttp2Session): void {
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(headers, { endStream: false });
    } catch (error) {
      // A header HTTP/2 forbids, or a session that began to close: nothing was sent either way.
      call.abort(notSentStatus(messageOf(error)));
      if (session.closed) this.#drainSoon('the connection is closing');
      return;
    }
    if (stream.id === undefined) {
      // After 2³⁰ calls a connection has no ids left.
      stream.on('error', () => undefined);
      call.abort(notSentStatus('the connection can open no more calls'));
      this.#drainSoon('the connection has used up its stream ids');
      return;
    }
    this.#streams += 1;
    call.attach(stream);
  }

  #drainSoon(reason: string): void {
    queueMicrotask(() => {
      this.#drain(reason);
    });
  }

  #openWaiting(): void {
    for (const [call, headers] of this.#waiting) {
      if (this.#state !== 'up' || this.#session === undefined || this.#streams >= this.#maxStreams) return;
      this.#waiting.delete(call);
      if (call.isOpen) this.#start(call, headers, this.#session);
    }
  }

  // -- From its calls

  get alive(): boolean {
    return this.#dials[0]?.alive === true;
  }

  now(): number {
    return this.#options.clock.now();
  }

  onEnded(call: Http2Call): void {
    this.#calls.delete(call);
    this.#waiting.delete(call);
    this.#endDrained();
  }

  onStreamClosed(error: Error | undefined): void {
    this.#streams -= 1;
    this.#openWaiting();
    if (this.alive) return;
    if (error !== undefined) this.#dials[0]?.noteError(error);
    // The session is over before its socket is: it waits to write what the peer may never read.
    setImmediate(() => {
      this.#lost();
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function authorityOf({ host, port }: ParsedAddress): string {
  if (host === undefined || port === undefined) return 'localhost';
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

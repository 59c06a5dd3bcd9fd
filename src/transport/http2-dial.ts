/** One dial of one address: TCP or a unix socket, TLS, and HTTP/2 until the peer's SETTINGS are in. It owns every socket it makes. */

import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';

import type { Clock } from '../core/clock.js';
import { downCauseOf, type ConnectPhase } from './down-cause.js';
import type { DownCause } from './port.js';
import type { DialTarget } from './resolve.js';
import { startTls } from './secure.js';
import { watchForSilentEnd } from './session-end.js';
import { holdSession } from './session-memory.js';

/**
 * How far a peer may run ahead of the reader of one call, and of the connection. While a write is stuck node:http2 does not read, and so
 * may the peer's: were more under way than the kernels of both sides hold, each would wait for the other for ever. Eight megabytes do
 * deadlock; the throughput on a fast network is the same from 64 KiB on.
 */
export const WINDOW_BYTES = 128 * 1024;

/** Of headers and frames under way, megabytes; beyond it node:http2 refuses what the peer sends. Its default is reached by 10,000 calls. */
const MAX_SESSION_MEMORY_MB = 64;

export interface DialTls {
  readonly secureContext: SecureContext;
  /** The name the certificate must be good for. */
  readonly name: string;
}

/** None is told synchronously by a method of {@link Dial}, nor after `destroy`. */
export interface DialListener {
  /** The peer's SETTINGS are in. At most once. */
  onUp(dial: Dial, session: ClientHttp2Session): void;
  /** It failed, or ended after it was up. At most once, and the last. The sockets may still be closing. */
  onLost(dial: Dial): void;
}

export class Dial {
  readonly target: DialTarget;
  readonly #listener: DialListener;
  readonly #tls: DialTls | undefined;
  readonly #sockets: Socket[] = [];
  #phase: ConnectPhase = 'dial';
  #error: unknown;
  #session: ClientHttp2Session | undefined;
  #over = false;

  constructor(target: DialTarget, tls: DialTls | undefined, listener: DialListener) {
    this.target = target;
    this.#listener = listener;
    this.#tls = tls;
    const socket = connectSocket(target);
    this.#track(socket);
    socket.once('connect', () => {
      if (this.#over) return;
      if (tls === undefined) this.#startHttp2(socket);
      else this.#startTls(socket, tls);
    });
  }

  /** Its sockets and its session are there and usable. */
  get alive(): boolean {
    return !this.#over && this.#session?.destroyed === false && !this.#sockets.some(({ destroyed }) => destroyed);
  }

  /** Why it failed or ended. */
  get cause(): DownCause {
    const cause = downCauseOf(this.#phase, this.#error ?? 'the connection was lost');
    if (this.#phase !== 'settings' || cause.kind !== 'lost') return cause;
    // Many servers check client certificates only after the handshake, and just hang up.
    const hint = this.#tls === undefined ? '' : ', after the TLS handshake: it may have refused the client certificate';
    return { ...cause, message: `the server closed the connection before SETTINGS${hint}` };
  }

  /** See {@link watchForSilentEnd}. */
  examine(clock: Clock): void {
    const [socket] = this.#sockets;
    if (this.#over || socket === undefined || this.#session === undefined) return;
    watchForSilentEnd(this.#session, socket, clock, (error) => {
      this.noteError(error);
      this.#lose();
    });
  }

  /** Something that may be why; the first is. */
  noteError(error: unknown): void {
    this.#error ??= error;
  }

  setReferenced(referenced: boolean): void {
    for (const socket of this.#sockets) {
      if (referenced) socket.ref();
      else socket.unref();
    }
  }

  /** Destroys whatever there is of sockets. `onClosed`, never synchronously: the last of them is closed. */
  destroy(onClosed: () => void = () => undefined): void {
    this.#over = true;
    let open = 1;
    const closed = (): void => {
      open -= 1;
      if (open === 0) onClosed();
    };
    // TLS before what it lies on: the other way round crashes Node when it is told so within the handshake's last event.
    for (const socket of this.#sockets.toReversed()) {
      socket.destroy();
      if (socket.closed) continue;
      open += 1;
      socket.once('close', closed);
    }
    queueMicrotask(closed);
  }

  #track(socket: Socket): void {
    this.#sockets.push(socket);
    socket.setNoDelay(true);
    socket.unref();
    // Not all errors close the socket: after an alert of TLS node:http2 would wait for the peer to do so.
    socket.on('error', (error) => {
      this.noteError(error);
      this.#lose();
    });
    // A peer that half-closes is gone: node:http2 would first wait until everything is written, which it may never be. Where it has
    // ended the session already, though, it is about to say why.
    socket.once('end', () => {
      if (this.#session?.destroyed !== true) this.#lose();
    });
    socket.once('close', () => {
      this.#lose();
    });
  }

  #startTls(raw: Socket, { secureContext, name }: DialTls): void {
    this.#phase = 'tls';
    const { tlsSocket, secured } = startTls(raw, secureContext, name);
    this.#track(tlsSocket);
    secured.then(
      () => {
        if (!this.#over) this.#secured(tlsSocket);
      },
      (error: unknown) => {
        this.noteError(error);
        this.#lose();
      },
    );
  }

  #secured(socket: TLSSocket): void {
    if (socket.alpnProtocol === 'h2') {
      this.#startHttp2(socket);
      return;
    }
    this.noteError(new Error('the server did not agree to HTTP/2 in the TLS handshake (ALPN "h2")'));
    this.#lose();
  }

  #startHttp2(socket: Socket): void {
    this.#phase = 'settings';
    // The authority is only what requests without one of their own would get.
    const session = connectHttp2('http://localhost', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
    });
    this.#session = session;
    session.once('connect', () => {
      holdSession(session);
      if (!session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
    });
    session.on('error', (error) => {
      this.noteError(error);
    });
    session.once('close', () => {
      this.#lose();
    });
    session.once('remoteSettings', () => {
      if (this.#over) return;
      this.#phase = 'up';
      this.#listener.onUp(this, session);
    });
  }

  #lose(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.onLost(this);
  }
}

/** The WebSocket that viewers connect to: on this machine only, for pages that may, and a few at a time. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RawData, type VerifyClientCallbackAsync, type WebSocket, WebSocketServer } from 'ws';
import type { Inspector, Viewer } from './inspector.js';

const HOST = '127.0.0.1';
const MAX_VIEWERS = 8;
/** Written and not yet read by a viewer. One that is further behind is let go; when it comes back, it is told all there is. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;
/** A viewer says hello, and when somebody clicks on an event, that. */
const MAX_MESSAGE_BYTES = 64 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;

export class Viewers {
  readonly #inspector: Inspector;
  readonly #http: Server;
  readonly #server: WebSocketServer;

  private constructor(inspector: Inspector, origins: ReadonlySet<string>) {
    this.#inspector = inspector;
    this.#http = createServer((_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket' });
      response.end('This is the WebSocket of an XState inspector.\n');
    });
    const verifyClient: VerifyClientCallbackAsync = ({ req }, decide) => {
      const { origin } = req.headers;
      // Any page that is open in a browser can reach this port, and the browser says which one asks.
      if (origin !== undefined && !origins.has(origin)) decide(false, 403, 'Forbidden');
      else if (this.#server.clients.size >= MAX_VIEWERS) decide(false, 503, 'Service Unavailable');
      else decide(true);
    };
    this.#server = new WebSocketServer({ server: this.#http, maxPayload: MAX_MESSAGE_BYTES, verifyClient });
    // It repeats those of the port, which are told to whoever listens on that.
    this.#server.on('error', ignore);
    this.#server.on('connection', (socket, request) => {
      // Who watches keeps no process alive.
      request.socket.unref();
      this.#welcome(socket);
    });
  }

  /** @throws as the port does that cannot be listened on */
  static async listen(inspector: Inspector, port: number, origins: readonly string[]): Promise<Viewers> {
    const viewers = new Viewers(inspector, new Set(origins));
    viewers.#http.listen(port, HOST);
    await once(viewers.#http, 'listening');
    viewers.#http.unref();
    return viewers;
  }

  get url(): string {
    return `ws://${HOST}:${(this.#http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#http.close();
    const sockets = [...this.#server.clients];
    const gone = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.close(1001, 'the bridge is closed');
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.terminate();
    }, CLOSE_TIMEOUT_MS);
    await Promise.all(gone);
    clearTimeout(timer);
    this.#http.closeAllConnections();
    this.#server.close();
  }

  #welcome(socket: WebSocket): void {
    const viewer: Viewer = {
      OPEN: socket.OPEN,
      get readyState() {
        return socket.readyState;
      },
      send: (message) => {
        if (socket.bufferedAmount > MAX_BACKLOG_BYTES) socket.terminate();
        else socket.send(message, ignore);
      },
    };
    // All that is done with a socket's failure is what its closing does.
    socket.on('error', ignore);
    socket.on('close', () => this.#inspector.remove(viewer));
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary || !isHello(data)) return;
      try {
        this.#inspector.add(viewer);
      } catch {
        // Whatever it is, it must not end the process.
        socket.terminate();
      }
    });
  }
}

function isHello(data: RawData): boolean {
  try {
    const message: unknown = JSON.parse((data as Buffer).toString());
    return typeof message === 'object' && message !== null && Reflect.get(message, 'type') === 'xstate.inspecting';
  } catch {
    return false;
  }
}

function ignore(): void {
  // What became of it is known by other means.
}

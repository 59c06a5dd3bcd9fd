import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { AuthzClient } from '../client.js';
import { ConfigurationError } from '../errors.js';
import { requireWholeNumber } from '../options-schema.js';
import { MAX_HEADER_BYTES, refuse, refuseUnread, tell } from './answers.js';
import { commandEngine, type EngineControls, engineCommandOf } from './engine-controls.js';
import { Refusal, requireHost, requireMethod, requireOwnOrigin, SECURITY_HEADERS, Token } from './gate.js';
import { LiveSource } from './live-source.js';
import { OpenPage } from './open-page.js';
import { type Recording, RecordingSource } from './recording.js';
import type { Source } from './source.js';
import { StaticFiles } from './static-files.js';

/** An inspector that serves. */
export interface Inspector {
  /** To be opened in a browser on this machine: `http://127.0.0.1:PORT/#token=...`. Who knows it can see the client. */
  readonly url: string;
  readonly port: number;
  /** Ends every page at once and stops listening. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a server is made with beyond what its users may say. */
export interface ServeOptions {
  /** Default 0: any free one. */
  readonly port?: number;
  /** Engines that the page may kill, freeze and revive. Default: none. */
  readonly controls?: EngineControls;
  /** Where the page was built. Default: where the build puts it. */
  readonly pageDirectory?: string;
  /** Default: {@link DEADLINES}. */
  readonly deadlines?: Partial<typeof DEADLINES>;
}

/** How long a socket may take before it is ended. */
const DEADLINES = {
  /** For the headers of a request, from its first byte on; those of the first request from the beginning of the socket on. */
  headersMs: 5_000,
  /** For a request with its body. */
  requestMs: 10_000,
  /** Between an answer and the next request. */
  idleMs: 5_000,
  /**
   * For an answer of which nothing is taken, and for one that is not begun: more than the page waits for a command. Node looks this often
   * whether anything was taken since, so that it may be twice as long.
   */
  silenceMs: 30_000,
};
/** How late Node may notice the first two. */
const CHECK_INTERVAL_MS = 1_000;

const HOST = '127.0.0.1';
/** Pages that watch at a time. */
const MAX_PAGES = 8;
/** Sockets: a page has a few while it loads. */
const MAX_CONNECTIONS = 64;

/**
 * Serves a client to the page.
 * @throws ConfigurationError
 */
export async function serveClient(client: AuthzClient, options: ServeOptions = {}): Promise<Inspector> {
  if (!(client instanceof AuthzClient)) {
    throw new ConfigurationError('client', 'must be a client made by createClient or createPooledClient');
  }
  const { controls } = options;
  return serveSource(new LiveSource(client, () => controls?.engines() ?? []), options);
}

/**
 * Serves what `client.dump()` gave.
 * @throws ConfigurationError
 */
export async function serveRecording(recording: Recording, options: ServeOptions = {}): Promise<Inspector> {
  return serveSource(new RecordingSource(recording), options);
}

/** @throws ConfigurationError */
export async function serveSource(source: Source, options: ServeOptions = {}): Promise<Inspector> {
  return InspectorServer.listen(source, options);
}

class InspectorServer implements Inspector {
  readonly #source: Source;
  readonly #controls: EngineControls | undefined;
  readonly #files: StaticFiles;
  readonly #token = new Token();
  readonly #controlsToken = new Token();
  readonly #server: Server;
  /** Answers under way. */
  readonly #answers = new WeakMap<Duplex, ServerResponse>();
  #port = 0;
  #pages = 0;
  #closed: Promise<void> | undefined;

  private constructor(source: Source, { controls, pageDirectory, deadlines }: ServeOptions) {
    this.#source = source;
    this.#controls = controls;
    this.#files = new StaticFiles(pageDirectory);
    const { headersMs, requestMs, idleMs, silenceMs } = { ...DEADLINES, ...deadlines };
    this.#server = createServer(
      {
        headersTimeout: headersMs,
        requestTimeout: requestMs,
        keepAliveTimeout: idleMs,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
        // Refused by us, as any other name that is not ours.
        requireHostHeader: false,
      },
      (request, response) => void this.#serve(request, response),
    );
    // Whatever Node would answer by itself, without the headers that every answer has.
    this.#server.on('checkExpectation', (request, response) => void this.#serve(request, response));
    this.#server.on('clientError', ({ code }: NodeJS.ErrnoException, socket) =>
      refuseUnread(socket, code, this.#answers.get(socket)),
    );
    this.#server.setTimeout(silenceMs);
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Like the client itself, it does not keep a process alive that has nothing else to do.
    this.#server.on('connection', (socket) => socket.unref());
  }

  static async listen(source: Source, options: ServeOptions): Promise<Inspector> {
    const port = requireWholeNumber('options.port', options.port ?? 0, 0, 65_535);
    const inspector = new InspectorServer(source, options);
    await inspector.#listen(port);
    return inspector;
  }

  get url(): string {
    return `http://${HOST}:${this.port}/#token=${this.#token.text}`;
  }

  get port(): number {
    return this.#port;
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // It stays: that no more file descriptors are left for those who call is not to end the process.
      this.#server.on('error', (cause) => reject(listenError(cause, port)));
      this.#server.listen(port, HOST, () => {
        this.#server.unref();
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    // A browser asks for the next thing once it has the last. Else answers would pile up in memory for whoever asks and does not read.
    if (this.#answers.has(socket)) {
      socket.destroy();
      return;
    }
    this.#answers.set(socket, response);
    response.once('close', () => this.#answers.delete(socket));
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    try {
      await this.#answer(request, response);
    } catch (error) {
      refuse(response, error);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    requireHost(request, this.port);
    requireOwnOrigin(request, request.method !== 'GET');
    const [path = ''] = (request.url ?? '').split('?');
    const command = engineCommandOf(path);
    if (command !== undefined && this.#controls !== undefined) {
      requireMethod(request, 'POST');
      this.#controlsToken.require(request, 'that the hello of /stream tells');
      tell(response, 200, { engines: await commandEngine(this.#controls, command, request) });
      return;
    }
    requireMethod(request, 'GET');
    if (path === '/stream') {
      this.#token.require(request, 'that the URL of the inspector ends with');
      this.#open(response);
      return;
    }
    const { type, bytes } = await this.#files.at(path);
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
  }

  #open(response: ServerResponse): void {
    if (this.#pages >= MAX_PAGES) {
      throw new Refusal(503, 'stream', `${MAX_PAGES} pages watch already; close one`, { 'retry-after': '1' });
    }
    this.#pages++;
    response.once('close', () => this.#pages--);
    const controls = this.#controls;
    new OpenPage(response, this.#source).begin(
      controls === undefined ? null : { token: this.#controlsToken.text, engines: controls.engines() },
    );
  }
}

function listenError(cause: NodeJS.ErrnoException, port: number): ConfigurationError {
  const where = `${HOST}:${port}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new ConfigurationError('options.port', `address in use: ${where}; leave it out for any free port`, {
        cause,
      });
    case 'EACCES':
      return new ConfigurationError('options.port', `no permission to listen on ${where}; choose one from 1024`, {
        cause,
      });
    default:
      return new ConfigurationError('options.port', `cannot listen on ${where} (${cause.code ?? 'error'})`, { cause });
  }
}

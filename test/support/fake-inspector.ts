/** A server of the page that tells of a made-up client, and can be made to fail: real HTTP, the page as it is built, the headers of the real one. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SECURITY_HEADERS } from '../../src/inspect/gate.js';
import { StaticFiles } from '../../src/inspect/static-files.js';
import type { Message } from '../../src/inspect/protocol.js';
import type { InspectedWorld } from './inspected-world.js';

export const TOKEN = 'a-token-of-the-tests';
export const CONTROLS_TOKEN = 'another-token';
const FRAME_MS = 125;
const FILES = new StaticFiles();

export class FakeInspector implements AsyncDisposable {
  readonly world: InspectedWorld;
  /** While true nothing is served: connections are cut. */
  isDown = false;
  /** While true frames stop, and nothing is closed: as a process that is held in a debugger. */
  isSilent = false;
  /** Paths that were asked for. */
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(world: InspectedWorld) {
    this.world = world;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** `isStill`: no time passes on its own; {@link tick} lets it. */
  static async start(world: InspectedWorld, { isStill = false, port = 0 } = {}): Promise<FakeInspector> {
    const inspector = new FakeInspector(world);
    await new Promise<void>((resolve) => inspector.#server.listen(port, '127.0.0.1', resolve));
    if (!isStill) inspector.#timer = setInterval(() => inspector.tick(FRAME_MS), FRAME_MS);
    return inspector;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/#token=${TOKEN}`;
  }

  get watchers(): number {
    return this.#streams.size;
  }

  tick(elapsedMs = FRAME_MS): void {
    const frame = this.world.tick(elapsedMs);
    if (!this.isSilent) this.#send(frame);
  }

  /** Cuts every page off, and serves none until `isDown` is false again. */
  goDown(): void {
    this.isDown = true;
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  #send(message: Message): void {
    const line = `${JSON.stringify(message)}\n`;
    for (const stream of this.#streams) stream.write(line);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '/', headers } = request;
    this.requests.push(url);
    if (this.isDown) {
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const command = /^\/engines\/(kill|freeze|revive)$/.exec(url)?.[1] as 'kill' | 'freeze' | 'revive' | undefined;
    if (command !== undefined) await this.#command(command, request, response);
    else if (url !== '/stream') await serveFile(url, response);
    else if (headers.authorization === `Bearer ${TOKEN}`) this.#open(response);
    else refuse(response, 401, 'authorization: must be "Bearer TOKEN"');
  }

  #open(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
    const hello = this.world.hello();
    response.write(`${JSON.stringify(hello)}\n`);
    if (hello.mode === 'recording') {
      response.end();
      return;
    }
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
  }

  async #command(
    command: 'kill' | 'freeze' | 'revive',
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) body += chunk;
    const { address } = JSON.parse(body) as { readonly address: string };
    if (request.headers.authorization !== `Bearer ${CONTROLS_TOKEN}`) {
      refuse(response, 401, 'authorization: must be "Bearer TOKEN"');
    } else if (!this.world.engines.some((engine) => engine.address === address)) {
      refuse(response, 404, 'body.address: must be one of the engines');
    } else {
      this.world[command](address);
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ engines: this.world.engines }));
    }
  }
}

async function serveFile(url: string, response: ServerResponse): Promise<void> {
  try {
    const { type, bytes } = await FILES.at(url);
    response.writeHead(200, { 'content-type': type }).end(bytes);
  } catch {
    refuse(response, 404, 'path: there is nothing here');
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }));
}

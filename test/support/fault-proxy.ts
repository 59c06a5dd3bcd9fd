/** A TCP proxy that hurts what runs through it while the server behind it lives on. */

import { connect, createServer, type Server, type Socket } from 'node:net';

import { Changes } from './recorder.js';

/** Which way: to the server, or from it. */
export type Direction = 'up' | 'down';

/**
 * - `latency`: every piece comes so much later, in order.
 * - `bandwidth`: no faster than this.
 * - `slow_close`: that one side has ended is passed on so much later.
 * - `timeout`: nothing comes through, and nobody is told.
 * - `slicer`: in pieces of so many bytes, each in a turn of the loop of its own.
 * - `limit_data`: so many bytes come through, then the link is closed.
 *
 * What else a proxy can do is done once: see {@link TcpProxy.reset} and {@link TcpProxy.goDown}.
 */
export type Toxic = { readonly direction?: Direction } & (
  | { readonly type: 'latency'; readonly ms: number }
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number }
  | { readonly type: 'slow_close'; readonly ms: number }
  | { readonly type: 'timeout' }
  | { readonly type: 'slicer'; readonly bytes: number }
  | { readonly type: 'limit_data'; readonly bytes: number }
);
type ToxicOf<Type extends Toxic['type']> = Extract<Toxic, { readonly type: Type }>;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One connection through the proxy. */
class Link {
  /** Changed at any time; what is on its way already is not changed any more. */
  toxics: readonly Toxic[];
  readonly downstream: Socket;
  readonly upstream: Socket;
  readonly #passed = { up: 0, down: 0 };

  constructor(downstream: Socket, upstream: Socket, toxics: readonly Toxic[], onClosed: () => void) {
    this.downstream = downstream;
    this.upstream = upstream;
    this.toxics = toxics;
    let open = 2;
    for (const socket of [downstream, upstream]) {
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open -= 1;
        if (open === 0) onClosed();
      });
    }
    void this.#pump(downstream, upstream, 'up');
    void this.#pump(upstream, downstream, 'down');
  }

  destroy(): void {
    this.downstream.destroy();
    this.upstream.destroy();
  }

  #find<Type extends Toxic['type']>(type: Type, direction: Direction): ToxicOf<Type> | undefined {
    return this.toxics.find(
      (toxic): toxic is ToxicOf<Type> => toxic.type === type && (toxic.direction ?? direction) === direction,
    );
  }

  async #pump(from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      for await (const chunk of from) await this.#pass(chunk as Buffer, to, direction);
    } catch {
      // It was reset; the other side is about to be.
    }
    const slow = this.#find('slow_close', direction);
    if (slow !== undefined) await wait(slow.ms);
    if (this.#find('timeout', direction) === undefined) to.destroy();
  }

  async #pass(chunk: Buffer, to: Socket, direction: Direction): Promise<void> {
    if (this.#find('timeout', direction) !== undefined) return;
    const latency = this.#find('latency', direction);
    if (latency !== undefined) await wait(latency.ms);
    const narrow = this.#find('bandwidth', direction);
    if (narrow !== undefined) await wait((1_000 * chunk.length) / narrow.bytesPerSecond);
    const size = this.#find('slicer', direction)?.bytes ?? chunk.length;
    for (let offset = 0; offset < chunk.length; offset += size) {
      const piece = chunk.subarray(offset, offset + size);
      if (!(await this.#write(piece, to, direction))) return;
      if (size < chunk.length) await turn();
    }
  }

  /** False once the link is over. */
  async #write(piece: Buffer, to: Socket, direction: Direction): Promise<boolean> {
    if (to.destroyed) return false;
    const limit = this.#find('limit_data', direction)?.bytes ?? Infinity;
    const allowed = piece.subarray(0, Math.max(0, limit - this.#passed[direction]));
    this.#passed[direction] += allowed.length;
    await new Promise<void>((resolve) => to.write(allowed, () => resolve()));
    if (this.#passed[direction] < limit) return true;
    to.end();
    this.#otherOf(to).destroy();
    return false;
  }

  #otherOf(socket: Socket): Socket {
    return socket === this.upstream ? this.downstream : this.upstream;
  }
}

export class TcpProxy extends Changes {
  /** Connections taken so far. */
  accepted = 0;
  readonly #targetPort: () => number;
  readonly #links = new Set<Link>();
  #toxics: readonly Toxic[] = [];
  #server: Server;
  #port = 0;

  private constructor(targetPort: () => number) {
    super();
    this.#targetPort = targetPort;
    this.#server = this.#createServer();
  }

  static async listen(targetPort: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await proxy.#listen();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.#links.size;
  }

  /** For the links there are, and, unless `which` is `open`, for those to come. */
  poison(toxic: Toxic, which: 'open' | 'all' = 'all'): void {
    for (const link of this.#links) link.toxics = [...link.toxics, toxic];
    if (which === 'all') this.#toxics = [...this.#toxics, toxic];
  }

  heal(): void {
    for (const link of this.#links) link.toxics = [];
    this.#toxics = [];
  }

  /** `reset_peer`: RST to every client. */
  reset(): void {
    for (const { downstream } of this.#links) downstream.resetAndDestroy();
  }

  /** `down`: every link dies, and whoever dials is refused. */
  goDown(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const link of this.#links) link.destroy();
    });
  }

  async comeUp(): Promise<void> {
    this.#server = this.#createServer();
    await this.#listen();
  }

  close(): Promise<void> {
    return this.goDown();
  }

  #createServer(): Server {
    return createServer({ noDelay: true }, (downstream) => {
      this.accepted += 1;
      const upstream = connect({ host: '127.0.0.1', port: this.#targetPort(), noDelay: true });
      const link = new Link(downstream, upstream, this.#toxics, () => {
        this.#links.delete(link);
        this.changed();
      });
      this.#links.add(link);
      this.changed();
    });
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
  }
}

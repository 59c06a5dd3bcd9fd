/** A TCP proxy that can cut what runs through it while the server behind it lives on. */

import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpProxy {
  /** Connections taken so far. */
  accepted = 0;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(targetPort: () => number) {
    this.#server = createServer({ noDelay: true }, (downstream) => {
      this.accepted += 1;
      const upstream = connect({ host: '127.0.0.1', port: targetPort(), noDelay: true });
      const pair = [downstream, upstream] as const;
      this.#pairs.add(pair);
      for (const [socket, other] of [pair, [upstream, downstream] as const]) {
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#pairs.delete(pair);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  static async listen(targetPort: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.#pairs.size;
  }

  /** RST to every client. */
  reset(): void {
    for (const [downstream] of this.#pairs) downstream.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const [downstream, upstream] of this.#pairs) {
      downstream.destroy();
      upstream.destroy();
    }
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

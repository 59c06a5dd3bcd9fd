/** etcd: a gRPC server of another make, in another language, that punishes clients which ping it too often. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { GoawayDetail, Transport } from '../../../src/transport/port.js';
import { createHttp2Transport } from '../../../src/transport/http2.js';
import { deadlineStatus } from '../../../src/transport/status.js';
import { freePort } from '../../support/fault-engine.js';
import { Daemon } from './daemon.js';

export class Etcd {
  readonly port: number;
  readonly #daemon: Daemon;
  readonly #directory: string;

  private constructor(port: number, daemon: Daemon, directory: string) {
    this.port = port;
    this.#daemon = daemon;
    this.#directory = directory;
  }

  /** @param pingsEveryMs how often a client may ping */
  static async start(pingsEveryMs: number): Promise<Etcd> {
    const directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-etcd-'));
    const [port, peerPort] = [await freePort(), await freePort()];
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
    const flags = {
      'data-dir': directory,
      'listen-client-urls': clientUrl,
      'advertise-client-urls': clientUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `default=${peerUrl}`,
      'grpc-keepalive-min-time': `${pingsEveryMs}ms`,
      logger: 'zap',
      'log-outputs': 'stderr',
      'log-level': 'error',
    };
    // It holds that only the architectures its makers test are fit for use, and runs on others when it is told that they are meant.
    const env = process.arch === 'x64' ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch };
    const settings = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const daemon = new Daemon(['etcd', ...settings], { env });
    const etcd = new Etcd(port, daemon, directory);
    await daemon.until(() => etcd.#isHealthy(), 'its health');
    return etcd;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    await this.#daemon.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #isHealthy(): Promise<boolean> {
    return await fetch(`http://${this.address}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}

export interface ConnectionRecord {
  pings: number;
  readonly goaways: GoawayDetail[];
}

/** A WatchRequest for the key "x". */
const WATCH = Buffer.from('0a030a0178', 'hex');

/**
 * The client's default transport, but that every check becomes a Watch, which etcd leaves open and does not answer, and that no probe gets
 * through: who answers probes is not pinged.
 */
export function watchingTransport(records: ConnectionRecord[]): Transport {
  const inner = createHttp2Transport();
  return {
    name: 'watching',
    connect: (target, options, listener) => {
      const record: ConnectionRecord = { pings: 0, goaways: [] };
      records.push(record);
      const connection = inner.connect(target, options, {
        onUp: () => {
          const ping = connection.ping?.bind(connection);
          if (ping === undefined) throw new Error('the transport has no ping');
          connection.ping = (timeoutMs) => {
            record.pings += 1;
            return ping(timeoutMs);
          };
          listener.onUp();
        },
        onStreamLimit: (maxStreams) => listener.onStreamLimit(maxStreams),
        onGoaway: (detail) => {
          record.goaways.push(detail);
          listener.onGoaway(detail);
        },
        onDown: (cause) => listener.onDown(cause),
      });
      connection.unary = async (_path, _bytes, { timeoutMs }) => {
        await new Promise((resolve) => setTimeout(resolve, timeoutMs).unref());
        return { ok: false, status: deadlineStatus() };
      };
      const open = connection.openStream.bind(connection);
      connection.openStream = (_path, metadata, callListener) => {
        const stream = open('/etcdserverpb.Watch/Watch', metadata, {
          // That the watch was created.
          onMessage: () => undefined,
          onDrain: () => callListener.onDrain(),
          onStatus: (status) => callListener.onStatus(status),
        });
        const write = stream.write.bind(stream);
        stream.write = () => write(WATCH);
        stream.writeFramed = () => write(WATCH);
        return stream;
      };
      return connection;
    },
  };
}

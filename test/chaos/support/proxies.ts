/** nginx and haproxy as processes, between client and engines: HTTP/2 on both sides. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { freePort } from '../../support/fault-engine.js';
import { Daemon } from './daemon.js';

export interface Backend {
  readonly address: string;
}

/** How a proxy is started and told things. */
interface ProxyKind {
  command(directory: string, configuration: string): readonly string[];
  readonly reloadSignal: NodeJS.Signals;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const childrenOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);

/** A master with workers, as both have it. */
export class Proxy {
  readonly port: number;
  readonly #kind: ProxyKind;
  readonly #directory: string;
  readonly #configuration: string;
  #daemon: Daemon | undefined;

  private constructor(kind: ProxyKind, port: number, configure: (port: number, directory: string) => string) {
    this.#kind = kind;
    this.port = port;
    this.#directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-proxy-'));
    this.#configuration = path.join(this.#directory, 'proxy.conf');
    writeFileSync(this.#configuration, configure(port, this.#directory));
  }

  static async start(kind: ProxyKind, configure: (port: number, directory: string) => string): Promise<Proxy> {
    const proxy = new Proxy(kind, await freePort(), configure);
    await proxy.start();
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Takes connections once it resolves. */
  async start(): Promise<void> {
    const command = this.#kind.command(this.#directory, this.#configuration);
    const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
    const daemon = new Daemon(command, { env, orphanSignal: 'SIGTERM' });
    this.#daemon = daemon;
    await daemon.until(() => accepts(this.port), 'a listener');
  }

  /** It reads its configuration anew: a new worker takes the new connections. Resolves when that is there and the old one is gone. */
  async reload(): Promise<void> {
    const daemon = this.#running();
    const before = childrenOf(daemon.pid);
    daemon.kill(this.#kind.reloadSignal);
    const isReplaced = (): boolean => {
      const now = childrenOf(daemon.pid);
      return now.length > 0 && !now.some((pid) => before.includes(pid));
    };
    await daemon.until(isReplaced, 'another worker in place of the old');
  }

  /** Its end, and the start of another. */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const daemon = this.#running();
    daemon.kill(signal);
    await daemon.until(() => daemon.hasEnded, `the end by ${signal}`);
    await this.start();
  }

  async close(): Promise<void> {
    await this.#daemon?.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #running(): Daemon {
    if (this.#daemon === undefined) throw new Error('the proxy does not run');
    return this.#daemon;
  }
}

const NGINX: ProxyKind = {
  command: (directory, configuration) => ['nginx', '-p', directory, '-c', configuration, '-e', 'stderr'],
  reloadSignal: 'SIGHUP',
};

const nginxConfiguration = (directory: string, http: string): string => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_shutdown_timeout 1s;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
  client_max_body_size 0;
  client_body_timeout 1h;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  ${http}
}
`;

/** nginx with `grpc_pass`, asking whichever of these takes its connection. */
export function nginxBefore(backends: readonly Backend[]): Promise<Proxy> {
  const servers = backends.map(({ address }) => `server ${address} max_fails=0;`).join(' ');
  return Proxy.start(NGINX, (port, directory) =>
    nginxConfiguration(
      directory,
      `upstream engines { ${servers} }
  server { listen 127.0.0.1:${port} http2; location / { grpc_pass grpc://engines; } }`,
    ),
  );
}

/** nginx that answers whatever it is asked with this directive, such as `return 403;`. */
export function nginxAnswering(directive: string): Promise<Proxy> {
  return Proxy.start(NGINX, (port, directory) =>
    nginxConfiguration(
      directory,
      `server { listen 127.0.0.1:${port} http2; default_type text/html; location / { ${directive} } }`,
    ),
  );
}

const HAPROXY: ProxyKind = {
  command: (_directory, configuration) => ['haproxy', '-W', '-db', '-f', configuration],
  reloadSignal: 'SIGUSR2',
};

const serversOf = (backends: readonly Backend[]): string =>
  backends.map(({ address }, index) => `  server engine${index} ${address} proto h2`).join('\n');

/** haproxy, asking these in turn; and, where they are told apart, others for what is about health. */
export function haproxyBefore(backends: readonly Backend[], forHealth = backends): Promise<Proxy> {
  return Proxy.start(
    HAPROXY,
    (port) => `
global
  maxconn 512
  hard-stop-after 1s
defaults
  mode http
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  option redispatch 1
frontend clients
  bind 127.0.0.1:${port} proto h2
  use_backend health if { path_beg /grpc.health.v1. }
  default_backend engines
backend engines
  retries ${backends.length - 1}
${serversOf(backends)}
backend health
${serversOf(forHealth)}
`,
  );
}

/** The engine as users run it, `authz serve`, to be killed, frozen, terminated and started again on the port it had. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { ServeReady } from '../../../src/cli/serve.js';
import { ROOT } from '../../support/cli.js';
import { policyOf } from '../../support/fault-engine.js';
import { Daemon, type DaemonEnd } from './daemon.js';

const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js');

/** Longer than any test takes to let go of an engine: one that is not let go of does not end. */
const GRACE_MS = 60_000;

export interface EngineTls {
  readonly certPath: string;
  readonly keyPath: string;
  readonly caPath?: string;
}

export interface EngineOptions {
  readonly tls?: EngineTls;
  readonly latencyMs?: number;
}

export class Engine {
  readonly name: string;
  readonly #options: EngineOptions;
  readonly #policies: string;
  #daemon: Daemon | undefined;
  #port = 0;

  private constructor(name: string, options: EngineOptions) {
    this.name = name;
    this.#options = options;
    this.#policies = mkdtempSync(path.join(tmpdir(), 'authz-chaos-'));
    writeFileSync(path.join(this.#policies, 'doc.yaml'), policyOf(name));
  }

  static async start(name: string, options: EngineOptions = {}): Promise<Engine> {
    if (!existsSync(MAIN)) throw new Error('dist/src/cli/main.js is not there: npm run build');
    const engine = new Engine(name, options);
    await engine.restart();
    return engine;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#running().pid;
  }

  /** Starts it, on the port it had. Resolves when it listens. */
  async restart(): Promise<void> {
    if (this.#daemon !== undefined) throw new Error(`${this.name} runs already`);
    const daemon = new Daemon([process.execPath, MAIN, 'serve', ...this.#flags()]);
    this.#daemon = daemon;
    const { port } = JSON.parse(await daemon.line(0)) as ServeReady;
    this.#port = port;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.#running().kill(signal);
  }

  /** SIGKILL; resolves when the process is gone and its port with it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM: it says NOT_SERVING, drains and exits by itself. */
  async terminate(): Promise<DaemonEnd> {
    return await this.#end('SIGTERM');
  }

  async close(): Promise<void> {
    await this.#daemon?.destroy();
    rmSync(this.#policies, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<DaemonEnd> {
    const daemon = this.#running();
    this.#daemon = undefined;
    daemon.kill(signal);
    await daemon.until(() => daemon.hasEnded, `the end by ${signal}`);
    return await daemon.ended;
  }

  #running(): Daemon {
    if (this.#daemon === undefined) throw new Error(`${this.name} does not run`);
    return this.#daemon;
  }

  #flags(): string[] {
    const { tls, latencyMs = 0 } = this.#options;
    const flags = ['--policies', this.#policies, '--port', `${this.#port}`, '--grace-ms', `${GRACE_MS}`, '--json'];
    if (latencyMs > 0) flags.push('--latency-ms', `${latencyMs}`);
    if (tls === undefined) return flags;
    flags.push('--tls-cert', tls.certPath, '--tls-key', tls.keyPath);
    if (tls.caPath !== undefined) flags.push('--tls-ca', tls.caPath);
    return flags;
  }
}

/** Engines as real processes, each with policies that name it, so that every answer tells who gave it. */

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { ServingStatus } from '../../src/engine/index.js';
import { Effect, type CheckInput, type CheckResponse } from '../../src/types.js';
import { exitOf, spawnTypeScript } from './child.js';
import type { EngineCommand } from './fault-engine-child.js';

/** Viewers read; nobody writes. Both by rule, so that each answer carries the policy's name: the engine's. */
export const policyOf = (name: string): string => `
name: ${name}
resource: doc
rules:
  - {name: viewers-read, actions: [read], effect: allow, roles: [viewer]}
  - {name: strangers-do-not, actions: [read], effect: deny, roles: [stranger]}
  - {name: nobody-writes, actions: [write], effect: deny, roles: '*'}
`;

/** The nth question: every third comes from a stranger. */
export function question(index: number): CheckInput {
  return {
    principal: { id: `user-${index}`, roles: [isViewer(index) ? 'viewer' : 'stranger'] },
    resource: { kind: 'doc', id: `doc-${index}` },
    actions: ['read', 'write'],
  };
}

const isViewer = (index: number): boolean => index % 3 !== 0;

/** What is wrong with the answer to the nth question, or undefined. */
export function faultOf(index: number, response: CheckResponse): string | undefined {
  if (response.error !== undefined) return `an error: ${response.error.message}`;
  const read = response.results.get('read')?.effect;
  const write = response.results.get('write')?.effect;
  const expected = isViewer(index) ? Effect.ALLOW : Effect.DENY;
  if (response.results.size === 2 && read === expected && write === Effect.DENY) return undefined;
  return `question ${index} answered read ${String(read)}, write ${String(write)}, of ${response.results.size} actions`;
}

/** The name of the engine that gave the answer. */
export const answererOf = (response: CheckResponse): string => response.results.get('write')?.policy ?? '';

/** A process with the engine loaded and not started: what a restart costs is paid ahead. */
class Child {
  readonly process: ChildProcessWithoutNullStreams;
  readonly #lines: string[] = [];
  readonly #waiters: { resolve(line: string): void; reject(error: Error): void }[] = [];
  #errors = '';
  #exited = false;

  constructor() {
    this.process = spawnTypeScript(new URL('./fault-engine-child.ts', import.meta.url));
    let text = '';
    this.process.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
        this.#push(text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
    this.process.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    this.process.stdin.on('error', () => undefined);
    this.process.once('exit', () => {
      this.#exited = true;
      for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#goneError());
    });
  }

  async ask(command: EngineCommand): Promise<Record<string, unknown>> {
    this.process.stdin.write(`${JSON.stringify(command)}\n`);
    return await this.answer();
  }

  /** The next line it prints. */
  async answer(): Promise<Record<string, unknown>> {
    const line = this.#lines.shift() ?? (await this.#nextLine());
    return JSON.parse(line) as Record<string, unknown>;
  }

  #nextLine(): Promise<string> {
    if (this.#exited) return Promise.reject(this.#goneError());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  #push(line: string): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#lines.push(line);
    else waiter.resolve(line);
  }

  #goneError(): Error {
    return new Error(`the engine's process is gone: ${this.#errors}`);
  }
}

export interface EngineSettings {
  readonly latencyMs?: number;
  readonly healthy?: boolean;
}

export class EngineProcess {
  readonly name: string;
  readonly #settings: EngineSettings;
  readonly #policies: string;
  #child: Child | undefined;
  #spare: Child | undefined;
  #port = 0;

  private constructor(name: string, settings: EngineSettings) {
    this.name = name;
    this.#settings = settings;
    this.#policies = mkdtempSync(path.join(tmpdir(), 'authz-fault-'));
    writeFileSync(path.join(this.#policies, 'doc.yaml'), policyOf(name));
  }

  static async start(name: string, settings: EngineSettings = {}): Promise<EngineProcess> {
    const engine = new EngineProcess(name, settings);
    await engine.restart();
    return engine;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Has the next process ready, so that a restart is a matter of milliseconds. */
  prepare(): void {
    this.#spare ??= new Child();
  }

  /** Starts it, on the port it had. */
  async restart(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const child = this.#spare ?? new Child();
    this.#spare = undefined;
    this.#child = child;
    await child.answer();
    const options = { policies: this.#policies, port: this.#port, ...this.#settings };
    const { port } = await child.ask({ type: 'start', options });
    this.#port = Number(port);
  }

  /** SIGKILL; resolves when the process is gone and its port with it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM: NOT_SERVING, GOAWAY, drain; resolves when it has exited. */
  async terminate(): Promise<void> {
    await this.#end('SIGTERM');
  }

  freeze(): void {
    this.#running().process.kill('SIGSTOP');
  }

  thaw(): void {
    this.#running().process.kill('SIGCONT');
  }

  async setHealth(status: ServingStatus): Promise<void> {
    await this.#running().ask({ type: 'health', status });
  }

  async checks(): Promise<number> {
    const { checks } = await this.#running().ask({ type: 'stats' });
    return Number(checks);
  }

  async close(): Promise<void> {
    if (this.#child !== undefined) await this.kill();
    this.#spare?.process.kill('SIGKILL');
    this.#spare = undefined;
    rmSync(this.#policies, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#running();
    this.#child = undefined;
    child.process.kill(signal);
    await exitOf(child.process);
  }

  #running(): Child {
    if (this.#child === undefined) throw new Error(`${this.name} does not run`);
    return this.#child;
  }
}

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** What every API test needs: servers and clients that go when the test ends, requests, and events to wait for. */

import { afterEach, beforeEach, expect, vi } from 'vitest';
import {
  AuthzClient,
  createPooledClient,
  type AuthzClientOptions,
  type CheckInput,
  type CheckRequest,
  type CheckResponse,
  type ClientEventName,
  type ClientEvents,
  type PooledClientOptions,
  type StreamLifecycleCallbacks,
} from '../../src/index.js';
import type { EngineOptions } from '../../src/engine/index.js';
import { startTestEngine, type TestEngine } from './engine-process.js';
import { Changes } from './recorder.js';
import { startScriptedServer, type Script, type ScriptedServer } from './scripted-server.js';

/** Fast where a default would make a test wait. */
export const QUICK = {
  timeout: 3_000,
  retryDelay: 1,
  reconnect: { initialDelay: 10, maxDelay: 50 },
} as const satisfies PooledClientOptions;

export class Stage {
  readonly #cleanups: (() => unknown)[] = [];
  #errors: Error[] = [];
  #errorsExpected = false;

  /** `error` events of the stage's clients. Unless a test asks for them, there must be none. */
  errors(): Error[] {
    this.#errorsExpected = true;
    return this.#errors;
  }

  onEnd(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async server(script: Script = {}, options: Parameters<typeof startScriptedServer>[1] = {}): Promise<ScriptedServer> {
    const server = await startScriptedServer(script, options);
    this.onEnd(() => server.stop());
    return server;
  }

  async engine(options: Partial<EngineOptions> = {}): Promise<TestEngine> {
    const engine = await startTestEngine(options);
    this.onEnd(() => engine.stop({ graceMs: 0 }));
    return engine;
  }

  client(server: { readonly address: string }, options: Omit<AuthzClientOptions, 'address'> = {}): AuthzClient {
    return this.#adopt(new AuthzClient({ ...QUICK, address: server.address, ...options }));
  }

  pooled(servers: readonly { readonly address: string }[], options: PooledClientOptions = {}): AuthzClient {
    return this.#adopt(
      createPooledClient(
        servers.map(({ address }) => address),
        { ...QUICK, ...options },
      ),
    );
  }

  #adopt(client: AuthzClient): AuthzClient {
    client.on('error', (error) => this.#errors.push(error));
    this.onEnd(() => client.disconnect({ force: true }));
    return client;
  }

  async end(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
    const errors = this.#errorsExpected ? [] : this.#errors;
    this.#errors = [];
    this.#errorsExpected = false;
    expect(errors).toEqual([]);
  }
}

/** A stage that is cleared after each test. */
export function useStage(): Stage {
  const stage = new Stage();
  // A library says nothing on the console: not its own warnings, and not those of what it is built on.
  const said: unknown[][] = [];
  beforeEach(() => {
    for (const method of ['log', 'info', 'warn', 'error'] as const) {
      vi.spyOn(console, method).mockImplementation((...args: unknown[]) => void said.push(args));
    }
  });
  afterEach(async () => {
    await stage.end();
    vi.restoreAllMocks();
    expect(said.splice(0)).toEqual([]);
  });
  return stage;
}

let count = 0;

export function question(over: Partial<CheckRequest> = {}): CheckRequest {
  count++;
  return {
    requestId: `q${count}`,
    principal: { id: 'alice', roles: ['viewer'] },
    resource: { kind: 'note', id: 'n1' },
    actions: ['read'],
    ...over,
  };
}

export const questions = (howMany: number): CheckRequest[] => Array.from({ length: howMany }, () => question());

export function withoutId({ principal, resource, actions }: CheckRequest): CheckInput {
  return { principal, resource, actions };
}

/** The next event of this name (that fits). */
export function nextEvent<Name extends ClientEventName>(
  client: AuthzClient,
  name: Name,
  fits: (payload: ClientEvents[Name]) => boolean = () => true,
): Promise<ClientEvents[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      client.off(name, listener);
      reject(new Error(`waited 5000 ms in vain for the event ${name}`));
    }, 5_000);
    const listener = (payload: ClientEvents[Name]): void => {
      if (!fits(payload)) return;
      clearTimeout(timer);
      client.off(name, listener);
      resolve(payload);
    };
    client.on(name, listener);
  });
}

/** Every event of these names, in order. */
export function recordEvents(client: AuthzClient, names: readonly ClientEventName[]): [ClientEventName, unknown][] {
  const events: [ClientEventName, unknown][] = [];
  for (const name of names) client.on(name, (payload) => events.push([name, payload]));
  return events;
}

/** Callbacks that record. */
export class Recorder extends Changes implements StreamLifecycleCallbacks {
  readonly responses: CheckResponse[] = [];
  readonly failures: Error[] = [];
  readonly pauses: boolean[] = [];
  readonly reconnects: number[] = [];
  /** Ids of responses, `!id` of errors, `end`: in order of delivery. */
  readonly log: string[] = [];
  ends = 0;

  readonly onResponse = (response: CheckResponse): void => {
    this.responses.push(response);
    this.#add(response.requestId);
  };

  readonly onError = (error: Error): void => {
    this.failures.push(error);
    this.#add(`!${'requestId' in error ? String(error.requestId) : error.message}`);
  };

  readonly onEnd = (): void => {
    this.ends++;
    this.#add('end');
  };

  readonly onBackpressure = (paused: boolean): void => {
    this.pauses.push(paused);
    this.changed();
  };

  readonly onReconnect = (attempt: number): void => {
    this.reconnects.push(attempt);
    this.changed();
  };

  #add(entry: string): void {
    this.log.push(entry);
    this.changed();
  }

  async answered(howMany: number): Promise<void> {
    await this.until(() => this.responses.length >= howMany, `${howMany} responses, got ${this.responses.length}`);
  }

  async ended(): Promise<void> {
    await this.until(() => this.ends > 0, 'onEnd');
  }
}

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** What it rejects with, which must be of that class. */
export function rejection(promise: Promise<unknown>): Promise<Error>;
export function rejection<E extends Error>(promise: Promise<unknown>, kind: ErrorClass<E>): Promise<E>;
export async function rejection(promise: Promise<unknown>, kind: ErrorClass<Error> = Error): Promise<Error> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    if (error instanceof kind) return error;
    throw new Error(`rejected with no ${kind.name} but ${String(error)}`, { cause: error });
  }
  throw new Error('was not rejected', { cause: value });
}

/** What it throws, which must be of that class. */
export function refusal(run: () => unknown): Error;
export function refusal<E extends Error>(run: () => unknown, kind: ErrorClass<E>): E;
export function refusal(run: () => unknown, kind: ErrorClass<Error> = Error): Error {
  let value: unknown;
  try {
    value = run();
  } catch (error) {
    if (error instanceof kind) return error;
    throw new Error(`threw no ${kind.name} but ${String(error)}`, { cause: error });
  }
  throw new Error('did not throw', { cause: value });
}

/** The stream of messages: asked for, read, and asked for again after it was lost. */

import type { Message } from '../protocol.js';
import { LineSplitter } from './lines.js';

export type FeedState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** A recording was read to its end; there is nothing more to come. */
  | { readonly kind: 'recording' }
  /** To be tried again at `retryAt` (milliseconds, of `now`). */
  | { readonly kind: 'disconnected'; readonly reason: string; readonly retryAt: number; readonly attempt: number }
  | { readonly kind: 'no-token' }
  /** The server knows no such token: it was restarted, or the address was copied in part. */
  | { readonly kind: 'wrong-token' };

/** What of the browser it needs; its own by default. */
export interface FeedPorts {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => number;
  /** Calls back once; answers how to call it off. */
  readonly after: (delayMs: number, callback: () => void) => () => void;
  readonly random: () => number;
}

export interface FeedOptions {
  readonly token: string | null;
  readonly onMessage: (message: Message) => void;
  readonly onState: (state: FeedState) => void;
  readonly ports: FeedPorts;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8_000;
/** The server speaks at least once a second. */
export const SILENCE_LIMIT_MS = 5_000;

/** Before attempt `attempt` (from 1): doubling, at most 8 s, spread over the upper half. */
export function retryDelayMs(attempt: number, random: number): number {
  const ceilingMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10));
  return ceilingMs / 2 + (ceilingMs / 2) * random;
}

export class Feed {
  readonly #options: FeedOptions;
  #attempt = 0;
  #mode: 'live' | 'recording' | null = null;
  #abort: AbortController | null = null;
  #cancelTimer: (() => void) | null = null;
  #isStopped = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.token === null) this.#options.onState({ kind: 'no-token' });
    else this.retryNow();
  }

  /** Gives up waiting, and what is under way. */
  retryNow(): void {
    const { token, onState } = this.#options;
    if (token === null || this.#isStopped) return;
    this.#halt();
    this.#mode = null;
    onState({ kind: 'connecting' });
    const abort = new AbortController();
    this.#abort = abort;
    void this.#run(token, abort);
  }

  stop(): void {
    this.#isStopped = true;
    this.#halt();
  }

  #halt(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run(token: string, abort: AbortController): Promise<void> {
    let reason: string;
    try {
      reason = await this.#read(token, abort);
    } catch (error) {
      reason = reasonOf(error);
    }
    // Another one is under way, or nobody wants any.
    if (this.#abort !== abort) return;
    this.#halt();
    if (reason === WRONG_TOKEN) this.#options.onState({ kind: 'wrong-token' });
    else if (this.#mode === 'recording') this.#options.onState({ kind: 'recording' });
    else this.#retryLater(reason);
  }

  /** Resolves with why it ended. */
  async #read(token: string, abort: AbortController): Promise<string> {
    const watch = this.#watchSilence(abort);
    try {
      watch.heard();
      const response = await this.#options.ports.fetch('/stream', {
        headers: { authorization: `Bearer ${token}` },
        signal: abort.signal,
      });
      if (response.status === 401) return WRONG_TOKEN;
      if (!response.ok || response.body === null) return await refusalOf(response);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const lines = new LineSplitter();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return 'the server ended the stream';
        watch.heard();
        for (const line of lines.push(decoder.decode(value, { stream: true }))) this.#take(line);
      }
    } catch (error) {
      if (watch.wasSilent()) return `nothing was heard for ${SILENCE_LIMIT_MS / 1_000} s`;
      throw error;
    } finally {
      watch.end();
    }
  }

  #take(line: string): void {
    const message = JSON.parse(line) as Message;
    if (message.type === 'hello') {
      this.#mode = message.mode;
      this.#attempt = 0;
      this.#options.onMessage(message);
      this.#options.onState({ kind: message.mode });
    } else if (this.#mode !== null) this.#options.onMessage(message);
  }

  #watchSilence(abort: AbortController): { heard(): void; end(): void; wasSilent(): boolean } {
    let cancel: (() => void) | null = null;
    let isSilent = false;
    const { after } = this.#options.ports;
    return {
      heard: () => {
        cancel?.();
        cancel = after(SILENCE_LIMIT_MS, () => {
          isSilent = true;
          abort.abort();
        });
      },
      end: () => cancel?.(),
      wasSilent: () => isSilent,
    };
  }

  #retryLater(reason: string): void {
    const { ports, onState } = this.#options;
    this.#attempt += 1;
    const delayMs = retryDelayMs(this.#attempt, ports.random());
    onState({ kind: 'disconnected', reason, retryAt: ports.now() + delayMs, attempt: this.#attempt });
    this.#cancelTimer = ports.after(delayMs, () => this.retryNow());
  }
}

const WRONG_TOKEN = 'wrong token';

/** What the server says of why it does not serve: `{error: {message}}`. */
async function refusalOf(response: Response): Promise<string> {
  const status = `the server answered ${response.status}`;
  try {
    const { error } = (await response.json()) as { readonly error?: { readonly message?: unknown } };
    return typeof error?.message === 'string' ? `${status} (${error.message.slice(0, 200)})` : status;
  } catch {
    return status;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError || error instanceof RangeError) return 'the server sent what this page cannot read';
  return 'the server cannot be reached';
}

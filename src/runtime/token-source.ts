import type { Clock, TimerHandle } from '../core/clock.js';
import { ConnectionError, GrpcCode } from '../errors.js';
import { type Redactor, secretsIn } from '../observe/redact.js';
import { type Credentials, resolveToken } from '../options.js';
import type { WireMetadata } from '../transport/port.js';

export interface TokenSourceOptions {
  readonly clock: Clock;
  readonly credentials: Credentials | undefined;
  readonly metadata: WireMetadata;
  /** How long the function that gives the token may take, milliseconds. */
  readonly timeoutMs: number;
  /** Told of every token, so that none is shown wherever it may be echoed. */
  readonly redactor: Redactor;
  /** A token came: who waits for headers may ask again. `rotated` when it replaces one in use. */
  readonly onReady: (rotated: boolean) => void;
  readonly onError: (error: Error) => void;
}

/** Before this much of a token's life is left, the next one is fetched; at most half of it. */
const EARLY_MS = 30_000;
const RETRY_MS = 1_000;
/** A token that lives for moments is not fetched more often than this. */
const MIN_RENEWAL_MS = 100;

/** The headers of every call: static metadata and a bearer token, fetched ahead of need and kept in memory alone. */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  #headers: WireMetadata | undefined;
  #fetching = false;
  #obtainedAt = -Infinity;
  #refusedAt = -Infinity;
  #lastToken: string | undefined;
  #timer: TimerHandle;
  #stopped = false;
  #lastError: Error | undefined;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    const { credentials, metadata } = options;
    this.#rememberSecrets();
    if (credentials === undefined) this.#headers = metadata;
    else if (typeof credentials === 'string') this.#headers = this.#withToken(credentials);
  }

  /** Why there are no headers just now. */
  get lastError(): Error | undefined {
    return this.#headers === undefined ? this.#lastError : undefined;
  }

  /** The headers to send now, or undefined while a token is being fetched; `onReady` follows. */
  current(): WireMetadata | undefined {
    if (this.#headers === undefined) this.#fetch();
    return this.#headers;
  }

  /**
   * The server refused the token of a request sent at `sentAt` (milliseconds of the clock).
   * @returns whether asking again may help: a newer token is there, or is being fetched
   */
  refresh(sentAt: number): boolean {
    if (typeof this.#options.credentials !== 'function') return false;
    if (this.#headers === undefined || this.#obtainedAt > sentAt) return true;
    const now = this.#options.clock.now();
    // Tokens that are all refused are not fetched in a loop.
    if (now - this.#refusedAt < RETRY_MS) return false;
    this.#refusedAt = now;
    this.#headers = undefined;
    this.#fetch();
    return true;
  }

  /** A connection is dialled, and the token is to be read anew for it; the one in use serves until it is there. */
  reread(): void {
    if (this.#headers !== undefined) this.#fetch();
  }

  stop(): void {
    this.#stopped = true;
    this.#options.clock.clearTimeout(this.#timer);
  }

  #fetch(): void {
    const { credentials } = this.#options;
    if (this.#fetching || this.#stopped || typeof credentials !== 'function') return;
    this.#fetching = true;
    void this.#exchange(credentials);
  }

  async #exchange(credentials: Exclude<Credentials, string>): Promise<void> {
    try {
      const given = await this.#withinTime(credentials());
      const { token, expiresAtMs } = resolveToken(given);
      const before = this.#lastToken;
      this.#headers = this.#withToken(token);
      this.#lastToken = token;
      this.#obtainedAt = this.#options.clock.now();
      this.#lastError = undefined;
      if (expiresAtMs !== undefined) this.#renewAt(expiresAtMs);
      this.#fetching = false;
      if (!this.#stopped) this.#options.onReady(before !== undefined && before !== token);
    } catch (cause) {
      this.#fetching = false;
      const error = new ConnectionError('credentials: the function that gives the token failed', {
        cause,
        grpcCode: GrpcCode.UNAUTHENTICATED,
      });
      this.#lastError = error;
      if (this.#stopped) return;
      this.#options.onError(error);
      this.#schedule(RETRY_MS);
    }
  }

  /** A function that never settles must not leave the client without a token for good. */
  async #withinTime<T>(given: Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    let timer: TimerHandle;
    const late = new Promise<never>((_resolve, reject) => {
      timer = clock.setTimeout(() => reject(new Error(`no token within ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([given, late]);
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #renewAt(expiresAt: number): void {
    const leftMs = expiresAt - Date.now();
    this.#schedule(leftMs > 0 ? Math.max(MIN_RENEWAL_MS, leftMs - Math.min(EARLY_MS, leftMs / 2)) : RETRY_MS);
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.#fetch(), delayMs);
  }

  #rememberSecrets(): void {
    for (const secret of secretsIn(this.#options.metadata)) this.#options.redactor.addSecret(secret);
  }

  #withToken(token: string): WireMetadata {
    this.#options.redactor.addSecret(token);
    // Again: tokens that rotate push out what is older.
    this.#rememberSecrets();
    return { ...this.#options.metadata, authorization: `Bearer ${token}` };
  }
}

/** A wrapper that makes any pino-like logger safe to call from anywhere. */

import { Redactor } from './redact.js';

/** What the client needs of a logger: pino's shape, every method optional. */
export interface Logger {
  debug?(details: object, message: string): unknown;
  info?(details: object, message: string): unknown;
  warn?(details: object, message: string): unknown;
  error?(details: object, message: string): unknown;
}

type Level = keyof Logger;

/** Never throws, never rejects, never lets a secret through; silent where the user's logger has no such level. */
export class SafeLogger {
  readonly #target: Logger | undefined;
  readonly #redactor: Redactor;

  constructor(target: Logger | undefined, redactor: Redactor = new Redactor()) {
    this.#target = target;
    this.#redactor = redactor;
  }

  debug(details: object, message: string): void {
    this.#log('debug', details, message);
  }

  info(details: object, message: string): void {
    this.#log('info', details, message);
  }

  warn(details: object, message: string): void {
    this.#log('warn', details, message);
  }

  error(details: object, message: string): void {
    this.#log('error', details, message);
  }

  #log(level: Level, details: object, message: string): void {
    // Checked first: without a logger, nothing is copied.
    if (this.#target === undefined) return;
    try {
      if (typeof this.#target[level] !== 'function') return;
      const clean = this.#redactor.value(details);
      // Called as a method: pino and most others need their `this`.
      const result = this.#target[level](
        typeof clean === 'object' && clean !== null ? clean : { details: clean },
        this.#redactor.text(message),
      );
      if (result instanceof Promise) result.catch(ignore);
    } catch {
      // There is nowhere left to report a broken logger to, and it must not break a check.
    }
  }
}

function ignore(): void {
  // See above: a logger's failure has nowhere to go.
}

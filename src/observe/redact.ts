/** Keeps secrets out of logs, errors and events. */

import { isError } from '../core/is-error.js';

export const REDACTED = '[redacted]';

/** Deeper, wider or longer than this is cut: a log line is no place for a heap dump. */
const MAX_DEPTH = 6;
const MAX_ENTRIES = 100;
const MAX_TEXT_LENGTH = 8_192;

/** How many exact secrets one redactor remembers: a rotating token pushes the oldest out. */
const MAX_SECRETS = 32;

/** Shorter than this, replacing every occurrence would blank ordinary text and hide nothing that could not be guessed. */
const MIN_SECRET_LENGTH = 4;

/** Keys whose values are secret, compared without case, `-` and `_`. */
const SECRET_KEY =
  /^(?:proxy)?auth(?:orization)?$|cookie|token$|secret|passw(?:or)?d|passphrase|credential|apikey|privatekey|sessionid|^key(?:pem)?$|^pem$|^jwt$|signature$/;

/** None of them backtracks over a run it has already read: a peer chooses these texts, and could stall the loop with a long one. */
const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
  [/\b(Bearer|Basic|Digest|Negotiate)\s+[\w.~+/=-]+/gi, `$1 ${REDACTED}`],
  [/(?<![\w-])eyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?/g, REDACTED],
  // Whole lines: a scheme of its own or a second cookie follows the first word.
  [/((?:authorization|cookie)["']?\s*[=:]\s*["']?)[^\r\n"']+/gi, `$1${REDACTED}`],
  [/(:\/\/)[^\s/?#@]+@/g, `$1${REDACTED}@`],
  [
    /((?:token|secret|password|passwd|api[-_]?key)["']?\s*[=:]\s*)(?!Bearer|Basic|Digest|Negotiate)["']?[^\s"',;&]+["']?/gi,
    `$1${REDACTED}`,
  ],
];

function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key.toLowerCase().replaceAll(/[-_]/g, ''));
}

/** The values of the headers whose names say that they are secret; of `Bearer x`, the `x` too. */
export function secretsIn(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    isSecretKey(name) ? [value, value.slice(value.indexOf(' ') + 1)] : [],
  );
}

/**
 * Removes secrets from texts and objects: by the name of the key, by the shape of the text (bearer tokens, JWTs, private keys, passwords
 * in URLs), and every exact secret it was told of, wherever a server or a library may echo it.
 */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** Remembers an exact secret. Texts under four characters are ignored; the oldest of more than 32 is forgotten. */
  addSecret(secret: string): void {
    if (secret.length < MIN_SECRET_LENGTH) return;
    this.#secrets.delete(secret);
    this.#secrets.add(secret);
    if (this.#secrets.size <= MAX_SECRETS) return;
    for (const oldest of this.#secrets) {
      this.#secrets.delete(oldest);
      return;
    }
  }

  /** The text without secrets, nor those given with it, at most 8,192 characters long. */
  text(text: string, more: readonly string[] = []): string {
    let clean = text;
    // Exact secrets first: cutting or rewriting the text could split one and leave its half behind.
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, REDACTED);
    for (const secret of more) if (secret.length >= MIN_SECRET_LENGTH) clean = clean.replaceAll(secret, REDACTED);
    if (clean.length > MAX_TEXT_LENGTH) clean = `${clean.slice(0, MAX_TEXT_LENGTH)}…`;
    for (const [pattern, replacement] of SECRET_TEXT) clean = clean.replace(pattern, replacement);
    return clean;
  }

  /** A copy of the value without secrets, fit for a log: bounded, free of cycles, bytes and functions. Never throws. */
  value(value: unknown): unknown {
    try {
      return this.#copy(value, 0, new Set());
    } catch {
      // A throwing getter or a revoked proxy: nothing of it can be trusted to be clean.
      return '[unreadable]';
    }
  }

  #copy(value: unknown, depth: number, seen: Set<object>): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'function') return '[function]';
    if (typeof value === 'symbol') return value.toString();
    if (typeof value === 'bigint') return `${value.toString()}n`;
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return '[circular]';
    if (depth >= MAX_DEPTH) return '[truncated]';
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof Date) return value;
    seen.add(value);
    const copy = this.#copyObject(value, depth, seen);
    // Only ancestors count as a cycle: the same object twice side by side is no loop.
    seen.delete(value);
    return copy;
  }

  #copyObject(value: object, depth: number, seen: Set<object>): unknown {
    if (Array.isArray(value)) {
      const items = value.slice(0, MAX_ENTRIES).map((item) => this.#copy(item, depth + 1, seen));
      if (value.length > MAX_ENTRIES) items.push(`[${value.length - MAX_ENTRIES} more]`);
      return items;
    }
    if (value instanceof Set) return this.#copyObject([...value], depth, seen);
    // Symbol and non-string keys of a Map are named by their text: they are for reading only.
    const entries =
      value instanceof Map ? [...value].map(([key, item]) => [String(key), item] as const) : ownEntries(value);
    const copy = Object.create(null) as Record<string, unknown>;
    for (const [key, item] of entries.slice(0, MAX_ENTRIES)) {
      copy[this.text(key)] = isSecretKey(key) && item != null ? REDACTED : this.#copy(item, depth + 1, seen);
    }
    if (entries.length > MAX_ENTRIES) copy['…'] = `[${entries.length - MAX_ENTRIES} more]`;
    return copy;
  }
}

/** The object's own enumerable entries; an error's name, message, stack and cause too, which are not enumerable. */
function ownEntries(value: object): (readonly [string, unknown])[] {
  const entries: (readonly [string, unknown])[] = [];
  if (isError(value)) {
    entries.push(['name', value.name], ['message', value.message], ['stack', value.stack]);
    if (value.cause !== undefined) entries.push(['cause', value.cause]);
  }
  const named = new Set(entries.map(([key]) => key));
  for (const entry of Object.entries(value)) if (!named.has(entry[0])) entries.push(entry);
  return entries;
}

const shapesOnly = new Redactor();

/** {@link Redactor.value} without exact secrets. */
export function redact(value: unknown): unknown {
  return shapesOnly.value(value);
}

/** {@link Redactor.text} without exact secrets. */
export function redactText(text: string): string {
  return shapesOnly.text(text);
}

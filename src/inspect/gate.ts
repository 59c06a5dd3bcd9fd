/** Who may ask for what: a web page of somebody else's, in a browser on this machine, can send requests here too. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';

/** A request that is not served, and why: told as JSON. */
export class Refusal extends Error {
  readonly status: number;
  /** What of the request is at fault: `host`, `authorization`, `body.address`. */
  readonly field: string;
  readonly headers: OutgoingHttpHeaders;

  constructor(status: number, field: string, rule: string, headers: OutgoingHttpHeaders = {}) {
    super(`${field}: ${rule}`);
    this.name = 'Refusal';
    this.status = status;
    this.field = field;
    this.headers = headers;
  }
}

/** On every answer: nothing but files of this server's own is loaded or run, nothing is kept, and no other page may look in. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** 256 bits of chance, as text that needs no escapes in a URL. */
export class Token {
  readonly text = randomBytes(32).toString('base64url');
  readonly #digest = digestOf(this.text);

  /** @throws Refusal unless `authorization` bears this token */
  require({ headers }: IncomingMessage, where: string): void {
    const [, given] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    // Digests are of one length, so that the comparison takes the same time for any text.
    if (given !== undefined && timingSafeEqual(digestOf(given), this.#digest)) return;
    throw new Refusal(401, 'authorization', `must be "Bearer TOKEN", with the token ${where}`, {
      'www-authenticate': 'Bearer',
    });
  }
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * A page of another site may have a name of its own lead here (DNS rebinding), so only the names of this server are served.
 * @throws Refusal
 */
export function requireHost({ headers }: IncomingMessage, port: number): void {
  const { host } = headers;
  if (host !== undefined && hostsOf(port).includes(host.toLowerCase())) return;
  throw new Refusal(403, 'host', `must be ${hostsOf(port).join(' or ')}`);
}

function hostsOf(port: number): string[] {
  const names = ['127.0.0.1', 'localhost'];
  // Browsers leave out the port that http has anyway.
  return names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]));
}

/**
 * @param required browsers tell the origin of every POST, and of a GET only where it crosses origins
 * @throws Refusal for a page of another origin
 */
export function requireOwnOrigin({ headers }: IncomingMessage, required: boolean): void {
  const { host = '', origin } = headers;
  if (origin === undefined ? !required : origin.toLowerCase() === `http://${host.toLowerCase()}`) return;
  throw new Refusal(403, 'origin', `must be http://${host}, the page of this server`);
}

/** @throws Refusal */
export function requireMethod({ method = '' }: IncomingMessage, allowed: 'GET' | 'POST'): void {
  if (method === allowed) return;
  throw new Refusal(405, 'method', `must be ${allowed}`, { allow: allowed });
}

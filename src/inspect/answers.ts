/** What the server says: JSON, and of what it refuses why. */

import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { Refusal, SECURITY_HEADERS } from './gate.js';

export function tell(response: ServerResponse, status: number, body: object, headers: OutgoingHttpHeaders = {}): void {
  const { text, type } = jsonOf(body);
  response.writeHead(status, { ...type, ...headers }).end(text);
}

export function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, field, message, headers } =
    error instanceof Refusal ? error : new Refusal(500, 'inspector', 'failed; close it and start another');
  tell(response, status, { error: { field, message } }, headers);
}

/**
 * Ends a socket on which what came is no request, or not a whole one.
 * @param answer under way on the socket, if any: nothing is put in the middle of it
 */
export function refuseUnread(socket: Duplex, code: string | undefined, answer: ServerResponse | undefined): void {
  if (!socket.writable || answer?.headersSent === true) {
    socket.destroy();
    return;
  }
  const { status, field, message } = unreadRefusal(code);
  const { text, type } = jsonOf({ error: { field, message } });
  const lines = Object.entries({ ...SECURITY_HEADERS, ...type, connection: 'close' }).map((header) =>
    header.join(': '),
  );
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}

function unreadRefusal(code: string | undefined): Refusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(408, 'request', 'took too long; send it again');
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal(431, 'headers', `must be at most ${MAX_HEADER_BYTES} bytes long`);
    default:
      return new Refusal(400, 'request', 'must be HTTP/1.1');
  }
}

/** Of the request line and the headers. */
export const MAX_HEADER_BYTES = 8_192;

function jsonOf(body: object): { text: string; type: Record<string, string | number> } {
  const text = `${JSON.stringify(body)}\n`;
  return {
    text,
    type: { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) },
  };
}

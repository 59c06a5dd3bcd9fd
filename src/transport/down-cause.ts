/** Why a connection ended, from what Node says of its socket. */

import type { DownCause } from './port.js';

/** Codes a peer's death causes; during a TLS handshake too they are no fault of TLS. */
const LOST_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', 'ENOTCONN']);

/** Where a connection was in its life when it failed. */
export type ConnectPhase = 'dial' | 'tls' | 'settings' | 'up';

/** Node's error code, from the error or from the text that libraries make of it. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return /\b(E[A-Z]{3,}[A-Z0-9]*)\b/.exec(String(error))?.[1];
}

export function downCauseOf(phase: ConnectPhase, error: unknown): DownCause {
  const message = error instanceof Error ? error.message : String(error);
  const code = errorCodeOf(error);
  return { kind: kindOf(phase, code), message, ...(code === undefined ? {} : { code }) };
}

function kindOf(phase: ConnectPhase, code: string | undefined): DownCause['kind'] {
  switch (phase) {
    case 'dial':
      // ENOENT: a unix socket whose file is gone; as hard an evidence as a refused connection.
      if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'refused';
      if (code === 'ETIMEDOUT') return 'connectTimeout';
      return 'other';
    case 'tls':
      return code !== undefined && LOST_CODES.has(code) ? 'lost' : 'tls';
    case 'settings':
    case 'up':
      if (code?.startsWith('ERR_HTTP2_') === true) return 'protocol';
      // TLS 1.3 servers refuse a client certificate only after the client's side of the handshake is done.
      return code !== undefined && /^ERR_(?:SSL|TLS)_/.test(code) ? 'tls' : 'lost';
  }
}

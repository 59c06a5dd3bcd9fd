/** TLS over a connected socket, for HTTP/2. Verification cannot be switched off, not even by NODE_TLS_REJECT_UNAUTHORIZED. */

import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

import type { TlsFiles } from './port.js';

/** @throws Error when a PEM does not parse or the key does not fit the certificate. */
export function secureContextOf(tls: TlsFiles): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  });
}

/**
 * Resolves when the handshake is done and the peer's certificate is good for `name`; rejects with its cause otherwise. The TLS socket
 * is handed over at once, for the caller to destroy at its own deadline.
 */
export function startTls(
  socket: Socket,
  secureContext: SecureContext,
  name: string,
): { readonly tlsSocket: TLSSocket; readonly secured: Promise<void> } {
  const tlsSocket = connect({
    socket,
    secureContext,
    host: name,
    // RFC 6066 forbids IP addresses in SNI; they are still verified, against `host`.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: true,
  });
  const secured = new Promise<void>((resolve, reject) => {
    tlsSocket.once('secureConnect', resolve);
    tlsSocket.once('error', reject);
    tlsSocket.once('close', () => {
      reject(new Error('the socket closed during the TLS handshake'));
    });
  });
  return { tlsSocket, secured };
}

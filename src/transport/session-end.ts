/** Whether an HTTP/2 session has ended itself without a word. */

import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

import type { Clock } from '../core/clock.js';

/** Plenty for a frame of nine bytes to leave the process. */
const LEAVES_WITHIN_MS = 100;

/**
 * Told to `onDead` when the session takes nothing any more. At most breaches of the protocol by the peer, nghttp2 sends GOAWAY, ignores
 * whatever comes after, and sends nothing else; node:http2 reports some of them as errors, and says nothing at all of the others: a frame of
 * a wrong size, DATA on no stream, headers that do not decode. What such a session is given to send stays in its queue for good. So an empty
 * SETTINGS is put there, which every peer must take and none counts as it counts pings.
 * @param socket the one at the bottom, under TLS
 */
export function watchForSilentEnd(
  session: ClientHttp2Session,
  socket: Socket,
  clock: Clock,
  onDead: (error: Error) => void,
): void {
  if (session.destroyed) return;
  try {
    session.settings({});
  } catch {
    // It is being destroyed, or earlier ones were not acknowledged: of neither need anybody be told from here.
    return;
  }
  const judge = (): void => {
    session.off('close', forget);
    if (session.destroyed || !isStuck(session, socket)) return;
    const message = 'the server broke the HTTP/2 protocol, and the session ended itself';
    onDead(Object.assign(new Error(message), { code: 'ERR_HTTP2_SESSION_ERROR' }));
  };
  // Had the loop stood still meanwhile, its first turn would only now write what was there to write.
  const timer = clock.setTimeout(() => setImmediate(judge), LEAVES_WITHIN_MS);
  const forget = (): void => clock.clearTimeout(timer);
  session.once('close', forget);
}

/** Frames wait although the socket would take them. */
function isStuck(session: ClientHttp2Session, socket: Socket): boolean {
  if (!((session.state.outboundQueueSize ?? 0) > 0)) return false;
  // Private, and not known in any other way: node:http2 writes past the socket. Where it is missing the peer's kernel may be to blame.
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return handle?.writeQueueSize === 0;
}

/** Keeps a hostile server from ending the process through the memory of an HTTP/2 session. */

import type { ClientHttp2Session } from 'node:http2';

/** Native halves of sessions that are not closed, and of those closed in this turn of the loop. */
const held = new Set<unknown>();

/**
 * Holds the native half of a session until its streams' are freed. It asserts, when it is collected, that nothing is left of its memory; but
 * header fields that are not handed out (of a block without a status, or without an end) are with their stream, which a session that is
 * destroyed lets go of at once, and which is freed in the next phase of the loop. A garbage collection in between would find the session
 * unreachable and end the process: CVE-2024-27983 was this, and was mended only for streams that the session still lists.
 */
export function holdSession(session: ClientHttp2Session): void {
  const native = nativeOf(session);
  if (native === undefined || session.destroyed) return;
  held.add(native);
  session.once('close', () => setImmediate(() => held.delete(native)));
}

/** Private, and under a symbol; where a version of Node keeps it elsewhere, nothing is held. */
function nativeOf(session: ClientHttp2Session): unknown {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'kHandle');
  return key === undefined ? undefined : (session as unknown as Record<symbol, unknown>)[key];
}

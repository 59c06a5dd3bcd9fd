/** HTTP/2 PING. */

import type { ClientHttp2Session } from 'node:http2';

/** A PING's round trip. False when unanswered in time, or when the session is gone. */
export function pingSession(session: ClientHttp2Session, setTimer: (fn: () => void) => () => void): Promise<boolean> {
  return new Promise((resolve) => {
    const clear = setTimer(() => {
      resolve(false);
    });
    const done = (ok: boolean): void => {
      clear();
      resolve(ok);
    };
    try {
      // False: too many PINGs are unanswered already.
      const sent = session.ping((error) => {
        done(error === null);
      });
      if (!sent) done(false);
    } catch {
      done(false);
    }
  });
}

/**
 * The two private fields of grpc-js that are read, in one place. Each answer may be undefined, and then only detail is lost: no ping, no
 * reason of a GOAWAY, no notice of a stream that ends without trailers. The contract suite fails when an upgrade moves them.
 */

import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';

export { pingSession } from './ping.js';

/** The HTTP/2 session of a subchannel that is READY. */
export function sessionOf(subchannel: object): ClientHttp2Session | undefined {
  const { transport } = subchannel as { transport?: { session?: ClientHttp2Session } | null };
  return transport?.session;
}

/** The HTTP/2 stream of a subchannel's call. */
export function http2StreamOf(call: object): ClientHttp2Stream | undefined {
  return (call as { http2Stream?: ClientHttp2Stream }).http2Stream;
}

/** Whether a subchannel's call has got its status, though it may not have handed it out yet. */
export function hasStatus(call: object): boolean {
  const { getStatus } = call as { getStatus?: () => unknown };
  return getStatus === undefined || getStatus.call(call) !== null;
}

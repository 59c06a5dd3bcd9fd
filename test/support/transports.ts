import { createGrpcJsTransport } from '../../src/transport/grpc-js.js';
import { createHttp2Transport } from '../../src/transport/http2.js';
import type { Transport } from '../../src/transport/port.js';

const TRANSPORTS: Readonly<Record<string, () => Transport>> = {
  http2: createHttp2Transport,
  'grpc-js': createGrpcJsTransport,
};
export const TRANSPORT_NAMES = Object.keys(TRANSPORTS);

/** For those who are given its name as text. */
export function transportNamed(name: string | undefined): Transport {
  const create = TRANSPORTS[name ?? ''];
  if (create === undefined) throw new Error(`no transport ${name ?? ''}: one of ${TRANSPORT_NAMES.join(', ')}`);
  return create();
}

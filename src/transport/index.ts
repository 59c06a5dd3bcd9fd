import { createGrpcJsTransport } from './grpc-js.js';
import { createHttp2Transport } from './http2.js';
import type { Transport } from './port.js';

/** The transport of that name, or the one given. */
export function createTransport(transport: 'http2' | 'grpc-js' | Transport): Transport {
  if (transport === 'http2') return createHttp2Transport();
  if (transport === 'grpc-js') return createGrpcJsTransport();
  return transport;
}

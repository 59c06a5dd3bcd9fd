import { ConfigurationError, GrpcCode } from '../errors.js';

/** @throws ConfigurationError (RESOURCE_EXHAUSTED, `notSent`) for an encoded message larger than `maxMessageBytes` */
export function refuseOversize(bytes: Uint8Array, maxMessageBytes: number, path: string, requestId?: string): void {
  if (bytes.length <= maxMessageBytes) return;
  throw new ConfigurationError(
    path,
    `takes ${bytes.length} bytes encoded, more than maxMessageBytes (${maxMessageBytes})`,
    {
      requestId,
      grpcCode: GrpcCode.RESOURCE_EXHAUSTED,
    },
  );
}

import { ConfigurationError, GrpcCode } from '../errors.js';

/** @throws ConfigurationError (RESOURCE_EXHAUSTED, `notSent`) for an encoded message larger than `maxMessageBytes` */
export function refuseOversize(byteLength: number, maxMessageBytes: number, path: string, requestId?: string): void {
  if (byteLength <= maxMessageBytes) return;
  throw new ConfigurationError(
    path,
    `takes ${byteLength} bytes encoded, more than maxMessageBytes (${maxMessageBytes})`,
    {
      requestId,
      grpcCode: GrpcCode.RESOURCE_EXHAUSTED,
    },
  );
}

import type { Codec } from '../codec/codec.js';
import type { WireId } from '../codec/wire-id.js';
import { ConfigurationError } from '../errors.js';
import type { FramedMessage } from '../core/framed-message.js';
import type { CheckRequest } from '../types.js';

/**
 * The request as it goes out. What cannot be encoded is named from `root` on, with the request's id: the codec knows neither.
 * @throws ConfigurationError
 */
export function encodeRequest(
  codec: Pick<Codec, 'encodeCheckRequest'>,
  request: CheckRequest,
  wireId: WireId,
  root = 'request',
): FramedMessage {
  try {
    return codec.encodeCheckRequest(request, wireId);
  } catch (cause) {
    const { requestId } = request;
    if (!(cause instanceof ConfigurationError)) {
      // A getter or a toJSON of the caller's.
      throw new ConfigurationError(root, 'cannot be read: what it holds threw', { requestId, cause });
    }
    const reason = cause.message.slice(cause.path.length + 2);
    throw new ConfigurationError(`${root}.${cause.path}`, reason, { requestId, cause: cause.cause });
  }
}

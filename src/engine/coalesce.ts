/**
 * A server interceptor that lets the answers of one turn of the loop leave together. grpc-js gives HTTP/2 the next message of a stream
 * only when the one before is flushed, which costs a frame and a turn of the loop for each; here the next may be given at once, up to
 * a number of unflushed bytes.
 */

import { ServerInterceptingCall } from '@grpc/grpc-js';
import type { ServerInterceptor } from '@grpc/grpc-js';
import { MAX_UNFLUSHED_BYTES } from './limits.js';

/** For streams whose messages are bytes already: CheckStream, the only one that both sides stream. */
export const coalesceWrites: ServerInterceptor = (method, call) =>
  method.requestStream && method.responseStream ? new CoalescingCall(call) : new ServerInterceptingCall(call);

class CoalescingCall extends ServerInterceptingCall {
  #unflushedBytes = 0;
  /** Asks for the next message once there is room again. */
  #waiting: (() => void) | undefined;

  override sendMessage(message: Uint8Array, callback: () => void): void {
    const { length } = message;
    this.#unflushedBytes += length;
    super.sendMessage(message, () => {
      this.#unflushedBytes -= length;
      const waiting = this.#waiting;
      if (waiting === undefined || this.#unflushedBytes > MAX_UNFLUSHED_BYTES) return;
      this.#waiting = undefined;
      waiting();
    });
    // At most one callback waits: no message comes before the one before it was called back.
    if (this.#unflushedBytes > MAX_UNFLUSHED_BYTES) this.#waiting = callback;
    else callback();
  }
}

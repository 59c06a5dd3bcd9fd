/** A unary call over a streaming one: the same for every transport. */

import { GrpcCode } from '../errors.js';
import { timeoutHeader } from './metadata.js';
import type {
  ConnectOptions,
  StreamListener,
  UnaryOptions,
  UnaryResult,
  WireMetadata,
  WireStatus,
  WireStream,
} from './port.js';
import { answeredStatus, deadlineStatus, notSentStatus, unreadableStatus } from './status.js';

/** A call that this side can end with any status. */
export interface AbortableStream extends WireStream {
  /** Resets the call on the wire; `onStatus` follows, not synchronously. Nothing once the call is ending. */
  abort(status: WireStatus): void;
}

/** Opens a call. `deadlineAt` is on the options' clock, milliseconds. */
export type OpenCall = (
  path: string,
  metadata: WireMetadata,
  listener: StreamListener,
  deadlineAt: number,
  timeoutValue: string,
) => AbortableStream;

/** Never rejects. Nothing succeeds after its deadline, even when the timer is late. */
export function unaryCall(
  open: OpenCall,
  path: string,
  bytes: Uint8Array,
  options: UnaryOptions,
  { clock, maxMessageBytes }: ConnectOptions,
): Promise<UnaryResult> {
  const { timeoutMs, signal } = options;
  const refusal = refusalOf(bytes.length, maxMessageBytes, timeoutMs, signal);
  if (refusal !== undefined) return Promise.resolve({ ok: false, status: refusal });

  return new Promise((resolve) => {
    const deadlineAt = clock.now() + timeoutMs;
    let answer: Uint8Array | undefined;
    const onAbort = (): void => {
      call.cancel();
    };
    const call = open(
      path,
      options.metadata ?? {},
      {
        onMessage: (bytes, start, end) => {
          if (answer === undefined) answer = bytes.subarray(start, end);
          else call.abort(unreadableStatus('the server sent more than one answer to a unary call'));
        },
        onDrain: () => undefined,
        onStatus: (status) => {
          clock.clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          const late = clock.now() >= deadlineAt && status.code === GrpcCode.OK;
          resolve(resultOf(late ? deadlineStatus() : status, answer));
        },
      },
      deadlineAt,
      timeoutHeader(timeoutMs),
    );
    const timer = clock.setTimeout(() => {
      call.abort(deadlineStatus());
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    call.write(bytes);
    call.end();
  });
}

function refusalOf(
  size: number,
  maxMessageBytes: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): WireStatus | undefined {
  if (signal?.aborted === true) return notSentStatus('the call was aborted before it began', GrpcCode.CANCELLED);
  if (!(timeoutMs > 0)) return notSentStatus('the deadline had passed', GrpcCode.DEADLINE_EXCEEDED);
  if (size > maxMessageBytes) {
    const message = `the message of ${size} bytes is larger than the limit of ${maxMessageBytes}`;
    return notSentStatus(message, GrpcCode.RESOURCE_EXHAUSTED);
  }
  return undefined;
}

function resultOf(status: WireStatus, answer: Uint8Array | undefined): UnaryResult {
  if (status.code !== GrpcCode.OK) return { ok: false, status };
  if (answer !== undefined) return { ok: true, bytes: answer };
  const message = 'the server answered a unary call without a message';
  return { ok: false, status: answeredStatus(GrpcCode.INTERNAL, message, status.trailers ?? {}) };
}

/**
 * Every way a call can end, as one {@link WireStatus}. Pure and total: any number or text maps to a status, after gRPC's
 * PROTOCOL-HTTP2.md (RST codes, trailers) and http-grpc-status-mapping.md (HTTP statuses). Shared by all transports.
 */

import { GrpcCode } from '../errors.js';
import type { WireStatus } from './port.js';

/** HTTP/2 error codes (RFC 9113, section 7). */
export const RstCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const RST_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(RstCode).map(([name, code]) => [code, name]));

/** Any number as a gRPC code: what is not one of the seventeen is UNKNOWN. */
export function toGrpcCode(code: number): GrpcCode {
  return Number.isInteger(code) && code >= 0 && code <= 16 ? (code as GrpcCode) : GrpcCode.UNKNOWN;
}

/** The `grpc-status` trailer as a code. Anything but the decimal of a known code is UNKNOWN. */
export function codeFromTrailer(text: string): GrpcCode {
  return /^(?:0|[1-9]\d?)$/.test(text) ? toGrpcCode(Number(text)) : GrpcCode.UNKNOWN;
}

/** The HTTP status of a response without `grpc-status`. */
export function codeFromHttpStatus(httpStatus: number): GrpcCode {
  switch (httpStatus) {
    case 400:
      return GrpcCode.INTERNAL;
    case 401:
      return GrpcCode.UNAUTHENTICATED;
    case 403:
      return GrpcCode.PERMISSION_DENIED;
    case 404:
      return GrpcCode.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcCode.UNAVAILABLE;
    default:
      return GrpcCode.UNKNOWN;
  }
}

/** The code of a RST_STREAM that came instead of trailers. Codes the specification does not name are INTERNAL. */
export function codeFromRst(rstCode: number): GrpcCode {
  switch (rstCode) {
    case RstCode.REFUSED_STREAM:
      return GrpcCode.UNAVAILABLE;
    case RstCode.CANCEL:
      return GrpcCode.CANCELLED;
    case RstCode.ENHANCE_YOUR_CALM:
      return GrpcCode.RESOURCE_EXHAUSTED;
    case RstCode.INADEQUATE_SECURITY:
      return GrpcCode.PERMISSION_DENIED;
    default:
      return GrpcCode.INTERNAL;
  }
}

/** `NO_ERROR`, `CANCEL`, ... or the number. */
export function rstName(rstCode: number): string {
  return RST_NAMES.get(rstCode) ?? `0x${rstCode.toString(16)}`;
}

export interface RstContext {
  /** Response headers had come: the server had begun, so even REFUSED_STREAM no longer proves that it did nothing. */
  readonly headersReceived: boolean;
  /** The call's own deadline had passed: a server that cancels then does so because of it. */
  readonly deadlinePassed: boolean;
}

/** The status of a call that the peer reset. */
export function statusFromRst(rstCode: number, context: RstContext): WireStatus {
  if (rstCode === RstCode.CANCEL && context.deadlinePassed) return deadlineStatus();
  const refused = rstCode === RstCode.REFUSED_STREAM && !context.headersReceived;
  return {
    code: codeFromRst(rstCode),
    message: `the server reset the call (${rstName(rstCode)})`,
    outcome: refused ? 'refused' : 'unknown',
  };
}

/** The status of a response that was not gRPC's: an error page of a proxy, say. */
export function statusFromHttp(httpStatus: number): WireStatus {
  const message = `the server answered HTTP status ${httpStatus} without a gRPC status`;
  return { code: codeFromHttpStatus(httpStatus), message, outcome: 'answered' };
}

export interface AnswerContext {
  readonly httpStatus: number;
  readonly contentType: string;
}

/** The status of response headers, without `grpc-status`, that no gRPC server sends; undefined where they may be one's. */
export function statusFromHeaders({ httpStatus, contentType }: AnswerContext): WireStatus | undefined {
  if (httpStatus !== 200) return statusFromHttp(httpStatus);
  if (contentType.startsWith('application/grpc')) return undefined;
  const message = `the server answered with content-type ${JSON.stringify(contentType)}, which is not gRPC`;
  return { code: GrpcCode.UNKNOWN, message, outcome: 'answered' };
}

/** The status of a call whose answer ended without trailers. */
export function statusWithoutTrailers(): WireStatus {
  return brokenStatus('the server ended the call without a status');
}

/** The status that the server itself sent. `message` is still percent-encoded. */
export function statusFromTrailers(
  code: string,
  message: string,
  trailers: Readonly<Record<string, string>>,
): WireStatus {
  return answeredStatus(codeFromTrailer(code), decodeGrpcMessage(message), trailers);
}

/** As {@link statusFromTrailers}, of parts already decoded. */
export function answeredStatus(
  code: GrpcCode,
  message: string,
  trailers: Readonly<Record<string, string>>,
): WireStatus {
  const status = { code, message, outcome: 'answered' } as const;
  return Object.keys(trailers).length === 0 ? status : { ...status, trailers };
}

/** The connection went away under the call. */
export function lostStatus(message = 'the connection was lost'): WireStatus {
  return { code: GrpcCode.UNAVAILABLE, message, outcome: 'unknown' };
}

/** Nothing left this process. */
export function notSentStatus(message: string, code: GrpcCode = GrpcCode.UNAVAILABLE): WireStatus {
  return { code, message, outcome: 'notSent' };
}

/** This side ended the call: `cancel()`, an aborted signal, or `close()`. */
export function cancelledStatus(message = 'the call was cancelled'): WireStatus {
  return { code: GrpcCode.CANCELLED, message, outcome: 'unknown' };
}

/** The call's deadline passed. */
export function deadlineStatus(): WireStatus {
  return { code: GrpcCode.DEADLINE_EXCEEDED, message: 'the deadline passed', outcome: 'unknown' };
}

/** What the peer answered cannot be taken for an answer, nor would it be if it were asked again. */
export function unreadableStatus(message: string): WireStatus {
  return { code: GrpcCode.INTERNAL, message, outcome: 'answered' };
}

/** The peer broke off, or broke the protocol, as far as this side can tell. */
export function brokenStatus(message: string, code: GrpcCode = GrpcCode.INTERNAL): WireStatus {
  return { code, message, outcome: 'unknown' };
}

/** What servers give as the reason of a GOAWAY: `max_age`, `too_many_pings`. Free text may be about anything. */
const GOAWAY_WORD = /^[a-z_]{1,32}$/;

/** `GOAWAY ENHANCE_YOUR_CALM: too_many_pings`, say. */
export function goawayReason(code: number, debug: Uint8Array | undefined): string {
  const text = Buffer.from(debug ?? []).toString('latin1');
  return `GOAWAY ${rstName(code)}${GOAWAY_WORD.test(text) ? `: ${text}` : ''}`;
}

/** gRFC A8: the peer was pinged more often than it likes. */
export function isTooManyPings(code: number, debug: Uint8Array | undefined): boolean {
  return code === RstCode.ENHANCE_YOUR_CALM && Buffer.from(debug ?? []).toString('latin1') === 'too_many_pings';
}

/** `grpc-message` is percent-encoded UTF-8; what does not decode is kept as it came, never an error. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

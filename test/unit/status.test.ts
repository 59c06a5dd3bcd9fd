import { fc, it as prop } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import {
  codeFromHttpStatus,
  codeFromRst,
  codeFromTrailer,
  decodeGrpcMessage,
  goawayReason,
  lostStatus,
  notSentStatus,
  rstName,
  RstCode,
  statusFromHttp,
  statusFromRst,
  statusFromTrailers,
  toGrpcCode,
} from '../../src/transport/status.js';

const ALL_CODES = new Set<number>(Object.values(GrpcCode));
const before = { headersReceived: false, deadlinePassed: false };

describe('RST codes', () => {
  it.each([
    ['NO_ERROR', 'INTERNAL'],
    ['PROTOCOL_ERROR', 'INTERNAL'],
    ['INTERNAL_ERROR', 'INTERNAL'],
    ['FLOW_CONTROL_ERROR', 'INTERNAL'],
    ['SETTINGS_TIMEOUT', 'INTERNAL'],
    ['STREAM_CLOSED', 'INTERNAL'],
    ['FRAME_SIZE_ERROR', 'INTERNAL'],
    ['REFUSED_STREAM', 'UNAVAILABLE'],
    ['CANCEL', 'CANCELLED'],
    ['COMPRESSION_ERROR', 'INTERNAL'],
    ['CONNECT_ERROR', 'INTERNAL'],
    ['ENHANCE_YOUR_CALM', 'RESOURCE_EXHAUSTED'],
    ['INADEQUATE_SECURITY', 'PERMISSION_DENIED'],
    ['HTTP_1_1_REQUIRED', 'INTERNAL'],
  ] as const)('%s: %s', (rst, code) => {
    expect(codeFromRst(RstCode[rst])).toBe(GrpcCode[code]);
    expect(statusFromRst(RstCode[rst], before).message).toContain(rst);
  });

  it('REFUSED_STREAM before headers: proven unprocessed; after headers: unknown', () => {
    expect(statusFromRst(RstCode.REFUSED_STREAM, before).outcome).toBe('refused');
    expect(statusFromRst(RstCode.REFUSED_STREAM, { ...before, headersReceived: true }).outcome).toBe('unknown');
  });

  it('CANCEL past the deadline: DEADLINE_EXCEEDED; other codes past it: their own', () => {
    const late = { ...before, deadlinePassed: true };
    expect(statusFromRst(RstCode.CANCEL, late).code).toBe(GrpcCode.DEADLINE_EXCEEDED);
    expect(statusFromRst(RstCode.INTERNAL_ERROR, late).code).toBe(GrpcCode.INTERNAL);
  });

  prop.prop([fc.integer(), fc.boolean(), fc.boolean()])(
    'any code: an error status, refused only for REFUSED_STREAM, never answered',
    (rst, headersReceived, deadlinePassed) => {
      const status = statusFromRst(rst, { headersReceived, deadlinePassed });
      expect(ALL_CODES.has(status.code)).toBe(true);
      expect(status.code).not.toBe(GrpcCode.OK);
      expect(status.outcome).toBe(rst === RstCode.REFUSED_STREAM && !headersReceived ? 'refused' : 'unknown');
    },
  );

  it('a code without a name: its number', () => {
    expect(rstName(0xff)).toBe('0xff');
  });
});

describe('HTTP statuses', () => {
  it.each([
    [400, 'INTERNAL'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'UNIMPLEMENTED'],
    [429, 'UNAVAILABLE'],
    [502, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [504, 'UNAVAILABLE'],
    [200, 'UNKNOWN'],
    [302, 'UNKNOWN'],
    [418, 'UNKNOWN'],
    [500, 'UNKNOWN'],
  ] as const)('%i: %s', (httpStatus, code) => {
    expect(codeFromHttpStatus(httpStatus)).toBe(GrpcCode[code]);
    expect(statusFromHttp(httpStatus)).toMatchObject({ code: GrpcCode[code], outcome: 'answered' });
  });

  prop.prop([fc.oneof(fc.integer(), fc.double())])('any number: an error code, never OK', (httpStatus) => {
    const code = codeFromHttpStatus(httpStatus);
    expect(ALL_CODES.has(code)).toBe(true);
    expect(code).not.toBe(GrpcCode.OK);
  });
});

describe('trailers', () => {
  it.each(Object.entries(GrpcCode))('grpc-status of %s: its own code', (_name, code) => {
    expect(codeFromTrailer(String(code))).toBe(code);
    expect(toGrpcCode(code)).toBe(code);
  });

  it.each(['', 'abc', '17', '99', '-1', '00', '01', ' 0', '0x0', '0.0', '1e0', 'NaN', '０'])(
    'grpc-status "%s": UNKNOWN, never OK',
    (text) => {
      expect(codeFromTrailer(text)).toBe(GrpcCode.UNKNOWN);
    },
  );

  prop.prop([fc.string()])('any grpc-status but "0": not OK', (text) => {
    expect(codeFromTrailer(text) === GrpcCode.OK).toBe(text === '0');
  });

  prop.prop([fc.oneof(fc.integer(), fc.double())])('any number as a code: one of the seventeen', (code) => {
    expect(ALL_CODES.has(toGrpcCode(code))).toBe(true);
  });

  it('a message with percent-encoding: decoded; one that is broken: as it came', () => {
    expect(decodeGrpcMessage('na%C3%AFve: 100 %25')).toBe('naïve: 100 %');
    expect(decodeGrpcMessage('100 % wrong %zz')).toBe('100 % wrong %zz');
    expect(decodeGrpcMessage('%C3')).toBe('%C3');
    expect(decodeGrpcMessage('a%2Fb')).toBe('a/b');
  });

  prop.prop([fc.string()])('any message: decoding never throws', (text) => {
    expect(typeof decodeGrpcMessage(text)).toBe('string');
  });

  it('trailers beside the status: kept; without any: no empty object', () => {
    expect(statusFromTrailers('5', 'gone', { 'x-a': '1' })).toEqual({
      code: GrpcCode.NOT_FOUND,
      message: 'gone',
      outcome: 'answered',
      trailers: { 'x-a': '1' },
    });
    expect(statusFromTrailers('0', '', {})).toEqual({ code: GrpcCode.OK, message: '', outcome: 'answered' });
  });
});

describe('GOAWAY', () => {
  it.each([
    ['', 'GOAWAY ENHANCE_YOUR_CALM'],
    ['too_many_pings', 'GOAWAY ENHANCE_YOUR_CALM: too_many_pings'],
    ['alice asks too often', 'GOAWAY ENHANCE_YOUR_CALM'],
    ['x'.repeat(33), 'GOAWAY ENHANCE_YOUR_CALM'],
    ['\u001b[31m', 'GOAWAY ENHANCE_YOUR_CALM'],
  ])('that says %j: its code, and what it says where that is one word', (debug, reason) => {
    expect(goawayReason(RstCode.ENHANCE_YOUR_CALM, Buffer.from(debug))).toBe(reason);
  });
});

describe('local causes', () => {
  it('a lost connection: UNAVAILABLE, unknown; an unsent call: notSent', () => {
    expect(lostStatus()).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'unknown' });
    expect(notSentStatus('no')).toMatchObject({ code: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
  });
});

/**
 * A server that costs so little that the client is what is measured: raw `node:http2`, gRPC frames taken apart in place, answers
 * of about 68 bytes built from constants, and all answers to one chunk of requests sent in one write. It allows whatever is asked.
 *
 * Prints `{"port":n}` on stdout, answers a line `usage` on stdin with its CPU time, and exits when its stdin closes. With the argument
 * `stalled` it opens streams and never reads them: HTTP/2's own windows, at their default size, are all it takes.
 */
import { createServer } from 'node:http2';
import { createInterface } from 'node:readline';

const isStalled = process.argv[2] === 'stalled';
const WINDOW_BYTES = isStalled ? 65_535 : 16 * 1024 * 1024;
/** So that no rival's unary calls wait in line for a stream. */
const MAX_STREAMS = 8_192;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const FRAME_HEADER_BYTES = 5;
const GRPC_OK = 0;
const GRPC_UNIMPLEMENTED = 12;
const GRPC_INTERNAL = 13;

/** Sixteen rules, chosen by the request's id: a client that shares equal answers meets a realistic handful of them, not one. */
const verdicts = Array.from({ length: 16 }, (_, rule) => {
  const name = Buffer.from(`rule-${String.fromCharCode(97 + rule)}`);
  // ActionResult: effect ALLOW, policy, rule, matched.
  return Buffer.concat([
    Buffer.from([0x08, 1, 0x12, 4]),
    Buffer.from('docs'),
    Buffer.from([0x1a, name.length]),
    name,
    Buffer.from([0x20, 1]),
  ]);
});
const VERDICT_BYTES = verdicts[0]?.length ?? 0;

/** Spans of the request being read, reused for each: where its id and its actions lie. */
let idStart = 0;
let idEnd = 0;
let actionCount = 0;
/** @type {number[]} */
const actionStarts = [];
/** @type {number[]} */
const actionEnds = [];

/** Where the last `readVarint` stopped: a returned pair would cost an allocation per field. */
let cursor = 0;

/**
 * @param {Buffer} bytes
 * @param {number} at
 * @returns {number} exact up to 2^53; a field's length never gets there
 */
function readVarint(bytes, at) {
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 10; count++) {
    const byte = bytes[at++];
    if (byte === undefined) throw new RangeError('a varint runs past the end of its message');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      cursor = at;
      return value;
    }
    scale *= 128;
  }
  throw new RangeError('a varint is longer than ten bytes');
}

/**
 * Notes where request_id (1) and the actions (4) of a CheckRequest lie, skipping all else.
 * @param {Buffer} bytes
 * @param {number} start
 * @param {number} end
 */
function scanRequest(bytes, start, end) {
  idStart = idEnd = start;
  actionCount = 0;
  let at = start;
  while (at < end) {
    const tag = readVarint(bytes, at);
    at = cursor;
    const wireType = tag & 7;
    if (wireType === 2) {
      const length = readVarint(bytes, at);
      at = cursor;
      if (at + length > end) throw new RangeError('a field runs past the end of its message');
      if (tag === 0x0a) {
        idStart = at;
        idEnd = at + length;
      } else if (tag === 0x22) {
        actionStarts[actionCount] = at;
        actionEnds[actionCount++] = at + length;
      }
      at += length;
    } else if (wireType === 0) {
      readVarint(bytes, at);
      at = cursor;
    } else if (wireType === 5) at += 4;
    else if (wireType === 1) at += 8;
    else throw new RangeError(`wire type ${wireType} is not of proto3`);
  }
}

/** @param {number} value */
function varintBytes(value) {
  let count = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    count++;
  }
  return count;
}

/** The answers being built. Grows by doubling; what was written before is copied along. */
let out = Buffer.allocUnsafeSlow(0);
let outAt = 0;

/** @param {number} more */
function reserve(more) {
  if (outAt + more <= out.length) return;
  const grown = Buffer.allocUnsafeSlow(Math.max(out.length * 2, outAt + more));
  out.copy(grown, 0, 0, outAt);
  out = grown;
}

/** @param {number} value */
function putVarint(value) {
  while (value >= 128) {
    out[outAt++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  out[outAt++] = value;
}

/**
 * @param {Buffer} source
 * @param {number} start
 * @param {number} end
 */
function putBytes(source, start, end) {
  // A native call costs more than copying a short span byte by byte.
  if (end - start > 48) outAt += source.copy(out, outAt, start, end);
  else for (let at = start; at < end; at++) out[outAt++] = /** @type {number} */ (source[at]);
}

/**
 * Appends the framed CheckResponse to the request that was scanned last.
 * @param {Buffer} request
 */
function putAnswer(request) {
  const verdict = verdicts[idEnd > idStart ? /** @type {number} */ (request[idEnd - 1]) & 15 : 0];
  if (verdict === undefined) throw new RangeError('four bits choose among sixteen');
  const idLength = idEnd - idStart;
  let length = idLength === 0 ? 0 : 1 + varintBytes(idLength) + idLength;
  for (let index = 0; index < actionCount; index++) {
    const entry = entryBytes(index);
    length += 1 + varintBytes(entry) + entry;
  }
  reserve(FRAME_HEADER_BYTES + length);
  out[outAt] = 0;
  out.writeUInt32BE(length, outAt + 1);
  outAt += FRAME_HEADER_BYTES;
  if (idLength > 0) {
    out[outAt++] = 0x0a;
    putVarint(idLength);
    putBytes(request, idStart, idEnd);
  }
  for (let index = 0; index < actionCount; index++) {
    const start = /** @type {number} */ (actionStarts[index]);
    const end = /** @type {number} */ (actionEnds[index]);
    out[outAt++] = 0x12;
    putVarint(entryBytes(index));
    out[outAt++] = 0x0a;
    putVarint(end - start);
    putBytes(request, start, end);
    out[outAt++] = 0x12;
    out[outAt++] = VERDICT_BYTES;
    putBytes(verdict, 0, VERDICT_BYTES);
  }
}

/**
 * @param {number} index of the action
 * @returns {number} the bytes of its entry in the results map
 */
function entryBytes(index) {
  const length = /** @type {number} */ (actionEnds[index]) - /** @type {number} */ (actionStarts[index]);
  return 1 + varintBytes(length) + length + 2 + VERDICT_BYTES;
}

/**
 * Answers every whole frame in `bytes`.
 * @param {Buffer} bytes
 * @returns {{ answers: Buffer, rest: Buffer }} the framed answers, and the beginning of a frame yet to come
 */
function answerFrames(bytes) {
  // Node keeps a written buffer until the socket has taken it, so each chunk gets its own. Twice the requests' size is nearly always enough.
  out = Buffer.allocUnsafeSlow(bytes.length * 2 + 64);
  outAt = 0;
  let at = 0;
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    if (bytes[at] !== 0) throw new RangeError('compressed messages are not taken');
    const length = bytes.readUInt32BE(at + 1);
    if (length > MAX_MESSAGE_BYTES) throw new RangeError(`a message of ${length} bytes is refused`);
    const start = at + FRAME_HEADER_BYTES;
    if (start + length > bytes.length) break;
    scanRequest(bytes, start, start + length);
    putAnswer(bytes);
    at = start + length;
  }
  return { answers: out.subarray(0, outAt), rest: bytes.subarray(at) };
}

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc+proto' };

/**
 * @param {import('node:http2').ServerHttp2Stream} stream
 * @param {number} code
 */
function refuse(stream, code) {
  stream.respond({ ...responseHeaders, 'grpc-status': String(code) }, { endStream: true });
}

/**
 * @param {import('node:http2').ServerHttp2Stream} stream
 * @param {() => number} status read when the answers are all written
 */
function respond(stream, status) {
  stream.respond(responseHeaders, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status()) }));
}

/** @param {import('node:http2').ServerHttp2Stream} stream */
function serveChecks(stream) {
  let status = GRPC_OK;
  respond(stream, () => status);
  if (isStalled) {
    stream.pause();
    return;
  }
  let rest = Buffer.alloc(0);
  stream.on('data', (/** @type {Buffer} */ chunk) => {
    try {
      const frames = answerFrames(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
      rest = Buffer.from(frames.rest);
      if (frames.answers.length > 0 && !stream.write(frames.answers)) stream.pause();
    } catch {
      status = GRPC_INTERNAL;
      stream.removeAllListeners('data');
      stream.resume();
      stream.end();
    }
  });
  stream.on('drain', () => stream.resume());
  stream.on('end', () => stream.end());
}

/**
 * @param {import('node:http2').ServerHttp2Stream} stream
 * @param {(request: Buffer) => Buffer} answer
 */
function serveUnary(stream, answer) {
  /** @type {Buffer[]} */
  const chunks = [];
  stream.on('data', (/** @type {Buffer} */ chunk) => chunks.push(chunk));
  stream.on('end', () => {
    let answers;
    try {
      answers = answer(Buffer.concat(chunks));
    } catch {
      refuse(stream, GRPC_INTERNAL);
      return;
    }
    respond(stream, () => GRPC_OK);
    stream.end(answers);
  });
}

const SERVING_FRAME = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);

const server = createServer({ settings: { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: MAX_STREAMS } });
server.on('session', (session) => {
  if (!isStalled) session.setLocalWindowSize(WINDOW_BYTES * 4);
});
server.on('sessionError', () => undefined);
server.on('stream', (stream, headers) => {
  // A client that leaves in the middle of a run is no fault of the server's.
  stream.on('error', () => undefined);
  const path = headers[':path'];
  if (path === '/authz.v1.AuthzService/CheckStream') serveChecks(stream);
  else if (path === '/authz.v1.AuthzService/Check') serveUnary(stream, (request) => answerFrames(request).answers);
  else if (path === '/grpc.health.v1.Health/Check') serveUnary(stream, () => SERVING_FRAME);
  else refuse(stream, GRPC_UNIMPLEMENTED);
});

/** @param {object} line */
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') print({ port: address.port });
});

const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  if (line !== 'usage') return;
  const { user, system } = process.cpuUsage();
  print({ cpuUs: user + system });
});
commands.on('close', () => process.exit(0));

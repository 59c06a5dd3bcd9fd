/**
 * What a patient engineer could write by hand for one hot path: CheckStream on bare `node:http2`, the messages of one turn of the loop in
 * one write, callbacks, no deadlines, no backpressure, no recovery. With `codec: "protobufjs"` it is a rival; with `codec: "none"` it sends bytes made
 * beforehand and reads frame headers only, which tells what the server and the wire can carry: no client can be faster.
 */
import { connect } from 'node:http2';
import { Meter, fail, readSettings, serve } from '../lib/worker.js';
import { createRequests } from '../lib/work.js';
import { isAllowed, loadMessages } from './messages.js';
import { toMessage } from './struct.js';

const FRAME_HEADER_BYTES = 5;
const WINDOW_BYTES = 16 * 1024 * 1024;

const settings = readSettings();
const nextRequest = createRequests(settings.size);
const meter = new Meter();
const messages = await loadMessages();
const CheckRequest = messages.lookupType('authz.v1.CheckRequest');
const CheckResponse = messages.lookupType('authz.v1.CheckResponse');

/** @returns {Buffer} one framed request */
function encodeRequest() {
  const message = CheckRequest.encode(toMessage(nextRequest())).finish();
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

const ready = Array.from({ length: 1024 }, encodeRequest);
let cycled = 0;
const withCodec = settings.codec === 'protobufjs';
const makeFrame = withCodec ? encodeRequest : () => /** @type {Buffer} */ (ready[cycled++ % ready.length]);

/**
 * @param {Buffer} message
 * @returns {boolean}
 */
function isAllowedMessage(message) {
  if (!withCodec) return message.length > 0;
  return isAllowed(
    /** @type {import('./messages.js').Answer} */ (/** @type {unknown} */ (CheckResponse.decode(message))),
  );
}

/** Timed one at a time only: at full load, answers would have to be matched to requests, which this rival does not do. */
const isTimed = settings.inFlight === 1;

const session = connect(`http://${settings.address}`, { settings: { initialWindowSize: WINDOW_BYTES } });
session.on('connect', () => session.setLocalWindowSize(WINDOW_BYTES * 4));
session.on('error', fail);

/**
 * @param {number} inFlight
 * @returns {() => void} fills it
 */
function openStream(inFlight) {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/authz.v1.AuthzService/CheckStream',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  /** @type {Buffer[]} */
  let outbox = [];
  let startedMs = 0;
  const ask = () => {
    meter.ask();
    if (isTimed) startedMs = performance.now();
    outbox.push(makeFrame());
  };
  const flush = () => {
    if (outbox.length === 0) return;
    const frames = outbox;
    outbox = [];
    stream.write(Buffer.concat(frames));
  };
  /** @type {Buffer} */
  let rest = Buffer.alloc(0);
  stream.on('error', fail);
  stream.on('data', (/** @type {Buffer} */ chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= bytes.length) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      if (isTimed) meter.latencies.since(startedMs);
      meter.answer(isAllowedMessage(bytes.subarray(at + FRAME_HEADER_BYTES, end)));
      if (meter.running) ask();
      at = end;
    }
    rest = bytes.subarray(at);
    setImmediate(flush);
  });
  return () => {
    for (let sent = 0; sent < inFlight; sent++) ask();
    flush();
  };
}

const inFlightPerStream = Math.max(1, Math.floor(settings.inFlight / settings.streams));
const streams = Array.from({ length: settings.streams }, () => openStream(inFlightPerStream));
serve(meter, () => {
  for (const fill of streams) fill();
  return meter.drained();
});

/**
 * What a patient engineer could write by hand for one hot path: CheckStream on bare `node:http2`, the messages of one turn of the loop in
 * one write, callbacks, no deadlines, no backpressure, no recovery. With `codec: "protobufjs"` it is a rival; with `codec: "none"` it sends bytes made
 * beforehand and reads frame headers only, which tells what the server and the wire can carry: no client can be faster.
 */
import { connect } from 'node:http2';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { Meter, fail, readSettings, report } from '../lib/meter.js';
import { nextRequest } from '../lib/work.js';

const FRAME_HEADER_BYTES = 5;
const WINDOW_BYTES = 16 * 1024 * 1024;
const ALLOW = 1;

const settings = readSettings();
const meter = new Meter();
const root = new protobuf.Root();
root.resolvePath = (/** @type {string} */ _origin, /** @type {string} */ target) =>
  fileURLToPath(new URL(`../../proto/${target}`, import.meta.url));
await root.load('authz/v1/authz.proto');
const CheckRequest = root.lookupType('authz.v1.CheckRequest');
const CheckResponse = root.lookupType('authz.v1.CheckResponse');

/** @returns {Buffer} one framed request */
function encodeRequest() {
  const message = CheckRequest.encode(nextRequest()).finish();
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
function isAllowed(message) {
  if (!withCodec) return message.length > 0;
  const { results } = /** @type {{ results: Record<string, { effect: number }> }} */ (
    /** @type {unknown} */ (CheckResponse.decode(message))
  );
  return results['read']?.effect === ALLOW && results['edit']?.effect === ALLOW;
}

const session = connect(`http://${settings.address}`, { settings: { initialWindowSize: WINDOW_BYTES } });
session.on('connect', () => session.setLocalWindowSize(WINDOW_BYTES * 4));
session.on('error', fail);

/** @param {number} inFlight */
function runStream(inFlight) {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/authz.v1.AuthzService/CheckStream',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  /** @type {Buffer[]} */
  let outbox = [];
  const flush = () => {
    const frames = outbox;
    outbox = [];
    if (meter.running && frames.length > 0) stream.write(Buffer.concat(frames));
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
      meter.settle(isAllowed(bytes.subarray(at + FRAME_HEADER_BYTES, end)));
      outbox.push(makeFrame());
      at = end;
    }
    rest = bytes.subarray(at);
    setImmediate(flush);
  });
  for (let sent = 0; sent < inFlight; sent++) outbox.push(makeFrame());
  flush();
}

for (let stream = 0; stream < settings.streams; stream++) {
  runStream(Math.max(1, Math.floor(settings.inFlight / settings.streams)));
}
report(await meter.measure(settings));

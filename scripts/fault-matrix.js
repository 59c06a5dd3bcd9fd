/** The faults that the client answers for, and how: rows that tests name in their titles (`row 7: …`). */

/** @typedef {{ fault: string, promise: string }} Row */

/** @type {Readonly<Record<number, Row>>} by row */
export const faultMatrix = {
  1: { fault: 'the server is killed under load', promise: 'what is unanswered is asked elsewhere, else UNAVAILABLE' },
  2: {
    fault: 'the server freezes, and thaws later',
    promise: 'noticed by the age of what is unanswered or by keepalive; asked again; late answers are dropped',
  },
  3: { fault: 'TCP is reset', promise: 'redialled at once, what is unanswered is asked again' },
  4: { fault: 'the connection is closed before headers', promise: 'asked again within the retry budget' },
  5: { fault: 'the network swallows everything', promise: 'as a frozen server' },
  6: { fault: 'TCP is accepted, but no SETTINGS come', promise: 'given up at the connect timeout; the next endpoint' },
  7: { fault: 'the TLS handshake stalls', promise: 'the same' },
  8: {
    fault: 'every server is down',
    promise: 'checks wait to their deadlines, then UNAVAILABLE; dials by backoff, no busy loop',
  },
  9: {
    fault: 'the server is slow',
    promise:
      'DEADLINE_EXCEEDED at the deadline; a unary call is cancelled on the wire; the late answer disturbs nobody',
  },
  10: { fault: 'the server opens no window', promise: 'held back; what exceeds the buffer is refused, `notSent`' },
  11: { fault: 'the application reads slowly', promise: 'the stream pauses; health does not suffer' },
  12: { fault: 'bytes come one at a time', promise: 'no visible effect' },
  13: { fault: 'GOAWAY, our call is within its last id', promise: 'old answers still count; new work goes elsewhere' },
  14: { fault: 'GOAWAY, our call is beyond its last id', promise: 'moved transparently: proven not processed' },
  15: { fault: 'GOAWAY on every connection', promise: 'moved, then backoff, then UNAVAILABLE' },
  16: {
    fault: 'GOAWAY ENHANCE_YOUR_CALM, too_many_pings',
    promise: 'half as many pings to that endpoint from then on',
  },
  17: { fault: 'REFUSED_STREAM before headers', promise: 'moved transparently, then UNAVAILABLE' },
  18: { fault: 'REFUSED_STREAM after headers', promise: 'UNAVAILABLE: nothing is proven' },
  19: {
    fault: 'RST_STREAM NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR',
    promise: 'INTERNAL; the stream is replaced, what is unanswered is asked again',
  },
  20: { fault: 'RST_STREAM CANCEL', promise: 'CANCELLED; past the deadline DEADLINE_EXCEEDED' },
  21: { fault: 'RST_STREAM ENHANCE_YOUR_CALM', promise: 'RESOURCE_EXHAUSTED; slows down' },
  22: {
    fault: 'RST_STREAM INADEQUATE_SECURITY',
    promise: 'an error PERMISSION_DENIED, which is no decision; never asked again',
  },
  23: {
    fault: 'the server allows one stream at a time, or none',
    promise: 'a bounded queue, another connection, or an error that names the limit',
  },
  24: { fault: 'an error in trailers only', promise: 'the code of the server; asked again if UNAVAILABLE' },
  25: { fault: 'no message, half a message, no trailers', promise: 'INTERNAL; what is unanswered is asked again' },
  26: { fault: 'two answers to a unary call', promise: 'an error at once, not at the deadline' },
  27: { fault: 'malformed protobuf', promise: 'INTERNAL for that check alone' },
  28: {
    fault: 'a message larger than the limit, either way',
    promise: 'RESOURCE_EXHAUSTED for that check alone; outbound `notSent`',
  },
  29: { fault: 'compression that was not agreed', promise: 'INTERNAL' },
  30: { fault: 'a grpc-status that is none', promise: 'UNKNOWN' },
  31: {
    fault: 'HTML, or an HTTP status instead of gRPC',
    promise: 'UNKNOWN, UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, by the status',
  },
  32: {
    fault: 'an error of the connection’s protocol',
    promise: 'the session is destroyed, what is unanswered is asked again',
  },
  33: { fault: 'two answers with one id', promise: 'the first wins; counted' },
  34: { fault: 'an answer nobody asked for', promise: 'dropped and counted; past a limit the stream is replaced' },
  35: { fault: 'answers out of order', promise: 'matched by id; in order where promised' },
  36: { fault: 'one answer missing', promise: 'DEADLINE_EXCEEDED for that check alone' },
  37: {
    fault: 'an answer for other actions, or with some missing',
    promise: 'only asked actions count; a missing one is UNSPECIFIED, never an ALLOW',
  },
  38: { fault: 'DNS changes, or names nothing', promise: 'the old drains; UNAVAILABLE only if none is left' },
  39: {
    fault: 'a certificate has expired, or is for another name',
    promise: 'UNAVAILABLE with the cause; never plaintext',
  },
  40: { fault: 'certificates are rotated', promise: 'new connections use the new one; nothing is lost' },
  41: { fault: 'the wall clock jumps', promise: 'no effect' },
  42: { fault: 'our own event loop stalls', promise: 'probed anew before failing over; a late answer is late' },
  43: { fault: 'health flaps', promise: 'hysteresis; bounded moves' },
  44: {
    fault: 'health and data path disagree',
    promise: 'data evidence ejects; the last endpoint goes only by an explicit NOT_SERVING',
  },
  45: { fault: 'the server has no health service', promise: 'its connection stands in' },
  46: {
    fault: 'a herd of clients comes back at once',
    promise: 'jittered dials; retries bounded by a fifth of the checks, and ten a second for each client',
  },
  47: { fault: 'the backup dies during failback', promise: 'one epoch; typed errors; no mixed routing' },
  48: { fault: 'memory is short', promise: 'bounded bytes; refusals before running out' },
  49: {
    fault: 'the application is terminated with work in flight',
    promise: 'finishes what it can in time, then cancels',
  },
  50: { fault: 'no file descriptor is left', promise: 'UNAVAILABLE; backoff, no spinning' },
};

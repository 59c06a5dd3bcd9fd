/** What is run, in the order of a round: rivals and ours by turns, so that a machine that slows down slows both. */

/**
 * @typedef {object} Workload
 * @property {string} name for `--only`
 * @property {'rival' | 'ours' | 'limit'} kind a limit is no client: it tells what server and wire can carry
 * @property {string} title
 * @property {string} script relative to `bench/`
 * @property {{ inFlight: number, streams: number, codec?: 'protobufjs' | 'none' }} settings
 * @property {boolean} inQuick whether `--quick` runs it
 * @property {number} [trials] per round, for one that repeats an event instead of filling a window
 * @property {number} [quickTrials]
 * @property {boolean} [withoutServer] it starts its own
 */

/** Unanswered at a time in the stream workloads, over all streams together. */
const STREAM_IN_FLIGHT = 512;

/** @type {readonly Workload[]} */
export const workloads = [
  {
    name: 'grpc-js-unary',
    kind: 'rival',
    title: 'grpc-js unary, 64 in flight',
    script: 'rivals/grpc-js-unary.js',
    settings: { inFlight: 64, streams: 1 },
    inQuick: true,
  },
  {
    name: 'check',
    kind: 'ours',
    title: 'check(), 64 in flight',
    script: 'ours/check.js',
    settings: { inFlight: 64, streams: 1 },
    inQuick: true,
  },
  {
    name: 'grpc-js-stream',
    kind: 'rival',
    title: 'grpc-js, 1 stream',
    script: 'rivals/grpc-js-stream.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 1 },
    inQuick: true,
  },
  {
    name: 'one-stream',
    kind: 'ours',
    title: 'send(), 1 stream',
    script: 'ours/one-stream.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 1 },
    inQuick: true,
  },
  {
    name: 'grpc-js-eight-streams',
    kind: 'rival',
    title: 'grpc-js, 8 streams',
    script: 'rivals/grpc-js-stream.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 8 },
    inQuick: true,
  },
  {
    name: 'eight-streams',
    kind: 'ours',
    title: 'send(), 8 streams',
    script: 'ours/eight-streams.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 8 },
    inQuick: true,
  },
  {
    name: 'http2-protobufjs',
    kind: 'rival',
    title: 'node:http2 + protobufjs, 8 streams',
    script: 'rivals/http2-stream.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 8, codec: 'protobufjs' },
    inQuick: true,
  },
  {
    name: 'check-wide',
    kind: 'ours',
    title: 'check(), 512 in flight',
    script: 'ours/check.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 1 },
    inQuick: false,
  },
  {
    name: 'grpc-js-unary-serial',
    kind: 'rival',
    title: 'grpc-js unary, one at a time',
    script: 'rivals/grpc-js-unary.js',
    settings: { inFlight: 1, streams: 1 },
    inQuick: false,
  },
  {
    name: 'check-serial',
    kind: 'ours',
    title: 'check(), one at a time',
    script: 'ours/check.js',
    settings: { inFlight: 1, streams: 1 },
    inQuick: false,
  },
  {
    name: 'wire',
    kind: 'limit',
    title: 'the wire alone, no codec',
    script: 'rivals/http2-stream.js',
    settings: { inFlight: STREAM_IN_FLIGHT, streams: 8, codec: 'none' },
    inQuick: false,
  },
  {
    name: 'stream-creation',
    kind: 'ours',
    title: 'stream creation',
    script: 'ours/stream-creation.js',
    settings: { inFlight: 1, streams: 1 },
    inQuick: true,
    trials: 500,
    quickTrials: 200,
  },
  {
    name: 'failover',
    kind: 'ours',
    title: 'primary SIGKILLed under load',
    script: 'ours/failover.js',
    settings: { inFlight: 64, streams: 1 },
    inQuick: true,
    trials: 5,
    quickTrials: 2,
    withoutServer: true,
  },
];

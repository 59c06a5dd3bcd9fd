/**
 * What is run against a server for a window of time. Workloads of one heat take turns, window by window, and so can be compared; between
 * heats minutes pass.
 */

/**
 * @typedef {object} Load
 * @property {number} inFlight checks unanswered at a time, over all streams together
 * @property {number} streams
 * @property {number} connections
 * @property {import('./work.js').Size} size
 * @property {'protobufjs' | 'none'} [codec]
 * @property {boolean} [inspected]
 * @property {'open' | 'closed'} [page] of the inspector
 */

/**
 * @typedef {object} Workload
 * @property {string} name for `--only`; no two have the same
 * @property {string} heat for `--only`, too
 * @property {'rival' | 'ours' | 'limit'} kind a limit is no client: it tells what server and wire can carry
 * @property {string} title
 * @property {string} client the title without the load
 * @property {string} script relative to `bench/`
 * @property {string} server relative to `bench/`
 * @property {Load} load
 * @property {boolean} inQuick whether `--quick` runs it
 */

/** @typedef {{ kind: Workload['kind'], title: string, script: string, hasStreams: boolean, codec?: 'none' }} Client */

/** @type {Readonly<Record<string, Client>>} */
const clients = {
  'grpc-js-unary': { kind: 'rival', title: 'grpc-js unary', script: 'rivals/grpc-js-unary.js', hasStreams: false },
  'nice-grpc-unary': {
    kind: 'rival',
    title: 'nice-grpc unary',
    script: 'rivals/nice-grpc-unary.js',
    hasStreams: false,
  },
  'connect-unary': { kind: 'rival', title: 'connect-node unary', script: 'rivals/connect-unary.js', hasStreams: false },
  'grpc-js-stream': { kind: 'rival', title: 'grpc-js stream', script: 'rivals/grpc-js-stream.js', hasStreams: true },
  'nice-grpc-stream': {
    kind: 'rival',
    title: 'nice-grpc stream',
    script: 'rivals/nice-grpc-stream.js',
    hasStreams: true,
  },
  'connect-stream': {
    kind: 'rival',
    title: 'connect-node stream',
    script: 'rivals/connect-stream.js',
    hasStreams: true,
  },
  http2: { kind: 'rival', title: 'node:http2 + protobufjs', script: 'rivals/http2-stream.js', hasStreams: true },
  wire: {
    kind: 'limit',
    title: 'the wire, no codec',
    script: 'rivals/http2-stream.js',
    hasStreams: true,
    codec: 'none',
  },
  check: { kind: 'ours', title: 'check()', script: 'ours/check.js', hasStreams: false },
  send: { kind: 'ours', title: 'send()', script: 'ours/send.js', hasStreams: true },
};

const FAST_SERVER = 'servers/fast-server.js';
const ENGINE = 'servers/engine-server.js';

/**
 * @param {string} heat
 * @param {keyof typeof clients} clientName
 * @param {{ inFlight: number, streams?: number, connections?: number, size?: 'large', onEngine?: true, inspected?: true, page?: 'open' | 'closed', inQuick?: true }} load
 * @returns {Workload}
 */
function workload(heat, clientName, load) {
  const client = /** @type {Client} */ (clients[clientName]);
  const { inFlight, streams = 1, connections = 1, size = 'small', onEngine = false, inspected = false, page } = load;
  const name = [
    clientName,
    client.hasStreams ? `s${streams}` : '',
    `f${inFlight}`,
    connections > 1 ? `c${connections}` : '',
    size === 'large' ? '2k' : '',
    inspected ? 'inspected' : '',
    page === undefined ? '' : `page-${page}`,
    onEngine ? 'engine' : '',
  ];
  const title = [
    client.title,
    client.hasStreams ? `${streams} ${streams === 1 ? 'stream' : 'streams'}` : '',
    inFlight === 1 ? 'one at a time' : `${inFlight.toLocaleString('en')} in flight`,
    connections > 1 ? `${connections} connections` : '',
    size === 'large' ? '2 KiB' : '',
    inspected ? 'inspected' : '',
    page === undefined ? '' : `inspector's page ${page}`,
    onEngine ? 'engine' : '',
  ];
  return {
    name: name.filter((part) => part !== '').join('-'),
    heat,
    kind: client.kind,
    client: client.title,
    title: title.filter((part) => part !== '').join(', '),
    script: client.script,
    server: onEngine ? ENGINE : FAST_SERVER,
    load: {
      inFlight,
      streams,
      connections,
      size,
      inspected,
      ...(page && { page }),
      ...(client.codec && { codec: client.codec }),
    },
    inQuick: load.inQuick ?? false,
  };
}

const inQuick = true;
const size = 'large';
const onEngine = true;

/** @type {readonly Workload[]} in the order of a round: rivals and ours by turns */
export const workloads = [
  workload('steady', 'grpc-js-unary', { inFlight: 64, inQuick }),
  workload('steady', 'check', { inFlight: 64, inQuick }),
  workload('steady', 'check', { inFlight: 64, inspected: true, inQuick }),
  workload('steady', 'check', { inFlight: 64, page: 'open' }),
  workload('steady', 'check', { inFlight: 64, page: 'closed' }),
  workload('steady', 'nice-grpc-unary', { inFlight: 64, inQuick }),
  workload('steady', 'grpc-js-stream', { inFlight: 512, streams: 1, inQuick }),
  workload('steady', 'send', { inFlight: 512, streams: 1, inQuick }),
  workload('steady', 'grpc-js-stream', { inFlight: 512, streams: 8, inQuick }),
  workload('steady', 'send', { inFlight: 512, streams: 8, inQuick }),
  workload('steady', 'http2', { inFlight: 512, streams: 8, inQuick }),
  workload('steady', 'check', { inFlight: 512, inQuick }),
  workload('steady', 'grpc-js-unary', { inFlight: 512, inQuick }),
  workload('steady', 'http2', { inFlight: 512, streams: 1, inQuick }),
  workload('steady', 'connect-unary', { inFlight: 64, inQuick }),
  workload('steady', 'grpc-js-unary', { inFlight: 1, inQuick }),
  workload('steady', 'check', { inFlight: 1, inQuick }),
  workload('steady', 'nice-grpc-stream', { inFlight: 512, streams: 8 }),
  workload('steady', 'connect-stream', { inFlight: 512, streams: 8 }),
  workload('steady', 'wire', { inFlight: 512, streams: 8 }),

  workload('one-at-a-time', 'grpc-js-stream', { inFlight: 1 }),
  workload('one-at-a-time', 'send', { inFlight: 1 }),
  workload('one-at-a-time', 'http2', { inFlight: 1 }),
  workload('one-at-a-time', 'connect-unary', { inFlight: 1 }),

  workload('in-flight', 'grpc-js-stream', { inFlight: 64, streams: 8 }),
  workload('in-flight', 'send', { inFlight: 64, streams: 8 }),
  workload('in-flight', 'http2', { inFlight: 64, streams: 8 }),
  workload('in-flight', 'grpc-js-unary', { inFlight: 4096 }),
  workload('in-flight', 'check', { inFlight: 4096 }),
  workload('in-flight', 'grpc-js-stream', { inFlight: 4096, streams: 8 }),
  workload('in-flight', 'send', { inFlight: 4096, streams: 8 }),
  workload('in-flight', 'http2', { inFlight: 4096, streams: 8 }),

  workload('size', 'grpc-js-unary', { inFlight: 64, size }),
  workload('size', 'check', { inFlight: 64, size }),
  workload('size', 'connect-unary', { inFlight: 64, size }),
  workload('size', 'nice-grpc-unary', { inFlight: 64, size }),
  workload('size', 'grpc-js-stream', { inFlight: 512, streams: 8, size }),
  workload('size', 'send', { inFlight: 512, streams: 8, size }),
  workload('size', 'http2', { inFlight: 512, streams: 8, size }),
  workload('size', 'check', { inFlight: 512, size }),

  workload('connections', 'grpc-js-stream', { inFlight: 512, streams: 8, connections: 2 }),
  workload('connections', 'check', { inFlight: 512, connections: 2 }),
  workload('connections', 'send', { inFlight: 512, streams: 8, connections: 2 }),
  workload('connections', 'check', { inFlight: 512, connections: 3 }),
  workload('connections', 'grpc-js-stream', { inFlight: 512, streams: 8, connections: 4 }),
  workload('connections', 'check', { inFlight: 512, connections: 4 }),
  workload('connections', 'send', { inFlight: 512, streams: 8, connections: 4 }),

  workload('engine', 'grpc-js-unary', { inFlight: 64, onEngine }),
  workload('engine', 'check', { inFlight: 64, onEngine }),
  workload('engine', 'grpc-js-stream', { inFlight: 512, streams: 8, onEngine }),
  workload('engine', 'send', { inFlight: 512, streams: 8, onEngine }),
  workload('engine', 'check', { inFlight: 512, onEngine }),
];

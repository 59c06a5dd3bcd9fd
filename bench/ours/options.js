/** The client's options for a workload: its defaults, but for what the workload varies. */

/**
 * @param {import('../lib/worker.js').Settings} settings
 * @returns {import('../../src/index.js').AuthzClientOptions}
 */
export function clientOptions({ address, connections, inspected, transport }) {
  return {
    address,
    ...(connections > 1 && { connectionPool: { minConnections: connections, maxConnections: connections } }),
    // An inspector that does nothing: what is measured is having one.
    ...(inspected && { inspect: () => undefined }),
    ...transportOption(transport),
  };
}

/**
 * @param {string | undefined} name
 * @returns {{ transport?: import('../../src/index.js').TransportOption }} nothing where the client's default is meant
 */
export function transportOption(name) {
  // Which names there are is for the built package to say: it refuses those it does not know.
  return name === undefined ? {} : { transport: /** @type {import('../../src/index.js').TransportOption} */ (name) };
}

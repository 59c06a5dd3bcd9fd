/** grpc-js with proto-loader, set up the way their guides do. */
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Answer
 * @property {string} requestId
 * @property {Record<string, { effect: string }>} results
 */

/**
 * @typedef {import('@grpc/grpc-js').Client & {
 *   check(request: object, done: (error: Error | null, answer?: Answer) => void): void,
 *   checkStream(): import('@grpc/grpc-js').ClientDuplexStream<object, Answer>,
 * }} AuthzServiceClient
 */

/**
 * @param {string} address
 * @param {import('@grpc/grpc-js').ChannelOptions} [options]
 * @returns {AuthzServiceClient}
 */
export function createService(address, options = {}) {
  const definition = loadSync('authz/v1/authz.proto', {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const loaded = /** @type {{ authz: { v1: { AuthzService: new (...args: unknown[]) => AuthzServiceClient } } }} */ (
    /** @type {unknown} */ (loadPackageDefinition(definition))
  );
  return new loaded.authz.v1.AuthzService(address, credentials.createInsecure(), options);
}

/**
 * @param {string} address
 * @param {number} count
 * @returns {AuthzServiceClient[]} each on a connection of its own: clients to one address would otherwise share one
 */
export function createServices(address, count) {
  return Array.from({ length: count }, () => createService(address, { 'grpc.use_local_subchannel_pool': 1 }));
}

/**
 * @param {Answer} answer
 * @returns {boolean}
 */
export function isAllowed(answer) {
  return answer.results['read']?.effect === 'EFFECT_ALLOW' && answer.results['edit']?.effect === 'EFFECT_ALLOW';
}

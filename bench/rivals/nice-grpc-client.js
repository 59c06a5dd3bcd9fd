/** nice-grpc with a service definition in the shape that ts-proto generates. */
import { createChannel, createClient } from 'nice-grpc';
import { loadMessages } from './messages.js';

/**
 * @param {string} address
 * @returns {Promise<{
 *   check(request: object): Promise<import('./messages.js').Answer>,
 *   checkStream(requests: AsyncIterable<object>): AsyncIterable<import('./messages.js').Answer>,
 * }>}
 */
export async function createNiceGrpcClient(address) {
  const messages = await loadMessages();
  const codec = (/** @type {string} */ name) => {
    const type = messages.lookupType(name);
    return {
      encode: (/** @type {object} */ message) => type.encode(message),
      decode: (/** @type {Uint8Array} */ bytes) => type.decode(bytes),
    };
  };
  const types = {
    requestType: codec('authz.v1.CheckRequest'),
    responseType: codec('authz.v1.CheckResponse'),
    options: {},
  };
  const definition = {
    name: 'AuthzService',
    fullName: 'authz.v1.AuthzService',
    methods: {
      check: { name: 'Check', requestStream: false, responseStream: false, ...types },
      checkStream: { name: 'CheckStream', requestStream: true, responseStream: true, ...types },
    },
  };
  return /** @type {any} */ (createClient(definition, createChannel(address)));
}

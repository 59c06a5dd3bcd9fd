/** The messages of authz.v1 by protobufjs, whose generated code is what ts-proto's and others' amounts to. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const ALLOW = 1;

const root = new protobuf.Root();
root.resolvePath = (/** @type {string} */ _origin, /** @type {string} */ target) =>
  fileURLToPath(new URL(`../../proto/${target}`, import.meta.url));

/** @returns {Promise<protobuf.Root>} */
export function loadMessages() {
  return root.load('authz/v1/authz.proto');
}

/** @typedef {{ requestId: string, results: Record<string, { effect: number }> }} Answer */

/**
 * @param {Answer} answer
 * @returns {boolean}
 */
export function isAllowed({ results }) {
  return results['read']?.effect === ALLOW && results['edit']?.effect === ALLOW;
}

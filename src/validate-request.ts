/**
 * Validates a request once, at the door. Written by hand: this is the hot path, where a schema library costs more than the rest of a
 * check together. Nothing is allocated unless a rule is broken.
 */

import { ConfigurationError } from './errors.js';
import type { CheckInput, CheckRequest } from './types.js';

/** The most actions one check may ask for. */
export const MAX_ACTIONS = 256;

/** The longest request id, in UTF-16 units. */
export const MAX_REQUEST_ID_LENGTH = 256;

/** Request ids are logged and audited by others: a line break or an escape sequence in one forges log lines. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A broken rule: where, below the request, and which. */
interface Fault {
  readonly path: string;
  readonly reason: string;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Checks the shape of a request: `principal.id` and `resource.kind` not empty, roles and actions arrays of strings, 1 to 256 actions,
 * `requestId` 1 to 256 characters without control characters, attributes and context plain objects. Their values are checked by the
 * codec while it encodes them.
 * @param root what error paths begin with: `request`, or `requests[3]` in a batch
 * @throws ConfigurationError naming the path and the rule, with the request's id where it has one
 */
export function validateRequest(input: unknown, requireRequestId: true, root?: string): asserts input is CheckRequest;
export function validateRequest(input: unknown, requireRequestId: boolean, root?: string): asserts input is CheckInput;
export function validateRequest(input: unknown, requireRequestId: boolean, root = 'request'): void {
  if (!isObject(input)) throw new ConfigurationError(root, got('must be an object', input));
  const fault =
    requestIdFault(input['requestId'], requireRequestId) ??
    principalFault(input['principal']) ??
    resourceFault(input['resource']) ??
    actionsFault(input['actions']) ??
    plainObjectFault('context', input['context']) ??
    includeMetadataFault(input['includeMetadata']);
  if (fault === undefined) return;
  const requestId = input['requestId'];
  throw new ConfigurationError(`${root}.${fault.path}`, fault.reason, {
    // Whoever reads the error looks the request up by this, so it is told even when it is the fault; but bounded.
    requestId: typeof requestId === 'string' ? requestId.slice(0, MAX_REQUEST_ID_LENGTH) : undefined,
  });
}

function requestIdFault(value: unknown, required: boolean): Fault | undefined {
  if (value === undefined && !required) return undefined;
  const fault = textFault('requestId', value, 1);
  if (fault !== undefined) return fault;
  const text = value as string;
  if (text.length > MAX_REQUEST_ID_LENGTH) {
    return { path: 'requestId', reason: `must have at most ${MAX_REQUEST_ID_LENGTH} characters, has ${text.length}` };
  }
  return CONTROL.test(text) ? { path: 'requestId', reason: 'must not contain control characters' } : undefined;
}

function principalFault(value: unknown): Fault | undefined {
  if (!isObject(value)) return { path: 'principal', reason: got('must be an object', value) };
  return (
    textFault('principal.id', value['id'], 1) ??
    textsFault('principal.roles', value['roles'], 0) ??
    (value['type'] === undefined ? undefined : textFault('principal.type', value['type'], 0)) ??
    plainObjectFault('principal.attributes', value['attributes'])
  );
}

function resourceFault(value: unknown): Fault | undefined {
  if (!isObject(value)) return { path: 'resource', reason: got('must be an object', value) };
  return (
    textFault('resource.kind', value['kind'], 1) ??
    textFault('resource.id', value['id'], 0) ??
    plainObjectFault('resource.attributes', value['attributes'])
  );
}

function actionsFault(value: unknown): Fault | undefined {
  if (!Array.isArray(value)) return { path: 'actions', reason: got('must be an array of strings', value) };
  // No action is no question, and "every asked action is allowed" would hold of it: refused before anyone can ask that.
  if (value.length === 0) return { path: 'actions', reason: 'must name at least one action' };
  if (value.length > MAX_ACTIONS) {
    return { path: 'actions', reason: `must name at most ${MAX_ACTIONS} actions, names ${value.length}` };
  }
  return textsFault('actions', value, 1);
}

function includeMetadataFault(value: unknown): Fault | undefined {
  if (value === undefined || typeof value === 'boolean') return undefined;
  return { path: 'includeMetadata', reason: got('must be true or false', value) };
}

function textsFault(path: string, value: unknown, minLength: number): Fault | undefined {
  if (!Array.isArray(value)) return { path, reason: got('must be an array of strings', value) };
  for (let index = 0; index < value.length; index++) {
    // By index: `for of` skips no holes either, but allocates an iterator.
    const item: unknown = value[index];
    if (isText(item, minLength)) continue;
    return textFault(`${path}[${index}]`, item, minLength);
  }
  return undefined;
}

function textFault(path: string, value: unknown, minLength: number): Fault | undefined {
  if (isText(value, minLength)) return undefined;
  if (typeof value !== 'string') {
    return { path, reason: got(minLength > 0 ? 'must be a non-empty string' : 'must be a string', value) };
  }
  if (value.length < minLength) return { path, reason: 'must not be empty' };
  return { path, reason: 'must be well-formed Unicode, has half a surrogate pair' };
}

function isText(value: unknown, minLength: number): value is string {
  return typeof value === 'string' && value.length >= minLength && isWellFormed(value);
}

/** Protobuf strings are UTF-8, and encoders put U+FFFD for half a surrogate pair: two different ids would become one on the wire. */
function isWellFormed(text: string): boolean {
  // In Node 20, but not yet in the ES2023 typings.
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}

function plainObjectFault(path: string, value: unknown): Fault | undefined {
  if (value === undefined || (isObject(value) && isPlain(value))) return undefined;
  return { path, reason: got('must be a plain object', value) };
}

/**
 * An object literal, a null-prototype object or one of another realm: its prototype is a root. Maps, dates and class instances are not:
 * what they hold is not in their own keys and would be left out of the question without a word.
 */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The rule and the type of what was given. Never the value: a request carries personal data. */
function got(rule: string, value: unknown): string {
  if (value === undefined) return `${rule}, but is missing`;
  if (value === null) return `${rule}, got null`;
  if (Array.isArray(value)) return `${rule}, got an array`;
  if (typeof value !== 'object') return `${rule}, got a ${typeof value}`;
  return `${rule}, got ${isPlain(value) ? 'an object' : 'an instance of a class'}`;
}

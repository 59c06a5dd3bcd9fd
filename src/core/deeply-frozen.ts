/** Whether data can never change again. */

import { types } from 'node:util';
import { MAX_JSON_DEPTH } from './json.js';

/** What was found to be frozen once stays so, and is not looked through again. */
const known = new WeakSet();

/**
 * True for plain data that is frozen all the way down: objects without a class and arrays without gaps, of strings, numbers, booleans, null
 * and undefined. False for whatever might give another value when it is read again: anything not frozen, getters, proxies, instances of
 * classes, functions; and for what is nested deeper than attributes may be, or holds itself.
 */
export function isDeeplyFrozen(value: unknown, depth = 0): boolean {
  if (typeof value === 'function') return false;
  if (typeof value !== 'object' || value === null || known.has(value)) return true;
  if (!Object.isFrozen(value) || depth > MAX_JSON_DEPTH || !isPlain(value)) return false;
  for (const key of Object.keys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (property === undefined || !('value' in property) || !isDeeplyFrozen(property.value, depth + 1)) return false;
  }
  known.add(value);
  return true;
}

function isPlain(value: object): boolean {
  if (types.isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value)) return prototype === Object.prototype || prototype === null;
  return prototype === Array.prototype && Object.keys(value).length === value.length;
}

/** Whether data can never change again. */

import { types } from 'node:util';
import { MAX_JSON_DEPTH } from './json.js';

/**
 * True for plain data that is frozen all the way down: objects without a class and arrays without gaps, of strings, numbers, booleans, null
 * and undefined. False for whatever might give another value when it is read again: anything not frozen, getters, proxies, instances of
 * classes, functions, whatever has a `toJSON`; and for what is nested deeper than attributes may be, or holds itself. Properties that
 * `Object.keys` leaves out count as well. Runs no code of the caller's.
 */
export function isDeeplyFrozen(value: unknown, depth = 0): boolean {
  if (typeof value === 'function') return false;
  if (typeof value !== 'object' || value === null) return true;
  if (!isFrozen(value) || depth > MAX_JSON_DEPTH) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype || 'toJSON' in value) return false;
    // By index: a gap has no property of its own, and is read from the prototype.
    for (let index = 0; index < value.length; index += 1) if (!isFixed(value, index, depth)) return false;
    return true;
  }
  if ((prototype !== Object.prototype && prototype !== null) || 'toJSON' in value) return false;
  return Object.getOwnPropertyNames(value).every((name) => isFixed(value, name, depth));
}

/** Whether it is frozen itself, whatever it holds. False for a proxy, which could say what it likes, and is not asked. */
export function isFrozen(value: object): boolean {
  return !types.isProxy(value) && Object.isFrozen(value);
}

function isFixed(value: object, key: string | number, depth: number): boolean {
  const property = Object.getOwnPropertyDescriptor(value, key);
  return property !== undefined && 'value' in property && isDeeplyFrozen(property.value, depth + 1);
}

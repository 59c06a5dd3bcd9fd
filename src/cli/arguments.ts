/** What options take: text from the shell to values, or the rule that it breaks. */

import { InvalidArgumentError } from 'commander';
import { AuthzClientError } from '../errors.js';
import { ADDRESS_FORMS, parseAddress } from '../core/address.js';
import type { Attributes, Resource } from '../types.js';

/** Node's timers fire at once beyond this. */
const MAX_MS = 2 ** 31 - 1;

/** A parser of whole numbers within bounds, both included. */
export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    // `Number` would take '', '0x10' and '1e3' too.
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`must be a whole number from ${minimum} to ${maximum}`);
  };
}

/** Milliseconds, at least `minimum`. */
export function milliseconds(minimum: number): (text: string) => number {
  return wholeNumber(minimum, MAX_MS);
}

export function address(text: string): string {
  try {
    return parseAddress(text).text;
  } catch (error) {
    if (!(error instanceof AuthzClientError)) throw error;
    const reason = error.message.replace(/^address: /, '').replace(`${JSON.stringify(text)} `, '');
    throw new InvalidArgumentError(`${reason.replace(`; ${ADDRESS_FORMS}`, '')} (${ADDRESS_FORMS})`);
  }
}

/** For an option that may be given several times. */
export function collect<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  return (text, before) => [...(before ?? []), parse(text)];
}

export function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('must not be empty');
  return text;
}

/** `admin,editor`; may be given several times too. */
export function roles(text: string, before: readonly string[] | undefined): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('must be roles with commas between them');
  return [...(before ?? []), ...names];
}

/** `document:42`; the id may hold colons. */
export function resource(text: string): Resource {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw new InvalidArgumentError('must be kind:id, as in document:42');
  }
  return { kind: text.slice(0, colon), id: text.slice(colon + 1) };
}

export interface AttributeSets {
  readonly principal: Attributes;
  readonly resource: Attributes;
}

const RESOURCE_PREFIX = 'resource.';

/** `k=v` is the principal's, `resource.k=v` the resource's. The value is read as JSON when it is JSON, else it is a string. */
export function attribute(text: string, before: AttributeSets | undefined): AttributeSets {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(equals, 0));
  const isOfResource = name.startsWith(RESOURCE_PREFIX);
  const key = isOfResource ? name.slice(RESOURCE_PREFIX.length) : name;
  if (key === '') throw new InvalidArgumentError('must be name=value, or resource.name=value');
  // Null prototypes: the names come from outside, and `__proto__` is one.
  const sets = before ?? { principal: Object.create(null) as Attributes, resource: Object.create(null) as Attributes };
  (isOfResource ? sets.resource : sets.principal)[key] = jsonOrText(text.slice(equals + 1));
  return sets;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

export function jsonObject(text: string): Attributes {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('must be a JSON object');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError('must be a JSON object');
  }
  return value as Attributes;
}

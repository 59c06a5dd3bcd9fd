/** Names a question, so that an answer may be shared by those who ask the very same one. */

import type { JsonSink } from '../core/json.js';
import { JsonWalk } from '../core/json.js';
import type { Attributes, CheckRequest } from '../types.js';

/** What makes a question; the request's id only correlates. */
export type Question = Pick<CheckRequest, 'principal' | 'resource' | 'actions' | 'context' | 'includeMetadata'>;

/** A text that tells where it ends: no separator to forge. */
function text(value: string): string {
  return `${value.length}:${value}`;
}

/** Every value starts with a letter or bracket of its kind and tells where it ends, so that the whole reads in one way only. */
class KeySink implements JsonSink {
  key = '';

  null(): void {
    this.key += 'z';
  }

  boolean(value: boolean): void {
    this.key += value ? 't' : 'f';
  }

  number(value: number): void {
    // -0 is another number on the wire.
    this.key += Object.is(value, -0) ? 'n-0;' : `n${value};`;
  }

  string(value: string): boolean {
    this.key += `s${text(value)}`;
    return true;
  }

  object(): void {
    this.key += '{';
  }

  objectEnd(): void {
    this.key += '}';
  }

  array(): void {
    this.key += '[';
  }

  arrayEnd(): void {
    this.key += ']';
  }

  member(key: string): boolean {
    this.key += text(key);
    return true;
  }

  memberEnd(): void {
    // The value has told where it ends.
  }

  element(): void {
    // The value tells what it is.
  }

  elementEnd(): void {
    // As memberEnd.
  }
}

function attributesKey(attributes: Attributes | undefined, path: string): string {
  if (attributes === undefined) return '-';
  const sink = new KeySink();
  new JsonWalk(sink, path, true).root(attributes);
  return `{${sink.key}}`;
}

function isStrictlySorted(values: readonly string[]): boolean {
  let previous: string | undefined;
  for (const value of values) {
    if (previous !== undefined && previous >= value) return false;
    previous = value;
  }
  return true;
}

function listKey(values: readonly string[]): string {
  let key = `${values.length}[`;
  for (const value of values) key += text(value);
  return key;
}

/** The answer is a map: neither the order nor the repetition of actions changes it. */
function actionsKey(actions: readonly string[]): string {
  return listKey(isStrictlySorted(actions) ? actions : [...new Set(actions)].sort());
}

/**
 * A canonical, length-prefixed encoding of the question: equal questions give equal keys, different ones different keys. The order of an
 * object's keys, and the order and repetition of actions do not count; the order of roles does (a policy may read the list). Throws
 * ConfigurationError for attributes that could not be sent either.
 */
export function decisionKey(question: Question): string {
  const { principal, resource } = question;
  let key = `${text(principal.id)}${listKey(principal.roles)}${principal.type === undefined ? '-' : `t${text(principal.type)}`}`;
  key += attributesKey(principal.attributes, 'principal.attributes');
  key += `${text(resource.kind)}${text(resource.id)}${attributesKey(resource.attributes, 'resource.attributes')}`;
  key += `${actionsKey(question.actions)}${attributesKey(question.context, 'context')}`;
  // The answer has metadata or has not.
  return question.includeMetadata === true ? `${key}m` : key;
}

/** A question without attributes or context, as it was asked: compared field by field, for less than its key costs. */
export type PlainQuestion = Omit<Question, 'context'>;

/** A copy that the caller cannot change; undefined for one that has attributes or context. */
export function plainQuestion({
  principal,
  resource,
  actions,
  context,
  includeMetadata,
}: Question): PlainQuestion | undefined {
  if (principal.attributes !== undefined || resource.attributes !== undefined || context !== undefined)
    return undefined;
  return {
    principal: { ...principal, roles: [...principal.roles] },
    resource: { ...resource },
    actions: [...actions],
    includeMetadata: includeMetadata === true,
  };
}

/** True: they have the same {@link decisionKey}. False says nothing. */
export function isAskedAlike(plain: PlainQuestion, question: Question): boolean {
  const { principal, resource } = question;
  return (
    principal.id === plain.principal.id &&
    resource.id === plain.resource.id &&
    resource.kind === plain.resource.kind &&
    principal.type === plain.principal.type &&
    principal.attributes === undefined &&
    resource.attributes === undefined &&
    question.context === undefined &&
    (question.includeMetadata === true) === plain.includeMetadata &&
    areEqual(principal.roles, plain.principal.roles) &&
    areEqual(question.actions, plain.actions)
  );
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/**
 * One reading of "JSON values" for everyone who turns attributes into something else (the wire, a cache key): what JSON.stringify would
 * lose or choke on in silence is refused here with its exact path.
 */

import { ConfigurationError } from '../errors.js';

/** Objects and arrays in each other, the outermost included. */
export const MAX_JSON_DEPTH = 64;

/** What the walk tells of a value, in order. A member or an element encloses exactly one value. */
export interface JsonSink {
  null(): void;
  boolean(value: boolean): void;
  /** Always finite. */
  number(value: number): void;
  /** False refuses the text as one that is not well-formed Unicode. */
  string(value: string): boolean;
  object(): void;
  objectEnd(): void;
  array(): void;
  arrayEnd(): void;
  /** False as with {@link string}. */
  member(key: string): boolean;
  memberEnd(): void;
  element(): void;
  elementEnd(): void;
}

const ILL_FORMED = 'must be well-formed Unicode (it holds half of a surrogate pair)';
const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

function isBoxed(value: unknown): value is { valueOf(): unknown } {
  return value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt;
}

/** One walk over one root object. Made anew each time: a `toJSON` may start another walk in the middle of this one. */
export class JsonWalk {
  readonly #sink: JsonSink;
  readonly #rootPath: string;
  readonly #sortKeys: boolean;
  /** Where the walk is: a key or an index for each level. */
  readonly #segments: (string | number)[] = [];
  readonly #ancestors: object[] = [];
  #failure: ConfigurationError | undefined;

  constructor(sink: JsonSink, rootPath: string, sortKeys: boolean) {
    this.#sink = sink;
    this.#rootPath = rootPath;
    this.#sortKeys = sortKeys;
  }

  /**
   * Tells the sink the members of `root`, without an `object` around them. With `extraKey`, one more string member unless the root has
   * it. Throws ConfigurationError for what cannot be sent.
   */
  root(root: unknown, extraKey?: string, extraValue?: string): void {
    try {
      const value = this.#resolve(root, '');
      if (typeof value !== 'object' || value === null || Array.isArray(value)) this.#fail('must be an object');
      this.#enter(value);
      this.#members(value as Record<string, unknown>, extraKey, extraValue);
    } catch (error) {
      // A getter, a proxy or a toJSON threw; where the walk stands says which.
      if (error !== this.#failure) this.#fail('could not be read', error);
      throw error;
    }
  }

  /** Unwraps as JSON.stringify does. `undefined` stays: members that have it are left out, elements that have it are null. */
  #resolve(value: unknown, key: string): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const { toJSON } = value as { readonly toJSON?: unknown };
    const resolved: unknown = typeof toJSON === 'function' ? Reflect.apply(toJSON, value, [key]) : value;
    return isBoxed(resolved) ? resolved.valueOf() : resolved;
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        if (!this.#sink.string(value)) this.#fail(ILL_FORMED);
        return;
      case 'number':
        if (!Number.isFinite(value)) this.#fail(`must be a finite number, got ${value}`);
        this.#sink.number(value);
        return;
      case 'boolean':
        this.#sink.boolean(value);
        return;
      case 'undefined':
        this.#sink.null();
        return;
      case 'object':
        if (value === null) this.#sink.null();
        else this.#container(value);
        return;
      default:
        this.#fail(`must be a JSON value, got a ${typeof value}`);
    }
  }

  #container(value: object): void {
    this.#enter(value);
    if (Array.isArray(value)) {
      this.#sink.array();
      this.#elements(value);
      this.#sink.arrayEnd();
    } else {
      this.#sink.object();
      this.#members(value as Record<string, unknown>);
      this.#sink.objectEnd();
    }
    this.#ancestors.pop();
  }

  #enter(container: object): void {
    if (this.#ancestors.includes(container)) this.#fail('must not contain itself');
    if (this.#ancestors.length >= MAX_JSON_DEPTH) this.#fail(`must not be nested deeper than ${MAX_JSON_DEPTH} levels`);
    // JSON.stringify makes `{}` of these, which would ask another question than the one meant.
    if (container instanceof Map || container instanceof Set) {
      this.#fail('must be a JSON value, got a Map or Set; use a plain object or an array');
    }
    this.#ancestors.push(container);
  }

  #members(object: Readonly<Record<string, unknown>>, extraKey?: string, extraValue?: string): void {
    const keys = Object.keys(object);
    const isExtraOwn = extraKey === undefined || keys.includes(extraKey);
    if (!isExtraOwn) keys.push(extraKey);
    if (this.#sortKeys && keys.length > 1) keys.sort();
    const depth = this.#segments.length;
    for (const key of keys) {
      this.#segments[depth] = key;
      let value = key === extraKey && !isExtraOwn ? undefined : this.#resolve(object[key], key);
      if (value === undefined && key === extraKey) value = extraValue;
      // Given as undefined is not given.
      if (value === undefined) continue;
      if (!this.#sink.member(key)) this.#fail(ILL_FORMED);
      this.#value(value);
      this.#sink.memberEnd();
    }
    this.#segments.length = depth;
  }

  #elements(array: readonly unknown[]): void {
    const depth = this.#segments.length;
    for (let index = 0; index < array.length; index += 1) {
      this.#segments[depth] = index;
      this.#sink.element();
      this.#value(this.#resolve(array[index], String(index)));
      this.#sink.elementEnd();
    }
    this.#segments.length = depth;
  }

  #fail(reason: string, cause?: unknown): never {
    let path = this.#rootPath;
    for (const segment of this.#segments) {
      if (typeof segment === 'number') path += `[${segment}]`;
      else path += IDENTIFIER.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
    }
    this.#failure = new ConfigurationError(path, reason, { cause });
    throw this.#failure;
  }
}

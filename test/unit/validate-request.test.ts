import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors.js';
import { MAX_ACTIONS, MAX_REQUEST_ID_LENGTH, validateRequest } from '../../src/validate-request.js';

type Loose = Record<string, unknown>;

/** A valid request with one field set, `undefined` deleting it. Paths are dotted. */
function withField(path: string, value: unknown): Loose {
  const request: Loose = {
    requestId: 'r-1',
    principal: { id: 'user:1', roles: ['editor'], attributes: { team: 'a' } },
    resource: { kind: 'document', id: 'd-1', attributes: {} },
    actions: ['read', 'write'],
    context: { ip: '10.0.0.1' },
  };
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let holder = request;
  for (const key of keys) holder = holder[key] as Loose;
  if (value === undefined) Reflect.deleteProperty(holder, last);
  else holder[last] = value;
  return request;
}

function refusal(input: unknown, requireRequestId = false, root?: string): ConfigurationError {
  try {
    validateRequest(input, requireRequestId, root);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

class Person {
  readonly name = 'x';
}

const LONE_SURROGATE = 'a\ud800';

const REFUSED: readonly (readonly [field: string, value: unknown, path: string, reason: RegExp])[] = [
  ['requestId', '', 'requestId', /must not be empty/],
  ['requestId', 7, 'requestId', /non-empty string, got a number/],
  ['requestId', null, 'requestId', /got null/],
  ['requestId', 'x'.repeat(MAX_REQUEST_ID_LENGTH + 1), 'requestId', /at most 256 characters, has 257/],
  ['requestId', 'a\nb', 'requestId', /control characters/],
  ['requestId', 'a\u007f', 'requestId', /control characters/],
  ['requestId', 'a\u0085', 'requestId', /control characters/],
  ['requestId', LONE_SURROGATE, 'requestId', /surrogate/],
  ['principal', undefined, 'principal', /must be an object, but is missing/],
  ['principal', 'user:1', 'principal', /must be an object, got a string/],
  ['principal', [], 'principal', /must be an object, got an array/],
  ['principal.id', undefined, 'principal.id', /is missing/],
  ['principal.id', '', 'principal.id', /must not be empty/],
  ['principal.id', 1, 'principal.id', /got a number/],
  ['principal.id', {}, 'principal.id', /got an object/],
  ['principal.id', LONE_SURROGATE, 'principal.id', /surrogate/],
  ['principal.roles', undefined, 'principal.roles', /array of strings, but is missing/],
  ['principal.roles', 'admin', 'principal.roles', /array of strings, got a string/],
  ['principal.roles', ['a', 1], 'principal.roles[1]', /must be a string, got a number/],
  ['principal.roles', new Array(1), 'principal.roles[0]', /is missing/],
  ['principal.type', 1, 'principal.type', /must be a string/],
  ['principal.attributes', [], 'principal.attributes', /plain object, got an array/],
  ['principal.attributes', new Map(), 'principal.attributes', /plain object, got an instance of a class/],
  ['principal.attributes', null, 'principal.attributes', /plain object, got null/],
  ['resource', undefined, 'resource', /is missing/],
  ['resource.kind', '', 'resource.kind', /must not be empty/],
  ['resource.kind', undefined, 'resource.kind', /is missing/],
  ['resource.id', undefined, 'resource.id', /must be a string, but is missing/],
  ['resource.id', 5, 'resource.id', /must be a string, got a number/],
  ['resource.attributes', new Person(), 'resource.attributes', /got an instance of a class/],
  ['actions', undefined, 'actions', /array of strings, but is missing/],
  ['actions', 'read', 'actions', /array of strings, got a string/],
  ['actions', new Set(['read']), 'actions', /array of strings/],
  ['actions', [], 'actions', /at least one action/],
  ['actions', Array.from({ length: MAX_ACTIONS + 1 }, String), 'actions', /at most 256 actions, names 257/],
  ['actions', ['read', ''], 'actions[1]', /must not be empty/],
  ['actions', [null], 'actions[0]', /got null/],
  ['actions', [LONE_SURROGATE], 'actions[0]', /surrogate/],
  ['context', 'x', 'context', /plain object, got a string/],
  ['context', new Date(0), 'context', /got an instance of a class/],
  ['context', () => undefined, 'context', /got a function/],
  ['includeMetadata', 'yes', 'includeMetadata', /true or false, got a string/],
];

const ACCEPTED: readonly (readonly [why: string, field: string, value: unknown])[] = [
  ['as it is', 'requestId', 'r-1'],
  ['a request id of full length', 'requestId', 'x'.repeat(MAX_REQUEST_ID_LENGTH)],
  ['a request id with an emoji', 'requestId', 'r-\u{1f600}'],
  ['no roles', 'principal.roles', []],
  ['a type', 'principal.type', 'service'],
  ['no attributes', 'principal.attributes', undefined],
  ['a null-prototype object', 'context', Object.create(null)],
  ['an object of another realm', 'context', runInNewContext('({a: 1})')],
  ['an empty resource id', 'resource.id', ''],
  ['the most actions', 'actions', Array.from({ length: MAX_ACTIONS }, String)],
  ['no context', 'context', undefined],
  ['includeMetadata', 'includeMetadata', true],
];

describe('validateRequest', () => {
  it.each(REFUSED)('refuses %s = %j at request.%s', (field, value, path, reason) => {
    const error = refusal(withField(field, value));
    expect(error.path).toBe(`request.${path}`);
    expect(error.message).toMatch(reason);
    expect(error.outcome).toBe('notSent');
  });

  it.each(ACCEPTED)('accepts %s', (_why, field, value) => {
    expect(() => validateRequest(withField(field, value), true)).not.toThrow();
  });

  it.each([undefined, null, 'request', 7, []])('refuses %j instead of a request', (input) => {
    expect(refusal(input).path).toBe('request');
  });

  it('a missing request id is refused only where one is required', () => {
    const request = withField('requestId', undefined);
    expect(() => validateRequest(request, false)).not.toThrow();
    expect(refusal(request, true).path).toBe('request.requestId');
  });

  it('the error carries the id of the request it refuses, cut to its limit', () => {
    expect(refusal(withField('actions', [])).requestId).toBe('r-1');
    expect(refusal(withField('requestId', 'x'.repeat(1_000))).requestId).toHaveLength(MAX_REQUEST_ID_LENGTH);
    expect(refusal({ actions: [] }).requestId).toBeUndefined();
  });

  it('an error in a batch names the place of the request', () => {
    expect(refusal(withField('principal.id', ''), false, 'requests[3]').path).toBe('requests[3].principal.id');
  });

  it('errors never show a value', () => {
    const error = refusal(withField('principal.attributes', 'canary-4711'));
    expect(error.message).not.toContain('canary-4711');
  });

  it('whatever is given, it either accepts or throws ConfigurationError', () => {
    fc.assert(
      fc.property(
        fc.anything({ withMap: true, withSet: true, withNullPrototype: true }),
        fc.constantFrom(...REFUSED),
        (value, [field]) => {
          const request = withField(field, value);
          try {
            validateRequest(request, false);
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigurationError);
          }
        },
      ),
    );
  });
});

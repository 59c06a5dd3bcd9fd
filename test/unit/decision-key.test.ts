import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Question } from '../../src/data/decision-key.js';
import { decisionKey, isAskedAlike, plainQuestion } from '../../src/data/decision-key.js';
import { ConfigurationError } from '../../src/errors.js';

/** Few and alike, so that equal questions and near misses come up often. */
const word = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('', 'a', 'b', 'ab', '1', '1:', ':', '1:a', '-', '{', '}', 't', '__proto__', 'null'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
);
const scalar = fc.oneof(
  word,
  fc.constantFrom(0, -0, 1, -1, 10, 1.5, 1e21, Number.MIN_VALUE),
  fc.boolean(),
  fc.constantFrom(null, undefined),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    { weight: 3, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.dictionary(word, tie('value'), { maxKeys: 2, noNullPrototype: true }) },
  ),
}));
const attributes = fc.dictionary(word, value, { maxKeys: 2, noNullPrototype: true });
const words = fc.array(word, { maxLength: 3 });
const principal = { id: word, roles: words, type: word };
const resource = { kind: word, id: word };
const rest = { actions: words, includeMetadata: fc.boolean() };
const asMade = { noNullPrototype: true } as const;
const question: fc.Arbitrary<Question> = fc
  .record(
    {
      principal: fc.record({ ...principal, attributes }, { requiredKeys: ['id', 'roles'], ...asMade }),
      resource: fc.record({ ...resource, attributes }, { requiredKeys: ['kind', 'id'], ...asMade }),
      ...rest,
      context: attributes,
    },
    { requiredKeys: ['principal', 'resource', 'actions'], ...asMade },
  )
  .map((fields) => fields as Question);
const plainlyAsked: fc.Arbitrary<Question> = fc
  .record(
    {
      principal: fc.record(principal, { requiredKeys: ['id', 'roles'], ...asMade }),
      resource: fc.record(resource, asMade),
      ...rest,
    },
    { requiredKeys: ['principal', 'resource', 'actions'], ...asMade },
  )
  .map((fields) => fields as Question);

/** What is left of a value once members that are undefined are gone and undefined elements are null, as on the wire. */
function plain(input: unknown): unknown {
  if (Array.isArray(input)) return input.map((one) => (one === undefined ? null : plain(one)));
  if (typeof input !== 'object' || input === null) return input;
  const members = Object.entries(input).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([key, member]) => [key, plain(member)]));
}

/** The oracle: the same question, by structure. It knows nothing of encodings; isDeepStrictEqual tells -0 from 0 and "1" from 1. */
function isSameQuestion(a: Question, b: Question): boolean {
  const essence = ({ principal, resource, context, includeMetadata }: Question): unknown =>
    plain({ principal, resource, context, includeMetadata: includeMetadata === true });
  return haveSameActions(a, b) && isDeepStrictEqual(essence(a), essence(b));
}

function haveSameActions(a: Question, b: Question): boolean {
  return (
    a.actions.every((action) => b.actions.includes(action)) && b.actions.every((action) => a.actions.includes(action))
  );
}

test('any two questions: equal keys if and only if they are the same question', () => {
  fc.assert(
    fc.property(question, question, (a, b) => {
      expect(decisionKey(a) === decisionKey(b)).toBe(isSameQuestion(a, b));
    }),
    { numRuns: 2000 },
  );
});

/** One change somewhere in a question. */
const nearMiss = question.chain((base) =>
  fc.tuple(
    fc.constant(base),
    fc.oneof(
      fc.record({ principal: fc.record({ id: word }) }),
      fc.record({ principal: fc.record({ roles: words }) }),
      fc.record({ principal: fc.record({ type: word }) }),
      fc.record({ principal: fc.record({ attributes }) }),
      fc.record({ resource: fc.record({ kind: word }) }),
      fc.record({ resource: fc.record({ id: word }) }),
      fc.record({ resource: fc.record({ attributes }) }),
      fc.record({ actions: words }),
      fc.record({ context: attributes }),
      fc.record({ includeMetadata: fc.boolean() }),
    ),
  ),
);

test('a question and one with a single field changed: equal keys if and only if they are the same question', () => {
  let same = 0;
  fc.assert(
    fc.property(nearMiss, ([base, change]) => {
      const { principal, resource, ...rest } = change as Partial<Question>;
      const other: Question = {
        ...base,
        ...rest,
        principal: { ...base.principal, ...principal },
        resource: { ...base.resource, ...resource },
      };
      const isSame = isSameQuestion(base, other);
      if (isSame) same += 1;
      expect(decisionKey(base) === decisionKey(other)).toBe(isSame);
    }),
    { numRuns: 4000 },
  );
  // Both sides of the "if and only if" came up.
  expect(same).toBeGreaterThan(50);
  expect(same).toBeLessThan(3900);
});

/** A text of everything an encoding could be made of, cut in two at two places. */
const twoCuts = fc
  .array(fc.constantFrom(':', '1', '0', 'a', '[', ']', '{', '}', '-', 's', 'n', 't', ';', ','), {
    minLength: 1,
    maxLength: 8,
  })
  .chain((letters) => fc.tuple(fc.constant(letters.join('')), fc.nat(letters.length), fc.nat(letters.length)));

test('one text cut in two at different places, wherever two texts stand side by side: different keys', () => {
  const placed: ((left: string, right: string) => Question)[] = [
    (kind, id) => ({ ...base, resource: { kind, id } }),
    (first, second) => ({ ...base, principal: { id: 'u', roles: [first, second] } }),
    (id, role) => ({ ...base, principal: { id, roles: [role] } }),
    (id, type) => ({ ...base, principal: { id, roles: [], type } }),
    (key, member) => ({ ...base, context: { [key]: member } }),
    (first, second) => ({ ...base, context: { list: [first, second] } }),
    (id, action) => ({ ...base, resource: { kind: 'k', id }, actions: [action] }),
    (first, second) => ({ ...base, context: { a: first, b: second } }),
  ];
  fc.assert(
    fc.property(twoCuts, fc.constantFrom(...placed), ([whole, cut, otherCut], place) => {
      fc.pre(cut !== otherCut);
      const keyOf = (at: number): string => decisionKey(place(whole.slice(0, at), whole.slice(at)));
      expect(keyOf(cut)).not.toBe(keyOf(otherCut));
    }),
    { numRuns: 2000 },
  );
});

function reversed(input: unknown): unknown {
  if (Array.isArray(input)) return input.map(reversed);
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(
    Object.entries(input)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}

test('any question, its keys inserted in another order and its actions turned round and repeated: the same key', () => {
  fc.assert(
    fc.property(question, (base) => {
      const other = reversed(base) as Question;
      const actions = [...base.actions, ...base.actions].reverse();
      expect(decisionKey({ ...other, actions })).toBe(decisionKey(base));
    }),
  );
});

const base: Question = { principal: { id: 'u', roles: ['a'] }, resource: { kind: 'doc', id: '1' }, actions: ['read'] };

test.each<[string, Question, Question]>([
  [
    'texts that only differ in where one ends',
    { ...base, principal: { id: 'ab', roles: [] }, resource: { kind: 'c', id: '' } },
    { ...base, principal: { id: 'a', roles: [] }, resource: { kind: 'bc', id: '' } },
  ],
  [
    'one role "a,b" and two',
    { ...base, principal: { id: 'u', roles: ['a,b'] } },
    { ...base, principal: { id: 'u', roles: ['a', 'b'] } },
  ],
  [
    'roles in another order',
    { ...base, principal: { id: 'u', roles: ['a', 'b'] } },
    { ...base, principal: { id: 'u', roles: ['b', 'a'] } },
  ],
  ['"1" and 1', { ...base, context: { a: '1' } }, { ...base, context: { a: 1 } }],
  ['null and absent', { ...base, context: { a: null } }, { ...base, context: {} }],
  ['0 and -0', { ...base, context: { a: 0 } }, { ...base, context: { a: -0 } }],
  [
    'an array and an object of its indices',
    { ...base, context: { a: ['x'] } },
    { ...base, context: { a: { 0: 'x' } } },
  ],
  ['[[1],2] and [1,[2]]', { ...base, context: { a: [[1], 2] } }, { ...base, context: { a: [1, [2]] } }],
  ['no context and an empty one', base, { ...base, context: {} }],
  [
    'attributes of the principal and of the resource',
    { ...base, principal: { ...base.principal, attributes: { a: 1 } } },
    { ...base, resource: { ...base.resource, attributes: { a: 1 } } },
  ],
  ['two dates', { ...base, context: { at: new Date(0) } }, { ...base, context: { at: new Date(1) } }],
  [
    'two kinds of principal',
    { ...base, principal: { ...base.principal, type: 'user' } },
    { ...base, principal: { ...base.principal, type: 'service' } },
  ],
  ['with metadata and without', { ...base, includeMetadata: true }, base],
  [
    'two halves of a surrogate pair',
    { ...base, principal: { id: '\ud800', roles: [] } },
    { ...base, principal: { id: '\ud801', roles: [] } },
  ],
])('%s: different keys', (_name, a, b) => {
  expect(decisionKey(a)).not.toBe(decisionKey(b));
});

test('member given as undefined, and includeMetadata given as false: as if left out', () => {
  expect(decisionKey({ ...base, context: { a: undefined }, includeMetadata: false })).toBe(
    decisionKey({ ...base, context: {} }),
  );
});

test('attributes that cannot be sent: the error that sending them would give', () => {
  expect(() => decisionKey({ ...base, resource: { ...base.resource, attributes: { a: [NaN] } } })).toThrow(
    new ConfigurationError('resource.attributes.a[0]', 'must be a finite number, got NaN'),
  );
});

test('actions given unsorted: the list of the caller is not touched', () => {
  const actions = ['write', 'read', 'write'];
  decisionKey({ ...base, actions });
  expect(actions).toEqual(['write', 'read', 'write']);
});

test('any two questions that are asked alike: the same key', () => {
  fc.assert(
    fc.property(plainlyAsked, question, (a, b) => {
      const kept = plainQuestion(a);
      if (kept === undefined) throw new Error('a question without attributes is plain');
      expect(isAskedAlike(kept, a)).toBe(true);
      if (isAskedAlike(kept, b)) expect(decisionKey(b)).toBe(decisionKey(a));
    }),
    { numRuns: 2000 },
  );
});

test('a question that changes after it was kept: not asked alike any more', () => {
  const roles = ['admin', 'editor'];
  const asked = { principal: { id: 'alice', roles }, resource: { kind: 'document', id: '1' }, actions: ['read'] };
  const kept = plainQuestion(asked);
  if (kept === undefined) throw new Error('a question without attributes is plain');
  roles.pop();
  expect(isAskedAlike(kept, asked)).toBe(false);
  roles.push('editor');
  expect(isAskedAlike(kept, asked)).toBe(true);
  asked.actions[0] = 'delete';
  expect(isAskedAlike(kept, asked)).toBe(false);
});

test.each([
  ['principal', { principal: { id: 'a', roles: [], attributes: {} }, resource: { kind: 'k', id: '' }, actions: ['x'] }],
  ['resource', { principal: { id: 'a', roles: [] }, resource: { kind: 'k', id: '', attributes: {} }, actions: ['x'] }],
  ['context', { principal: { id: 'a', roles: [] }, resource: { kind: 'k', id: '' }, actions: ['x'], context: {} }],
])('a question with attributes of its %s: not plain, and asked like no plain one', (_name, asked) => {
  expect(plainQuestion(asked)).toBeUndefined();
  const kept = plainQuestion({ principal: { id: 'a', roles: [] }, resource: { kind: 'k', id: '' }, actions: ['x'] });
  expect(kept !== undefined && isAskedAlike(kept, asked)).toBe(false);
});

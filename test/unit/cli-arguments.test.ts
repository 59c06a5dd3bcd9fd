import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  address,
  attribute,
  collect,
  jsonObject,
  nonEmpty,
  resource,
  roles,
  wholeNumber,
} from '../../src/cli/arguments.js';

describe('a whole number from 1 to 10', () => {
  const parse = wholeNumber(1, 10);

  it.each(['1', '7', '10', '007'])('given %j: taken', (text) => {
    expect(parse(text)).toBe(Number(text));
  });

  it.each(['', ' 1', '0', '11', '-1', '1.5', '1e1', '0x1', 'NaN', '٣', '9'.repeat(400)])(
    'given %j: refused',
    (text) => {
      expect(() => parse(text)).toThrow(new InvalidArgumentError('must be a whole number from 1 to 10'));
    },
  );
});

describe('roles', () => {
  it('a list, then another: all of them in order', () => {
    expect(roles('c', roles('a, b', undefined))).toEqual(['a', 'b', 'c']);
  });

  it.each(['', 'a,', ',a', 'a,,b', ' '])('%j, with an empty role: refused', (text) => {
    expect(() => roles(text, undefined)).toThrow(InvalidArgumentError);
  });
});

describe('a resource', () => {
  it('an id with colons: they belong to the id', () => {
    expect(resource('document:urn:isbn:42')).toEqual({ kind: 'document', id: 'urn:isbn:42' });
  });

  it.each(['', 'document', 'document:', ':42', ':'])('%j: refused', (text) => {
    expect(() => resource(text)).toThrow(InvalidArgumentError);
  });
});

describe('attributes', () => {
  it('plain and resource. names: each in its own set, JSON read as JSON', () => {
    const texts = [
      'age=42',
      'name=bob',
      'tags=["a"]',
      'note=a=b',
      'empty=',
      'resource.owner="bob"',
      'resource.a.b=true',
    ];
    const sets = texts.reduce<ReturnType<typeof attribute> | undefined>(
      (before, text) => attribute(text, before),
      undefined,
    );
    expect({ ...sets?.principal }).toEqual({ age: 42, name: 'bob', tags: ['a'], note: 'a=b', empty: '' });
    expect({ ...sets?.resource }).toEqual({ owner: 'bob', 'a.b': true });
  });

  it('__proto__: a name like any other', () => {
    const { principal } = attribute('__proto__={"admin": true}', undefined);
    expect(Object.keys(principal)).toEqual(['__proto__']);
    expect(principal['admin']).toBeUndefined();
  });

  it.each(['', '=1', 'name', 'resource.=1'])('%j, without a name or a value: refused', (text) => {
    expect(() => attribute(text, undefined)).toThrow(InvalidArgumentError);
  });

  it('any JSON value: comes back as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(attribute(`k=${text}`, undefined).principal['k']).toEqual(JSON.parse(text));
      }),
    );
  });
});

describe('a JSON object', () => {
  it('an object: taken', () => {
    expect(jsonObject('{"hour": 9}')).toEqual({ hour: 9 });
  });

  it.each(['', '{', '[]', 'null', '1', '"a"'])('%j: refused', (text) => {
    expect(() => jsonObject(text)).toThrow(new InvalidArgumentError('must be a JSON object'));
  });
});

describe('an address', () => {
  it.each(['127.0.0.1:1', 'dns:///engine:50051', 'unix:/run/authz.sock', '[::1]:50051'])(
    '%j: taken as it is',
    (text) => {
      expect(address(text)).toBe(text);
    },
  );

  it.each(['nope', '127.0.0.1:0', '::1:50051', ''])('%j: refused with the rule and the forms', (text) => {
    expect(() => address(text)).toThrow(/\(an address is host:port, dns:\/\/\/name:port or unix:path\)$/);
  });
});

it('an option given three times: all values in order', () => {
  const parse = collect(nonEmpty);
  expect(['a', 'b', 'c'].reduce<string[] | undefined>((before, text) => parse(text, before), undefined)).toEqual([
    'a',
    'b',
    'c',
  ]);
});

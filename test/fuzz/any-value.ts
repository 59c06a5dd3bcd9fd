/** Values as untyped callers give them. */

import fc from 'fast-check';

/** No valid value of anything, or one at a limit. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown[]>(
    undefined,
    null,
    '',
    'x',
    true,
    false,
    0,
    -0,
    1,
    -1,
    0.5,
    NaN,
    Infinity,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 53,
    10n,
    Symbol('odd'),
    () => undefined,
    [],
    {},
    '\ud800',
    '\u0000',
    'a\r\nb',
    '__proto__',
    new Map([['a', 1]]),
    new Set(['a']),
    new Date(NaN),
    new Date(0),
    Buffer.from('x'),
    /x/,
    new Proxy({}, {}),
    new Proxy([], {}),
    Object.freeze({ a: 1 }),
    Object.create(null),
    Promise.resolve('x'),
    'x'.repeat(10_000),
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.double(),
  fc.integer(),
  fc.anything({ maxDepth: 3, withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
);

/** Throws at whoever reads it, but not at who tells of it. */
export const trapped = (): unknown =>
  Object.defineProperties(
    {},
    {
      trap: {
        enumerable: true,
        get: () => {
          throw new RangeError('a trap');
        },
      },
      [fc.toStringMethod]: { value: () => 'a trap' },
    },
  );

/** An object of these fields: each left out, as it should be, or odd. */
export function oddObject(fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<unknown> {
  const entries = Object.entries(fields).map(([name, good]) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof(
        { arbitrary: fc.constant(undefined), weight: 2 },
        { arbitrary: good, weight: 6 },
        { arbitrary: oddValue, weight: 1 },
      ),
      fc.boolean(),
    ),
  );
  return fc
    .tuple(
      fc.tuple(...entries),
      fc.option(fc.tuple(fc.string({ maxLength: 9 }), oddValue), { freq: 15, nil: undefined }),
    )
    .map(([list, extra]) => {
      const result: Record<string, unknown> = {};
      // Given as undefined, or not given.
      for (const [name, value, given] of list) if (value !== undefined || given) result[name] = value;
      if (extra !== undefined) Object.defineProperty(result, extra[0], { value: extra[1], enumerable: true });
      return result;
    });
}

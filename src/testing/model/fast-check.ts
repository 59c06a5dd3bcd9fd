/**
 * As much of fast-check as the model needs, by its shape: the caller hands its own `fc` in. So this package neither depends on fast-check nor
 * on its types, and there is one fast-check in the test: that of the caller, with the caller's global settings.
 */

export interface FastCheckArbitrary<T> {
  map<U>(toOther: (value: T) => U): FastCheckArbitrary<U>;
}

/** `import fc from 'fast-check'`, of version 3 or 4. */
export interface FastCheck {
  integer(constraints: { min: number; max: number }): FastCheckArbitrary<number>;
  constantFrom<T>(...values: T[]): FastCheckArbitrary<T>;
  tuple<A, B>(first: FastCheckArbitrary<A>, second: FastCheckArbitrary<B>): FastCheckArbitrary<[A, B]>;
  oneof<T>(...choices: { arbitrary: FastCheckArbitrary<T>; weight: number }[]): FastCheckArbitrary<T>;
  array<T>(
    item: FastCheckArbitrary<T>,
    constraints: { minLength: number; maxLength: number; size: 'max' },
  ): FastCheckArbitrary<T[]>;
  asyncProperty(arbitrary: FastCheckArbitrary<unknown>, predicate: (value: unknown) => Promise<void>): unknown;
  check(property: unknown, parameters: { seed: number; path: string; numRuns: number }): unknown;
}

/** What the caller's `fc.asyncProperty` makes, and `fc.assert` takes. */
export type FastCheckProperty<Fc extends FastCheck> = ReturnType<Fc['asyncProperty']>;

import { types } from 'node:util';

/** An error of any realm: those of a vm context, and of some test runners, are no instances of this one's `Error`. */
export const isError = (value: unknown): value is Error => value instanceof Error || types.isNativeError(value);

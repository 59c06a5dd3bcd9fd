/** Thrown when this package broke a promise to itself: a bug of ours, never a fault of the caller, the peer or the network. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * States what must hold. For programmer errors only: what a caller or a peer can get wrong has a typed error of its own.
 * @throws InvariantError
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** A primary and a backup, and what a client is told of them: small numbers, so that runs are short. */

import fc from 'fast-check';
import type { PooledClientOptions } from '../../../src/index.js';
import {
  createFailoverModel,
  type FailoverModel,
  FailoverModelError,
  type FailoverModelOptions,
} from '../../../src/testing/index.js';

export const PRIMARY = 'engine-a:50051';
export const BACKUP = 'engine-b:50051';

/** Survives the loss of either server: a check that is caught by it has time for a second attempt. */
export const SENSIBLE = {
  timeout: 5_000,
  connectTimeout: 500,
  retryDelay: 100,
  reconnect: { initialDelay: 50, maxDelay: 1_000 },
  failover: { enabled: true, fallbackAddresses: [BACKUP], failbackDelay: 5_000 },
} as const satisfies PooledClientOptions;

export type Property = ReturnType<typeof fc.asyncProperty>;

export function createPair(
  options: PooledClientOptions = {},
  model: Partial<FailoverModelOptions> = {},
): FailoverModel<Property> {
  return createFailoverModel(fc, { addresses: [PRIMARY], options: { ...SENSIBLE, ...options }, ...model });
}

export interface Found {
  readonly error: FailoverModelError;
  /** As fast-check prints it. */
  readonly seed: number;
  readonly path: string;
}

/** The first failing run of a model that must have one, or with `shrink` the smallest. */
export async function findFailure(
  model: FailoverModel<Property>,
  { numRuns = 100, shrink = false }: { readonly numRuns?: number; readonly shrink?: boolean } = {},
): Promise<Found> {
  const result = await fc.check(model.property(), { numRuns, seed: 1, endOnFailure: !shrink });
  const { errorInstance: error, counterexamplePath } = result;
  if (!(error instanceof FailoverModelError)) throw new Error(`${result.numRuns} runs found nothing`, { cause: error });
  return { error, seed: result.seed, path: counterexamplePath ?? '' };
}

/** What a run of a scenario that must fail broke. */
export async function violationOf(run: Promise<unknown>): Promise<FailoverModelError> {
  try {
    await run;
  } catch (error) {
    if (error instanceof FailoverModelError) return error;
    throw error;
  }
  throw new Error('the run held');
}

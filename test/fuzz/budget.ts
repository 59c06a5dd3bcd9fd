/** How many inputs the fuzzing has, how they are shared out, and how a run is told and repeated. */

import fc from 'fast-check';
import { expect, it } from 'vitest';

/** Inputs of a run that names no other number, as `npm test` does. */
export const DEFAULT_INPUTS = 60_000;

/** Who gets how much of them. */
export const SHARES = {
  'frames: any bytes': 0.12,
  'frames: a stream with faults': 0.12,
  'answers: any bytes': 0.18,
  'answers: messages with faults': 0.22,
  'batches: messages with faults': 0.06,
  'health and policies: any bytes': 0.06,
  'options: any value': 0.08,
  'requests: any value': 0.11,
  'command line: any words': 0.04,
  'http2: any frames': 0.005,
  'grpc-js: any frames': 0.005,
} as const satisfies Record<string, number>;
export type Target = keyof typeof SHARES;

/** `npm run test:fuzz` sets these two. */
const GIVEN_INPUTS = process.env['AUTHZ_FUZZ_INPUTS'];
const GIVEN_SEED = process.env['AUTHZ_FUZZ_SEED'];
const INPUTS = GIVEN_INPUTS === undefined ? DEFAULT_INPUTS : Number(GIVEN_INPUTS);

const STEPS = 10;
/** One that takes longer hangs: an input of a transport, the slowest, takes some 50 ms on a busy machine. */
const INPUT_LIMIT_MS = 30_000;
/** Of all together, which each alone must not reach. */
const MS_PER_INPUT = 100;

/** Tells on stderr how far a long run is. */
function progressOf(target: Target, runs: number): (done: number) => void {
  if (GIVEN_INPUTS === undefined) return () => undefined;
  const startedAt = performance.now();
  let step = 0;
  return (done) => {
    if (done * STEPS < (step + 1) * runs) return;
    step = Math.floor((done * STEPS) / runs);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    process.stderr.write(`${target}: ${done} of ${runs} inputs, ${seconds} s\n`);
  };
}

/**
 * A test of one property over this target's share of the inputs. A failure tells the seed, the path, and the smallest input that fails;
 * `npm run test:fuzz -- --seed SEED` repeats the run.
 */
export function fuzz<T>(
  target: Target,
  outcome: string,
  inputs: fc.Arbitrary<T>,
  holds: (input: T) => void | Promise<void>,
): void {
  const runs = Math.max(1, Math.ceil(INPUTS * SHARES[target]));
  it(`${target}: ${outcome}`, { timeout: 60_000 + runs * MS_PER_INPUT }, async () => {
    const tell = progressOf(target, runs);
    let done = 0;
    const property = fc.asyncProperty(inputs, async (input) => {
      const pending = holds(input);
      if (pending !== undefined) await pending;
      done += 1;
      tell(done);
    });
    await fc.assert(property, {
      numRuns: runs,
      timeout: INPUT_LIMIT_MS,
      ...(GIVEN_SEED === undefined ? {} : { seed: Number(GIVEN_SEED) }),
    });
    expect(done).toBe(runs);
  });
}

/** One of `many`, at the places where `fault` says, becomes another: what a broken or hostile peer makes of a good message. */
export interface Fault {
  readonly kind: 'set' | 'flip' | 'cut' | 'drop' | 'double' | 'insert';
  readonly at: number;
  readonly value: number;
  readonly count: number;
}

export const faults: fc.Arbitrary<readonly Fault[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('set', 'flip', 'cut', 'drop', 'double', 'insert'),
    at: fc.nat(),
    value: fc.oneof(fc.constantFrom(0, 1, 2, 0x08, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff), fc.nat(255)),
    count: fc.integer({ min: 1, max: 12 }),
  }),
  { maxLength: 4 },
);

/** A copy with these faults, one after the other. */
export function withFaults(bytes: Uint8Array, list: readonly Fault[]): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (const { kind, at, value, count } of list) {
    const place = at % (result.length + 1);
    const [before, behind] = [result.subarray(0, place), result.subarray(place)];
    switch (kind) {
      case 'set':
        if (behind.length > 0) behind[0] = value;
        break;
      case 'flip':
        if (behind.length > 0) behind[0] = (behind[0] ?? 0) ^ (1 << (value & 7));
        break;
      case 'cut':
        result = before;
        break;
      case 'drop':
        result = Buffer.concat([before, behind.subarray(count)]);
        break;
      case 'double':
        result = Buffer.concat([before, behind.subarray(0, count), behind]);
        break;
      case 'insert':
        result = Buffer.concat([before, Buffer.alloc(count, value), behind]);
        break;
    }
  }
  return result;
}

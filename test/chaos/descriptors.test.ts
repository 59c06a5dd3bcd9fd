/** A client in a process whose file descriptors run out: what it cannot open it refuses, and it comes back by itself. */

import { describe, expect } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { eventually } from '../support/recorder.js';
import { ClientProcess } from './support/client-process.js';
import { testWith } from '../support/needs.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
const LIMIT = 64;

interface Outcome {
  readonly name: string;
  readonly grpcCode?: number;
  readonly outcome?: string;
  readonly message?: string;
}
interface Burst {
  readonly outcomes: readonly Outcome[];
  readonly dials: number;
}

const FINE = { name: 'none' };

function start(address: string, transport: string): ClientProcess {
  const under = ['prlimit', `--nofile=${LIMIT}:${LIMIT}`, '--'];
  const child = new ClientProcess('scarce-descriptors', { address, transport }, { under });
  yard.afterwards(() => child.close());
  return child;
}

function expectRefusals({ outcomes, dials }: Burst): void {
  expect(outcomes).toHaveLength(100);
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ name: 'ConnectionError', grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
    expect(outcome.message).toContain('EMFILE');
  }
  // A second of backoffs of 50 to 100 ms.
  expect(dials).toBeGreaterThanOrEqual(1);
  expect(dials).toBeLessThanOrEqual(21);
}

describe.each(['http2', 'grpc-js'])('over %s', (transport) => {
  const limited = testWith('prlimit');

  limited(
    'row 50: no descriptor is left before the first connect: it is refused, and connects once there is one',
    async () => {
      const engine = await yard.engine('alpha');
      const child = start(engine.address, transport);
      await child.hear();
      expect(await child.ask('exhaust')).toMatchObject({ code: 'EMFILE' });
      const refused = await child.ask<Outcome>('connect');
      expect(refused).toMatchObject({ name: 'ConnectionError', grpcCode: GrpcCode.UNAVAILABLE });
      expect(refused.message).toContain('EMFILE');
      expectRefusals(await child.ask<Burst>('burst'));
      await child.ask('release');
      expect(await child.ask('connect')).toEqual(FINE);
      expect(await child.ask('check')).toEqual(FINE);
      expect(await child.ask('disconnect')).toEqual(FINE);
      expect((await child.end()).code).toBe(0);
    },
  );

  limited(
    'row 50: no descriptor is left and the server restarts: what is open answers, redials back off, and it comes back by itself',
    async () => {
      const engine = await yard.engine('alpha');
      const child = start(engine.address, transport);
      await child.hear();
      expect(await child.ask('connect')).toEqual(FINE);
      expect(await child.ask('exhaust')).toMatchObject({ code: 'EMFILE' });
      expect(await child.ask('check')).toEqual(FINE);

      const taken = async (): Promise<number> => (await child.ask<{ taken: number }>('taken')).taken;
      const before = await taken();
      await engine.kill();
      await eventually(async () => (await taken()) > before, 'the descriptor of the lost connection to be taken');
      await engine.restart();
      expectRefusals(await child.ask<Burst>('burst'));
      await child.ask('release');
      expect(await child.ask('check')).toEqual(FINE);
      expect(await child.ask('disconnect')).toEqual(FINE);
      expect((await child.end()).code).toBe(0);
    },
  );
});

/** A server that lives and says UNAVAILABLE to everything: to ask all of it again would keep it so. */

import { expect, test } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { openPair, PRIMARY, question } from './pair.js';

const ASKED = 100;

test.each([
  ['on streams', {}],
  ['calls of their own', { metadata: { 'x-alone': 'yes' } }],
])(
  'row 24: a hundred checks, %s + UNAVAILABLE to each: a fifth of them and ten are asked again, and all fail by the word of the server',
  async (_way, options) => {
    const { client, clock, events } = await openPair(
      () => [{ kind: 'status', code: GrpcCode.UNAVAILABLE, message: 'overloaded' }],
      { maxRetries: 1, failover: { enabled: false } },
    );
    events.length = 0;
    const checks = Promise.allSettled(
      Array.from({ length: ASKED }, (_, index) => client.check(question(index), options)),
    );
    await clock.advanceAsync(90);
    for (const outcome of await checks) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { grpcCode: GrpcCode.UNAVAILABLE, outcome: 'answered' },
      });
    }
    const isCheck = ({ kind, address, detail }: (typeof events)[number]): boolean =>
      kind === 'write' && address === PRIMARY && detail.startsWith('/authz.v1.');
    expect(events.filter(isCheck)).toHaveLength(ASKED + ASKED / 5 + 10);
  },
);

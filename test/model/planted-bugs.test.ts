/** Bugs planted in the client, one at a time: the model finds each, with no expectation but what the client promises, or with one. */

import { afterEach, describe, expect, test } from 'vitest';
import { CheckDesk } from '../../src/runtime/check-desk.js';
import { Monitor } from '../../src/runtime/monitor.js';
import { PoolConnection } from '../../src/runtime/pool-connection.js';
import { PromiseSink } from '../../src/runtime/promise-sink.js';
import { Route } from '../../src/runtime/route.js';
import { ServedEndpoint } from '../../src/runtime/served-endpoint.js';
import type { FailoverExpectations } from '../../src/testing/index.js';
import { type CheckResponse, Effect } from '../../src/types.js';
import { createPair, findFailure } from './support/pair.js';

const undo: (() => void)[] = [];

afterEach(() => {
  for (const restore of undo.splice(0).reverse()) restore();
});

/** Puts another method in the place of one. */
function plant<Class extends object>(
  prototype: Class,
  name: keyof Class,
  toMethod: (original: (self: Class, ...args: never[]) => unknown) => (self: Class, ...args: never[]) => unknown,
): void {
  const original = prototype[name];
  const call = (self: Class, ...args: never[]): unknown =>
    Reflect.apply(original as (...args: never[]) => unknown, self, args);
  const method = toMethod(call);
  prototype[name] = function (this: Class, ...args: never[]) {
    return method(this, ...args);
  } as Class[keyof Class];
  undo.push(() => {
    prototype[name] = original;
  });
}

/** Changes what every answer says. */
function alterAnswers(alter: (response: CheckResponse) => CheckResponse['results']): void {
  plant(PromiseSink.prototype, 'answered', (original) => (self, ...args) => {
    const [check, response] = args as unknown as [never, CheckResponse];
    original(self, check, { ...response, results: alter(response) } as never);
  });
}

const nothing = () => (): void => undefined;

interface Bug {
  readonly name: string;
  plant(): void;
  readonly violation: RegExp;
  readonly expectations?: FailoverExpectations;
}

const bugs: readonly Bug[] = [
  {
    name: 'every answer is an ALLOW',
    plant: () => {
      alterAnswers(
        ({ results }) => new Map([...results].map(([name, result]) => [name, { ...result, effect: Effect.ALLOW }])),
      );
    },
    violation: /^check \d+ was given ALLOW for \w+; engine-[ab]:50051 had said otherwise$/,
  },
  {
    name: 'an action of the answer is lost',
    plant: () => {
      alterAnswers(({ results }) => new Map([...results].slice(1)));
    },
    violation: /^check \d+ asked for [\w,]+, and got results for [\w,]*$/,
  },
  {
    name: 'a check is given the answer of another',
    plant: () => {
      const known = new Map<string, CheckResponse['results']>();
      alterAnswers(({ results }) => {
        const asked = [...results.keys()].join();
        const other = known.get(asked) ?? results;
        known.set(asked, results);
        return other;
      });
    },
    violation: /^check \d+ was given (ALLOW|DENY) for \w+, which no server said of it$/,
  },
  {
    name: 'traffic goes to every level that ever carried it',
    plant: () => {
      plant(PoolConnection.prototype, 'demote', nothing);
      plant(Route.prototype, 'carries', () => (_self, ...args) => {
        const [{ connected, leaving, endpoint }] = args as unknown as Parameters<Route['carries']>;
        return connected && !leaving && endpoint.served;
      });
    },
    violation: /^a check was written to a server of level (1, while level 0|0, while level 1) carries traffic$/,
  },
  {
    name: 'the client is told once only that the primary carries traffic',
    plant: () => {
      const told = new WeakSet<Route>();
      plant(Route.prototype, 'reportOpen', (original) => (self) => {
        if (!told.has(self)) original(self);
        told.add(self);
      });
    },
    violation: /^the client says that it is (failedOver|reconnecting), and level 0 carries traffic$/,
  },
  {
    name: 'a check whose call was lost is asked nowhere else',
    plant: () => {
      plant(CheckDesk.prototype, 'redispatch', nothing);
    },
    violation: /^maxFailedPercent: \d+ of \d+ checks failed though a server was well all the time/,
    expectations: { maxFailedPercent: 0 },
  },
  {
    name: 'silence is no evidence',
    plant: () => {
      for (const name of ['cordon', 'probe', 'inspectChecks'] as const) plant(ServedEndpoint.prototype, name, nothing);
    },
    violation: /^maxFailoverMs: level 0 still carries traffic, and engine-a:50051 is /,
    expectations: { maxFailoverMs: 4_000 },
  },
  {
    name: 'disconnect() leaves a timer',
    plant: () => {
      plant(Monitor.prototype, 'stop', nothing);
    },
    violation: /^disconnected, 1 timers are left$/,
  },
];

describe('a client in which', () => {
  test.each(bugs)('$name: is caught', async (bug) => {
    const { violation, expectations = {} } = bug;
    bug.plant();
    const { error } = await findFailure(createPair({}, { expectations }));
    expect(error.violation).toMatch(violation);
  });

  test('nothing is planted: is not', async () => {
    await expect(findFailure(createPair(), { numRuns: 20 })).rejects.toThrow('20 runs found nothing');
  });
});

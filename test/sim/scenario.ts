/** What a simulated run consists of: plain data, so that fast-check can shrink it and a transcript can show it. */

import fc from 'fast-check';

export type Layout = 'single' | 'pooled' | 'failover' | 'levels';

export interface Setup {
  /** Of the network, the servers and the client. */
  readonly seed: number;
  readonly layout: Layout;
  readonly maxLatencyMs: number;
  readonly hasPing: boolean;
  readonly sequential: boolean;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly maxPendingChecks: number;
  readonly minConnections: number;
  readonly maxConnections: number;
  readonly highWaterMark: number;
  readonly ensureOrdering: boolean;
  readonly multiplexing: boolean;
  readonly maxRequestsPerStream: number;
  readonly deduplication: boolean;
  readonly keepAliveIntervalMs: number;
  readonly healthIntervalMs: number;
  readonly streamIdleMs: number;
  readonly maxAttempts: number;
  readonly strategy: 'round_robin' | 'least_connections' | 'random' | 'weighted' | 'p2c';
}

/** What servers do wrong, in parts of a hundred. */
export interface Chaos {
  readonly missing: number;
  readonly duplicate: number;
  readonly foreignId: number;
  readonly foreignActions: number;
  readonly missingActions: number;
  readonly malformed: number;
  readonly failing: number;
  readonly slow: number;
}

export const NO_CHAOS: Chaos = {
  missing: 0,
  duplicate: 0,
  foreignId: 0,
  foreignActions: 0,
  missingActions: 0,
  malformed: 0,
  failing: 0,
  slow: 0,
};

export type Fault =
  | { readonly fault: 'stop' | 'start' | 'freeze' | 'thaw' | 'resetConnections' | 'open' }
  | { readonly fault: 'goaway'; readonly processed: 'all' | 'none' }
  | { readonly fault: 'resetCalls'; readonly code: number }
  | { readonly fault: 'endCalls'; readonly code: 0 | 8 | 13 | 14 }
  | { readonly fault: 'maxStreams'; readonly maxStreams: number | undefined }
  | { readonly fault: 'health'; readonly status: number }
  /** Serving and not, by turns. */
  | { readonly fault: 'flap'; readonly everyMs: number }
  | { readonly fault: 'healthService'; readonly exists: boolean }
  | { readonly fault: 'healthAnswers'; readonly answers: boolean }
  | { readonly fault: 'streams'; readonly exist: boolean }
  | { readonly fault: 'batch'; readonly exists: boolean }
  | { readonly fault: 'reads'; readonly reads: boolean }
  | { readonly fault: 'hold'; readonly toServer: boolean; readonly toClient: boolean }
  | { readonly fault: 'dial'; readonly dial: 'accept' | 'silent' | 'refuse' | 'reset' }
  | { readonly fault: 'delay'; readonly delayMs: number }
  | { readonly fault: 'clog'; readonly window: number }
  | { readonly fault: 'chaos'; readonly chaos: Chaos };

export type Command =
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'stall'; readonly ms: number }
  | { readonly do: 'fault'; readonly server: number; readonly what: Fault }
  | { readonly do: 'heal' }
  | { readonly do: 'check'; readonly count: number; readonly timeoutMs: number | undefined; readonly named: boolean }
  /** One id and question again, which deduplication knows; `other`: the id with another question. */
  | { readonly do: 'again'; readonly other: boolean }
  | { readonly do: 'abort'; readonly afterMs: number }
  | { readonly do: 'unary' }
  | { readonly do: 'batch'; readonly count: number }
  | { readonly do: 'openHandle' }
  | { readonly do: 'send'; readonly handle: number; readonly count: number }
  | { readonly do: 'handleCheck'; readonly handle: number }
  | { readonly do: 'pause' | 'resume' | 'end'; readonly handle: number }
  | { readonly do: 'connect' }
  | { readonly do: 'scale'; readonly size: number }
  | { readonly do: 'probe' }
  | { readonly do: 'disconnect'; readonly force: boolean };

export interface Scenario {
  readonly setup: Setup;
  readonly commands: readonly Command[];
}

const mostly = <T>(usual: T, arb: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 3 }, { arbitrary: arb, weight: 2 });

const setupArb: fc.Arbitrary<Setup> = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  layout: fc.constantFrom<Layout>('single', 'pooled', 'failover', 'levels'),
  maxLatencyMs: fc.constantFrom(1, 0, 5, 40),
  hasPing: fc.boolean(),
  sequential: fc.boolean(),
  timeoutMs: fc.constantFrom(1_000, 300, 2_000, 50),
  maxRetries: fc.integer({ min: 0, max: 3 }),
  maxPendingChecks: mostly(1_000, fc.integer({ min: 1, max: 12 })),
  minConnections: fc.integer({ min: 1, max: 2 }),
  maxConnections: fc.integer({ min: 2, max: 4 }),
  highWaterMark: mostly(100, fc.integer({ min: 2, max: 5 })),
  ensureOrdering: fc.boolean(),
  multiplexing: mostly(true, fc.boolean()),
  maxRequestsPerStream: mostly(1_000, fc.integer({ min: 1, max: 4 })),
  deduplication: mostly(false, fc.boolean()),
  keepAliveIntervalMs: fc.constantFrom(1_000, 300, 5_000),
  healthIntervalMs: fc.constantFrom(1_000, 5_000, 400),
  streamIdleMs: fc.constantFrom(60_000, 800),
  maxAttempts: fc.constantFrom(10, 2),
  strategy: fc.constantFrom('round_robin', 'least_connections', 'random', 'weighted', 'p2c'),
});

const percent = mostly(0, fc.constantFrom(5, 30, 100));

const chaosArb: fc.Arbitrary<Chaos> = fc.record({
  missing: percent,
  duplicate: percent,
  foreignId: percent,
  foreignActions: percent,
  missingActions: percent,
  malformed: mostly(0, fc.constantFrom(5, 30)),
  failing: mostly(0, fc.constantFrom(5, 30)),
  slow: percent,
});

const faultArb: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({
    fault: fc.constantFrom('stop', 'start', 'freeze', 'thaw', 'resetConnections', 'open'),
  }) satisfies fc.Arbitrary<Fault>,
  fc.record({ fault: fc.constant('goaway' as const), processed: fc.constantFrom('all', 'none') }),
  // REFUSED_STREAM, NO_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY
  fc.record({ fault: fc.constant('resetCalls' as const), code: fc.constantFrom(7, 0, 2, 8, 11, 12) }),
  fc.record({ fault: fc.constant('endCalls' as const), code: fc.constantFrom(14, 0, 8, 13) }),
  fc.record({ fault: fc.constant('maxStreams' as const), maxStreams: fc.constantFrom(1, 2, 0, 4, undefined) }),
  fc.record({ fault: fc.constant('health' as const), status: fc.constantFrom(2, 1, 0, 3) }),
  fc.record({ fault: fc.constant('flap' as const), everyMs: fc.constantFrom(30, 150, 600) }),
  fc.record({ fault: fc.constant('healthService' as const), exists: fc.boolean() }),
  fc.record({ fault: fc.constant('healthAnswers' as const), answers: fc.boolean() }),
  fc.record({ fault: fc.constant('streams' as const), exist: fc.boolean() }),
  fc.record({ fault: fc.constant('batch' as const), exists: fc.boolean() }),
  fc.record({ fault: fc.constant('reads' as const), reads: fc.boolean() }),
  fc.record({ fault: fc.constant('hold' as const), toServer: fc.boolean(), toClient: fc.boolean() }),
  fc.record({ fault: fc.constant('dial' as const), dial: fc.constantFrom('accept', 'silent', 'refuse', 'reset') }),
  fc.record({ fault: fc.constant('delay' as const), delayMs: fc.constantFrom(0, 20, 200) }),
  fc.record({ fault: fc.constant('clog' as const), window: fc.constantFrom(1, 2, 4_096) }),
  fc.record({ fault: fc.constant('chaos' as const), chaos: chaosArb }),
);

const handle = fc.integer({ min: 0, max: 2 });

function weighted(...pairs: (readonly [number, fc.Arbitrary<Command>])[]): fc.Arbitrary<Command> {
  return fc.oneof(...pairs.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const advanceArb: fc.Arbitrary<Command> = fc.record({
  do: fc.constant('advance' as const),
  ms: fc.oneof(
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 13, max: 300 }),
    fc.integer({ min: 301, max: 4_000 }),
  ),
});

const commandArb: fc.Arbitrary<Command> = weighted(
  [10, advanceArb],
  [1, fc.record({ do: fc.constant('stall' as const), ms: fc.constantFrom(5, 60, 150, 700) })],
  [14, fc.record({ do: fc.constant('fault' as const), server: fc.integer({ min: 0, max: 2 }), what: faultArb })],
  [1, fc.constant({ do: 'heal' as const })],
  [
    6,
    fc.record({
      do: fc.constant('check' as const),
      count: fc.integer({ min: 1, max: 6 }),
      timeoutMs: mostly<number | undefined>(undefined, fc.integer({ min: 1, max: 60 })),
      named: fc.boolean(),
    }),
  ],
  [2, fc.record({ do: fc.constant('again' as const), other: mostly(false, fc.boolean()) })],
  [1, fc.record({ do: fc.constant('abort' as const), afterMs: fc.integer({ min: 0, max: 50 }) })],
  [1, fc.constant({ do: 'unary' as const })],
  [1, fc.record({ do: fc.constant('batch' as const), count: fc.integer({ min: 1, max: 4 }) })],
  [2, fc.constant({ do: 'openHandle' as const })],
  [6, fc.record({ do: fc.constant('send' as const), handle, count: fc.integer({ min: 1, max: 8 }) })],
  [1, fc.record({ do: fc.constant('handleCheck' as const), handle })],
  [2, fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), handle })],
  [1, fc.record({ do: fc.constant('end' as const), handle })],
  [1, fc.constant({ do: 'connect' as const })],
  [1, fc.record({ do: fc.constant('scale' as const), size: fc.integer({ min: 1, max: 4 }) })],
  [1, fc.constant({ do: 'probe' as const })],
);

/** Most faults are to meet a client at work. */
const openingArb: fc.Arbitrary<readonly Command[]> = fc.constantFrom<(readonly Command[])[]>(
  [],
  [{ do: 'connect' }, { do: 'advance', ms: 60 }],
  [{ do: 'connect' }, { do: 'advance', ms: 60 }, { do: 'openHandle' }],
);

const endingArb: fc.Arbitrary<readonly Command[]> = mostly<readonly Command[]>(
  [],
  fc.tuple(fc.record({ do: fc.constant('disconnect' as const), force: fc.boolean() }), advanceArb, commandArb),
);

export const scenarioArb: fc.Arbitrary<Scenario> = fc.record({
  setup: setupArb,
  commands: fc
    .tuple(openingArb, fc.array(commandArb, { minLength: 1, maxLength: 40, size: 'max' }), endingArb)
    .map((parts) => parts.flat()),
});

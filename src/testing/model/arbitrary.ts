import type { FailoverCommand, FailoverFault, FailoverScenario, ServerCommand } from './commands.js';
import type { FastCheck, FastCheckArbitrary } from './fast-check.js';

export interface ScenarioShape {
  /** Those that faults strike. */
  readonly servers: readonly string[];
  readonly faults: readonly FailoverFault[];
  readonly maxCommands: number;
  readonly timeoutMs: number;
  /** The longest wait. */
  readonly maxWaitMs: number;
}

type Verb = Exclude<ServerCommand['do'], 'partition' | 'slow'>;

const MAX_SEED = 2 ** 31 - 1;
const MAX_CHECKS = 8;

/** Of each fault, the commands that begin and end it; faults are begun more often than ended, as another may end it too. */
const VERBS: Readonly<Record<Exclude<FailoverFault, 'partition' | 'slow' | 'stall'>, readonly Verb[]>> = {
  kill: ['kill', 'kill', 'restart'],
  freeze: ['freeze', 'freeze', 'thaw'],
  cut: ['cut'],
  drain: ['drain'],
  blackhole: ['blackhole', 'blackhole', 'heal'],
  notServing: ['notServing', 'notServing', 'heal'],
  swallow: ['swallow', 'swallow', 'heal'],
  refuse: ['refuse', 'refuse', 'heal'],
};

/** Scenarios for {@link FailoverModel}. They shrink to fewer commands, shorter waits and the servers and faults named first. */
export function scenarios(fc: FastCheck, shape: ScenarioShape): FastCheckArbitrary<FailoverScenario> {
  const { timeoutMs, maxWaitMs, maxCommands } = shape;
  const count = fc.integer({ min: 1, max: MAX_CHECKS });
  const wait = fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 50 }), weight: 3 },
    { arbitrary: fc.integer({ min: 51, max: Math.max(1_000, timeoutMs) }), weight: 5 },
    { arbitrary: fc.integer({ min: 1_000, max: maxWaitMs }), weight: 1 },
  );
  const ask = (how: 'check' | 'batch' | 'send'): FastCheckArbitrary<FailoverCommand> =>
    count.map((howMany) => ({ do: how, count: howMany }));
  const command = fc.oneof<FailoverCommand>(
    { arbitrary: wait.map((ms) => ({ do: 'wait', ms })), weight: 7 },
    { arbitrary: ask('check'), weight: 2 },
    { arbitrary: ask('batch'), weight: 1 },
    { arbitrary: ask('send'), weight: 1 },
    ...(shape.faults.length === 0 ? [] : [{ arbitrary: faultCommand(fc, shape), weight: 8 }]),
  );
  return fc
    .tuple(
      fc.integer({ min: 1, max: MAX_SEED }),
      fc.array(command, { minLength: 1, maxLength: maxCommands, size: 'max' }),
    )
    .map(([seed, commands]) => ({ seed, commands }));
}

function faultCommand(
  fc: FastCheck,
  { servers, faults, timeoutMs }: ScenarioShape,
): FastCheckArbitrary<FailoverCommand> {
  // The primary as often as its backups together, where there are two: what it suffers is what moves traffic.
  const server = fc.constantFrom(...servers, ...servers.slice(0, 1));
  const toArbitrary = (fault: FailoverFault): FastCheckArbitrary<FailoverCommand> => {
    switch (fault) {
      case 'stall':
        return fc.constantFrom(60, 150, 700).map((ms) => ({ do: 'stall', ms }));
      case 'partition':
        return withHeal(
          fc,
          server,
          fc
            .tuple(server, fc.constantFrom('requests' as const, 'answers' as const))
            .map(([address, lost]) => ({ do: 'partition', server: address, lost })),
        );
      case 'slow':
        return withHeal(
          fc,
          server,
          fc
            .tuple(server, fc.constantFrom(50, Math.ceil(timeoutMs / 4), timeoutMs * 2))
            .map(([address, ms]) => ({ do: 'slow', server: address, ms })),
        );
      default:
        return fc
          .tuple(fc.constantFrom(...VERBS[fault]), server)
          .map(([verb, address]) => ({ do: verb, server: address }));
    }
  };
  return fc.oneof(...faults.map((fault) => ({ arbitrary: toArbitrary(fault), weight: 1 })));
}

function withHeal(
  fc: FastCheck,
  server: FastCheckArbitrary<string>,
  fault: FastCheckArbitrary<FailoverCommand>,
): FastCheckArbitrary<FailoverCommand> {
  return fc.oneof(
    { arbitrary: fault, weight: 2 },
    { arbitrary: server.map((address): FailoverCommand => ({ do: 'heal', server: address })), weight: 1 },
  );
}

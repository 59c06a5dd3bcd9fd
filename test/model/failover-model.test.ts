/** The model that users run: it holds for what is right, and every run of it can be repeated. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigurationError, type PooledClientOptions } from '../../src/index.js';
import {
  createFailoverModel,
  FAILOVER_FAULTS,
  type FailoverCommand,
  type FailoverModelOptions,
  type FailoverScenario,
} from '../../src/testing/index.js';
import { runScenario } from '../../src/testing/model/run.js';
import { prepare } from '../../src/testing/model/setup.js';
import { refusal, rejection } from '../support/stage.js';
import { BACKUP, createPair, findFailure, PRIMARY, type Property, SENSIBLE, violationOf } from './support/pair.js';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 25);
const SEED = Number(process.env['MODEL_SEED'] ?? 1);

describe('any scenario of any faults', () => {
  const quick = { timeout: 1_500, reconnect: { initialDelay: 100, maxDelay: 1_000 } } satisfies PooledClientOptions;
  const layouts: [string, FailoverModelOptions][] = [
    ['one server, and the defaults', { addresses: [PRIMARY] }],
    ['a primary and a backup, and the defaults', { addresses: [PRIMARY], options: { failover: SENSIBLE.failover } }],
    ['two that share the load', { addresses: [PRIMARY, BACKUP], options: quick }],
    [
      'two that share the load, and two fallbacks',
      {
        addresses: [PRIMARY, BACKUP],
        options: { ...quick, failover: { ...SENSIBLE.failover, fallbackAddresses: ['c:1', 'd:1'] } },
        latencyMs: 20,
      },
    ],
    [
      'a list of priorities, failing back at once, checks deduplicated, calls replaced often',
      {
        addresses: ['c:1', PRIMARY, BACKUP],
        options: {
          ...quick,
          failover: { enabled: true, primaryIndex: 1, failbackDelay: 0 },
          streams: { deduplication: true, maxRequestsPerStream: 5 },
        },
      },
    ],
  ];

  test.each(layouts)('%s: every promise of the client is kept', async (_name, options) => {
    const model = createFailoverModel(fc, options);
    await fc.assert(model.property(), { numRuns: RUNS, seed: SEED });
    expect(model.totals.runs).toBe(RUNS);
    expect(model.totals.checks).toBeGreaterThan(10 * RUNS);
  });

  test('a primary that suffers everything but what no backup helps against, and a backup that is spared: no check fails', async () => {
    const model = createPair(
      {},
      {
        faults: ['kill', 'freeze', 'cut', 'blackhole', 'partition'],
        faultyServers: [PRIMARY],
        expectations: { maxFailedPercent: 0, maxFailoverMs: 4_500, maxWaitMs: 4_900, maxMovesPerMinute: 15 },
      },
    );
    await fc.assert(model.property(), { numRuns: 3 * RUNS, seed: SEED });
    // It would hold of nothing, too: there was something.
    const { runs, checks, covered, failed, failovers, failbacks } = model.totals;
    expect(runs).toBe(3 * RUNS);
    expect(checks).toBeGreaterThan(1_000);
    expect(covered).toBe(checks);
    expect(failed).toBe(0);
    expect(failovers).toBeGreaterThan(20);
    expect(failbacks).toBe(failovers);
  });
});

describe('a run', () => {
  const commands: readonly FailoverCommand[] = [
    { do: 'check', count: 3 },
    { do: 'kill', server: PRIMARY },
    { do: 'send', count: 2 },
    { do: 'wait', ms: 800 },
    { do: 'batch', count: 2 },
    { do: 'restart', server: PRIMARY },
    { do: 'wait', ms: 2_000 },
    { do: 'blackhole', server: BACKUP },
    { do: 'wait', ms: 1_000 },
  ];

  test('of the same scenario: is the same, down to every message; of another seed: is another', async () => {
    const model = createPair();
    const first = await model.replay({ seed: 7, commands });
    const second = await createPair().replay({ seed: 7, commands });
    const other = await model.replay({ seed: 8, commands });
    expect(second.hash).toBe(first.hash);
    expect(second.transcript).toEqual(first.transcript);
    expect(other.hash).not.toBe(first.hash);
  });

  test('of any scenario, twice: is the same', async () => {
    const hashes = new Map<string, string>();
    let repeated = 0;
    const model = createPair({}, { invariant: () => undefined });
    const property = fc.asyncProperty(fc.constantFrom(1, 2, 3), async (seed) => {
      const { hash } = await model.replay({ seed, commands: [...commands, ...commands] });
      const known = hashes.get(`${seed}`);
      if (known !== undefined) repeated++;
      expect(hash).toBe(known ?? hash);
      hashes.set(`${seed}`, hash);
    });
    await fc.assert(property, { numRuns: 12, seed: SEED });
    expect(hashes.size).toBe(3);
    expect(repeated).toBe(9);
  });

  test('tells what became of each check, and of the route', async () => {
    const model = createPair();
    const { checks, moves, scenario } = await model.replay({ seed: 7, commands });
    expect(scenario).toEqual({ seed: 7, commands });
    expect(new Set(checks.map(({ kind }) => kind))).toEqual(new Set(['check', 'batch', 'send']));
    expect(checks.map(({ number }) => number)).toEqual(checks.map((_check, index) => index + 1));
    expect(checks.filter(({ outcome }) => outcome === 'pending')).toEqual([]);
    expect(new Set(checks.map(({ answeredBy }) => answeredBy))).toEqual(new Set([PRIMARY, BACKUP]));
    for (const { askedAtMs, settledAtMs = NaN, deadlineAtMs } of checks) {
      expect(settledAtMs).toBeGreaterThanOrEqual(askedAtMs);
      expect(settledAtMs).toBeLessThan(deadlineAtMs);
    }
    expect(moves.map(({ from, to }) => [from, to])).toEqual([
      [-1, 0],
      [0, 1],
      [1, 0],
    ]);
    expect(moves.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(model.totals).toMatchObject({ runs: 1, checks: checks.length, failed: 0, failovers: 1, failbacks: 1 });
  });
});

test('a run that never ends, under load that never ends: is broken off, and told as what it is', async () => {
  const { setup } = prepare({ addresses: [PRIMARY], options: SENSIBLE, checkEveryMs: 1 });
  const days: FailoverScenario = { seed: 1, commands: [{ do: 'wait', ms: 2 ** 31 - 1 }] };
  const error = await violationOf(runScenario({ ...setup, maxSteps: 500 }, days));
  expect(error.violation).toMatch(/^the run has not ended after 500 steps: /);
  expect(error.getRun().transcript).toContainEqual(expect.stringContaining('> wait 2147483647 ms'));
});

describe('a failing run', () => {
  const strict = (): ReturnType<typeof createPair> =>
    createPair(
      { timeout: 200 },
      { faults: ['freeze'], faultyServers: [PRIMARY], expectations: { maxFailedPercent: 0 } },
    );

  // One search for all: each is a couple of hundred runs.
  const searching = findFailure(strict(), { shrink: true });

  test('is found again by the seed and path that fast-check printed, and by the scenario that its message ends with', async () => {
    const { error, seed, path } = await searching;
    const bySeed = await violationOf(strict().replay({ seed, path }));
    expect(bySeed.message).toBe(error.message);
    const printed = /^To run it again: await model\.replay\((.*)\)$/m.exec(error.message)?.[1] ?? '';
    const byScenario = await violationOf(strict().replay(JSON.parse(printed) as FailoverScenario));
    expect(byScenario.getRun().hash).toBe(error.getRun().hash);
  });

  test('is shrunk to what matters: the server freezes, and time passes', async () => {
    const { commands } = (await searching).error.getRun().scenario;
    expect(new Set(commands.map(({ do: verb }) => verb))).toEqual(new Set(['freeze', 'wait']));
    expect(commands.length).toBeLessThan(8);
  });

  test('of fc.assert: prints the seed, the path and the scenario, and the transcript as its cause', async () => {
    const { seed, path } = await searching;
    const error = await rejection(fc.assert(strict().property(), { seed, path, endOnFailure: true }));
    expect(error.message).toContain(`seed: ${seed}, path: "${path}"`);
    expect(error.message).toContain('"do":"freeze"');
    expect(String(error.cause)).toContain('> freeze engine-a:50051');
  });

  test('is told so that a newcomer understands it', async () => {
    const commands: FailoverCommand[] = [
      { do: 'wait', ms: 350 },
      { do: 'freeze', server: PRIMARY },
      { do: 'wait', ms: 2_000 },
    ];
    const error = await violationOf(strict().replay({ seed: 1, commands }));
    const { message, violation } = error;
    const run = error.getRun();
    expect(violation).toMatch(
      /^maxFailedPercent: \d+ of \d+ checks failed though a server was well all the time, expected are at most 0 %: check \d+(, \d+)*.* \(no answer within 200 ms\)$/,
    );
    const told = run.transcript.map((line) => line.replace(/^ *\d+\.\d{3} s {2}/, ''));
    expect(told).toEqual(
      expect.arrayContaining([
        'connection 1 to engine-a:50051 is up',
        'traffic goes to level 0, engine-a:50051 (epoch 1)',
        '> wait 350 ms',
        expect.stringMatching(/^checks 1–3 answered by engine-a:50051, within \d+ ms$/),
        '> freeze engine-a:50051',
        expect.stringMatching(/^check 4 failed: TimeoutError, after 20\d ms: no answer within 200 ms$/),
        'failover begins: checks go unanswered',
        'traffic goes to level 1, engine-b:50051 (epoch 2)',
        expect.stringMatching(/^checks .* answered by engine-b:50051, within \d+ ms$/),
        '> all faults stop',
        'engine-a:50051 is well again: failback in 5000 ms',
        '> disconnect',
        `✗ ${violation}`,
      ]),
    );
    // In order, and each line with its time.
    const times = run.transcript.map((line) => Number(/^ *(\d+\.\d{3}) s {2}/.exec(line)?.[1]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(message.startsWith(violation)).toBe(true);
    for (const line of run.transcript) expect(message).toContain(line);
  });

  test('leaves nothing behind that changes the next', async () => {
    const model = strict();
    const scenario = { seed: 3, commands: [{ do: 'wait', ms: 500 }] } as const;
    const before = await model.replay(scenario);
    await violationOf(model.replay((await searching).error.getRun().scenario));
    expect((await model.replay(scenario)).hash).toBe(before.hash);
    expect(model.totals.runs).toBe(2);
  });
});

describe('what is said of the model', () => {
  const make = (options: object): (() => unknown) => {
    return () => createFailoverModel(fc, { addresses: [PRIMARY], ...options });
  };
  const cases: [string, string, object][] = [
    ['fault', 'an option that there is not', { fault: [] }],
    ['addresses', 'no address', { addresses: [] }],
    ['addresses', 'none, nor one in the options', { addresses: undefined }],
    ['addresses', 'beside the address of the options', { options: { address: PRIMARY } }],
    ['options', 'what are none', { options: PRIMARY }],
    ['faults', 'what is no list', { faults: 'kill' }],
    ['faultyServers', 'what is no list', { faultyServers: PRIMARY }],
    ['expectations', 'what are none', { expectations: null }],
    ['faults[1]', 'a fault that there is not', { faults: ['kill', 'explode'] }],
    ['faultyServers[0]', 'a server that is not of the client', { faultyServers: [BACKUP] }],
    ['expectations.maxWait', 'an expectation that there is not', { expectations: { maxWait: 5 } }],
    ['expectations.maxWaitMs', 'a negative wait', { expectations: { maxWaitMs: -1 } }],
    ['expectations.maxFailedPercent', 'more than all', { expectations: { maxFailedPercent: 101 } }],
    ['invariant', 'what is no function', { invariant: true }],
    ['checkEveryMs', 'half a millisecond', { checkEveryMs: 0.5 }],
    ['latencyMs', 'a negative latency', { latencyMs: -1 }],
    ['serviceMs', 'an endless service', { serviceMs: Infinity }],
    ['maxCommands', 'none', { maxCommands: 0 }],
    ['timeout', 'an option of the client that it refuses', { options: { timeout: -1 } }],
  ];
  test.each(cases)('%s, %s: is refused by name', (path, _what, options) => {
    expect(refusal(make(options), ConfigurationError).path).toBe(path);
  });

  test('without fast-check: is refused, and told what to import', () => {
    const { path, message } = refusal(
      () => createFailoverModel({ addresses: [PRIMARY] } as never, undefined as never),
      ConfigurationError,
    );
    expect(path).toBe('fc');
    expect(message).toContain("import fc from 'fast-check'");
    expect(refusal(() => createFailoverModel(fc, undefined as never), ConfigurationError).path).toBe('the options');
  });

  test('the options of createClient, with their address: are those of the same client', async () => {
    const scenario = { seed: 1, commands: [{ do: 'kill', server: PRIMARY }] } as const;
    const own = createFailoverModel(fc, { options: { ...SENSIBLE, address: PRIMARY } });
    expect((await own.replay(scenario)).hash).toBe((await createPair().replay(scenario)).hash);
  });

  test('addresses that are names to look up, and a health service by name: each is one server, and well', async () => {
    const named = 'dns:///engines.internal:50051';
    const model = createFailoverModel(fc, {
      options: { ...SENSIBLE, address: named, healthCheck: { serviceName: 'authz.v1.AuthzService' } },
    });
    const { checks } = await model.replay({ seed: 1, commands: [{ do: 'cut', server: named }] });
    expect(new Set(checks.map(({ answeredBy }) => answeredBy))).toEqual(new Set([named]));
  });

  test('a slip of the pen: is told what was meant', () => {
    expect(refusal(make({ faults: ['frieze'] })).message).toContain(`did you mean 'freeze'?`);
    expect(refusal(make({ expectations: { maxWaitsMs: 1 } })).message).toContain(`did you mean 'maxWaitMs'?`);
  });

  const scenarios: [string, string, object][] = [
    ['seed', 'no seed', { seed: NaN, commands: [] }],
    ['commands', 'no commands', { seed: 1 }],
    ['commands[0].do', 'a command that there is not', { seed: 1, commands: [{ do: 'explode' }] }],
    ['commands[0].server', 'a stranger', { seed: 1, commands: [{ do: 'kill', server: 'c:1' }] }],
    ['commands[0].server', 'nobody', { seed: 1, commands: [{ do: 'kill' }] }],
    [
      'commands[1].ms',
      'a time that is none',
      {
        seed: 1,
        commands: [
          { do: 'wait', ms: 1 },
          { do: 'wait', ms: -1 },
        ],
      },
    ],
    ['commands[0].ms', 'no time', { seed: 1, commands: [{ do: 'stall' }] }],
    ['commands[0].count', 'no check', { seed: 1, commands: [{ do: 'check', count: 0 }] }],
    ['commands[0].count', 'no number', { seed: 1, commands: [{ do: 'batch' }] }],
    ['commands[0].lost', 'nothing lost', { seed: 1, commands: [{ do: 'partition', server: PRIMARY }] }],
    ['commands[0]', 'nothing', { seed: 1, commands: [null] }],
    ['scenario', 'what is none', [{ seed: 1, commands: [] }]],
    ['seed', 'a path without its seed', { path: '0' }],
    ['path', 'a path that is none', { seed: 1, path: 0 }],
    ['path', 'a path of another model', { seed: 1, path: '0:999999' }],
  ];
  test.each(scenarios)('replay, %s, %s: is refused by name', async (path, _what, scenario) => {
    const error = await rejection(createPair().replay(scenario as never), ConfigurationError);
    expect(error.path).toBe(path);
  });

  test('options of production with TLS, credentials, headers and a logger: they are left out, and nothing is read or said', async () => {
    const said: unknown[] = [];
    const say = (...args: unknown[]): void => void said.push(args);
    const model = createPair({
      caPath: '/nowhere/ca.pem',
      certPath: '/nowhere/cert.pem',
      keyPath: '/nowhere/key.pem',
      serverName: 'engines.internal',
      credentials: 'secret',
      metadata: { 'x-tenant': 'one' },
      logger: { debug: say, info: say, warn: say, error: say },
      transport: 'grpc-js',
    });
    const warned: Error[] = [];
    const onWarning = (warning: Error): void => void warned.push(warning);
    process.on('warning', onWarning);
    await model.replay({ seed: 1, commands: [{ do: 'check', count: 1 }] });
    process.off('warning', onWarning);
    expect([said, warned]).toEqual([[], []]);
  });

  test('the faults that there are: each is of use in a scenario', async () => {
    for (const fault of FAILOVER_FAULTS) {
      const model = createPair({}, { faults: [fault], maxCommands: 10 });
      await fc.assert(model.property(), { numRuns: 5, seed: SEED });
      expect(model.totals.runs).toBe(5);
    }
  });

  test('property(): is what fc.assert takes, in types too', async () => {
    const property: Property = createPair({}, { maxCommands: 1 }).property();
    const result = await fc.check(property, { numRuns: 2 });
    expect(result.failed).toBe(false);
  });
});

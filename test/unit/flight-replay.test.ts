/** What `authz replay` makes of dumps: true ones, tampered ones, and files that are no dump at all. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { replay } from '../../machines/index.js';
import { run } from '../../src/cli/program.js';
import type { DumpedTransition, FlightDump } from '../../src/index.js';
import { dumpOfNobody } from '../support/dumped.js';

let directory: string;
let file: string;
/** With every beginning in it. */
let whole: FlightDump;
/** The last 20 transitions of 53. */
let tail: FlightDump;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'authz-replay-'));
  file = path.join(directory, 'dump.json');
  whole = await dumpOfNobody(20_000);
  tail = await dumpOfNobody(20_000, { flightRecorderSize: 20 });
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function replayed(content: unknown, ...flags: string[]): Promise<Ran> {
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return runReplay(file, ...flags);
}

async function runReplay(...args: string[]): Promise<Ran> {
  let [out, err] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((out += String(chunk)), true)),
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((err += String(chunk)), true)),
  ];
  try {
    return { code: await run(['replay', ...args]), out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const refusalOf = async (content: unknown): Promise<string> => {
  const { code, out, err } = await replayed(content);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err.startsWith(`authz: ${file}: `)).toBe(true);
  expect(err).toMatch(/^[^\n]+\n$/);
  return err.slice(`authz: ${file}: `.length).trimEnd();
};

/** A copy with one transition changed. */
function withTransition(dump: FlightDump, index: number, change: (one: DumpedTransition) => object): FlightDump {
  return { ...dump, transitions: dump.transitions.map((one, at) => (at === index ? { ...one, ...change(one) } : one)) };
}

describe('a true dump', () => {
  it('with every beginning: agrees from beginning to end', () => {
    const replays = replay(whole.transitions, whole.actors);
    expect(whole.recorder).toMatchObject({ size: 256, recorded: whole.transitions.length, dropped: 0 });
    expect(replays.map(({ machine }) => machine).sort()).toEqual(
      ['client', 'connection', 'connection', 'endpoint', 'endpoint', 'failover', 'stream'].sort(),
    );
    for (const { startsFrom, transitions, agreed, divergence } of replays) {
      expect({ startsFrom, agreed, divergence }).toEqual({
        startsFrom: 'beginning',
        agreed: transitions,
        divergence: undefined,
      });
    }
  });

  it('whose beginnings were dropped: agrees from the first recorded transition of each actor', () => {
    expect(tail.recorder).toEqual({
      size: 20,
      recorded: whole.recorder.recorded,
      dropped: whole.recorder.recorded - 20,
    });
    const replays = replay(tail.transitions, tail.actors);
    expect(replays.length).toBeGreaterThan(2);
    for (const { startsFrom, transitions, agreed, divergence } of replays) {
      expect({ startsFrom, agreed, divergence }).toEqual({
        startsFrom: 'record',
        agreed: transitions,
        divergence: undefined,
      });
    }
  });

  it('on the command line: a line for each statechart, and exit code 0', async () => {
    const { code, out, err } = await replayed(whole);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n')[0]).toMatch(/^@authz-engine\/grpc-client \S+, dumped \S+Z, 20\.000 s after its start$/);
    expect(out).toMatch(/^connection-1 +its beginning +\d+ +\d+ +agrees$/m);
    const count = whole.transitions.length;
    expect(out.trimEnd().split('\n').at(-1)).toBe(
      `every statechart agrees with the record: ${count} of ${count} transitions`,
    );
  });

  it('of a short recorder: says how many were dropped', async () => {
    const { out } = await replayed(tail);
    expect(out).toContain(
      `\n20 transitions; ${tail.recorder.dropped} before them were dropped, for the recorder holds 20\n`,
    );
    expect(out).toMatch(/^connection-1 +the record /m);
  });

  it('with --steps: every transition too, in order, none of them marked', async () => {
    const { out } = await replayed(whole, '--steps');
    const steps = out.split('\n').filter((line) => /^. #\d/.test(line));
    expect(steps).toHaveLength(whole.transitions.length);
    expect(steps[0]).toBe('  #1  0.000 s  client  begins in idle  xstate.init input "…"');
    expect(steps.every((line) => line.startsWith('  #'))).toBe(true);
  });

  it('with --json: one object that says so', async () => {
    const { code, out } = await replayed(whole, '--json');
    expect(code).toBe(0);
    const report = JSON.parse(out) as { actors: unknown[] };
    expect(report).toMatchObject({
      agrees: true,
      transitions: whole.transitions.length,
      agreed: whole.transitions.length,
      dump: { package: whole.package, dumpedAt: whole.dumpedAt, recorder: whole.recorder },
    });
    expect(report.actors).toHaveLength(7);
    expect(report.actors[0]).toMatchObject({ actor: 'client', startsFrom: 'beginning', divergence: null });
  });
});

describe('a tampered dump', () => {
  const indexes = (dump: () => FlightDump) => fc.nat(1_000).map((at) => at % dump().transitions.length);

  it('any transition said to lead elsewhere: parts there, and no sooner', () => {
    fc.assert(
      fc.property(
        indexes(() => whole),
        fc.constantFrom('nowhere', 'closed'),
        (index, to) => {
          const { transitions, actors } = withTransition(whole, index, () => ({ to }));
          const tampered = transitions[index];
          const parted = replay(transitions, actors).filter(({ divergence }) => divergence !== undefined);
          expect(
            parted.map(({ actor, divergence }) => [actor, divergence?.sequence, divergence?.expected.state]),
          ).toEqual([[tampered?.actor, tampered?.sequence, to]]);
          const before = transitions.slice(0, index).filter(({ actor }) => actor === tampered?.actor);
          expect(parted[0]?.agreed).toBe(before.length);
        },
      ),
    );
  });

  it('any transition said to change the context otherwise: parts there, and names the field', () => {
    fc.assert(
      fc.property(
        indexes(() => whole),
        fc.constantFrom('reason', 'attempt', 'new'),
        (index, name) => {
          const { transitions, actors } = withTransition(whole, index, ({ changes }) => ({
            changes: { ...changes, [name]: 'tampered' },
          }));
          const tampered = transitions[index];
          const parted = replay(transitions, actors).filter(({ divergence }) => divergence !== undefined);
          expect(
            parted.map(({ actor, divergence }) => [actor, divergence?.sequence, divergence?.expected.context]),
          ).toEqual([[tampered?.actor, tampered?.sequence, { [name]: 'tampered' }]]);
        },
      ),
    );
  });

  it('a transition left out of the middle: parts after the gap', () => {
    const index = whole.transitions.findIndex(({ event }) => event.type === 'TRANSPORT_LOST');
    const { actor = '' } = whole.transitions[index] ?? {};
    const next = whole.transitions.slice(index + 1).find((one) => one.actor === actor);
    const replays = replay(whole.transitions.toSpliced(index, 1), whole.actors);
    const parted = replays.filter(({ divergence }) => divergence !== undefined);
    expect(parted.map((one) => [one.actor, one.divergence?.sequence])).toEqual([[actor, next?.sequence]]);
    expect(parted[0]?.divergence?.error).toBe('the record goes on from another state than the statechart is in');
  });

  it('an actor said to be left elsewhere: parts after its last transition', () => {
    const actors = whole.actors.map((one) => (one.actor === 'failover' ? { ...one, state: 'open' } : one));
    const [parted, ...others] = replay(whole.transitions, actors).filter(({ divergence }) => divergence !== undefined);
    expect(others).toEqual([]);
    expect(parted).toMatchObject({
      actor: 'failover',
      divergence: { sequence: undefined, expected: { state: 'open' }, got: { state: 'reconnecting' } },
    });
  });

  it('on the command line: says where, what was expected and what came of it, and exit code 1', async () => {
    const index = whole.transitions.findIndex(({ to }) => to === 'reconnecting');
    const { actor = '', sequence = 0 } = whole.transitions[index] ?? {};
    const tampered = withTransition(whole, index, () => ({ to: 'open' }));
    const { code, out, err } = await replayed(tampered, '--steps');
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(new RegExp(`^${actor} +its beginning +\\d+ +2 +parts$`, 'm'));
    expect(out).toMatch(new RegExp(`^✗ #${sequence} `, 'm'));
    expect(out).toMatch(new RegExp(`^\\? #\\d+ .* ${actor} `, 'm'));
    expect(out).toMatch(new RegExp(`^${actor} parts at its transition 3 \\(#${sequence}, \\d\\.\\d{3} s\\)$`, 'm'));
    expect(out).toMatch(
      /^ {2}event {5}TRANSPORT_LOST reason "[^\n]*"\n {2}from {6}connecting\n {2}expected {2}open\n {2}got {7}reconnecting$/m,
    );
    expect(out.trimEnd().split('\n').at(-1)).toBe('1 of 7 statecharts part from the record');
    const report = JSON.parse((await replayed(tampered, '--json')).out) as { actors: { divergence: unknown }[] };
    expect(report).toMatchObject({ agrees: false });
    expect(report.actors.flatMap(({ divergence }) => divergence ?? [])).toMatchObject([
      { sequence, step: 3, from: 'connecting', expected: { state: 'open' }, got: { state: 'reconnecting' } },
    ]);
  });
});

describe('a bad file', () => {
  it.each<[string, (dump: FlightDump) => unknown, string]>([
    ['no JSON', () => 'c4n4ry{', 'is no JSON; write it with JSON.stringify(client.dump())'],
    ['an empty file', () => '', 'is no JSON; write it with JSON.stringify(client.dump())'],
    ['null', () => 'null', 'the dump: must be an object, got null'],
    ['a list', () => [], 'format: is required'],
    ['other JSON', () => ({}), 'format: is required'],
    ['another format', (dump) => ({ ...dump, format: 'x' }), 'format: must be "authz-flight-dump", got "x"'],
    [
      'a later version',
      (dump) => ({ ...dump, version: 2 }),
      'version: must be 1, the version that this authz reads, got 2',
    ],
    [
      'transitions that are no list',
      (dump) => ({ ...dump, transitions: {} }),
      'transitions: must be an array, got an object',
    ],
    [
      'a field of a transition missing',
      (dump) => withTransition(dump, 3, () => ({ to: undefined })),
      'transitions[3].to: is required',
    ],
    [
      'a state that is a number',
      (dump) => withTransition(dump, 3, () => ({ to: { a: 1 } })),
      'transitions[3].to: must be the name of a state, or an object of them, got an object',
    ],
    [
      'an event without a type',
      (dump) => withTransition(dump, 0, () => ({ event: {} })),
      'transitions[0].event: must be an event: an object of at most 16 levels whose type is a non-empty string, got an object',
    ],
    [
      'transitions out of order',
      (dump) => withTransition(dump, 4, () => ({ sequence: 2 })),
      'transitions[4].sequence: must be above the one before, got 2 after 4',
    ],
    [
      'a statechart that there is none of',
      (dump) => withTransition(dump, 0, () => ({ machine: 'toaster' })),
      'transitions[0].machine: must be one of client, failover, endpoint, connection, stream, got "toaster"',
    ],
    ...['toaster', 'constructor', '__proto__', 7].map((machine): [string, (dump: FlightDump) => unknown, string] => [
      `an actor whose statechart is ${machine}`,
      (dump) => ({ ...dump, actors: [{ ...dump.actors[0], machine }] }),
      `actors[0].machine: must be one of client, failover, endpoint, connection, stream, got ${JSON.stringify(machine)}`,
    ]),
    [
      'an actor that is another statechart at once',
      (dump) => withTransition(dump, 1, () => ({ machine: 'stream' })),
      'transitions[1].machine: must be client, as before of client',
    ],
    [
      'more levels than memory',
      (dump) => withTransition(dump, 2, () => ({ event: { type: 'xstate.init', input: { levels: 4e9 } } })),
      'transitions[2].event.input.levels: must be at most 1024, got 4000000000',
    ],
    [
      'a first transition without the context before it',
      (dump) => ({ ...dump, transitions: dump.transitions.slice(1) }),
      "transitions[0].context: is required, for the actor's beginning is not recorded",
    ],
    [
      'a first state that the statechart has not',
      (dump) => withTransition(dump, 0, () => ({ from: 'nowhere', context: {} })),
      'transitions[0].from: is no state of the statechart client',
    ],
  ])('%s: one line that names field and rule, and exit code 2', async (_, tamper, line) => {
    expect(await refusalOf(tamper(whole))).toBe(line);
  });

  it('a value deeper than a stack: one line too', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const text = JSON.stringify(withTransition(whole, 0, () => ({ changes: { input: 'HERE' } })));
    expect(await refusalOf(text.replace('"HERE"', deep))).toBe(
      'transitions[0].changes: must be an object of at most 16 levels, got an object',
    );
  });

  it.each([
    ['that is not there', '/nowhere/at/all.json', 'cannot be read (ENOENT)'],
    ['that is a directory', tmpdir(), 'cannot be read (EISDIR)'],
  ])('%s: one line that says so', async (_, name, why) => {
    expect(await runReplay(name)).toEqual({
      code: 2,
      out: '',
      err: `authz: ${name}: ${why}; it must be a file that client.dump() was written to\n`,
    });
  });

  it('that has no end: one line that says how long a dump is', async () => {
    expect(await runReplay('/dev/zero')).toEqual({
      code: 2,
      out: '',
      err: 'authz: /dev/zero: has more than 268435456 bytes, and a dump has not\n',
    });
  });

  it('no file: one line with the way to help', async () => {
    expect(await runReplay()).toEqual({
      code: 2,
      out: '',
      err: "authz: missing required argument 'file'; see authz replay --help\n",
    });
  });

  it('a secret in the wrong place: is not repeated', async () => {
    expect(await refusalOf({ ...whole, format: 'Bearer c4n4ry' })).toBe(
      'format: must be "authz-flight-dump", got "Bearer [redacted]"',
    );
  });
});

type Path = readonly (string | number)[];

/** Every place in a value. */
function places(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...at, name]))];
}

function set(value: unknown, [name, ...rest]: Path, to: unknown): unknown {
  if (name === undefined) return to;
  const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  Object.defineProperty(copy, name, {
    value: set(Reflect.get(value as object, name), rest, to),
    enumerable: true,
    configurable: true,
    writable: true,
  });
  return copy;
}

describe('any file', () => {
  const odd = fc.oneof(
    fc.constantFrom<unknown[]>(
      undefined,
      null,
      '',
      0,
      -1,
      0.5,
      1e308,
      true,
      [],
      {},
      'xstate.init',
      'closed',
      'a\nb\u001b[31m',
    ),
    fc
      .constantFrom('{"__proto__": {"levels": 9}}', '{"type": "CONNECT", "input": null}')
      .map((text) => JSON.parse(text) as unknown),
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
  );

  const expectSettled = ({ code, out, err }: Ran): void => {
    if (code === 2) {
      expect(out).toBe('');
      expect(err).toMatch(/^authz: [^\n]+\n$/);
      expect(err).not.toMatch(/ at .*\.[jt]s:|AUTHZ_DEBUG/);
      return;
    }
    expect([0, 1]).toContain(code);
    expect(err).toBe('');
    expect(out).toMatch(code === 0 ? /agrees with the record/ : /part from the record/);
    expect(out).not.toContain('\u001b');
  };

  it('a dump with odd values in any places: agrees, parts, or is refused in one line', async () => {
    const all = places(tail);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(all.length - 1), odd), { minLength: 1, maxLength: 3 }),
        fc.constantFrom('--steps', '--json', undefined),
        async (changes, flag) => {
          let dump: unknown = tail;
          for (const [at, value] of changes) {
            // A place that an earlier change took away.
            const place = all[at] ?? [];
            if (places(dump).some((one) => one.join('/') === place.join('/'))) dump = set(dump, place, value);
          }
          const ran = await replayed(JSON.stringify([dump]).slice(1, -1), ...(flag === undefined ? [] : [flag]));
          if (flag === '--json' && ran.code !== 2)
            expect(JSON.parse(ran.out)).toMatchObject({ agrees: ran.code === 0 });
          else expectSettled(ran);
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);

  it('any text: is refused in one line', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string({ unit: 'binary' })), async (text) => {
        const ran = await replayed(text);
        expect(ran.code).toBe(2);
        expectSettled(ran);
      }),
    );
  });
});

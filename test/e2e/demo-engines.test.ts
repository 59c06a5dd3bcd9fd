/** The demo's engines under command, as real processes. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EngineState, EngineSwitchboard } from '../../src/cli/demo/engine-switchboard.js';
import { type EngineProcess, Engines } from '../../src/cli/demo/engines.js';
import { EngineCommandError } from '../../src/inspect/engine-controls.js';
import { EXAMPLE_POLICIES, isAlive, ROOT, until } from '../support/cli.js';

/** As Linux tells it: `T` is stopped. */
function processState(pid: number): string {
  return /^State:\t(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}

let engines: Engines;
let engine: EngineProcess;
let switchboard: EngineSwitchboard;
let changes: [state: EngineState, pid: number][];
let ends: string[];

beforeEach(async () => {
  changes = [];
  ends = [];
  engines = new Engines(EXAMPLE_POLICIES, ({ message }) => ends.push(message), join(ROOT, 'dist/src/cli/main.js'));
  engine = await engines.start('primary');
  switchboard = new EngineSwitchboard(engines, [engine], ({ pid }, state) => changes.push([state, pid]));
});
afterEach(() => engines.stop());

const state = (): EngineState | undefined => switchboard.engines()[0]?.state;
const refusal = (promise: Promise<void>): Promise<unknown> =>
  promise.then(() => 'done').catch((error: unknown) => error);

describe('an engine of the demo', () => {
  it('running, frozen: its process is stopped; revived: the same one goes on', async () => {
    await switchboard.freeze(engine.address);
    expect(state()).toBe('frozen');
    await until('stopped', () => processState(engine.pid) === 'T');
    await switchboard.revive(engine.address);
    await until('going on', () => processState(engine.pid) !== 'T');
    expect(changes).toEqual([
      ['frozen', engine.pid],
      ['running', engine.pid],
    ]);
  });

  it.each(['running', 'frozen'] as const)(
    '%s, killed: its process is gone; revived: another one on the same address',
    async (before) => {
      if (before === 'frozen') await switchboard.freeze(engine.address);
      await switchboard.kill(engine.address);
      expect([state(), isAlive(engine.pid)]).toEqual(['dead', false]);
      await switchboard.revive(engine.address);
      expect(switchboard.engines()).toEqual([{ address: engine.address, state: 'running' }]);
      const [, pid] = changes.at(-1) ?? [];
      expect(pid).not.toBe(engine.pid);
      expect(isAlive(pid ?? 0)).toBe(true);
      expect(ends).toEqual([]);
    },
  );

  it('killed by somebody else: is dead, that is told, and it can be revived', async () => {
    process.kill(engine.pid, 'SIGKILL');
    await until('dead', () => state() === 'dead');
    expect(ends).toEqual(['the primary engine ended by itself (SIGKILL)']);
    await switchboard.revive(engine.address);
    expect(state()).toBe('running');
  });

  it('in a state where the command has no meaning: an error that says state and remedy, and nothing is done', async () => {
    const { address } = engine;
    const messages: unknown[] = [];
    const refused = async (promise: Promise<void>): Promise<void> => {
      const error = await refusal(promise);
      expect(error).toBeInstanceOf(EngineCommandError);
      expect(error).toMatchObject({ code: 'ERR_AUTHZ_ENGINE_STATE' });
      messages.push((error as Error).message);
    };
    await refused(switchboard.revive(address));
    await switchboard.freeze(address);
    await refused(switchboard.freeze(address));
    await switchboard.kill(address);
    await refused(switchboard.kill(address));
    await refused(switchboard.freeze(address));
    expect(messages).toEqual([
      `cannot revive ${address}, which is running; kill or freeze it first`,
      `cannot freeze ${address}, which is frozen; revive it first`,
      `cannot kill ${address}, which is dead; revive it first`,
      `cannot freeze ${address}, which is dead; revive it first`,
    ]);
    expect(changes.map(([each]) => each)).toEqual(['frozen', 'dead']);
  });

  it('commanded many times at once: one after the other, each held against what the one before left; too many are refused', async () => {
    const { address } = engine;
    const commands = ['kill', 'revive', 'freeze', 'kill', 'kill', 'revive', 'freeze', 'revive', 'kill'] as const;
    const outcomes = await Promise.all(commands.map((command) => refusal(switchboard[command](address))));
    expect(outcomes.map((outcome) => (outcome instanceof EngineCommandError ? outcome.code : outcome))).toEqual([
      ...['done', 'done', 'done', 'done', 'ERR_AUTHZ_ENGINE_STATE', 'done', 'done', 'done'],
      'ERR_AUTHZ_ENGINE_BUSY',
    ]);
    expect(changes.map(([each]) => each)).toEqual([
      ...['dead', 'running', 'frozen', 'dead'],
      ...['running', 'frozen', 'running'],
    ]);
    await switchboard.kill(address);
    expect(state()).toBe('dead');
  });

  it('of another address: an error that names those there are', async () => {
    expect(await refusal(switchboard.kill('127.0.0.1:1'))).toMatchObject({
      code: 'ERR_AUTHZ_ENGINE_UNKNOWN',
      message: `cannot kill 127.0.0.1:1, which is no engine of this demo; there are ${engine.address}`,
    });
  });

  it('frozen, when all are stopped: is gone; revived then: refused, and nothing starts', async () => {
    await switchboard.freeze(engine.address);
    await engines.stop();
    expect(isAlive(engine.pid)).toBe(false);
    expect(await refusal(switchboard.revive(engine.address))).toMatchObject({ code: 'ERR_AUTHZ_ENGINE_FAILED' });
  });
});

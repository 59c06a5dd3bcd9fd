/** Kills, freezes and revives the demo's engines as somebody asks, in the order of asking. */

import { CliError } from '../failure.js';
import type { EngineProcess, Engines } from './engines.js';

export type EngineState = 'running' | 'frozen' | 'dead';

export type EngineCommand = 'kill' | 'freeze' | 'revive';

/** Commands of one engine that may wait for those before them. */
const MAX_WAITING = 8;

/** In which states a command has a meaning, and what to do in the others. */
const RULES: Readonly<Record<EngineCommand, { readonly from: readonly EngineState[]; readonly remedy: string }>> = {
  kill: { from: ['running', 'frozen'], remedy: 'revive it first' },
  freeze: { from: ['running'], remedy: 'revive it first' },
  revive: { from: ['frozen', 'dead'], remedy: 'kill or freeze it first' },
};

/** A command that is not carried out: its field, the rule and the remedy are in the message. */
export class EngineCommandError extends CliError {
  readonly address: string;
  readonly command: EngineCommand;

  constructor(address: string, command: EngineCommand, reason: string, options: { code: string; cause?: unknown }) {
    super(`${address}: ${reason}`, options);
    this.name = 'EngineCommandError';
    this.address = address;
    this.command = command;
  }
}

interface Line {
  process: EngineProcess;
  state: EngineState;
  waiting: number;
  /** Settles when the last command asked for is through; never rejects. */
  last: Promise<void>;
}

export class EngineSwitchboard {
  readonly #engines: Engines;
  readonly #lines: ReadonlyMap<string, Line>;
  readonly #onChange: (engine: EngineProcess, state: EngineState) => void;

  /** @param onChange told of every change of state, also of those that nobody asked for here */
  constructor(
    engines: Engines,
    processes: readonly EngineProcess[],
    onChange: (engine: EngineProcess, state: EngineState) => void,
  ) {
    this.#engines = engines;
    this.#onChange = onChange;
    this.#lines = new Map(
      processes.map((process) => [
        process.address,
        { process, state: 'running', waiting: 0, last: Promise.resolve() } satisfies Line,
      ]),
    );
    for (const line of this.#lines.values()) this.#follow(line);
  }

  /** In the order of preference. */
  engines(): readonly { readonly address: string; readonly state: EngineState }[] {
    return [...this.#lines].map(([address, { state }]) => ({ address, state }));
  }

  /**
   * SIGKILL. Resolves when the engine is gone.
   * @throws EngineCommandError unless it is running or frozen
   */
  kill(address: string): Promise<void> {
    return this.#inTurn(address, 'kill', async ({ process }) => {
      await process.kill();
      await process.ended;
    });
  }

  /**
   * SIGSTOP.
   * @throws EngineCommandError unless it is running
   */
  freeze(address: string): Promise<void> {
    return this.#inTurn(address, 'freeze', async (line) => {
      await line.process.freeze();
      if (line.state === 'running') this.#enter(line, 'frozen');
    });
  }

  /**
   * SIGCONT for a frozen engine; a dead one is started again on its port. Resolves when it is running.
   * @throws EngineCommandError unless it is frozen or dead
   */
  revive(address: string): Promise<void> {
    return this.#inTurn(address, 'revive', async (line) => {
      if (line.state === 'frozen') {
        line.process.thaw();
      } else {
        line.process = await this.#engines.start(line.process.name, line.process.port);
        this.#follow(line);
      }
      this.#enter(line, 'running');
    });
  }

  async #inTurn(address: string, command: EngineCommand, act: (line: Line) => Promise<void>): Promise<void> {
    const line = this.#lines.get(address);
    if (line === undefined) {
      const known = [...this.#lines.keys()].join(' and ');
      throw new EngineCommandError(address, command, `is no engine of this demo; there are ${known}`, {
        code: 'ERR_AUTHZ_ENGINE_UNKNOWN',
      });
    }
    if (line.waiting >= MAX_WAITING) {
      throw new EngineCommandError(
        address,
        command,
        `${MAX_WAITING} commands wait already; ask again when they are done`,
        {
          code: 'ERR_AUTHZ_ENGINE_BUSY',
        },
      );
    }
    line.waiting++;
    const turn = line.last.then(async () => {
      try {
        await this.#carryOut(line, command, act);
      } finally {
        line.waiting--;
      }
    });
    line.last = turn.catch(() => undefined);
    return turn;
  }

  /** The state is that of the command's own turn: the one before it may have changed it. */
  async #carryOut(line: Line, command: EngineCommand, act: (line: Line) => Promise<void>): Promise<void> {
    const { address } = line.process;
    const { from, remedy } = RULES[command];
    if (!from.includes(line.state)) {
      const reason = `cannot ${command} an engine that is ${line.state}; ${remedy}`;
      throw new EngineCommandError(address, command, reason, { code: 'ERR_AUTHZ_ENGINE_STATE' });
    }
    try {
      await act(line);
    } catch (cause) {
      const reason = `could not ${command} the engine: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new EngineCommandError(address, command, reason, { code: 'ERR_AUTHZ_ENGINE_FAILED', cause });
    }
  }

  #follow(line: Line): void {
    void line.process.ended.then(() => this.#enter(line, 'dead'));
  }

  #enter(line: Line, state: EngineState): void {
    if (line.state === state) return;
    line.state = state;
    this.#onChange(line.process, state);
  }
}

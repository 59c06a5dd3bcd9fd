/** Kills, freezes and revives the demo's engines as somebody asks, in the order of asking. */

import {
  type EngineCommand,
  EngineCommandError,
  type EngineControls,
  type EngineView,
} from '../../inspect/engine-controls.js';
import type { EngineProcess, Engines } from './engines.js';

export type EngineState = EngineView['state'];

/** Commands of one engine that may be under way or wait. */
const MAX_COMMANDS = 8;

/** In which states a command has a meaning, and what to do in the others. */
const RULES: Readonly<Record<EngineCommand, { readonly from: readonly EngineState[]; readonly remedy: string }>> = {
  kill: { from: ['running', 'frozen'], remedy: 'revive it first' },
  freeze: { from: ['running'], remedy: 'revive it first' },
  revive: { from: ['frozen', 'dead'], remedy: 'kill or freeze it first' },
};

/** One engine, whatever process it is at the time. */
interface Seat {
  process: EngineProcess;
  state: EngineState;
  commands: number;
  /** Settles when the last command asked for is through; never rejects. */
  last: Promise<void>;
}

export class EngineSwitchboard implements EngineControls {
  readonly #engines: Engines;
  readonly #seats: ReadonlyMap<string, Seat>;
  readonly #onChange: (engine: EngineProcess, state: EngineState) => void;

  /**
   * @param processes in the order of preference
   * @param onChange told of every change of state, also of one that nobody asked for here
   */
  constructor(
    engines: Engines,
    processes: readonly EngineProcess[],
    onChange: (engine: EngineProcess, state: EngineState) => void,
  ) {
    this.#engines = engines;
    this.#onChange = onChange;
    this.#seats = new Map(
      processes.map((process): [string, Seat] => [
        process.address,
        { process, state: 'running', commands: 0, last: Promise.resolve() },
      ]),
    );
    for (const seat of this.#seats.values()) this.#follow(seat);
  }

  engines(): EngineView[] {
    return [...this.#seats].map(([address, { state }]) => ({ address, state }));
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
    return this.#inTurn(address, 'freeze', async (seat) => {
      await seat.process.freeze();
      this.#enter(seat, 'frozen');
    });
  }

  /**
   * SIGCONT for a frozen engine; a dead one is started again on its port. Resolves when it is running.
   * @throws EngineCommandError unless it is frozen or dead
   */
  revive(address: string): Promise<void> {
    return this.#inTurn(address, 'revive', async (seat) => {
      if (seat.state === 'frozen') {
        seat.process.thaw();
      } else {
        seat.process = await this.#engines.start(seat.process.name, seat.process.port);
        this.#follow(seat);
      }
      this.#enter(seat, 'running');
    });
  }

  async #inTurn(address: string, command: EngineCommand, act: (seat: Seat) => Promise<void>): Promise<void> {
    const seat = this.#seats.get(address);
    if (seat === undefined) {
      const known = [...this.#seats.keys()].join(' and ');
      const message = `cannot ${command} ${address}, which is no engine of this demo; there are ${known}`;
      throw new EngineCommandError(message, 'ERR_AUTHZ_ENGINE_UNKNOWN');
    }
    if (seat.commands >= MAX_COMMANDS) {
      const message = `cannot ${command} ${address} yet: ${MAX_COMMANDS} commands are under way; wait for them`;
      throw new EngineCommandError(message, 'ERR_AUTHZ_ENGINE_BUSY');
    }
    seat.commands++;
    const turn = seat.last.then(() => carryOut(seat, command, act)).finally(() => seat.commands--);
    seat.last = turn.catch(() => undefined);
    return turn;
  }

  #follow(seat: Seat): void {
    void seat.process.ended.then(() => this.#enter(seat, 'dead'));
  }

  #enter(seat: Seat, state: EngineState): void {
    seat.state = state;
    this.#onChange(seat.process, state);
  }
}

/** Held against the state that the commands before it left, not that of the moment of asking. */
async function carryOut(seat: Seat, command: EngineCommand, act: (seat: Seat) => Promise<void>): Promise<void> {
  const { address } = seat.process;
  const { from, remedy } = RULES[command];
  if (!from.includes(seat.state)) {
    const message = `cannot ${command} ${address}, which is ${seat.state}; ${remedy}`;
    throw new EngineCommandError(message, 'ERR_AUTHZ_ENGINE_STATE');
  }
  try {
    await act(seat);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineCommandError(`could not ${command} ${address}: ${reason}`, 'ERR_AUTHZ_ENGINE_FAILED', cause);
  }
}

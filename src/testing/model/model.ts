import { ConfigurationError } from '../../errors.js';
import type { AuthzClientOptions } from '../../options.js';
import { scenarios, type ScenarioShape } from './arbitrary.js';
import type { FailoverFault, FailoverScenario } from './commands.js';
import type { FailoverExpectations } from './expectations.js';
import type { FastCheck, FastCheckProperty } from './fast-check.js';
import type { FailoverObservation, FailoverRun } from './observation.js';
import { runScenario } from './run.js';
import { prepare, requireFastCheck, requireObject, requirePath, requireScenario } from './setup.js';
import type { SimulationSetup } from './simulation.js';

export interface FailoverModelOptions {
  /** Those that `createPooledClient` is given. Default: the `address` of the options. Names are not looked up: each is one server. */
  readonly addresses?: readonly string[];
  /**
   * The options of the client under test, as in production: those of `createClient` with their `address`, or those of `createPooledClient`. Of
   * these the simulation has its own: `transport`, `clock`, `random`, `inspect`; and it does without TLS, `credentials`, `metadata` and `logger`.
   * Default: the client's defaults.
   */
  readonly options?: Partial<AuthzClientOptions>;
  /** What may go wrong. Default: everything, see {@link FAILOVER_FAULTS}. */
  readonly faults?: readonly FailoverFault[];
  /** The servers that faults strike, by address. Default: all of them. */
  readonly faultyServers?: readonly string[];
  /** What is expected of this configuration, beyond what the client promises. Default: nothing. */
  readonly expectations?: FailoverExpectations;
  /**
   * An expectation of your own: called after every step, throws when it is broken. A step is a command, or anything that falls due while time
   * passes. Not async.
   */
  readonly invariant?: (observation: FailoverObservation) => void;
  /** Between two checks of the load that goes on all the time, milliseconds; 0: there is none. Default 100. */
  readonly checkEveryMs?: number;
  /** The longest one-way delay of the network, milliseconds, 0 to 60,000. Default 1. */
  readonly latencyMs?: number;
  /** The longest that a server takes that is well, milliseconds, 0 to 60,000. Default 4. */
  readonly serviceMs?: number;
  /** Of a run, at most; 1 to 1,000. Default 30. */
  readonly maxCommands?: number;
}

/** Over all runs of a model: whether it saw what you think it saw. */
export interface FailoverTotals {
  /** Those that were passed. Failing ones, and the shrinking of them, are not counted. */
  readonly runs: number;
  readonly checks: number;
  readonly failed: number;
  /** Checks that nothing would have excused. */
  readonly covered: number;
  /** Moves of traffic to another level, and back to a better one. */
  readonly failovers: number;
  readonly failbacks: number;
}

export interface FailoverModel<Property> {
  /** For `fc.assert`: any scenario, run, keeps every promise of the client and every expectation of yours. */
  property(): Property;
  /**
   * Runs one scenario: the one that a failing run printed, the seed and path that fast-check printed, or one of your own making.
   * @throws FailoverModelError when a promise or an expectation is broken; its message has the transcript
   * @throws ConfigurationError for what is no scenario of this model, and for a path that leads to none
   */
  replay(what: FailoverScenario | { readonly seed: number; readonly path: string }): Promise<FailoverRun>;
  readonly totals: FailoverTotals;
}

/**
 * A model of your configuration's worst day. It runs the real client, with your options, over simulated servers, a simulated network and
 * virtual time, where an hour takes no time and every run can be repeated; fast-check makes up what happens, and shrinks it when something
 * breaks.
 *
 * What the client promises is held after every step: each check settles once, and by its deadline; an ALLOW is what a server said of that very
 * question; checks go only to the level that carries traffic, each move of which has a greater epoch; the failover controller does what its pure
 * statechart does. At the end faults stop, and all must come right within a time that follows from the options. Then `disconnect()` must leave
 * nothing behind. What you expect beyond that you say in `expectations` and `invariant`.
 *
 * @param fc fast-check, version 3 or 4, as your tests import it
 * @throws ConfigurationError naming the option and the rule it breaks
 */
export function createFailoverModel<Fc extends FastCheck>(
  fc: Fc,
  options: FailoverModelOptions,
): FailoverModel<FastCheckProperty<Fc>> {
  requireFastCheck(fc);
  const { setup, shape } = prepare(options);
  return new Model(fc, setup, shape);
}

const WRONG_PATH = 'leads to no scenario: was it of this seed, and of a model with the same options?';

class Model<Fc extends FastCheck> implements FailoverModel<FastCheckProperty<Fc>> {
  readonly #fc: Fc;
  readonly #setup: SimulationSetup;
  readonly #shape: ScenarioShape;
  readonly #totals = { runs: 0, checks: 0, failed: 0, covered: 0, failovers: 0, failbacks: 0 };

  constructor(fc: Fc, setup: SimulationSetup, shape: ScenarioShape) {
    this.#fc = fc;
    this.#setup = setup;
    this.#shape = shape;
  }

  get totals(): FailoverTotals {
    return { ...this.#totals };
  }

  property(): FastCheckProperty<Fc> {
    return this.#fc.asyncProperty(scenarios(this.#fc, this.#shape), async (scenario) => {
      await this.replay(scenario as FailoverScenario);
    }) as FastCheckProperty<Fc>;
  }

  async replay(what: FailoverScenario | { readonly seed: number; readonly path: string }): Promise<FailoverRun> {
    requireObject('scenario', what);
    const scenario = 'path' in what ? await this.#scenarioAt(what) : what;
    requireScenario(scenario, this.#setup);
    const run = await runScenario(this.#setup, scenario);
    this.#count(run);
    return run;
  }

  /** Walks the path as a failing `fc.assert` is repeated, but for what it runs. */
  async #scenarioAt(what: { readonly seed: number; readonly path: string }): Promise<FailoverScenario> {
    requirePath(what);
    const { seed, path } = what;
    let found: FailoverScenario | undefined;
    const property = this.#fc.asyncProperty(scenarios(this.#fc, this.#shape), (scenario) => {
      found = scenario as FailoverScenario;
      return Promise.resolve();
    });
    try {
      await this.#fc.check(property, { seed, path, numRuns: 1 });
    } catch (cause) {
      throw new ConfigurationError('path', WRONG_PATH, { cause });
    }
    if (found === undefined) throw new ConfigurationError('path', WRONG_PATH);
    return found;
  }

  #count({ checks, moves }: FailoverRun): void {
    const totals = this.#totals;
    totals.runs++;
    totals.checks += checks.length;
    totals.failed += checks.filter(({ outcome }) => outcome === 'failed').length;
    totals.covered += checks.filter(({ isCovered }) => isCovered).length;
    let before = -1;
    for (const { to } of moves) {
      if (to === -1) continue;
      if (before !== -1 && to > before) totals.failovers++;
      if (before !== -1 && to < before) totals.failbacks++;
      before = to;
    }
  }
}

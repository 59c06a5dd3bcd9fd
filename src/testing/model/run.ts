import type { FailoverScenario } from './commands.js';
import { DEADLINE_SLACK_MS } from './bounds.js';
import { must, Violation } from './ledger.js';
import { FailoverModelError, type FailoverRun, type ObservedCheck } from './observation.js';
import { Simulation, type SimulationSetup } from './simulation.js';

/** A run begins when the client is connected and has been left in peace for so long: its backups are warm. */
const PEACE_MS = 1_000;
/** Between two attempts of an application that wants to be served. */
const INSIST_MS = 250;
/** For what remains on the network when the client has gone. */
const AFTERMATH_MS = 60_000;

/**
 * One run, from connecting to the last look at what is left behind.
 * @throws FailoverModelError when a promise or an expectation was broken
 */
export async function runScenario(setup: SimulationSetup, scenario: FailoverScenario): Promise<FailoverRun> {
  const simulation = new Simulation(setup, scenario.seed);
  try {
    await begin(simulation, setup);
    for (const command of scenario.commands) await simulation.run(command);
    await holdLiveness(simulation, setup);
    await end(simulation, setup);
  } catch (error) {
    const text = error instanceof Violation ? error.message : String(error);
    simulation.transcript.note(`✗ ${text}`);
    const cause = error instanceof Violation ? error.cause : error;
    const failure = new FailoverModelError(text, report(simulation, scenario), cause);
    await abandon(simulation);
    throw failure;
  }
  return report(simulation, scenario);
}

async function begin(simulation: Simulation, { bounds }: SimulationSetup): Promise<void> {
  connect(simulation);
  const isConnected = await simulation.until(() => simulation.client.isConnected(), bounds.recoveryMs);
  must(isConnected, () => `all servers are well, and ${bounds.recoveryMs} ms were not enough to connect`);
  await simulation.advance(PEACE_MS);
  simulation.startLoad();
}

/** As an application would: a dial from before may still fail. */
function connect(simulation: Simulation): void {
  simulation.client.connect().catch(() => {
    if (!simulation.client.isConnected()) simulation.clock.setTimeout(() => connect(simulation), INSIST_MS);
  });
}

/** Once faults have stopped, all comes right within a time that follows from the options. */
async function holdLiveness(simulation: Simulation, { bounds, resolved }: SimulationSetup): Promise<void> {
  const { recoveryMs, failbackMs } = bounds;
  simulation.stopLoad();
  simulation.heal();
  const isConnected = await simulation.until(() => simulation.client.isConnected(), recoveryMs);
  must(isConnected, () => `${recoveryMs} ms after the faults the client is still ${simulation.state}`);
  const isAnswered = await insist(simulation, recoveryMs);
  must(isAnswered, () => `${recoveryMs} ms after the faults checks are still not answered`);
  const isBack = await simulation.until(() => simulation.state === 'open', failbackMs);
  must(isBack, () => `${failbackMs} ms after the faults the client is ${simulation.state}, and the primary is well`);
  const last = simulation.asker.check();
  await simulation.until(() => last.outcome !== 'pending', resolved.timeoutMs + DEADLINE_SLACK_MS);
  must(
    last.answeredBy !== undefined,
    () => `all is well again, and check ${last.number} failed: ${last.error?.message ?? 'it never settled'}`,
  );
}

async function insist(simulation: Simulation, withinMs: number): Promise<boolean> {
  const endAtMs = simulation.nowMs + withinMs;
  while (simulation.nowMs < endAtMs) {
    const check = simulation.asker.check();
    if (await simulation.until(() => check.outcome !== 'pending', INSIST_MS)) {
      if (check.answeredBy !== undefined) return true;
      await simulation.advance(INSIST_MS);
    }
  }
  return false;
}

/** `disconnect()` ends, and leaves nothing behind. */
async function end(simulation: Simulation, { resolved }: SimulationSetup): Promise<void> {
  const { client, clock, ledger, network, transcript } = simulation;
  transcript.command('disconnect');
  let isGone = false;
  simulation.leave();
  void client.disconnect().then(() => (isGone = true));
  const limitMs = resolved.timeoutMs + PEACE_MS;
  const isDone = await simulation.until(() => isGone, limitMs);
  must(isDone, () => `disconnect() has not ended after ${limitMs} ms`);
  await simulation.advance(0);
  must(ledger.pending.size === 0, () => `disconnected, ${ledger.pending.size} checks were never settled`);
  await simulation.until(() => clock.pendingTimers === 0, AFTERMATH_MS);
  must(clock.pendingTimers === 0, () => `disconnected, ${clock.pendingTimers} timers are left`);
  must(network.openConnections === 0, () => `disconnected, ${network.openConnections} connections are left`);
  simulation.holdEnd();
}

/** Leaves nothing behind that could disturb the next run. */
async function abandon(simulation: Simulation): Promise<void> {
  const { client, clock } = simulation;
  simulation.stopLoad();
  void client.disconnect({ force: true });
  // What is broken may throw again on its way out.
  await clock.advanceAsync(PEACE_MS).catch(() => undefined);
}

/** As it is now: what comes afterwards is no part of it. */
function report(simulation: Simulation, scenario: FailoverScenario): FailoverRun {
  const { transcript, checks, moves } = simulation;
  return {
    scenario,
    transcript: transcript.lines,
    hash: transcript.hash,
    checks: checks.map((check) => toObserved(check)),
    moves: [...moves],
  };
}

function toObserved({
  number,
  kind,
  askedAtMs,
  deadlineAtMs,
  settledAtMs,
  outcome,
  error,
  answeredBy,
  isCovered,
}: ObservedCheck): ObservedCheck {
  return { number, kind, askedAtMs, deadlineAtMs, settledAtMs, outcome, error, answeredBy, isCovered };
}

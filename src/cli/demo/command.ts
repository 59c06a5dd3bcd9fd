/** `authz demo`: a failover to watch, with the books kept. */

import type { Command } from 'commander';
import { constants } from 'node:os';
import { loadPolicyDirectory } from '../../engine/index.js';
import { ConfigurationError } from '../../errors.js';
import { nonEmpty, wholeNumber } from '../arguments.js';
import { CliError, ExitCode, toCliError } from '../failure.js';
import { examplePolicies } from '../package-files.js';
import { createTerminal } from '../terminal.js';
import { createProgress } from './progress.js';
import { count, failureOf, judge, printReport, toJson } from './report.js';
import { runScenario } from './scenario.js';

export interface DemoFlags {
  readonly checks: number;
  readonly streams: number;
  readonly policies?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Two engines run as processes of their own, a primary and a backup. Half-way through, with checks in flight, the primary is
killed (SIGKILL); later it is started again on the same port. Every answer is held against the policies.

Exit code: 0 when every claim holds, 1 when one does not (it says which), 2 when the demo could not be run.

Examples:
  $ authz demo
  $ authz demo --checks 1000000 --streams 8
  $ authz demo --json | jq .claims
  $ authz demo --policies ./policies`;

export function configureDemo(command: Command): Command {
  return command
    .description('100,000 checks, one engine killed half-way: see the failover, and that nothing is lost')
    .option('--checks <count>', 'how many checks to send', wholeNumber(100, 100_000_000), 100_000)
    .option('--streams <count>', 'over how many streams', wholeNumber(1, 100), 4)
    .option('--policies <dir>', 'directory of policies (default: the examples of the repository)', nonEmpty)
    .option('--json', 'print one JSON report, and nothing else')
    .addHelpText('after', EXAMPLES);
}

/** Plays the demo. Resolves with the exit code. */
export async function demo(flags: DemoFlags): Promise<number> {
  const terminal = createTerminal();
  const interruption = interruptionSignal();
  const isJson = flags.json === true;
  try {
    const directory = directoryOf(flags);
    const policies = await loadPolicyDirectory(directory);
    const title = `${count(flags.checks)} checks over ${flags.streams} streams; half-way, the primary engine is killed`;
    if (!isJson) terminal.line(`${terminal.paint('bold', title)}\n`);
    const result = await runScenario({
      checks: flags.checks,
      streams: flags.streams,
      policies,
      directory,
      signal: interruption.signal,
      progress: createProgress(terminal, isJson),
    });
    const report = judge(result);
    if (isJson) terminal.line(toJson(report));
    else printReport(terminal, report);
    if (report.ok) return ExitCode.OK;
    process.stderr.write(`authz: ${failureOf(report)}\n`);
    return ExitCode.NO;
  } catch (error) {
    if (interruption.signal.aborted) return interruption.exitCode();
    throw toDemoError(error);
  } finally {
    interruption.release();
  }
}

function directoryOf({ policies }: DemoFlags): string {
  const directory = policies ?? examplePolicies();
  if (directory !== undefined) return directory;
  throw new CliError(
    'the example policies are not part of the npm package; give a directory of policies: authz demo --policies DIR',
  );
}

function toDemoError(error: unknown): CliError {
  // The engine's option has the name of the flag.
  const flags = new Map(error instanceof ConfigurationError ? [['policies', '--policies']] : []);
  return toCliError(error, { command: 'demo', flags });
}

interface Interruption {
  readonly signal: AbortSignal;
  exitCode(): number;
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first signal ends the demo in order; a second one at once. The engines are killed either way. */
function interruptionSignal(): Interruption {
  const controller = new AbortController();
  let exitCode: number = ExitCode.INTERRUPTED;
  const interrupt = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCode);
    exitCode = 128 + constants.signals[signal];
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    release: () => {
      for (const signal of SIGNALS) process.off(signal, interrupt);
    },
  };
}

/** `authz demo`: a failover to watch, with the books kept. */

import { type Command, Option } from 'commander';
import { constants } from 'node:os';
import { nonEmpty, wholeNumber } from '../arguments.js';
import { type CliError, ExitCode, toCliError, UsageError } from '../failure.js';
import { createTerminal } from '../terminal.js';

export interface DemoFlags {
  readonly checks: number;
  readonly streams: number;
  readonly policies?: string;
  readonly inspect?: boolean;
  readonly port?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Two engines run as processes of their own, a primary and a backup. Half-way through, with checks in flight, the primary is
killed (SIGKILL); later it is started again on the same port. Every answer is held against the policies.

With --inspect, nothing is killed but by you: a steady load, and a page on 127.0.0.1 that shows the client and has buttons to
kill, freeze and revive the engines. Ctrl-C ends it with the books; a second one ends it at once.

Exit code: 0 when every claim holds, 1 when one does not (it says which), 2 when the demo could not be run.

Examples:
  $ authz demo
  $ authz demo --checks 1000000 --streams 8
  $ authz demo --json | jq .claims
  $ authz demo --policies ./policies
  $ authz demo --inspect
  $ authz demo --inspect --port 8080`;

export function configureDemo(command: Command): Command {
  return command
    .description('100,000 checks, one engine killed half-way: see the failover, and that nothing is lost')
    .option('--checks <count>', 'how many checks to send', wholeNumber(100, 100_000_000), 100_000)
    .option('--streams <count>', 'over how many streams', wholeNumber(1, 100), 4)
    .option('--policies <dir>', 'directory of policies (default: the examples of the repository)', nonEmpty)
    .addOption(
      new Option(
        '--inspect',
        'go on until Ctrl-C, with a web page to watch the client and play with the engines',
      ).conflicts('checks'),
    )
    .option('--port <port>', 'of that page (default: any free one)', wholeNumber(0, 65_535))
    .option('--json', 'print one JSON report, and nothing else; with --inspect, first a line that tells the url')
    .addHelpText('after', EXAMPLES);
}

/** Plays the demo. Resolves with the exit code. */
export async function demo(flags: DemoFlags): Promise<number> {
  if (flags.port !== undefined && flags.inspect !== true) {
    throw new UsageError('--port: is of the page that --inspect serves', 'demo');
  }
  const terminal = createTerminal();
  const interruption = interruptionSignal();
  try {
    const { playLive, playScenario } = await import('./play.js');
    const play = flags.inspect === true ? playLive : playScenario;
    const failure = await play(flags, terminal, interruption.signal);
    if (failure === undefined) return ExitCode.OK;
    process.stderr.write(`authz: ${failure}\n`);
    return ExitCode.NO;
  } catch (error) {
    if (interruption.signal.aborted) return interruption.exitCode();
    throw toDemoError(error);
  } finally {
    interruption.release();
  }
}

function toDemoError(error: unknown): CliError {
  const flags = new Map([
    // The engine's option has the name of the flag.
    ['policies', '--policies'],
    ['options.port', '--port'],
  ]);
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

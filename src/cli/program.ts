/** The commands, how they are parsed, and how every failure becomes one line and an exit code.
 * Each command loads what it works with once it is run: help and a mistake are told without a client or an engine. */

import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { check, configureCheck } from './check.js';
import { configureDemo, demo } from './demo/command.js';
import { ExitCode, type FailureContext, oneLine, toCliError, UsageError } from './failure.js';
import { configureInspect, INSPECT_CONTEXT, inspectClient } from './inspect.js';
import { configureReplay, replay } from './replay.js';
import { configureServe, serve, SERVE_CONTEXT } from './serve.js';
import { configureWatch, watch } from './watch.js';
import { VERSION } from '../version.js';

const EXAMPLES = `
Examples:
  $ authz demo
  $ authz serve --policies examples/policies --port 50051
  $ authz check --principal alice --roles editor --resource document:42 --action read
  $ authz watch --address 127.0.0.1:50051 --fallback 127.0.0.1:50052
  $ authz inspect --address 127.0.0.1:50051
  $ authz replay dump.json

Environment:
  AUTHZ_ADDRESS       the engine that check, watch and inspect talk to
  AUTHZ_TOKEN         bearer token of check, watch and inspect
  AUTHZ_ADMIN_TOKEN   token of serve for loading policies
  AUTHZ_DEBUG=1       stack traces with errors
  NO_COLOR=1          no colours`;

/** Runs one command line, without the first two entries of `process.argv`. Resolves with the exit code and never rejects. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.command.parseAsync(argv, { from: 'user' });
    return program.exitCode();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.OK;
    // Commander has shown the help of a command line without a command.
    if (error instanceof CommanderError && error.code === 'commander.help') return ExitCode.ERROR;
    reportFailure(error);
    return ExitCode.ERROR;
  }
}

export function reportFailure(error: unknown): void {
  const failure = toCliError(error, { command: '' });
  process.stderr.write(`authz: ${oneLine(failure.message)}\n`);
  if (process.env['AUTHZ_DEBUG'] !== '1') return;
  process.stderr.write(`${inspect(failure.cause ?? failure)}\n`);
}

/** Node's own form is two lines, and the client's words are those of its options. */
export function reportWarning(warning: Error): void {
  process.stderr.write(`authz: warning: ${oneLine(warning.message).replace(/: set tls, or .*$/, '; add --tls')}\n`);
}

function createProgram(): { command: Command; exitCode: () => number } {
  let exitCode: number = ExitCode.OK;
  const program = new Command('authz');
  const add = (
    name: string,
    configure: (command: Command) => Command,
    // What the flags are is for each command's own `configure` to see to; commander does not know it.
    action: (flags: never, ...words: never[]) => Promise<number>,
    context: FailureContext = { command: name },
  ): void => {
    configure(program.command(name))
      .exitOverride((error) => {
        throw toUsageError(error, name);
      })
      // Commander gives the arguments first, then the flags, then the command.
      .action(async (...given: unknown[]) => {
        try {
          exitCode = await action(given.at(-2) as never, ...(given.slice(0, -2) as never[]));
        } catch (error) {
          throw toCliError(error, context);
        }
      });
  };
  program
    .description('authorization checks over gRPC: run an engine, ask it, watch it, and see a failover')
    .version(VERSION, '-V, --version', 'print the version')
    // Errors are told by `reportFailure`, in one line.
    .configureOutput({ outputError: () => undefined })
    .exitOverride((error) => {
      throw toUsageError(error, '');
    })
    .addHelpText('after', EXAMPLES);
  add('serve', configureServe, serve, SERVE_CONTEXT);
  add('check', configureCheck, check);
  add('watch', configureWatch, watch);
  add('demo', configureDemo, demo);
  add('replay', configureReplay, replay);
  add('inspect', configureInspect, inspectClient, INSPECT_CONTEXT);
  return { command: program, exitCode: () => exitCode };
}

/** `error: option '--port <port>' argument 'x' is invalid. must be ...` in our form. Help and version are no errors. */
function toUsageError(error: CommanderError, command: string): Error {
  if (error.exitCode === 0 || error.code === 'commander.help') return error;
  const message = oneLine(error.message)
    .replace(/^error: /, '')
    .replace(/ is invalid\. (?=[a-z"])/, ' is invalid: ')
    .replace(/\.$/, '');
  return new UsageError(message, command);
}

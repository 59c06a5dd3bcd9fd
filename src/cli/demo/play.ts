/** The demo as played: apart from the command, which is asked for its flags by every command line. */

import { loadPolicyDirectory } from '../../engine/index.js';
import { CliError } from '../failure.js';
import { examplePolicies } from '../package-files.js';
import type { Terminal } from '../terminal.js';
import type { DemoFlags } from './command.js';
import { runLive } from './live.js';
import { createLiveJson, createLiveLines, judgeLive, printLiveReport } from './live-report.js';
import { createProgress } from './progress.js';
import { count, failureOf, judge, printReport, toJson } from './report.js';
import { runScenario } from './scenario.js';

/** Resolves with what does not hold, if anything does not. */
export async function playScenario(
  flags: DemoFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<string | undefined> {
  const isJson = flags.json === true;
  const directory = directoryOf(flags);
  const policies = await loadPolicyDirectory(directory);
  const title = `${count(flags.checks)} checks over ${flags.streams} streams; half-way, the primary engine is killed`;
  if (!isJson) terminal.line(`${terminal.paint('bold', title)}\n`);
  const result = await runScenario({
    checks: flags.checks,
    streams: flags.streams,
    policies,
    directory,
    signal,
    progress: createProgress(terminal, isJson),
  });
  const report = judge(result);
  if (isJson) terminal.line(toJson(report));
  else printReport(terminal, report);
  return report.ok ? undefined : failureOf(report);
}

/** Resolves with what does not hold, if anything does not, once it was told to end. */
export async function playLive(flags: DemoFlags, terminal: Terminal, signal: AbortSignal): Promise<string | undefined> {
  const isJson = flags.json === true;
  const directory = directoryOf(flags);
  const result = await runLive({
    streams: flags.streams,
    port: flags.port ?? 0,
    policies: await loadPolicyDirectory(directory),
    directory,
    signal,
    observer: isJson ? createLiveJson(terminal) : createLiveLines(terminal),
  });
  const report = judgeLive(result);
  if (isJson) terminal.line(toJson(report));
  else printLiveReport(terminal, report);
  return report.ok ? undefined : failureOf(report, 'authz demo --inspect');
}

function directoryOf({ policies }: DemoFlags): string {
  const directory = policies ?? examplePolicies();
  if (directory !== undefined) return directory;
  throw new CliError(
    'the example policies are not part of the npm package; give a directory of policies: authz demo --policies DIR',
  );
}

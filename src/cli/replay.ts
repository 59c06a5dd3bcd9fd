/** `authz replay`: makes the transitions of a dump again, on the statecharts of this package. */

import type { Command } from 'commander';
import {
  type ActorReplay,
  type Divergence,
  replay as replayTransitions,
  ReplayError,
  type ReplayOutcome,
} from '../../machines/index.js';
import { badDump, type DumpFile, type DumpFileTransition, type DumpState, readDumpFile } from './dump-file.js';
import { ExitCode, oneLine } from './failure.js';
import { createTerminal, formatTable, type Terminal } from './terminal.js';

export interface ReplayFlags {
  readonly steps?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Exit code: 0 when every transition agrees, 1 when one does not, 2 when the file is no dump.

Examples:
  $ authz replay dump.json
  $ authz replay dump.json --steps
  $ authz replay dump.json --json | jq .actors[].divergence

A service writes one with: writeFileSync('dump.json', JSON.stringify(client.dump()))`;

export function configureReplay(command: Command): Command {
  return command
    .description('make the transitions of a dump again, and tell where the statecharts and the record part')
    .argument('<file>', 'what client.dump() gave, as JSON')
    .option('--steps', 'print every transition too, in order')
    .option('--json', 'print one JSON object instead')
    .addHelpText('after', EXAMPLES);
}

/** Replays, prints, resolves with the exit code. */
export function replay(flags: ReplayFlags, file: string): Promise<number> {
  const dump = readDumpFile(file);
  const replays = replayDump(file, dump);
  const terminal = createTerminal();
  if (flags.json === true) terminal.line(JSON.stringify(toJson(dump, replays)));
  else print(terminal, dump, replays, flags.steps === true);
  return Promise.resolve(replays.some(({ divergence }) => divergence !== undefined) ? ExitCode.NO : ExitCode.OK);
}

function replayDump(file: string, { transitions, actors }: DumpFile): ActorReplay[] {
  try {
    return replayTransitions(transitions, actors);
  } catch (error) {
    if (!(error instanceof ReplayError)) throw error;
    throw badDump(file, error.path, error.message.slice(error.path.length + 2));
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function toJson(dump: DumpFile, replays: readonly ActorReplay[]): object {
  const { package: made, dumpedAt, recorder } = dump;
  return {
    agrees: replays.every(({ divergence }) => divergence === undefined),
    transitions: dump.transitions.length,
    agreed: sum(replays.map(({ agreed }) => agreed)),
    dump: { package: made, dumpedAt, recorder },
    actors: replays.map(({ divergence, ...rest }) => ({ ...rest, divergence: divergence ?? null })),
  };
}

function print(terminal: Terminal, dump: DumpFile, replays: readonly ActorReplay[], withSteps: boolean): void {
  const { package: made, dumpedAt, startedAtMs, nowMs, recorder, transitions } = dump;
  const age = seconds(nowMs - startedAtMs);
  terminal.line(oneLine(`${made.name} ${made.version}, dumped ${dumpedAt}, ${age} after its start`));
  const { dropped, size } = recorder;
  terminal.line(
    `${transitions.length} transitions${dropped === 0 ? '' : `; ${dropped} before them were dropped, for the recorder holds ${size}`}`,
  );
  if (withSteps) printSteps(terminal, transitions, replays);
  terminal.line();
  const rows = replays.map(({ actor, startsFrom, transitions: recorded, agreed, divergence }) => [
    oneLine(actor),
    startsFrom === 'beginning' ? 'its beginning' : 'the record',
    String(recorded),
    String(agreed),
    divergence === undefined ? 'agrees' : 'parts',
  ]);
  const [heading = '', ...lines] = formatTable(
    [['ACTOR', 'FROM', 'TRANSITIONS', 'AGREED', ''], ...rows],
    (cell, row, column) => {
      if (row === 0 || column !== 4) return cell;
      return terminal.paint(cell === 'agrees' ? 'green' : 'red', cell);
    },
  );
  terminal.line(terminal.paint('bold', heading));
  for (const line of lines) terminal.line(line);
  terminal.line();
  for (const { actor, divergence } of replays)
    if (divergence !== undefined) printDivergence(terminal, actor, divergence, transitions);
  const parted = replays.filter(({ divergence }) => divergence !== undefined).length;
  const agreed = sum(replays.map((each) => each.agreed));
  terminal.line(
    parted === 0
      ? terminal.paint(
          'green',
          `every statechart agrees with the record: ${agreed} of ${transitions.length} transitions`,
        )
      : terminal.paint('red', `${parted} of ${replays.length} statecharts part from the record`),
  );
}

function printSteps(
  terminal: Terminal,
  transitions: readonly DumpFileTransition[],
  replays: readonly ActorReplay[],
): void {
  terminal.line();
  const replayOf = new Map(replays.map((each) => [each.actor, each]));
  const counts = new Map<string, number>();
  for (const { sequence, sinceStartMs, actor, event, from, to } of transitions) {
    const step = (counts.get(actor) ?? 0) + 1;
    counts.set(actor, step);
    const { agreed = 0 } = replayOf.get(actor) ?? {};
    const mark = step <= agreed ? ' ' : step === agreed + 1 ? '✗' : '?';
    const move = from === null ? `begins in ${stateText(to)}` : `${stateText(from)} → ${stateText(to)}`;
    const line = `${mark} #${sequence}  ${seconds(sinceStartMs)}  ${actor}  ${move}  ${eventText(event)}`;
    terminal.line(mark === ' ' ? oneLine(line) : terminal.paint('red', oneLine(line)));
  }
}

function printDivergence(
  terminal: Terminal,
  actor: string,
  { sequence, step, event, from, expected, got, error }: Divergence,
  transitions: readonly DumpFileTransition[],
): void {
  const recorded = transitions.find((each) => each.sequence === sequence);
  const where =
    recorded === undefined
      ? `after its last transition (${step})`
      : `at its transition ${step} (#${recorded.sequence}, ${seconds(recorded.sinceStartMs)})`;
  terminal.line(terminal.paint('red', oneLine(`${actor} parts ${where}`)));
  const lines = [
    ['event', eventText(event)],
    ['from', from === null ? 'its beginning' : stateText(from)],
    ['expected', outcomeText(expected)],
    ['got', outcomeText(got)],
    ...(error === undefined ? [] : [['because', error]]),
  ];
  for (const [name = '', value = ''] of lines) terminal.line(`  ${name.padEnd(9)} ${oneLine(value)}`);
  terminal.line();
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(3)} s`;

/** `draining.flushing`. */
function stateText(state: DumpState): string {
  if (typeof state === 'string') return state;
  return Object.entries(state)
    .map(([name, inner]) => `${name}.${stateText(inner)}`)
    .join(',');
}

/** `CALL_LOST generation 3 · reason "reset"`. */
function eventText({ type, ...rest }: { readonly type: string }): string {
  const fields = Object.entries(rest as Record<string, unknown>).map(([name, value]) => {
    const isObject = typeof value === 'object' && value !== null;
    const shown: unknown = isObject && 'id' in value ? value.id : isObject ? '…' : value;
    return `${name} ${JSON.stringify(shown)}`;
  });
  return [type, fields.join(' · ')].filter((part) => part !== '').join(' ');
}

function outcomeText({ state, status, context }: ReplayOutcome): string {
  const fields = Object.entries(context).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const where = `${state === null ? 'nothing' : stateText(state)}${status === 'active' ? '' : ` (${status})`}`;
  return [where, ...fields].join(' · ');
}

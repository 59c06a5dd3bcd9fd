/** `authz inspect`: the page that shows a client, live or from a dump. */

import type { Command } from 'commander';
import type { Inspector } from '../inspect/server.js';
import { wholeNumber } from './arguments.js';
import { connectionContext, usesTls } from './connection-options.js';
import { badDump, readDumpFile } from './dump-file.js';
import { ExitCode, type FailureContext, oneLine, UsageError } from './failure.js';
import { createTerminal, type Terminal } from './terminal.js';
import {
  addWatchingOptions,
  createWatchingClient,
  untilAborted,
  watchHealth,
  type WatchingFlags,
  withInterruption,
} from './watching.js';

export interface InspectFlags extends WatchingFlags {
  readonly port: number;
  readonly json?: boolean;
}

const EXAMPLES = `
The page is served to this machine alone, and to those alone who have its URL. A service shows its own client with startInspector(client).

Examples:
  $ authz inspect --address 127.0.0.1:50051 --fallback 127.0.0.1:50052
  $ authz inspect dump.json
  $ authz inspect --port 8080 --json | jq -r .url

A service writes a dump with: writeFileSync('dump.json', JSON.stringify(client.dump()))

Ends with Ctrl-C.`;

export const INSPECT_CONTEXT: FailureContext = {
  command: 'inspect',
  flags: new Map([
    ['options.port', '--port'],
    ['recording', 'the dump'],
  ]),
};

export function configureInspect(command: Command): Command {
  return addWatchingOptions(
    command
      .description('open a web page that shows a client: its statecharts, transitions and gauges')
      .argument('[file]', 'what client.dump() gave, as JSON, to be looked at instead of an engine'),
  )
    .option('--port <port>', 'of the page, on 127.0.0.1; 0 takes any free one', wholeNumber(0, 65_535), 0)
    .option('--json', 'print one JSON object when ready: url, port')
    .addHelpText('after', EXAMPLES);
}

/** Serves until SIGINT or SIGTERM. Resolves with the exit code. */
export async function inspectClient(flags: InspectFlags, file?: string): Promise<number> {
  await withInterruption((signal) =>
    file === undefined ? inspectEngine(flags, signal) : inspectDump(flags, file, signal),
  );
  return ExitCode.OK;
}

async function inspectEngine(flags: InspectFlags, signal: AbortSignal): Promise<void> {
  const context = connectionContext('inspect', flags);
  const [client, { startInspector }] = await Promise.all([
    createWatchingClient(flags, context),
    import('../inspect/index.js'),
  ]);
  try {
    await serve(flags, startInspector(client, { port: flags.port }), async (terminal) => {
      if (flags.json !== true) {
        terminal.line(`watching ${[flags.address, ...(flags.fallback ?? [])].join(', ')}; Ctrl-C ends it`);
      }
      await watchHealth(client, flags.intervalMs, context, signal, (reason) => {
        if (flags.json !== true) terminal.line(terminal.paint('yellow', oneLine(`not reached yet: ${reason}`)));
      });
      await untilAborted(signal);
    });
  } finally {
    await client.disconnect({ timeoutMs: 1_000 });
  }
}

async function inspectDump(flags: InspectFlags, file: string, signal: AbortSignal): Promise<void> {
  if (usesTls(flags) || flags.fallback !== undefined) {
    throw new UsageError(`${file}: a dump needs no engine; leave out --fallback and the TLS options`, 'inspect');
  }
  const dump = readDumpFile(file);
  if (Number.isNaN(Date.parse(dump.dumpedAt))) throw badDump(file, 'dumpedAt', 'must be a date and time, ISO 8601');
  const { serveRecording } = await import('../inspect/server.js');
  await serve(flags, serveRecording(dump, { port: flags.port }), async (terminal) => {
    if (flags.json !== true) {
      terminal.line(oneLine(`showing ${file}, dumped ${dump.dumpedAt}; Ctrl-C ends it`));
    }
    await untilAborted(signal);
  });
}

/** Tells where the page is, and closes it after the work. */
async function serve(
  { json }: InspectFlags,
  started: Promise<Inspector>,
  work: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const terminal = createTerminal();
  const inspector = await started;
  try {
    const { url, port } = inspector;
    terminal.line(json === true ? JSON.stringify({ url, port }) : `open ${terminal.paint('bold', url)}`);
    await work(terminal);
  } finally {
    await inspector.close();
  }
}

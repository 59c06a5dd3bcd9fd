/** `authz check`: one question on the command line. */

import { performance } from 'node:perf_hooks';
import type { Command } from 'commander';
import type { createClient as CreateClient } from '../index.js';
import { type Attributes, type CheckResponse, Effect, isAllowed, type Resource } from '../types.js';
import {
  attribute,
  type AttributeSets,
  collect,
  jsonObject,
  milliseconds,
  nonEmpty,
  resource,
  roles,
} from './arguments.js';
import {
  addConnectionOptions,
  connectionContext,
  type ConnectionFlags,
  toClientOptions,
} from './connection-options.js';
import { type CliError, ExitCode, oneLine, toCliError } from './failure.js';
import { createTerminal, formatTable, type Terminal } from './terminal.js';

export interface CheckFlags extends ConnectionFlags {
  readonly principal: string;
  readonly roles?: readonly string[];
  readonly resource: Resource;
  readonly action: readonly string[];
  readonly attr?: AttributeSets;
  readonly context?: Attributes;
  readonly timeoutMs: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Exit code: 0 when every action is allowed, 1 when one is not, 2 when nothing could be decided.

Examples:
  $ authz check --principal alice --roles editor --resource document:42 --action read --action write
  $ authz check --principal bob --resource document:42 --action delete --attr resource.owner=bob
  $ authz check --principal eve --roles manager --resource invoice:7 --action approve \\
      --attr resource.amount=900 --context '{"approvalLimit": 1000}' --json
  $ authz check --principal alice --resource document:42 --action read && echo allowed`;

export function configureCheck(command: Command): Command {
  return addConnectionOptions(command.description('ask whether a principal may do actions on a resource'))
    .requiredOption('--principal <id>', 'who asks', nonEmpty)
    .option('--roles <roles>', 'roles of the principal, with commas between them', roles)
    .requiredOption('--resource <kind:id>', 'what is asked for, as in document:42', resource)
    .requiredOption('--action <action>', 'what is to be done; several times for several actions', collect(nonEmpty))
    .option(
      '--attr <name=value>',
      'attribute of the principal, or resource.name=value; JSON values are read as JSON',
      attribute,
    )
    .option('--context <json>', 'JSON object of the circumstances', jsonObject)
    .option('--timeout-ms <ms>', 'how long to wait for the answer', milliseconds(1), 5_000)
    .option('--json', 'print one JSON object instead of a table')
    .addHelpText('after', EXAMPLES);
}

/** Asks, prints, resolves with the exit code. */
export async function check(flags: CheckFlags): Promise<number> {
  const terminal = createTerminal();
  const { createClient } = await import('../index.js');
  try {
    const startedAt = performance.now();
    const response = await ask(createClient, flags);
    const latencyMs = performance.now() - startedAt;
    if (flags.json === true) terminal.line(JSON.stringify(toJson(response, flags, latencyMs)));
    else printTable(terminal, response, flags);
    return isAllowed(response) ? ExitCode.OK : ExitCode.NO;
  } catch (error) {
    const failure: CliError = toCliError(error, connectionContext('check', flags));
    if (flags.json === true)
      terminal.line(JSON.stringify({ allowed: false, error: { code: failure.code, message: failure.message } }));
    throw failure;
  }
}

async function ask(createClient: typeof CreateClient, flags: CheckFlags): Promise<CheckResponse> {
  const { address, principal, resource, attr, action, context, timeoutMs } = flags;
  const client = createClient({
    ...toClientOptions(flags),
    address,
    timeout: timeoutMs,
    healthCheck: { enabled: false },
  });
  try {
    // A check alone would wait for the engine until its deadline; connecting tells at once that nobody listens.
    await client.connect();
    return await client.check({
      principal: {
        id: principal,
        roles: flags.roles ?? [],
        ...(attr === undefined ? {} : { attributes: attr.principal }),
      },
      resource: { ...resource, ...(attr === undefined ? {} : { attributes: attr.resource }) },
      actions: [...new Set(action)],
      includeMetadata: true,
      ...(context === undefined ? {} : { context }),
    });
  } finally {
    await client.disconnect({ timeoutMs: Math.min(timeoutMs, 1_000) });
  }
}

const EFFECT_NAMES: Readonly<Record<Effect, string>> = {
  [Effect.UNSPECIFIED]: 'unspecified',
  [Effect.ALLOW]: 'allow',
  [Effect.DENY]: 'deny',
};

function toJson(response: CheckResponse, { address }: CheckFlags, latencyMs: number): object {
  return {
    allowed: isAllowed(response),
    address,
    requestId: response.requestId,
    results: [...response.results].map(([action, { effect, policy, rule, matched, meta }]) => ({
      action,
      effect: EFFECT_NAMES[effect],
      matched,
      ...(policy === undefined ? {} : { policy }),
      ...(rule === undefined ? {} : { rule }),
      ...(meta === undefined ? {} : { meta }),
    })),
    ...(response.metadata === undefined ? {} : { metadata: response.metadata }),
    latencyMs: Math.round(latencyMs * 1_000) / 1_000,
  };
}

function printTable(terminal: Terminal, response: CheckResponse, { principal, resource }: CheckFlags): void {
  const results = [...response.results];
  const rows = results.map(([action, { effect, policy, rule, matched }]) => [
    oneLine(action),
    EFFECT_NAMES[effect],
    // The default has no policy and no rule to name.
    matched
      ? oneLine([policy, rule].filter((name) => name !== undefined && name !== '').join(' / '))
      : 'no rule applies',
  ]);
  const [heading = '', ...lines] = formatTable(
    [['ACTION', 'DECISION', 'POLICY / RULE'], ...rows],
    (cell, row, column) => {
      if (row === 0 || column !== 1) return cell;
      return terminal.paint(cell === 'allow' ? 'green' : 'red', cell);
    },
  );
  terminal.line(terminal.paint('dim', oneLine(`${principal} on ${resource.kind}:${resource.id}`)));
  terminal.line(terminal.paint('bold', heading));
  for (const line of lines) terminal.line(line);
}

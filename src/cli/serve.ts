/** `authz serve`: the embedded engine as a process. */

import { type Command, Option } from 'commander';
import type { Engine, EngineOptions } from '../engine/index.js';
import { milliseconds, nonEmpty, wholeNumber } from './arguments.js';
import { ExitCode, type FailureContext, UsageError } from './failure.js';
import { createTerminal } from './terminal.js';

export interface ServeFlags {
  readonly policies: string;
  readonly port: number;
  readonly host: string;
  readonly adminToken?: string;
  readonly latencyMs: number;
  readonly unhealthy?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly graceMs: number;
  readonly json?: boolean;
}

/** What `serve --json` prints once it takes connections. */
export interface ServeReady {
  readonly event: 'listening';
  readonly address: string;
  readonly port: number;
  readonly policies: number;
  readonly pid: number;
}

const EXAMPLES = `
Signals:
  SIGTERM, SIGINT   health says NOT_SERVING, calls under way end (at most --grace-ms), exit 0; a second one exits at once
  SIGUSR2           toggles health between SERVING and NOT_SERVING, to see clients fail over

Examples:
  $ authz serve --policies examples/policies --port 50051
  $ authz serve --policies ./policies --port 0 --json
  $ AUTHZ_ADMIN_TOKEN=secret authz serve --policies ./policies
  $ authz serve --policies ./policies --tls-cert server.pem --tls-key server.key --tls-ca clients.pem
  $ kill -USR2 4711     with the pid that serve --json printed`;

export const SERVE_CONTEXT: FailureContext = {
  command: 'serve',
  flags: new Map([
    ['policies', '--policies'],
    ['port', '--port'],
    ['host', '--host'],
    ['adminToken', '--admin-token'],
    ['tls', '--tls-cert'],
    ['tls.certPath', '--tls-cert'],
    ['tls.keyPath', '--tls-key'],
    ['tls.caPath', '--tls-ca'],
  ]),
};

export function configureServe(command: Command): Command {
  return command
    .description('run the embedded engine: a real server of authz.v1 and grpc.health.v1 over a directory of policies')
    .requiredOption('--policies <dir>', 'directory of YAML policies', nonEmpty)
    .option('--port <port>', 'port to listen on; 0 takes any free one', wholeNumber(0, 65_535), 50_051)
    .option('--host <host>', 'address to listen on', nonEmpty, '127.0.0.1')
    .addOption(
      new Option('--admin-token <token>', 'who bears it may load and reload policies; without one nobody may')
        .env('AUTHZ_ADMIN_TOKEN')
        .argParser(nonEmpty),
    )
    .option('--latency-ms <ms>', 'hold each answer back that long', milliseconds(0), 0)
    .option('--unhealthy', 'start with health NOT_SERVING')
    .option('--tls-cert <file>', 'PEM file of the server certificate; together with --tls-key', nonEmpty)
    .option('--tls-key <file>', 'PEM file of its private key', nonEmpty)
    .option('--tls-ca <file>', 'clients must show a certificate signed by it: mutual TLS', nonEmpty)
    .option('--grace-ms <ms>', 'how long calls under way may take to end', milliseconds(0), 5_000)
    .option('--json', 'print one JSON object when ready instead of a line')
    .addHelpText('after', EXAMPLES);
}

/** Serves until told to stop. Resolves with the exit code. */
export async function serve(flags: ServeFlags): Promise<number> {
  const stopping = stopSignal();
  try {
    const options = toEngineOptions(flags);
    const { startEngine } = await import('../engine/index.js');
    const engine = await startEngine(options);
    const health = { isServing: flags.unhealthy !== true };
    const toggle = (): void => toggleHealth(engine, health);
    process.on('SIGUSR2', toggle);
    announce(engine, flags.json === true);
    await stopping.asked;
    await engine.stop({ graceMs: flags.graceMs });
    process.off('SIGUSR2', toggle);
    return ExitCode.OK;
  } finally {
    stopping.release();
  }
}

function announce(engine: Engine, asJson: boolean): void {
  const { address, port, policyCount } = engine;
  const ready: ServeReady = { event: 'listening', address, port, policies: policyCount, pid: process.pid };
  const policies = policyCount === 1 ? '1 policy' : `${policyCount} policies`;
  createTerminal().line(asJson ? JSON.stringify(ready) : `listening on ${address}, ${policies}`);
}

function toggleHealth(engine: Engine, health: { isServing: boolean }): void {
  health.isServing = !health.isServing;
  const status = health.isServing ? 'SERVING' : 'NOT_SERVING';
  engine.setHealth(status);
  // On stderr: with --json, stdout holds one object and nothing else.
  process.stderr.write(`health is ${status}\n`);
}

interface StopSignal {
  readonly asked: Promise<void>;
  release(): void;
}

/**
 * SIGTERM, SIGINT, or the end of a parent that started us with an IPC channel: an engine that outlived the program that it was started
 * for would keep its port for ever.
 */
function stopSignal(): StopSignal {
  let tell: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (tell = resolve));
  let isAsked = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isAsked) process.exit(128 + (signal === 'SIGINT' ? 2 : 15));
    isAsked = true;
    tell();
  };
  const orphaned = (): never => process.exit(ExitCode.ERROR);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // The channel may have closed while the modules were loading; without one, `connected` is not false but undefined.
  if ((process.connected as boolean | undefined) === false) orphaned();
  if (process.channel !== undefined) process.on('disconnect', orphaned);
  return {
    asked,
    release: () => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      process.off('disconnect', orphaned);
    },
  };
}

function toEngineOptions(flags: ServeFlags): EngineOptions {
  const { policies, host, port, latencyMs, adminToken, tlsCert, tlsKey, tlsCa } = flags;
  const usesTls = [tlsCert, tlsKey, tlsCa].some((file) => file !== undefined);
  if (usesTls && (tlsCert === undefined || tlsKey === undefined)) {
    const missing = tlsCert === undefined ? '--tls-cert' : '--tls-key';
    const given = tlsCert !== undefined ? '--tls-cert' : tlsKey !== undefined ? '--tls-key' : '--tls-ca';
    throw new UsageError(`${missing}: is required together with ${given}`, 'serve');
  }
  return {
    policies,
    host,
    port,
    latencyMs,
    healthy: flags.unhealthy !== true,
    ...(adminToken === undefined ? {} : { adminToken }),
    ...(usesTls
      ? { tls: { certPath: tlsCert ?? '', keyPath: tlsKey ?? '', ...(tlsCa === undefined ? {} : { caPath: tlsCa }) } }
      : {}),
  };
}

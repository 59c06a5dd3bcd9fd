/** How the command line fails: one line that says what is wrong and what to do about it, and an exit code. */

import { AuthzClientError, ConfigurationError, ConnectionError, TimeoutError } from '../errors.js';

/** What a shell sees. */
export const ExitCode = {
  OK: 0,
  /** `check`: not every action is allowed. `demo`: a claim does not hold. `replay`: a transition does not agree. */
  NO: 1,
  /** Nothing could be decided: a bad option or file, no connection, no answer. */
  ERROR: 2,
  INTERRUPTED: 130,
} as const;

/** A failure whose message is ready to be shown, remedy included. */
export class CliError extends Error {
  /** A stable word for programs. */
  readonly code: string;

  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.code = options.code ?? 'ERR_AUTHZ_CLI';
  }
}

/** A bad option or argument of `command`. */
export class UsageError extends CliError {
  constructor(message: string, command: string) {
    super(`${message}; see ${command === '' ? 'authz' : `authz ${command}`} --help`, { code: 'ERR_AUTHZ_USAGE' });
    this.name = 'UsageError';
  }
}

/** What a failure is about, for its remedy. */
export interface FailureContext {
  /** The subcommand, for "see authz check --help". */
  readonly command: string;
  /** The engine that was talked to. */
  readonly address?: string | undefined;
  /** Which flag gives an option of the library. */
  readonly flags?: ReadonlyMap<string, string>;
  readonly usesTls?: boolean;
}

/** Turns whatever was thrown into the line that is shown. */
export function toCliError(error: unknown, context: FailureContext): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof ConfigurationError) return configurationFailure(error, context);
  if (error instanceof ConnectionError) return connectionFailure(error, context);
  if (error instanceof TimeoutError) {
    const at = context.address === undefined ? '' : ` from ${context.address}`;
    return new CliError(
      `no answer${at} within ${error.timeoutMs} ms; allow more with --timeout-ms, or look closer: ${watchOf(context)}`,
      {
        code: error.code,
        cause: error,
      },
    );
  }
  if (error instanceof AuthzClientError)
    return new CliError(oneLine(error.message), { code: error.code, cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new CliError(`${oneLine(message)}; AUTHZ_DEBUG=1 shows where`, { code: 'ERR_AUTHZ_INTERNAL', cause: error });
}

function configurationFailure(error: ConfigurationError, context: FailureContext): CliError {
  const flag = context.flags?.get(error.path) ?? error.path;
  let reason = error.message.startsWith(`${error.path}: `) ? error.message.slice(error.path.length + 2) : error.message;
  // "is required together with keyPath": who gives flags knows no paths.
  for (const [path, name] of context.flags ?? []) reason = reason.replace(new RegExp(`\\b${path}$`), name);
  let remedy = `see authz ${context.command} --help`;
  if (reason.startsWith('address in use')) {
    reason = reason.replace(/;.*$/, '');
    remedy = 'stop what listens there, or let --port 0 find a free one';
  }
  return new CliError(`${flag}: ${oneLine(reason)}; ${remedy}`, { code: error.code, cause: error });
}

/** The client names Node's code in its message, whatever the transport. */
const SYSTEM_CODE = /\b(E(?:[A-Z]{4,}|AI_[A-Z]+))\b/;

function connectionFailure(error: ConnectionError, context: FailureContext): CliError {
  const options = { code: error.code, cause: error };
  const address = context.address ?? 'the engine';
  const code = SYSTEM_CODE.exec(error.message)?.[1];
  if (code === 'ECONNREFUSED') {
    const port = /:(\d+)$/.exec(address)?.[1];
    const start = `authz serve --policies DIR${port === undefined ? '' : ` --port ${port}`}`;
    return new CliError(
      `${address} refused the connection (ECONNREFUSED); is the engine running? start one with: ${start}`,
      options,
    );
  }
  if (code === 'ENOENT') {
    return new CliError(`${address} has no socket file (ENOENT); is the engine running, and the path right?`, options);
  }
  if (/name resolution|ENOTFOUND|EAI_/i.test(error.message)) {
    return new CliError(`${address} cannot be resolved to an IP address; check the name after --address`, options);
  }
  if (/wrong version number/i.test(error.message)) {
    return new CliError(`${address} does not speak TLS; leave out --tls and the other TLS options`, options);
  }
  const why = oneLine(error.message).replace(/^no endpoint could be reached: /, '');
  const hint =
    context.usesTls === true
      ? 'are --tls-ca, --tls-cert and --server-name right?'
      : 'is it a gRPC server, and without TLS? else add --tls';
  return new CliError(`cannot reach ${why.startsWith(address) ? why : `${address} (${why})`}; ${hint}`, options);
}

function watchOf({ address }: FailureContext): string {
  return `authz watch${address === undefined ? '' : ` --address ${address}`}`;
}

/** What others wrote may hold line breaks, escape sequences that a terminal would obey, and marks that turn the direction of what follows. */
export function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ').replace(/[\p{Control}\p{Bidi_Control}]/gu, '\uFFFD');
}

/**
 * How the rows of the fault contract are tested on the wire: a server that misbehaves exactly, the real client, and both transports. A
 * test is titled `row N: state + stimulus: outcome`; what is known of a row is read from these titles.
 */

import { describe, it } from 'vitest';

import type { AuthzClient, AuthzClientOptions, CheckOptions, CheckResponse } from '../../src/index.js';
import { RawAuthzServer, type RawAuthzOptions } from '../support/fault-raw-authz.js';
import { question, useStage, type Stage } from '../support/stage.js';

export const TRANSPORTS = ['http2', 'grpc-js'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

export interface RowException {
  readonly row: number;
  /** Part of the title, where not all of the row's tests are meant. */
  readonly title?: string;
  /** The default has no place here: it runs every row. */
  readonly transport: Exclude<TransportName, 'http2'>;
  readonly reason: string;
}

/** What a transport cannot do. */
export const EXCEPTIONS: readonly RowException[] = [
  {
    row: 25,
    title: 'a check that is a call of its own + half a message and OK',
    transport: 'grpc-js',
    reason:
      'grpc-js drops half a message without a word, so that it looks like OK without one: INTERNAL, but not asked again',
  },
  {
    row: 28,
    title: 'neighbours are answered',
    transport: 'grpc-js',
    reason: 'grpc-js ends the whole call: all checks on it are RESOURCE_EXHAUSTED',
  },
  {
    row: 28,
    title: 'comes in pieces',
    transport: 'grpc-js',
    reason: 'grpc-js ends the whole call: all checks on it are RESOURCE_EXHAUSTED',
  },
  {
    row: 30,
    title: 'grpc-status ""',
    transport: 'grpc-js',
    reason: 'grpc-js takes an empty grpc-status for 0; there is still no answer, and no allow',
  },
  {
    row: 38,
    title: 'by an injected lookup',
    transport: 'grpc-js',
    reason:
      'grpc-js asks a resolver of its own, and only when it dials: it follows a name when a connection ends or ages',
  },
];

const exceptionOf = (transport: TransportName, title: string): RowException | undefined =>
  EXCEPTIONS.find(
    (exception) =>
      exception.transport === transport &&
      title.startsWith(`row ${exception.row}:`) &&
      title.includes(exception.title ?? ''),
  );

export class Rows {
  readonly transport: TransportName;
  readonly stage: Stage;

  constructor(transport: TransportName, stage: Stage) {
    this.transport = transport;
    this.stage = stage;
  }

  /** A test of one row: `row N: state + stimulus: outcome`. */
  readonly row = (title: string, test: () => Promise<void>): void => {
    const exception = exceptionOf(this.transport, title);
    if (exception === undefined) it(title, test);
    else it.skip(`${title} (not on ${this.transport}: ${exception.reason})`, test);
  };

  readonly server = async (options: RawAuthzOptions = {}, name = 'raw'): Promise<RawAuthzServer> => {
    const server = await RawAuthzServer.listen(name, options);
    this.stage.onEnd(() => server.close());
    return server;
  };

  /** This transport, and no health checks. */
  readonly options = <T extends Omit<AuthzClientOptions, 'address'>>(
    options: T,
  ): Omit<AuthzClientOptions, 'address'> & T => ({
    transport: this.transport,
    healthCheck: { enabled: false },
    ...options,
  });

  /** On this transport, and without health checks: every call is a check's. */
  readonly client = (
    server: { readonly address: string },
    options: Omit<AuthzClientOptions, 'address'> = {},
  ): AuthzClient => this.stage.client(server, this.options(options));
}

/** Asks, and leaves it to the test whether to look at what comes of it. */
export function ask(client: AuthzClient, request = question(), options: CheckOptions = {}): Promise<CheckResponse> {
  const asked = client.check(request, options);
  asked.catch(() => undefined);
  return asked;
}

export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`nothing at ${index}`);
  return item;
}

/** Rows on each transport. */
export function describeRows(name: string, body: (rows: Rows) => void): void {
  describe.each(TRANSPORTS)(`${name}, on %s`, (transport) => {
    body(new Rows(transport, useStage()));
  });
}

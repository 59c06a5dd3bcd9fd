import { describe, expect, it } from 'vitest';
import { CliError, type FailureContext, oneLine, toCliError, UsageError } from '../../src/cli/failure.js';
import { formatTable, wantsColor } from '../../src/cli/terminal.js';
import {
  AuthzClientError,
  ConfigurationError,
  ConnectionError,
  ProtocolError,
  TimeoutError,
} from '../../src/errors.js';

const CONTEXT: FailureContext = {
  command: 'check',
  address: '127.0.0.1:7',
  flags: new Map([
    ['keyPath', '--tls-key'],
    ['certPath', '--tls-cert'],
  ]),
};

describe('a failure', () => {
  it.each<[string, Error, FailureContext, string]>([
    [
      'connection refused',
      new ConnectionError('no endpoint could be reached: 127.0.0.1:7 (connect ECONNREFUSED 127.0.0.1:7)'),
      CONTEXT,
      '127.0.0.1:7 refused the connection (ECONNREFUSED); is the engine running? start one with: authz serve --policies DIR --port 7',
    ],
    [
      'unknown name',
      new ConnectionError('no endpoint could be reached: x:7 (Name resolution failed for target dns:///x:7)'),
      { ...CONTEXT, address: 'x:7' },
      'x:7 cannot be resolved to an IP address; check the name after --address',
    ],
    [
      'no socket file',
      new ConnectionError('no endpoint could be reached: unix:/s (connect ENOENT /s)'),
      { ...CONTEXT, address: 'unix:/s' },
      'unix:/s has no socket file (ENOENT); is the engine running, and the path right?',
    ],
    [
      'a connection that is lost at once, in plaintext',
      new ConnectionError('no endpoint could be reached: 127.0.0.1:7 (the connection was lost)'),
      CONTEXT,
      'cannot reach 127.0.0.1:7 (the connection was lost); is it a gRPC server, and without TLS? else add --tls',
    ],
    [
      'a connection that is lost at once, with TLS',
      new ConnectionError('no endpoint could be reached: 127.0.0.1:7 (self-signed certificate)'),
      { ...CONTEXT, usesTls: true },
      'cannot reach 127.0.0.1:7 (self-signed certificate); are --tls-ca, --tls-cert and --server-name right?',
    ],
    [
      'no answer in time',
      new TimeoutError('no answer', 300),
      CONTEXT,
      'no answer from 127.0.0.1:7 within 300 ms; allow more with --timeout-ms, or look closer: authz watch --address 127.0.0.1:7',
    ],
    [
      "an option of the client's, in the words of the command line",
      new ConfigurationError('keyPath', 'is required together with certPath'),
      CONTEXT,
      '--tls-key: is required together with --tls-cert; see authz check --help',
    ],
    [
      'an error of the server',
      new ProtocolError('the server answered INTERNAL: no\nluck'),
      CONTEXT,
      'the server answered INTERNAL: no luck',
    ],
    ['another error of the client', new AuthzClientError('odd', 'ERR_AUTHZ_ODD'), CONTEXT, 'odd'],
    ['a bug', new TypeError('x is not a function'), CONTEXT, 'x is not a function; AUTHZ_DEBUG=1 shows where'],
    ['a failure that is ready to be shown', new UsageError('bad', 'demo'), CONTEXT, 'bad; see authz demo --help'],
  ])('%s: one line with the remedy', (_name, error, context, line) => {
    const failure = toCliError(error, context);
    expect(failure).toBeInstanceOf(CliError);
    expect(failure.message).toBe(line);
  });

  it('what is no error at all: shown all the same', () => {
    expect(toCliError('thrown text', CONTEXT).message).toContain('thrown text');
  });
});

it('text with line breaks, escape sequences and turns of direction: one line that a terminal does not obey', () => {
  expect(oneLine('a\r\n  b\u001b[31mc\u009bd\u0007')).toBe('a b\uFFFD[31mc\uFFFDd\uFFFD');
  expect(oneLine('a\u2028b\u202ec\u2066d\u200fé')).toBe('a b\uFFFDc\uFFFDd\uFFFDé');
});

it.each([
  [true, {}, true],
  [true, { NO_COLOR: '' }, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { TERM: 'dumb' }, false],
  [false, {}, false],
])('terminal %j, environment %j: colours %j', (isTerminal, environment, expected) => {
  expect(wantsColor(isTerminal, environment)).toBe(expected);
});

it('a table whose cells are painted: columns align by what is seen', () => {
  const lines = formatTable(
    [
      ['a', 'bbb', 'c'],
      ['aaa', 'b', ''],
    ],
    (cell) => `<${cell}>`,
  );
  expect(lines).toEqual(['<a>    <bbb>  <c>', '<aaa>  <b>    <>']);
});

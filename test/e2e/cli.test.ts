import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../src/index.js';
import { makeCertificates } from '../support/certificates.js';
import { type CliProcess, EXAMPLE_POLICIES, ROOT, runCli, startCli, until } from '../support/cli.js';

interface Ready {
  readonly event: string;
  readonly address: string;
  readonly port: number;
  readonly policies: number;
  readonly pid: number;
}

async function startServe(
  ...args: string[]
): Promise<{ process: CliProcess; ready: Ready; [Symbol.asyncDispose](): Promise<void> }> {
  const process = await startCli(['serve', '--policies', EXAMPLE_POLICIES, '--port', '0', '--json', ...args]);
  const [line] = await process.prints(/^.*\n/);
  return {
    process,
    ready: JSON.parse(line) as Ready,
    async [Symbol.asyncDispose]() {
      process.kill('SIGKILL');
      await process.ended;
    },
  };
}

const ASK = ['check', '--principal', 'alice', '--resource', 'document:42'];

describe('a running engine', () => {
  let engine: Awaited<ReturnType<typeof startServe>>;
  beforeAll(async () => {
    engine = await startServe();
  });
  afterAll(() => engine[Symbol.asyncDispose]());
  const ask = (...args: string[]): ReturnType<typeof runCli> =>
    runCli([...ASK, '--address', engine.ready.address, ...args]);

  it('says where it listens and with how many policies', () => {
    const { event, address, port, policies, pid } = engine.ready;
    expect({ event, address, policies, pid }).toEqual({
      event: 'listening',
      address: `127.0.0.1:${port}`,
      policies: 4,
      pid: engine.process.pid,
    });
  });

  it('asked for what is allowed: a table, and exit code 0', async () => {
    const { code, stdout, stderr } = await ask('--roles', 'admin', '--action', 'read', '--action', 'write');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'alice on document:42',
      'ACTION  DECISION  POLICY / RULE',
      'read    allow     document / admin-does-everything',
      'write   allow     document / admin-does-everything',
      '',
    ]);
  });

  it('asked for two actions of which one is denied: exit code 1', async () => {
    const { code, stdout } = await ask('--roles', 'viewer', '--action', 'read', '--action', 'write');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^read +allow +document \/ viewer-reads$/m);
    expect(stdout).toMatch(/^write +deny +no rule applies$/m);
  });

  it('asked with --json: one object with every result', async () => {
    const { code, stdout } = await ask('--roles', 'viewer', '--action', 'read', '--action', 'write', '--json');
    expect(code).toBe(1);
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(JSON.parse(stdout)).toMatchObject({
      allowed: false,
      address: engine.ready.address,
      requestId: expect.any(String) as string,
      results: [
        { action: 'read', effect: 'allow', matched: true, policy: 'document', rule: 'viewer-reads' },
        { action: 'write', effect: 'deny', matched: false },
      ],
      metadata: { policiesEvaluated: 2 },
      latencyMs: expect.any(Number) as number,
    });
  });

  it('asked with attributes and a context: conditions see them as JSON values', async () => {
    const invoice = (amount: string): ReturnType<typeof runCli> =>
      runCli([
        ...['check', '--address', engine.ready.address, '--principal', 'eve', '--roles', 'clerk,manager'],
        ...['--resource', 'invoice:7', '--action', 'approve', '--attr', `resource.amount=${amount}`],
        ...['--context', '{"approvalLimit": 1000}'],
      ]);
    expect((await invoice('900')).code).toBe(0);
    expect((await invoice('1100')).code).toBe(1);
    expect((await ask('--action', 'delete', '--attr', 'resource.owner=alice')).code).toBe(0);
    expect((await ask('--action', 'delete', '--attr', 'owner=alice')).code).toBe(1);
  });

  it('addressed by the environment: --address is not needed', async () => {
    const { code } = await runCli([...ASK, '--roles', 'admin', '--action', 'read'], {
      AUTHZ_ADDRESS: engine.ready.address,
    });
    expect(code).toBe(0);
  });

  it('its port asked for by a second engine: one line with the remedy', async () => {
    const { code, stdout, stderr } = await runCli([
      ...['serve', '--policies', EXAMPLE_POLICIES, '--port', String(engine.ready.port)],
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      `authz: --port: address in use: ${engine.ready.address}; stop what listens there, or let --port 0 find a free one\n`,
    );
  });

  it('spoken to with TLS although it speaks none: one line that says so', async () => {
    const { code, stderr } = await ask('--action', 'read', '--tls');
    expect(code).toBe(2);
    expect(stderr).toBe(
      `authz: ${engine.ready.address} does not speak TLS; leave out --tls and the other TLS options\n`,
    );
  });
});

describe('serve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'an open client connection and %s: it drains and exits with 0',
    async (signal) => {
      await using engine = await startServe();
      await using client = createClient({ address: engine.ready.address });
      await client.check({
        principal: { id: 'a', roles: [] },
        resource: { kind: 'document', id: '1' },
        actions: ['read'],
      });
      engine.process.kill(signal);
      expect(await engine.process.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    },
  );

  it('without --json: one line for people', async () => {
    const serve = await startCli(['serve', '--policies', EXAMPLE_POLICIES, '--port', '0']);
    await serve.prints(/^listening on 127\.0\.0\.1:\d+, 4 policies\n$/);
    serve.kill('SIGTERM');
    expect((await serve.ended).code).toBe(0);
  });

  it('SIGUSR2 twice: health is NOT_SERVING, then SERVING again', async () => {
    await using engine = await startServe();
    await using client = createClient({ address: engine.ready.address });
    await client.connect();
    expect((await client.checkHealth()).status).toBe('serving');
    engine.process.kill('SIGUSR2');
    await until('the word of it', () => engine.process.stderr === 'health is NOT_SERVING\n');
    expect((await client.checkHealth()).status).toBe('not_serving');
    engine.process.kill('SIGUSR2');
    await until('the word of it', () => engine.process.stderr.endsWith('health is SERVING\n'));
    expect((await client.checkHealth()).status).toBe('serving');
  });

  it('--unhealthy: health starts as NOT_SERVING', async () => {
    await using engine = await startServe('--unhealthy');
    await using client = createClient({ address: engine.ready.address });
    await client.connect();
    expect((await client.checkHealth()).status).toBe('not_serving');
  });

  it('with an admin token: who bears it may reload, who does not may not', async () => {
    await using engine = await startServe('--admin-token', 'sesame');
    await using admin = createClient({ address: engine.ready.address, credentials: 'sesame' });
    await using other = createClient({ address: engine.ready.address });
    expect(await admin.reloadPolicies()).toMatchObject({ success: true, count: 4 });
    await expect(other.reloadPolicies()).rejects.toMatchObject({ grpcCode: 7 });
  });

  describe('with mutual TLS', () => {
    let directory = '';
    const file = (name: string): string => join(directory, name);
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'authz-cli-'));
      const { ca, server, client } = makeCertificates();
      const pems = { ca, cert: server.cert, key: server.key, clientCert: client.cert, clientKey: client.key };
      for (const [name, pem] of Object.entries(pems)) writeFileSync(file(name), pem);
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    it('asked with the right certificate: the answer; without one, or in plaintext: exit code 2', async () => {
      await using engine = await startServe(
        ...['--tls-cert', file('cert'), '--tls-key', file('key'), '--tls-ca', file('ca')],
      );
      const ask = (...args: string[]): ReturnType<typeof runCli> =>
        runCli([...ASK, '--roles', 'admin', '--action', 'read', '--address', engine.ready.address, ...args]);
      const mutual = await ask(
        ...['--tls-ca', file('ca'), '--tls-cert', file('clientCert'), '--tls-key', file('clientKey')],
      );
      expect(mutual).toMatchObject({ code: 0, stderr: '' });
      for (const args of [['--tls-ca', file('ca')], []]) {
        const refused = await ask(...args, '--timeout-ms', '2000');
        expect(refused.code, refused.stdout).toBe(2);
        expect(refused.stderr).toMatch(/^authz: [^\n]+\n$/);
      }
    });
  });
});

describe('nothing that listens', () => {
  let address = '';
  beforeAll(async () => {
    address = `127.0.0.1:${await freePort()}`;
  });

  it('check: one line with the remedy, and exit code 2', async () => {
    const { code, stdout, stderr } = await runCli([...ASK, '--action', 'read', '--address', address]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      `authz: ${address} refused the connection (ECONNREFUSED); is the engine running? ` +
        `start one with: authz serve --policies DIR --port ${address.slice('127.0.0.1:'.length)}\n`,
    );
  });

  it('check --json: the error as an object too, and never allowed', async () => {
    const { code, stdout } = await runCli([...ASK, '--action', 'read', '--address', address, '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      allowed: false,
      error: { code: 'ERR_AUTHZ_CONNECTION', message: expect.stringContaining('ECONNREFUSED') as string },
    });
  });

  it('check with AUTHZ_DEBUG=1: the stack after the line', async () => {
    const { stderr } = await runCli([...ASK, '--action', 'read', '--address', address], { AUTHZ_DEBUG: '1' });
    expect(stderr).toMatch(/^authz: [^\n]+\n(.*\n)*? {4}at /);
  });

  it('a server that never answers: exit code 2 within the timeout', async () => {
    await using silent = await listenSilently();
    const { code, stderr } = await runCli([
      ...ASK,
      '--action',
      'read',
      '--address',
      silent.address,
      '--timeout-ms',
      '300',
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^authz: [^\n]+\n$/);
  });
});

describe('a bad command line', () => {
  it.each([
    [['chek'], "authz: unknown command 'chek' (Did you mean check?); see authz --help"],
    [['serve'], "authz: required option '--policies <dir>' not specified; see authz serve --help"],
    [
      ['serve', '--policies', 'x', '--port', '65536'],
      "authz: option '--port <port>' argument '65536' is invalid: must be a whole number from 0 to 65535; see authz serve --help",
    ],
    [
      ['serve', '--policies', 'x', '--latency-ms', '1e3'],
      "authz: option '--latency-ms <ms>' argument '1e3' is invalid: must be a whole number from 0 to 2147483647; see authz serve --help",
    ],
    [
      ['serve', '--policies', '/nowhere/at/all'],
      'authz: --policies: "/nowhere/at/all" is not a readable directory (ENOENT); see authz serve --help',
    ],
    [
      ['serve', '--policies', EXAMPLE_POLICIES, '--tls-cert', 'x'],
      'authz: --tls-key: is required together with --tls-cert; see authz serve --help',
    ],
    [
      ['serve', '--policies', 'x', '--prot', '1'],
      "authz: unknown option '--prot' (Did you mean --port?); see authz serve --help",
    ],
    [
      ['check', '--resource', 'a:b', '--action', 'read'],
      "authz: required option '--principal <id>' not specified; see authz check --help",
    ],
    [
      ['check', '--principal', 'a', '--action', 'read', '--resource', 'document'],
      "authz: option '--resource <kind:id>' argument 'document' is invalid: must be kind:id, as in document:42; see authz check --help",
    ],
    [
      [...ASK, '--action', 'read', '--context', '[1]'],
      "authz: option '--context <json>' argument '[1]' is invalid: must be a JSON object; see authz check --help",
    ],
    [
      [...ASK, '--action', 'read', '--attr', '=1'],
      "authz: option '--attr <name=value>' argument '=1' is invalid: must be name=value, or resource.name=value; see authz check --help",
    ],
    [
      [...ASK, '--action', 'read', '--address', 'nope'],
      "authz: option '--address <address>' argument 'nope' is invalid: has no port (an address is host:port, dns:///name:port or unix:path); see authz check --help",
    ],
    [
      [...ASK, '--action', 'read', '--timeout-ms', '0'],
      "authz: option '--timeout-ms <ms>' argument '0' is invalid: must be a whole number from 1 to 2147483647; see authz check --help",
    ],
    [
      [...ASK, '--action', 'read', '--tls-cert', 'x'],
      'authz: --tls-key: is required together with --tls-cert; see authz check --help',
    ],
    [
      [...ASK, '--action', 'read', 'more'],
      "authz: too many arguments for 'check'. Expected 0 arguments but got 1; see authz check --help",
    ],
    [
      ['demo', '--checks', '99'],
      "authz: option '--checks <count>' argument '99' is invalid: must be a whole number from 100 to 100000000; see authz demo --help",
    ],
    [
      ['demo', '--policies', '/nowhere/at/all'],
      'authz: --policies: "/nowhere/at/all" is not a readable directory (ENOENT); see authz demo --help',
    ],
    [
      ['watch', '--fallback', ''],
      "authz: option '--fallback <address>' argument '' is invalid: must not be empty (an address is host:port, dns:///name:port or unix:path); see authz watch --help",
    ],
  ])('%j: one line that names the option and the rule, and exit code 2', async (args, line) => {
    expect(await runCli(args)).toEqual({ code: 2, signal: null, stdout: '', stderr: `${line}\n` });
  });

  it('no command: the help on stderr, and exit code 2', async () => {
    const { code, stdout, stderr } = await runCli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: authz');
  });

  it('a line break in an argument: still one line', async () => {
    const { stderr } = await runCli(['serve', '--policies', 'x', '--port', 'a\nb\u001b[31m']);
    expect(stderr).toMatch(/^authz: [^\n]+\n$/);
    expect(stderr).not.toContain('\u001b');
  });
});

describe('help and version', () => {
  it.each([['serve'], ['check'], ['watch'], ['demo'], ['replay'], ['inspect']])(
    '%s --help: shows examples of it',
    async (command) => {
      const { code, stdout, stderr } = await runCli([command, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`$ authz ${command}`);
    },
  );

  it("--version: the package's", async () => {
    const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
    expect(await runCli(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });
});

describe('watch', () => {
  it('two engines, the primary reporting NOT_SERVING and then killed: each change a JSON line, Ctrl-C ends it with 0', async () => {
    await using primary = await startServe();
    await using backup = await startServe();
    const watch = await startCli([
      ...['watch', '--json', '--address', primary.ready.address, '--fallback', backup.ready.address],
      ...['--interval-ms', '50', '--failback-ms', '100'],
    ]);
    await watch.prints(/"event":"connected"/);
    await watch.prints(new RegExp(`"event":"pool_connection_created"[^\\n]*${backup.ready.address}`));
    primary.process.kill('SIGUSR2');
    await watch.prints(/"event":"failover_completed"/);
    primary.process.kill('SIGUSR2');
    await watch.prints(/"event":"failback_completed"/);
    primary.process.kill('SIGKILL');
    await watch.prints(/"event":"failback_completed"[\s\S]*"event":"failover_completed"/);
    watch.kill('SIGINT');
    const { code, stdout, stderr } = await watch.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { time: string; event: string; from?: string; address?: string });
    for (const { time } of events) expect(new Date(time).toISOString()).toBe(time);
    expect(events[0]).toMatchObject({ event: 'watching', address: primary.ready.address });
    expect(events.find(({ event }) => event === 'failover_completed')).toMatchObject({
      from: primary.ready.address,
      address: backup.ready.address,
    });
    expect(events.find(({ event }) => event === 'failback_completed')).toMatchObject({
      address: primary.ready.address,
    });
  });

  it('an engine that cannot be reached: each attempt tries, and the same reason is told once', async () => {
    let attempts = 0;
    const listener = createServer((socket) => {
      attempts++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const watch = await startCli(['watch', '--address', `127.0.0.1:${port}`]);
    await until('three attempts', () => attempts >= 3);
    watch.kill('SIGINT');
    const { code, stdout } = await watch.ended;
    expect(code).toBe(0);
    const reasons = stdout.match(/ unreachable .*/g) ?? [];
    expect(new Set(reasons).size).toBe(reasons.length);
    expect(stdout.match(/ pool_connection_failed /g)).toHaveLength(1);
    await new Promise((resolve) => listener.close(resolve));
  });

  it('an engine that starts later: unreachable first, then connected', async () => {
    const port = await freePort();
    const watch = await startCli(['watch', '--address', `127.0.0.1:${port}`]);
    await watch.prints(/^\d\d:\d\d:\d\d\.\d{3} {2}unreachable .*ECONNREFUSED/m);
    const serve = await startCli(['serve', '--policies', EXAMPLE_POLICIES, '--port', String(port)]);
    await watch.prints(/^\d\d:\d\d:\d\d\.\d{3} {2}connected /m);
    watch.kill('SIGTERM');
    expect(await watch.ended).toMatchObject({ code: 0, stderr: '' });
    serve.kill('SIGTERM');
    expect((await serve.ended).code).toBe(0);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Takes connections and says nothing. */
async function listenSilently(): Promise<{ address: string; [Symbol.asyncDispose](): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  const port = await listen(server);
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

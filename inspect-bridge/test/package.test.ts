/** The package as it is published, installed beside the client in an empty project: each has the XState that it needs. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

const PROGRAM = `
import { createClient } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';
import { createInspectBridge } from '@authz-engine/inspect-bridge';

const engine = await startEngine({ policies: process.argv[2] });
const bridge = await createInspectBridge({ port: 0 });
const seen = new Set();
const client = createClient({
  address: engine.address,
  inspect: (event) => {
    seen.add(event.actorRef.id.replace(/[-:].*/, ''));
    bridge.inspect(event);
  },
});
await client.check({ principal: { id: 'alice', roles: ['admin'] }, resource: { kind: 'document', id: '42' }, actions: ['read'] });
await client.disconnect();
await bridge.close();
await engine.stop();
console.log([...seen].sort().join(' '));
`;

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let project = '';
let bridge: Packed;

async function pack(folder: string): Promise<Packed> {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', project];
  const { stdout } = await run('npm', args, { cwd: join(root, folder) });
  const [packed] = JSON.parse(stdout) as Packed[];
  if (packed === undefined) throw new Error('npm pack made nothing');
  return packed;
}

const versionOf = async (...path: string[]): Promise<string> => {
  const file = join(project, 'node_modules', ...path, 'package.json');
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
};

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'authz-bridge-'));
  const client = await pack('.');
  bridge = await pack('inspect-bridge');
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  await writeFile(join(project, 'main.js'), PROGRAM);
  const tarballs = [client, bridge].map(({ filename }) => `./${filename}`);
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs], { cwd: project });
}, 120_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

test('the tarball: holds dist, README, LICENSE and package.json, and nothing else', () => {
  const tops = new Set(bridge.files.map(({ path }) => path.split('/')[0]));
  expect([...tops].sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
});

test('installed beside the client without --force: the client has XState v5, the bridge a v4 of its own', async () => {
  const own = ['@authz-engine', 'inspect-bridge', 'node_modules'];
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    dependencies: { xstate: string };
  };
  expect(await versionOf('xstate')).toBe(dependencies.xstate);
  expect(await versionOf(...own, 'xstate')).toMatch(/^4\.38\./);
  expect(await versionOf(...own, '@xstate', 'inspect')).toBe('0.8.0');
});

test('a program that watches its client through it: runs, and ends by itself', async () => {
  const { stdout, stderr } = await run(process.execPath, ['main.js', join(root, 'examples/policies')], {
    cwd: project,
  });
  expect({ stdout: stdout.trim(), stderr }).toEqual({
    stdout: 'client connection endpoint failover stream',
    stderr: '',
  });
});

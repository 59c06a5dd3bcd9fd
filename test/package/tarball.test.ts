import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

interface PackResult {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** A user of ESM: asks a real engine, and fails closed on what it does not answer. */
const ESM = `
import assert from 'node:assert/strict';
import { createClient, isAllowed, type CheckResponse } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';
import { type Inspector, startInspector } from '@authz-engine/grpc-client/inspect';
import { streamMachine } from '@authz-engine/grpc-client/machines';
import { VirtualClock } from '@authz-engine/grpc-client/testing';

const engine = await startEngine({ policies: process.argv[2] ?? '' });
const client = createClient({ address: engine.address });
const response: CheckResponse = await client.check({
  principal: { id: 'alice', roles: ['admin'] },
  resource: { kind: 'document', id: '42' },
  actions: ['read'],
});
assert.equal(isAllowed(response), true);
assert.equal(isAllowed(response, 'delete'), false);
assert.equal(streamMachine.id, 'stream');
assert.equal(new VirtualClock().now(), 0);
const inspector: Inspector = await startInspector(client);
const { origin, hash } = new URL(inspector.url);
const stream = await fetch(origin + '/stream', { headers: { authorization: 'Bearer ' + hash.slice('#token='.length) } });
assert.equal(stream.status, 200);
await inspector.close();
await client.disconnect();
await engine.stop();
console.log('esm works');
`;

const CJS = `
const assert = require('node:assert/strict');
const { createClient, ConfigurationError } = require('@authz-engine/grpc-client');
const { startEngine } = require('@authz-engine/grpc-client/engine');

async function main(): Promise<void> {
  assert.throws(() => createClient({ address: 'nowhere' }), ConfigurationError);
  const engine = await startEngine({ policies: process.argv[2] ?? '' });
  const client = createClient({ address: engine.address });
  await client.connect();
  await client.disconnect();
  await engine.stop();
  console.log('cjs works');
}
void main();
`;

const CJS_TYPES = `
import grpcClient = require('@authz-engine/grpc-client');
const client: grpcClient.AuthzClient = grpcClient.createClient({ address: '127.0.0.1:1' });
// @ts-expect-error an option that does not exist
grpcClient.createClient({ address: '127.0.0.1:1', adress: '' });
void client;
`;

const TSCONFIG = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    outDir: 'out',
    types: ['node'],
    skipLibCheck: false,
  },
  include: ['*.mts', '*.cts'],
};

describe('the tarball of npm pack', () => {
  let project = '';
  let packed: PackResult;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'authz-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
      cwd: root,
    });
    const [result] = JSON.parse(stdout) as PackResult[];
    if (result === undefined) throw new Error('npm pack made nothing');
    packed = result;
    const modules = (name: string): string => join(root, 'node_modules', name);
    await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    await writeFile(join(project, 'esm.mts'), ESM);
    await writeFile(join(project, 'cjs.cts'), CJS);
    await writeFile(join(project, 'types.cts'), CJS_TYPES);
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', `./${packed.filename}`], {
      cwd: project,
    });
    await run(
      'npm',
      [
        'install',
        '--no-audit',
        '--no-fund',
        '--prefer-offline',
        '--install-links=false',
        modules('typescript'),
        modules('@types/node'),
      ],
      {
        cwd: project,
      },
    );
    await run(process.execPath, [join(project, 'node_modules/typescript/bin/tsc'), '-p', project], { cwd: project });
  }, 120_000);

  afterAll(async () => {
    await rm(project, { recursive: true, force: true });
  });

  test('holds dist, machines, proto, README, LICENSE, package.json and nothing else', () => {
    const tops = new Set(packed.files.map(({ path }) => path.split('/')[0]));
    expect([...tops].sort()).toEqual(['LICENSE', 'README.md', 'dist', 'machines', 'package.json', 'proto']);
    expect(packed.files.map(({ path }) => path)).toContain('proto/authz/v1/authz.proto');
  });

  test.each([
    ['ESM', 'esm.mjs', 'esm works'],
    ['CommonJS by require', 'cjs.cjs', 'cjs works'],
  ])(
    'installed in an empty project and used from %s, with types, it asks a real engine',
    async (_name, file, expected) => {
      const { stdout } = await run(process.execPath, [join(project, 'out', file), join(root, 'examples/policies')], {
        cwd: project,
      });
      expect(stdout.trim()).toBe(expected);
    },
  );

  test('its command line runs from node_modules/.bin', async () => {
    const { stdout } = await run(join(project, 'node_modules/.bin/authz'), ['--version'], { cwd: project });
    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+/);
  });
});

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { AuthzClientError, ConfigurationError, GrpcCode, isAllowed, type PolicySource } from '../../src/index.js';
import { question, rejection, useStage } from '../support/stage.js';

const stage = useStage();

const SHARES = `
name: shares
resource: note
rules:
  - {name: viewers-share, actions: [share], effect: allow, roles: [viewer]}
`;
const BROKEN = `
name: broken
resource: note
rules:
  - {name: oops, actions: [read], effect: perhaps, roles: [viewer]}
`;

describe('loadPolicies()', () => {
  test('inline, with the admin token: they are in force, and the count is told', async () => {
    const client = stage.client(await stage.engine({ adminToken: 'secret' }), { credentials: 'secret' });
    expect(await client.loadPolicies({ inline: [SHARES] })).toEqual({ count: 1, errors: [] });
    expect(isAllowed(await client.check(question({ actions: ['share'] })))).toBe(true);
    expect(isAllowed(await client.check(question({ actions: ['read'] })))).toBe(false);
  });

  test('from a path below the engine’s directory', async () => {
    const engine = await stage.engine({ adminToken: 'secret' });
    writeFileSync(path.join(engine.directory, 'shares.yaml'), SHARES);
    const client = stage.client(engine, { credentials: 'secret' });
    expect(await client.loadPolicies({ path: 'shares.yaml' })).toEqual({ count: 1, errors: [] });
  });

  test('that are broken: errors with source, line and reason; the old set stays in force', async () => {
    const client = stage.client(await stage.engine({ adminToken: 'secret' }), { credentials: 'secret' });
    const { count, errors } = await client.loadPolicies({ inline: [SHARES, BROKEN] });
    expect(count).toBe(1);
    expect(errors).toEqual([
      { source: 'inline[1]', line: expect.any(Number) as number, reason: expect.stringContaining('effect') as string },
    ]);
    expect(errors[0]?.line).toBeGreaterThan(1);
    expect(isAllowed(await client.check(question({ actions: ['read'] })))).toBe(true);
  });

  test.each([
    ['a URL whose host is not allowed', { url: 'https://example.com/policies.yaml' }],
    ['a path outside the directory', { path: '../../etc/passwd' }],
  ] satisfies [string, PolicySource][])('from %s: errors, and nothing changes', async (_, source) => {
    const client = stage.client(await stage.engine({ adminToken: 'secret' }), { credentials: 'secret' });
    const { count, errors } = await client.loadPolicies(source);
    expect(count).toBe(1);
    expect(errors).toHaveLength(1);
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test.each([
    ['nothing', {}],
    ['two sources', { path: 'a', url: 'b' }],
    ['no object', 'path'],
    ['null', null],
    ['a path that is no string', { path: 7 }],
    ['inline that is no list of strings', { inline: [7] }],
    ['an unknown source', { file: 'a' }],
  ])('of %s: ConfigurationError naming source, nothing sent', async (_, source) => {
    const engine = await stage.engine({ adminToken: 'secret' });
    const client = stage.client(engine, { credentials: 'secret' });
    const error = await rejection(client.loadPolicies(source as unknown as PolicySource), ConfigurationError);
    expect(error.path).toMatch(/^source\b/);
    expect(error.outcome).toBe('notSent');
    expect(client.getConnectionState()).toBe('idle');
  });
});

describe('reloadPolicies()', () => {
  test('with the admin token: reads the engine’s directory again', async () => {
    const engine = await stage.engine({ adminToken: 'secret' });
    const client = stage.client(engine, { credentials: 'secret' });
    expect(isAllowed(await client.check(question({ actions: ['share'] })))).toBe(false);
    writeFileSync(path.join(engine.directory, 'shares.yaml'), SHARES);
    const result = await client.reloadPolicies();
    expect(result).toEqual({ success: true, count: 2, durationMs: expect.any(Number) as number });
    expect(result.durationMs).toBeGreaterThan(0);
    expect(isAllowed(await client.check(question({ actions: ['share'] })))).toBe(true);
    expect(await client.reloadPolicies({ force: true })).toMatchObject({ success: true, count: 2 });
  });

  test('of a directory that is broken: success is false and the old set stays', async () => {
    const engine = await stage.engine({ adminToken: 'secret' });
    const client = stage.client(engine, { credentials: 'secret' });
    writeFileSync(path.join(engine.directory, 'broken.yaml'), BROKEN);
    expect(await client.reloadPolicies()).toMatchObject({ success: false, count: 1 });
    expect(isAllowed(await client.check(question()))).toBe(true);
  });

  test('with a force that is no boolean: ConfigurationError', async () => {
    const client = stage.client(await stage.engine({ adminToken: 'secret' }), { credentials: 'secret' });
    const options = { force: 'yes' } as unknown as { force: boolean };
    expect((await rejection(client.reloadPolicies(options), ConfigurationError)).path).toContain('force');
  });
});

describe('management without the right token', () => {
  test.each([
    ['no token asked of the engine', undefined, 'secret'],
    ['a wrong one', 'secret', 'guess'],
    ['none', 'secret', undefined],
  ])('(%s): PERMISSION_DENIED, answered, not retried', async (_, adminToken, credentials) => {
    const engine = await stage.engine(adminToken === undefined ? {} : { adminToken });
    const client = stage.client(engine, credentials === undefined ? {} : { credentials });
    for (const call of [client.loadPolicies({ inline: [SHARES] }), client.reloadPolicies()]) {
      const error = await rejection(call, AuthzClientError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED, outcome: 'answered', retryable: false });
    }
  });

  test('and a server without these rpcs: UNIMPLEMENTED', async () => {
    const client = stage.client(await stage.server());
    expect((await rejection(client.reloadPolicies(), AuthzClientError)).grpcCode).toBe(GrpcCode.UNIMPLEMENTED);
  });
});

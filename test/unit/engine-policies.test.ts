import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compilePolicies, loadPolicyDirectory } from '../../src/engine/index.js';
import type { PolicyError } from '../../src/engine/index.js';
import { loadInline, loadPath, loadUrl } from '../../src/engine/policy-source.js';
import { ConfigurationError } from '../../src/errors.js';

const VALID = `
name: notes
resource: note
rules:
  - actions: [read]
    effect: allow
    roles: [viewer]
`;

function errorsOf(text: string): readonly PolicyError[] {
  const load = compilePolicies([{ source: 'p.yaml', text }]);
  if (load.ok) throw new Error('expected the document to be refused');
  return load.errors;
}

describe('a broken policy document', () => {
  test.each<[string, string, number, string]>([
    ['bad indentation', 'name: a\nresource: b\nrules:\n- actions: [read\n', 5, 'invalid YAML (BAD_INDENT)'],
    ['a duplicate key', 'name: a\nname: b\nresource: c\nrules: []\n', 2, 'invalid YAML (DUPLICATE_KEY)'],
    ['two documents', `${VALID}---\nname: b\n`, 8, 'invalid YAML (MULTIPLE_DOCS)'],
    ['an unknown tag', 'name: !hocus a\nresource: b\nrules: []\n', 1, 'invalid YAML (TAG_RESOLVE_FAILED)'],
    ['nothing in it', '# empty\n', 0, 'is empty'],
    ['a list at the top', '- name: a\n', 1, 'must be a mapping'],
    ['no name', VALID.replace('name: notes', ''), 3, 'name: is required'],
    ['a wrong effect', VALID.replace('allow', 'permit'), 6, 'rules[0].effect: effect must be "allow" or "deny"'],
    ['an unknown key', VALID.replace('effect', 'zecret: 1\n    effect'), 6, 'rules[0]: unknown key'],
    ['no actions', VALID.replace('[read]', '[]'), 5, 'rules[0].actions: actions must not be empty'],
    [
      'a wildcard inside an action',
      VALID.replace('read', "'*:read'"),
      5,
      'rules[0].actions[0]: a wildcard must be the last character of the action',
    ],
    [
      'roles that are neither a list nor "*"',
      VALID.replace('[viewer]', 'viewer'),
      7,
      'rules[0].roles: roles must be "*" or a list of 1 to 1000 names',
    ],
    ['a key named __proto__', `${VALID}__proto__: {rules: []}\n`, 8, 'unknown key'],
    [
      'a condition with a syntax error',
      `${VALID}    condition: principal.id ==\n`,
      8,
      'rules[0].condition: invalid CEL (unexpected_token) at character 16',
    ],
    [
      'a condition over an unknown variable',
      `${VALID}    condition: zecret.id == "a"\n`,
      8,
      'rules[0].condition: invalid CEL (unknown_variable) at character 1',
    ],
    [
      'a condition that is no boolean',
      `${VALID}    condition: 1 + 1\n`,
      8,
      'rules[0].condition: must be a boolean expression',
    ],
    [
      'a pattern taken from the request',
      `${VALID}    condition: principal.id.matches(resource.id)\n`,
      8,
      'rules[0].condition: matches() needs a literal pattern',
    ],
    [
      'two rules of one name',
      `${VALID}    name: x\n  - {name: x, actions: [a], effect: deny, roles: '*'}\n`,
      9,
      'rules[1].name: another rule of the policy has the same name',
    ],
  ])('with %s is reported with its line and reason', (_what, text, line, reason) => {
    expect(errorsOf(text)).toContainEqual({ source: 'p.yaml', line, reason });
  });

  test('never has its content quoted in a reason', () => {
    const canary = 'zecret';
    const broken = [
      `name: [${canary}]\nresource: {${canary}: 1}\nrules: ${canary}\n`,
      `${canary}: 1\n`,
      `name: *${canary}\n`,
      VALID.replace('allow', canary),
      `${VALID}    condition: '"${canary}" + ${canary}('\n`,
      `${VALID}    condition: '${canary}()'\n`,
    ];
    for (const text of broken) {
      const errors = errorsOf(text);
      expect(errors.length).toBeGreaterThan(0);
      expect(JSON.stringify(errors)).not.toContain(canary);
    }
  });

  test('that unfolds without end through aliases is refused', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `k${i + 1}: &k${i + 1} [${`*k${i},`.repeat(9)}]`).join('\n');
    expect(errorsOf(`k0: &k0 [x]\n${levels}\n`)).toEqual([
      { source: 'p.yaml', line: 0, reason: 'cannot be read as YAML: nested too deeply or too many aliases' },
    ]);
  });

  test('that is larger than the limit is refused', () => {
    expect(errorsOf(`# ${'x'.repeat(1024 * 1024)}`)).toEqual([
      { source: 'p.yaml', line: 0, reason: 'larger than 1048576 bytes' },
    ]);
  });

  test('beside a good one leaves no set at all', () => {
    const load = compilePolicies([
      { source: 'a.yaml', text: VALID },
      { source: 'b.yaml', text: 'name: 1' },
    ]);
    expect(load).toMatchObject({ ok: false });
    expect(!load.ok && load.errors.every((error) => error.source === 'b.yaml')).toBe(true);
  });

  test('that takes the name of another is reported in its own file', () => {
    const load = compilePolicies([
      { source: 'a.yaml', text: VALID },
      { source: 'b.yaml', text: VALID },
    ]);
    expect(load).toEqual({
      ok: false,
      errors: [{ source: 'b.yaml', line: 2, reason: 'name: another policy has the same name' }],
    });
  });
});

test('equal documents have equal fingerprints, changed ones others', () => {
  const fingerprint = (text: string): string => {
    const load = compilePolicies([{ source: 'a.yaml', text }]);
    if (!load.ok) throw new Error('expected a valid document');
    return load.set.fingerprint;
  };
  expect(fingerprint(VALID)).toBe(fingerprint(VALID));
  expect(fingerprint(VALID)).not.toBe(fingerprint(VALID.replace('allow', 'deny')));
});

describe('a policy directory', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'policies-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  test('loads its yaml and yml files and no others', async () => {
    await writeFile(path.join(directory, 'a.yaml'), VALID);
    await writeFile(path.join(directory, 'b.yml'), VALID.replace('notes', 'more'));
    await writeFile(path.join(directory, 'README.md'), 'not a policy');
    expect((await loadPolicyDirectory(directory)).policyCount).toBe(2);
  });

  test('that is missing is refused with the option it was given by', async () => {
    await expect(loadPolicyDirectory(path.join(directory, 'nope'))).rejects.toMatchObject({
      name: 'ConfigurationError',
      path: 'policies',
      message: `policies: ${JSON.stringify(path.join(directory, 'nope'))} is not a readable directory (ENOENT)`,
    });
  });

  test('without policies is refused', async () => {
    await expect(loadPolicyDirectory(directory)).rejects.toMatchObject({
      message: `policies: ${JSON.stringify(directory)}: no policy documents`,
    });
  });

  test('with a broken file is refused, naming file, line and reason', async () => {
    await writeFile(path.join(directory, 'a.yaml'), VALID);
    await writeFile(path.join(directory, 'b.yaml'), VALID.replace('allow', 'maybe'));
    const error: unknown = await loadPolicyDirectory(directory).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({
      message: 'policies: b.yaml:6: rules[0].effect: effect must be "allow" or "deny"',
      details: {
        errors: [{ source: 'b.yaml', line: 6, reason: 'rules[0].effect: effect must be "allow" or "deny"' }],
      },
    });
  });

  test('asked for a path below it loads that, asked for one outside says the same as for none', async () => {
    const root = path.join(directory, 'root');
    await mkdir(path.join(root, 'sub'), { recursive: true });
    await writeFile(path.join(root, 'sub', 'a.yaml'), VALID);
    await writeFile(path.join(directory, 'outside.yaml'), VALID);
    await symlink(path.join(directory, 'outside.yaml'), path.join(root, 'link.yaml'));
    await mkdir(`${root}-sibling`);
    await writeFile(path.join(`${root}-sibling`, 'a.yaml'), VALID);

    expect(await loadPath(root, 'sub')).toMatchObject({ ok: true });
    expect(await loadPath(root, 'sub/a.yaml')).toMatchObject({ ok: true });
    for (const outside of [
      '../outside.yaml',
      path.join(directory, 'outside.yaml'),
      'link.yaml',
      '../root-sibling',
      'no',
    ]) {
      expect(await loadPath(root, outside)).toEqual({
        ok: false,
        errors: [
          { source: outside, line: 0, reason: 'is not a readable file or directory below the policy directory' },
        ],
      });
    }
    // As one file of the directory, too.
    expect(await loadPath(root, '.')).toMatchObject({ ok: false, errors: [{ source: 'link.yaml', line: 0 }] });
  });
});

describe('inline policies', () => {
  test('are named by their place in errors', () => {
    expect(loadInline([VALID, 'name: 1'])).toMatchObject({ ok: false, errors: [{ source: 'inline[1]' }, {}, {}] });
  });

  test('are refused when there are none, and when there are too many', () => {
    expect(loadInline([])).toMatchObject({ ok: false, errors: [{ reason: 'no policy documents' }] });
    expect(loadInline(Array.from({ length: 1001 }, () => VALID))).toMatchObject({
      ok: false,
      errors: [{ reason: 'more than 1000 documents' }],
    });
  });
});

describe('a policy URL', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  const answer = (body: string, status = 200) => {
    const fetchStub = vi.fn((_url: URL, _init: RequestInit) => Promise.resolve(new Response(body, { status })));
    vi.stubGlobal('fetch', fetchStub);
    return fetchStub;
  };

  test.each([
    ['http://policies.test/a.yaml', 'must be an https URL without credentials'],
    ['https://user:zecret@policies.test/a.yaml', 'must be an https URL without credentials'],
    ['file:///etc/passwd', 'must be an https URL without credentials'],
    ['nonsense', 'must be an https URL without credentials'],
    ['https://other.test/a.yaml', 'the host is not on the allow-list'],
    ['https://policies.test:8443/a.yaml', 'the host is not on the allow-list'],
    ['https://policies.test.evil.test/a.yaml', 'the host is not on the allow-list'],
  ])('%s is refused and never fetched', async (url, reason) => {
    const fetchStub = answer(VALID);
    const load = await loadUrl(url, ['policies.test']);
    expect(load).toMatchObject({ ok: false, errors: [{ line: 0, reason }] });
    expect(JSON.stringify(load)).not.toContain('zecret');
    expect(fetchStub).not.toHaveBeenCalled();
  });

  test('on the allow-list is fetched without following redirects', async () => {
    const fetchStub = answer(VALID);
    expect(await loadUrl('https://policies.test/a.yaml', ['policies.test'])).toMatchObject({ ok: true });
    expect(fetchStub.mock.calls[0]?.[1]).toMatchObject({ redirect: 'error' });
  });

  test('that answers too much, with an error or not at all is refused', async () => {
    answer('x'.repeat(1024 * 1024 + 1));
    expect(await loadUrl('https://policies.test/a', ['policies.test'])).toMatchObject({
      errors: [{ source: 'https://policies.test/a', reason: 'larger than 1048576 bytes' }],
    });
    answer('gone', 404);
    expect(await loadUrl('https://policies.test/a', ['policies.test'])).toMatchObject({
      errors: [{ reason: 'answered with HTTP status 404' }],
    });
    vi.stubGlobal('fetch', () => Promise.reject(new Error('refused')));
    expect(await loadUrl('https://policies.test/a', ['policies.test'])).toMatchObject({
      errors: [{ reason: 'could not be fetched within 10000 ms' }],
    });
  });
});

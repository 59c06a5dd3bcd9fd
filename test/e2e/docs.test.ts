/** The documentation, held to what it says: its code compiles, runs and prints that; its tables are the code's; its links lead somewhere. */

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, startEngine } from '../../src/engine/index.js';
import * as errors from '../../src/errors.js';
import { CLIENT_EVENT_NAMES } from '../../src/events.js';
import * as defaults from '../../src/options-types.js';
import { profiles } from '../../src/profiles.js';
import { FAILOVER_FAULTS } from '../../src/testing/index.js';
import { EXPECTATION_NAMES } from '../../src/testing/model/expectations.js';
import { OPTION_NAMES } from '../../src/testing/model/setup.js';
import {
  anchors,
  type CodeBlock,
  codeBlocks,
  codeOf,
  links,
  pages,
  read,
  ROOT,
  tables,
} from '../support/docs-pages.js';
import { DocsProject, type Outcome } from '../support/docs-project.js';

const CLI = join(ROOT, 'dist/src/cli/main.js');

const allBlocks = pages().flatMap(codeBlocks);
const blocksIn = (...languages: string[]): CodeBlock[] =>
  allBlocks.filter(({ language }) => languages.includes(language));
const titleOf = ({ page, line }: CodeBlock): string => `${page}:${line}`;
const fileOf = ({ page, line }: CodeBlock): string => `${page.replaceAll(/[/.]/g, '-')}-${line}.ts`;
const examples = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'));

/** `…` on the page stands for anything within a line, and on a line of its own for any lines. */
function toPattern(text: string): RegExp {
  const escaped = text
    .split('\n')
    .map((line) =>
      line === '…'
        ? '[^]*?'
        : line
            .split('…')
            .map((part) => escapeRegExp(part))
            .join('.*'),
    )
    .join('\n');
  return new RegExp(`^${escaped}$`);
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}

let engine: Engine;
let backup: Engine;
let project: DocsProject;

beforeAll(async () => {
  for (const [built, command] of [
    ['dist/src/index.js', 'npm run build'],
    ['inspect-bridge/dist/index.js', 'npm run build --workspaces'],
  ] as const) {
    if (!existsSync(join(ROOT, built))) throw new Error(`run \`${command}\` first: readers use the build`);
  }
  const policies = join(ROOT, 'examples/policies');
  engine = await startEngine({ policies, adminToken: 'secret' });
  backup = await startEngine({ policies });
  project = new DocsProject(
    new Map([
      ['127.0.0.1:50051', engine.address],
      ['127.0.0.1:50052', backup.address],
    ]),
  );
});

afterAll(async () => {
  project.remove();
  await Promise.all([engine.stop({ graceMs: 0 }), backup.stop({ graceMs: 0 })]);
});

describe('the code on the pages', () => {
  test('every TypeScript block, with the strictness of the project: compiles', () => {
    const modules = blocksIn('ts').map((block) => ({ block, name: fileOf(block), ...DocsProject.toModule(block) }));
    const found = project.typeCheck(modules);
    const complaints = modules.flatMap(({ block, name, offset }) =>
      (found.get(name) ?? []).map(({ line, message }) => `${block.page}:${block.line + line - 1 - offset}: ${message}`),
    );
    expect(complaints).toEqual([]);
    expect(modules.length).toBeGreaterThan(30);
  }, 60_000);

  test.for(blocksIn('ts').map((block) => [titleOf(block), block] as const))(
    '%s, run as printed: ends by itself, without an error, and prints what the page says',
    { timeout: 60_000 },
    async ([, block]) => {
      const { exitCode, stdout, stderr } = await project.run(fileOf(block), DocsProject.toModule(block).source);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      if (block.prints !== undefined) expect(stdout.trimEnd()).toMatch(toPattern(block.prints));
    },
  );

  test.for(blocksIn('js').map((block) => [titleOf(block), block] as const))(
    '%s, CommonJS run as printed: ends by itself and without an error',
    { timeout: 60_000 },
    async ([, block]) => {
      const { exitCode, stderr } = await project.runCommonJs(fileOf(block).replace(/\.ts$/, '.cjs'), block.code);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    },
  );

  test('every block: is of a language that is checked, or says that it is not code', () => {
    const known = ['ts', 'js', 'sh', 'text', 'mermaid', 'yaml'];
    expect(allBlocks.filter(({ language }) => !known.includes(language)).map(titleOf)).toEqual([]);
  });
});

describe('the examples', () => {
  test.for(examples)('examples/%s, run: ends by itself and without an error', { timeout: 60_000 }, async (name) => {
    const { exitCode, stderr } = await project.run(`example-${name}`, read(`examples/${name}`));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  test('examples/README.md: names every example, and no other', () => {
    const named = [...read('examples/README.md').matchAll(/\]\(([\w-]+\.ts)\)/g)].map((match) => match[1]);
    expect([...new Set(named)].sort()).toEqual([...examples].sort());
  });

  test('the package, imported by its name from within the repository: is the build', async () => {
    const { stdout, exitCode } = await project.run(
      'self.ts',
      `import { execFileSync } from 'node:child_process';
       const code = "import('@authz-engine/grpc-client').then(({ createClient }) => console.log(typeof createClient))";
       console.log(String(execFileSync(process.execPath, ['-e', code])).trim());`,
    );
    expect({ stdout: stdout.trim(), exitCode }).toEqual({ stdout: 'function', exitCode: 0 });
  });
});

describe('the commands on the pages', () => {
  const lines = blocksIn('sh').flatMap(({ page, line, code }) =>
    code
      // A backslash at the end of a line continues it.
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map((text, index) => ({ where: `${page}:${line + index}`, text: text.replace(/^\$ /, '') })),
  );
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

  test('every npm command: is of npm itself, or a script of package.json', () => {
    const used = lines.flatMap(({ where, text }) =>
      [...text.matchAll(/\bnpm (?:run )?([\w:-]+)/g)].map((match) => ({ where, script: match[1] ?? '' })),
    );
    const ofNpm = ['ci', 'install', 'pack', 'run'];
    expect(used.filter(({ script }) => !ofNpm.includes(script) && scripts[script] === undefined)).toEqual([]);
    expect(used.map(({ script }) => script)).toEqual(expect.arrayContaining(['ci', 'start', 'test', 'build']));
  });

  test('every file that a node command runs: is there', () => {
    const files = lines.flatMap(({ text }) =>
      [...text.matchAll(/\bnode ([\w./-]+\.[jt]s)\b/g)].map((match) => match[1] ?? ''),
    );
    const isThere = (file: string): boolean =>
      existsSync(join(ROOT, file)) || existsSync(join(ROOT, file.replace(/^dist\/(.*)\.js$/, '$1.ts')));
    expect(files.filter((file) => !isThere(file))).toEqual([]);
  });

  describe.skipIf(!existsSync(CLI))('of authz', () => {
    const commands = lines
      .map(({ where, text }) => ({
        where,
        words: toWords(/\bauthz ([^|&#;)]*)/.exec(text.replace(/^npm start -- /, 'authz demo '))?.[1] ?? ''),
      }))
      .filter(({ words }) => words.length > 0);

    const told = new Map<string, Promise<Outcome>>();
    /** Asked once for each command: a process costs more than all that is read in what it says. */
    const helpOf = (command: string): Promise<Outcome> => {
      const help = told.get(command) ?? project.runCli([command, '--help']);
      told.set(command, help);
      return help;
    };

    test.for(commands)('$where: has only options that its --help knows', { timeout: 30_000 }, async ({ words }) => {
      const [command = ''] = words;
      const { stdout, exitCode } = await helpOf(command);
      expect(exitCode).toBe(0);
      const flags = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/=.*/, ''));
      expect(flags.filter((flag) => !new RegExp(`${flag}\\b`).test(stdout))).toEqual([]);
    });

    test.for(['serve', 'check', 'watch', 'demo', 'replay', 'inspect'])(
      'the options of %s on the page: are the ones that its --help names',
      { timeout: 30_000 },
      async (command) => {
        const { stdout } = await helpOf(command);
        const actual = [...stdout.matchAll(/^ {2}(--[\w-]+)/gm)].map((match) => match[1] ?? '');
        const page = read('docs/reference/cli.md');
        const section = new RegExp(`^## ${command}$([^]*?)(?=^## )`, 'm').exec(page)?.[1] ?? '';
        const shared = ['check', 'watch', 'inspect'].includes(command)
          ? page.slice(page.indexOf('## To reach an engine'))
          : '';
        const shown = [...(section + shared).matchAll(/^\| `(--[\w-]+)/gm)].map((match) => match[1] ?? '');
        expect(shown.sort()).toEqual(actual.sort());
      },
    );

    const checks = commands.filter(({ words }) => words[0] === 'check' && !words.includes('--tls'));
    test.for(checks)('$where: asks an engine and decides', { timeout: 30_000 }, async ({ words }) => {
      const { exitCode, stdout, stderr } = await project.runCli([...words, '--address', engine.address]);
      expect(stderr).toBe('');
      expect([0, 1]).toContain(exitCode);
      expect(stdout).not.toBe('');
    });
  });
});

describe('the reference of the options', () => {
  const GROUPS: Readonly<Record<string, object>> = {
    connectionPool: defaults.DEFAULT_POOL_OPTIONS,
    backpressure: defaults.DEFAULT_BACKPRESSURE_CONFIG,
    healthCheck: defaults.DEFAULT_HEALTH_CHECK_CONFIG,
    reconnect: defaults.DEFAULT_RECONNECT_CONFIG,
    failover: defaults.DEFAULT_FAILOVER_CONFIG,
    streamPool: defaults.DEFAULT_STREAM_POOL_CONFIG,
    streams: defaults.DEFAULT_STREAM_OPTIONS,
    deduplication: { cacheSize: 100, ttlMs: defaults.DEFAULT_DEDUPLICATION_TTL_MS },
  };
  const rows = tables('docs/reference/options.md')
    .filter(({ header }) => header[0] === 'Option' && header[1] === 'Default')
    .flatMap((table) => table.rows);
  const documented = new Map(rows.map(([option = '', value = '']) => [codeOf(option), codeOf(value)]));

  const top = Object.entries(defaults.DEFAULT_OPTIONS).filter(([name]) => !(name in GROUPS));
  const expected = [
    ...top,
    ...Object.entries(GROUPS).flatMap(([group, values]) =>
      Object.entries(values).map(([name, value]: [string, unknown]) => [`${group}.${name}`, value] as const),
    ),
  ];

  test.for(expected.map(([name, value]) => [name, JSON.stringify(value)] as const))(
    'the default of %s: is %s on the page too',
    ([name, value]) => {
      expect(documented.get(name)).toBe(value.replaceAll('"', "'"));
    },
  );

  test('the options on the page: are the options there are', () => {
    const source = read('src/options-types.ts');
    const body = /interface PooledClientOptions \{([^]*?)\n\}/.exec(source)?.[1] ?? '';
    const names = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map((match) => match[1] ?? '');
    const wanted = ['address', ...names.filter((name) => !(name in GROUPS)), ...expected.map(([name]) => name)];
    expect([...new Set(documented.keys())].sort()).toEqual([...new Set([...wanted, 'deduplication'])].sort());
  });

  test('the profiles on the page: say what the profiles are', () => {
    const [table] = tables('docs/ENHANCEMENTS.md').filter(({ header }) => header.includes('`highThroughput`'));
    const shown = (table?.rows ?? []).map((row) => row.map(codeOf));
    for (const [option = '', ...values] of shown) {
      const [group = '', name = ''] = option.split('.');
      const actual = Object.values(profiles).map((profile) => {
        const fields = (profile as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[group] ?? {};
        return name in fields ? String(fields[name]) : '–';
      });
      expect([option, ...values]).toEqual([option, ...actual]);
    }
    const settings = Object.values(profiles).flatMap((profile) =>
      Object.entries(profile).flatMap(([group, fields]) =>
        Object.keys(fields as object).map((name) => `${group}.${name}`),
      ),
    );
    expect(shown.map(([option]) => option).sort()).toEqual([...new Set(settings)].sort());
  });
});

describe('the other references', () => {
  test('the events on the page: are the events there are', () => {
    const names = tables('docs/reference/events.md').flatMap(({ rows }) => rows.map(([name = '']) => codeOf(name)));
    expect(names.sort()).toEqual([...CLIENT_EVENT_NAMES].sort());
  });

  test('the errors on the page: are the classes there are, under their codes', () => {
    const [table] = tables('docs/reference/errors.md').filter(({ header }) => header[0] === 'Class');
    const shown = (table?.rows ?? []).map(([name = '', code = '']) => `${codeOf(name)} ${codeOf(code)}`);
    const classes = Object.entries(errors).filter(([name]) => name.endsWith('Error') && name !== 'AuthzClientError');
    const source = read('src/errors.ts');
    const actual = classes.map(([name]) => {
      const body = source.slice(source.indexOf(`class ${name} `));
      return `${name} ${/'(ERR_AUTHZ_\w+)'/.exec(body)?.[1] ?? ''}`;
    });
    expect(shown.sort()).toEqual(actual.sort());
  });

  test.for([
    ['docs/guides/model-based-testing.md', 'fault', FAILOVER_FAULTS],
    ['docs/guides/model-based-testing.md', 'expectation', EXPECTATION_NAMES],
    ['docs/reference/options.md', 'name', OPTION_NAMES],
  ] as const)('%s, of the failover model every %s: is one there is, and none is missing', ([page, header, names]) => {
    const shown = tables(page)
      .filter((table) => table.header[0] === header)
      .map(({ rows }) => rows.map(([name = '']) => codeOf(name)).sort());
    expect(shown).toContainEqual([...names].sort());
  });

  test('the decisions: are each in the list, in order, and none is missing', () => {
    const files = readdirSync(join(ROOT, 'docs/adr')).filter((name) => /^\d{4}-/.test(name));
    const listed = links('docs/adr/README.md').map(({ target }) => target);
    expect([...new Set(listed.filter((target) => /^\d{4}-/.test(target)))]).toEqual(files.sort());
  });
});

describe('the links', () => {
  test.for([...pages(), 'examples/README.md'])(
    '%s: every relative link leads to a file, and to a heading in it',
    (page) => {
      const broken = links(page)
        .filter(({ target }) => !/^[a-z]+:/.test(target))
        .filter(({ target }) => {
          const [path = '', anchor] = target.split('#');
          const file = path === '' ? page : resolve('/', dirname(page), path).slice(1);
          if (!existsSync(join(ROOT, file))) return true;
          return anchor !== undefined && !anchors(file).has(anchor);
        });
      expect(broken).toEqual([]);
    },
  );

  test('every page: is reached from the README', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) {
      for (const { target } of links(page)) {
        const [path = ''] = target.split('#');
        const file = resolve('/', dirname(page), path).slice(1);
        if (path.endsWith('.md') && !/^[a-z]+:/.test(target) && existsSync(join(ROOT, file))) reached.add(file);
      }
    }
    expect(pages().filter((page) => !reached.has(page))).toEqual([]);
  });
});

/** As a shell splits them, as far as the pages need it. */
function toWords(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

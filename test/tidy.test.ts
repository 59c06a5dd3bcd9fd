/** Who imports whom, read from the sources and held to the design: layers, cycles, and what no file may contain. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..');

interface Import {
  /** As written: a package's name, or a path from the root for a file of ours. */
  readonly to: string;
  /** Nothing is left of it at run time. */
  readonly typeOnly: boolean;
}

interface SourceFile {
  /** From the root: `src/core/clock.ts`. */
  readonly name: string;
  readonly text: string;
  readonly imports: readonly Import[];
  readonly hasDefaultExport: boolean;
}

function listFiles(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => path.posix.join(folder, name.split(path.sep).join('/')));
}

/** A relative specifier as the file it means, from the root. */
function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const source = path.posix.join(path.posix.dirname(from), specifier).replace(/\.js$/, '.ts');
  return existsSync(path.join(ROOT, `${source}x`)) ? `${source}x` : source;
}

function importsOf(name: string, source: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (specifier !== undefined && ts.isStringLiteral(specifier)) {
      imports.push({ to: resolve(name, specifier.text), typeOnly });
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, isTypeOnlyClause(node.importClause));
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly || isTypeOnlyList(node.exportClause));
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

function isTypeOnlyClause(clause: ts.ImportClause | undefined): boolean {
  // `import './x.js'` runs the module, and so does a clause with a default.
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  return clause.name === undefined && isTypeOnlyList(clause.namedBindings);
}

function isTypeOnlyList(list: ts.Node | undefined): boolean {
  if (list === undefined || !(ts.isNamedImports(list) || ts.isNamedExports(list))) return false;
  return list.elements.length > 0 && list.elements.every((element) => element.isTypeOnly);
}

function hasDefaultExport(source: ts.SourceFile): boolean {
  return source.statements.some((statement) => {
    if (ts.isExportAssignment(statement)) return true;
    if (ts.isExportDeclaration(statement) && statement.exportClause !== undefined) {
      return (
        ts.isNamedExports(statement.exportClause) &&
        statement.exportClause.elements.some(({ name }) => name.text === 'default')
      );
    }
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    return modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword);
  });
}

function read(name: string): SourceFile {
  const text = readFileSync(path.join(ROOT, name), 'utf8');
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.ES2023, true);
  return { name, text, imports: importsOf(name, source), hasDefaultExport: hasDefaultExport(source) };
}

const files = [...listFiles('src'), ...listFiles('machines')].map(read);

/** Files and folders that stand for layers of their own: those at the root of `src`, and what runs in a browser. */
const ROOT_LAYERS: readonly (readonly [RegExp, string])[] = [
  [/^src\/(errors|flight|types|version)\.ts$/, 'base'],
  [/^src\/(events|event-log)\.ts$/, 'events'],
  [/^src\/(options[a-z-]*|profiles|validate-request)\.ts$/, 'options'],
  [/^src\/client\.ts$/, 'client'],
  [/^src\/index\.ts$/, 'index'],
  [/^src\/inspect\/protocol\.ts$/, 'protocol'],
  [/^src\/inspect\/page\//, 'page'],
];

function layerOf(name: string): string {
  const root = ROOT_LAYERS.find(([pattern]) => pattern.test(name));
  if (root !== undefined) return root[1];
  return name.startsWith('machines/') ? 'machines' : (/^src\/([a-z]+)\//.exec(name)?.[1] ?? `unknown (${name})`);
}

/** Who may import whom, at run time and in types. A layer may always import itself. */
const FOUNDATION = ['core', 'base'];
const PLANES = [...FOUNDATION, 'codec', 'transport', 'data', 'observe', 'machines', 'events', 'options'];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ['base'],
  base: ['core'],
  observe: FOUNDATION,
  events: [...FOUNDATION, 'observe'],
  codec: FOUNDATION,
  transport: FOUNDATION,
  // What they check headers by, and the port that a transport of the application's own implements.
  options: [...FOUNDATION, 'observe', 'transport'],
  data: [...FOUNDATION, 'codec', 'transport'],
  machines: [],
  runtime: PLANES,
  client: [...PLANES, 'runtime'],
  index: [...PLANES, 'runtime', 'client'],
  engine: FOUNDATION,
  testing: [...FOUNDATION, 'transport', 'machines', 'engine', 'events', 'options', 'client', 'index'],
  // What the inspector's server and its page say to one another; types alone.
  protocol: [],
  page: ['protocol'],
  inspect: [...PLANES, 'protocol', 'runtime', 'client'],
  cli: [...FOUNDATION, 'observe', 'events', 'machines', 'engine', 'testing', 'client', 'index', 'inspect'],
};

/** Bundled into the page of the inspector ahead of time: none of them is installed with the package. */
const IN_PAGE = ['preact'];

const isOurs = ({ to }: Import): boolean => to.startsWith('src/') || to.startsWith('machines/');

const importersOf = (name: string, valueOnly = false): string[] =>
  files
    .filter(({ imports }) =>
      imports.some(({ to, typeOnly }) => (to === name || to.startsWith(`${name}/`)) && !(valueOnly && typeOnly)),
    )
    .map((file) => file.name);

describe('the sources', () => {
  test('are found, and every import of a file of ours is of one that exists', () => {
    const names = new Set(files.map(({ name }) => name));
    expect(names.size).toBeGreaterThan(50);
    const missing = files.flatMap(({ name, imports }) =>
      imports.filter((each) => isOurs(each) && !names.has(each.to)).map(({ to }) => `${name} -> ${to}`),
    );
    expect(missing).toEqual([]);
  });

  test('import downwards only', () => {
    const wrong = files.flatMap(({ name, imports }) => {
      const from = layerOf(name);
      const allowed = [from, ...(MAY_IMPORT[from] ?? [])];
      return imports
        .filter((each) => isOurs(each) && !allowed.includes(layerOf(each.to)))
        .map(({ to }) => `${from} -> ${layerOf(to)}: ${name} imports ${to}`);
    });
    expect(wrong).toEqual([]);
  });

  test('form no cycle at run time', () => {
    const edges = new Map(
      files.map(({ name, imports }) => [
        name,
        imports.filter((each) => isOurs(each) && !each.typeOnly).map(({ to }) => to),
      ]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const walk = (name: string, trail: readonly string[]): void => {
      if (trail.includes(name)) {
        cycles.push([...trail.slice(trail.indexOf(name)), name].join(' -> '));
        return;
      }
      if (done.has(name)) return;
      for (const next of edges.get(name) ?? []) walk(next, [...trail, name]);
      done.add(name);
    };
    for (const { name } of files) walk(name, []);
    expect(cycles).toEqual([]);
  });

  test('have no default export', () => {
    expect(files.filter((file) => file.hasDefaultExport).map(({ name }) => name)).toEqual([]);
  });

  test('hold no note of work left undone, and end in one newline', () => {
    const marked = files.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map(({ name }) => name);
    expect(marked).toEqual([]);
    const ragged = files.filter(({ text }) => !text.endsWith('\n') || text.endsWith('\n\n')).map(({ name }) => name);
    expect(ragged).toEqual([]);
  });
});

describe('packages', () => {
  test('xstate: the machines, the runtime that wires them, the tests that explore them, and in types who shows an actor', () => {
    const users = importersOf('xstate', true).map(layerOf);
    expect(users.filter((layer) => !['machines', 'runtime', 'testing'].includes(layer))).toEqual([]);
    const typed = importersOf('xstate').map(layerOf);
    expect(typed.filter((layer) => layer === 'data' || layer === 'transport' || layer === 'core')).toEqual([]);
  });

  test('the machines import xstate and one another, and nothing else', () => {
    const machines = files.filter(({ name }) => name.startsWith('machines/'));
    const foreign = machines.flatMap(({ imports }) =>
      imports.map(({ to }) => to).filter((to) => to !== 'xstate' && !to.startsWith('machines/')),
    );
    expect(foreign).toEqual([]);
  });

  test('grpc-js: one file of the client, and the engine', () => {
    const users = importersOf('@grpc/grpc-js').filter((name) => !name.startsWith('src/engine/'));
    expect(users).toEqual(['src/transport/grpc-js.ts']);
  });

  test('the page of the inspector imports its own files, what is bundled into it, and of the server the protocol', () => {
    const page = files.filter(({ name }) => layerOf(name) === 'page');
    const foreign = page.flatMap(({ name, imports }) =>
      imports
        .filter(
          (each) => !isOurs(each) && !IN_PAGE.some((known) => each.to === known || each.to.startsWith(`${known}/`)),
        )
        .map(({ to }) => `${name} -> ${to}`),
    );
    expect(foreign).toEqual([]);
    // It is bundled with the page, and would bring along what it imports.
    const protocol = files.filter(({ name }) => layerOf(name) === 'protocol');
    expect(protocol.map(({ imports }) => imports)).toEqual([[]]);
  });

  test('everything imported is a dependency, or of Node', () => {
    const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const installed = files.filter(({ name }) => layerOf(name) !== 'page');
    const unknown = installed.flatMap(({ name, imports }) =>
      imports
        .map(({ to }) => to)
        .filter((to) => !to.startsWith('src/') && !to.startsWith('machines/') && !to.startsWith('node:'))
        .filter((to) => !Object.keys(dependencies).some((known) => to === known || to.startsWith(`${known}/`)))
        .map((to) => `${name} -> ${to}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('the inspect bridge', () => {
  const bridge = listFiles('inspect-bridge/src').map(read);

  test('imports itself, what it depends on, and nothing of the client', () => {
    const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, 'inspect-bridge/package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const known = ['inspect-bridge/src', 'node:', ...Object.keys(dependencies)];
    const foreign = bridge.flatMap(({ name, imports }) =>
      imports.filter(({ to }) => !known.some((start) => to.startsWith(start))).map(({ to }) => `${name} -> ${to}`),
    );
    expect(bridge.length).toBeGreaterThan(3);
    expect(foreign).toEqual([]);
  });

  test('has no default export, and no note of work left undone', () => {
    expect(bridge.filter((file) => file.hasDefaultExport).map(({ name }) => name)).toEqual([]);
    expect(bridge.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map(({ name }) => name)).toEqual([]);
  });

  test('is imported by nothing of the client', () => {
    const users = files.filter(({ imports }) => imports.some(({ to }) => to.includes('inspect-bridge')));
    expect(users.map(({ name }) => name)).toEqual([]);
  });
});

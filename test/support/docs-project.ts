/** A reader's project: the packages installed as they were built, and the code blocks as its modules. */

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { type CodeBlock, ROOT } from './docs-pages.js';

/** What `<!-- run: name -->` may ask for, as code around the block. Addresses stand for the engines the test has started. */
const PREAMBLES: Readonly<Record<string, { before: string; after: string }>> = {
  engine: { before: '', after: '' },
  client: {
    before: `import { createClient } from '@authz-engine/grpc-client';
const client = createClient({ address: '127.0.0.1:50051' });
await client.connect();`,
    after: 'await client.disconnect();',
  },
  request: {
    before: `import type { CheckRequest } from '@authz-engine/grpc-client';
const request: CheckRequest = {
  requestId: 'request-1',
  principal: { id: 'alice', roles: ['editor'] },
  resource: { kind: 'document', id: '42' },
  actions: ['read'],
};`,
    after: 'void request;',
  },
  handle: {
    before: `const handle = client.createBidirectionalStream({ onResponse: () => {}, onError: () => {}, onEnd: () => {} });`,
    after: 'handle.end();',
  },
};

const BLOCK_OPTIONS: ts.CompilerOptions = {
  // Blocks show what is there; a value that nobody reads is the reader's to use.
  noUnusedLocals: false,
  noEmit: true,
  declaration: false,
};

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class DocsProject {
  readonly directory = mkdtempSync(join(tmpdir(), 'authz-docs-'));
  /** What the pages call an address, and which one it is just now. */
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #installed: string;

  constructor(addresses: ReadonlyMap<string, string>) {
    this.#addresses = addresses;
    const modules = join(this.directory, 'node_modules');
    this.#installed = join(modules, '@authz-engine/grpc-client');
    install(ROOT, this.#installed, ['dist', 'proto', 'package.json']);
    install(join(ROOT, 'inspect-bridge'), join(modules, '@authz-engine/inspect-bridge'), ['dist', 'package.json']);
    for (const name of ['xstate', '@types', 'typescript', '@statelyai', 'ws', 'fast-check']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    }
    writeFileSync(join(this.directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The block as a module, and how many lines stand before it. */
  static toModule({ code, needs }: Pick<CodeBlock, 'code' | 'needs'>): { source: string; offset: number } {
    const parts = needs.map((need) => {
      const part = PREAMBLES[need];
      if (part === undefined) throw new Error(`<!-- run: ${need} --> is not known`);
      return part;
    });
    const before = parts.map((part) => part.before).filter((text) => text !== '');
    // What both import is imported once: by the block, which is what the reader sees.
    const preamble = before
      .join('\n')
      .split('\n')
      .filter((line) => line !== '' && !importsAgain(line, code));
    const after = parts.map((part) => part.after).reverse();
    return { source: [...preamble, code, ...after, 'export {};'].join('\n'), offset: preamble.length };
  }

  /** What the compiler says of these modules, with the strictness of the project itself. */
  typeCheck(modules: readonly { name: string; source: string }[]): Map<string, { line: number; message: string }[]> {
    for (const { name, source } of modules) this.#write(name, source);
    const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => readFileSync(file, 'utf8')) as {
      config: { compilerOptions: Record<string, unknown> };
    };
    const { options } = ts.convertCompilerOptionsFromJson(config.config.compilerOptions, this.directory);
    const program = ts.createProgram(
      modules.map(({ name }) => join(this.directory, name)),
      { ...options, rootDir: '/', ...BLOCK_OPTIONS },
    );
    const found = new Map<string, { line: number; message: string }[]>();
    for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
      const { file, start = 0 } = diagnostic;
      const name = file?.fileName.slice(this.directory.length + 1) ?? '';
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1;
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n');
      found.set(name, [...(found.get(name) ?? []), { line, message }]);
    }
    return found;
  }

  /** Runs a module in a process of its own, from the project's root, until it ends by itself. */
  run(name: string, source: string): Promise<Outcome> {
    const { outputText } = ts.transpileModule(this.#withAddresses(source), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    });
    return this.#execute([this.#write(name.replace(/\.ts$/, '.mjs'), outputText)]);
  }

  runCommonJs(name: string, source: string): Promise<Outcome> {
    return this.#execute([this.#write(name, this.#withAddresses(source))]);
  }

  /** Runs the command line as built. */
  runCli(words: readonly string[]): Promise<Outcome> {
    return this.#execute([
      join(this.#installed, 'dist/src/cli/main.js'),
      ...words.map((word) => this.#withAddresses(word)),
    ]);
  }

  #withAddresses(text: string): string {
    let result = text;
    for (const [shown, actual] of this.#addresses) result = result.replaceAll(shown, actual);
    return result;
  }

  #write(name: string, source: string): string {
    const file = join(this.directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
    return file;
  }

  #execute(args: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: ROOT, timeout: 30_000, env: environment() }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ exitCode: code, stdout, stderr });
      });
    });
  }
}

/** A copy: a build that is made meanwhile begins by emptying its folder. */
function install(from: string, to: string, names: readonly string[]): void {
  for (const name of names) cpSync(join(from, name), join(to, name), { recursive: true });
  symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'));
}

/** Without what a test runner or a terminal has put there. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, NO_COLOR: '1' };
}

function importsAgain(line: string, code: string): boolean {
  const names = /^import (?:type )?\{ (.*) \} from/.exec(line)?.[1];
  return names !== undefined && new RegExp(`^import [^;]*\\b${names}\\b[^;]*from`, 'm').test(code);
}

/** Child processes that run TypeScript of this repository without a build. */

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * A module loader that strips types and finds `x.ts` for `x.js`. It runs from a data: URL, hence createRequire. With esbuild: to load the
 * compiler would cost each child ten times the CPU of all that it does.
 */
const HOOKS = `
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
const { transform } = createRequire(${JSON.stringify(import.meta.url)})('esbuild');
export async function resolve(specifier, context, next) {
  if (specifier.startsWith('.') && specifier.endsWith('.js')) {
    const url = new URL(specifier.slice(0, -3) + '.ts', context.parentURL);
    if (existsSync(fileURLToPath(url))) return { url: url.href, shortCircuit: true };
  }
  return next(specifier, context);
}
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  const { code } = await transform(await readFile(fileURLToPath(url), 'utf8'), {
    loader: 'ts',
    format: 'esm',
    target: 'es2023',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  return { format: 'module', source: code, shortCircuit: true };
}
`;

const toDataUrl = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;
const REGISTER = toDataUrl(`import { register } from 'node:module'; register(${JSON.stringify(toDataUrl(HOOKS))});`);

/** Starts `node file args`. `file` is a TypeScript module's URL. */
export function spawnTypeScript(file: URL, args: readonly string[] = []): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--import', REGISTER, fileURLToPath(file), ...args]);
}

/** The first line a child prints; rejects when it ends without one. */
export function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
    });
    child.once('exit', (code) => {
      reject(new Error(`the child ended with ${code ?? 'a signal'} and no line: ${errors}`));
    });
  });
}

/** How a child ended: its exit code, or null after a signal. */
export function exitOf(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    child.once('exit', resolve);
  });
}

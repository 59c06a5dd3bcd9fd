/** Where policies are read from: the policy directory, a path below it, an allowed https URL, or the call itself. */

import { open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { ConfigurationError } from '../errors.js';
import { MAX_POLICY_BYTES, MAX_POLICY_DOCUMENTS, MAX_TOTAL_POLICY_BYTES, POLICY_URL_TIMEOUT_MS } from './limits.js';
import type { PolicyError } from './policy-document.js';
import { compilePolicies } from './policy-set.js';
import type { PolicyLoad, PolicySet, PolicySourceText } from './policy-set.js';

/**
 * Loads every `*.yaml` and `*.yml` file of a directory, not of those below it, in the order of their names.
 *
 * @throws ConfigurationError when the directory cannot be read or a policy is broken; `details.errors` then lists every problem as
 * `{source, line, reason}`.
 */
export async function loadPolicyDirectory(directory: string): Promise<PolicySet> {
  let root: string;
  try {
    root = await realpath(directory);
    if (!(await stat(root)).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  } catch (cause) {
    throw new ConfigurationError(
      'policies',
      `${JSON.stringify(directory)} is not a readable directory (${codeOf(cause)})`,
      { cause },
    );
  }
  const load = await loadPath(root, '.');
  if (load.ok) return load.set;
  const { errors } = load;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const [first] = errors.map(({ source, line, reason }) =>
    source === '' ? `${JSON.stringify(directory)}: ${reason}` : `${source}:${line}: ${reason}`,
  );
  throw new ConfigurationError('policies', `${first ?? 'cannot be loaded'}${more}`, { details: { errors } });
}

/** Loads a file or a directory below `root`. Where symbolic links lead elsewhere, it is as if nothing were there. */
export async function loadPath(root: string, relativePath: string): Promise<PolicyLoad> {
  const source = relativePath === '.' ? '' : relativePath;
  // One reason for all of them: what exists outside the directory is nobody's business.
  const refusal: PolicyLoad = refuse(source, 'is not a readable file or directory below the policy directory');
  try {
    const realRoot = await realpath(root);
    const target = await resolveBelow(realRoot, path.resolve(realRoot, relativePath));
    if (target === undefined) return refusal;
    const kind = await stat(target);
    if (kind.isDirectory()) return await loadFiles(realRoot, target);
    if (!kind.isFile()) return refusal;
    const text = await readText(target);
    return text === undefined ? refuse(source, TOO_LARGE) : compilePolicies([{ source, text }]);
  } catch {
    return refusal;
  }
}

/** Loads documents that came with the call. Errors name them `inline[0]`, `inline[1]`, ... */
export function loadInline(documents: readonly string[]): PolicyLoad {
  if (documents.length > MAX_POLICY_DOCUMENTS) return refuse('inline', TOO_MANY);
  const sources = documents.map((text, index) => ({ source: `inline[${index}]`, text }));
  return isTotalTooLarge(sources) ? refuse('inline', TOTAL_TOO_LARGE) : compilePolicies(sources);
}

/** Loads one document from an https URL whose host (`name` or `name:port`) is allowed. Redirects are refused: they may lead anywhere. */
export async function loadUrl(url: string, allowedHosts: readonly string[]): Promise<PolicyLoad> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  // Credentials in it would come back in errors.
  if (parsed?.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '') {
    return refuse('url', 'must be an https URL without credentials');
  }
  const source = `${parsed.origin}${parsed.pathname}`;
  if (!allowedHosts.includes(parsed.host)) return refuse(source, 'the host is not on the allow-list');
  try {
    const response = await fetch(parsed, { redirect: 'error', signal: AbortSignal.timeout(POLICY_URL_TIMEOUT_MS) });
    if (!response.ok) {
      await response.body?.cancel();
      return refuse(source, `answered with HTTP status ${response.status}`);
    }
    const text = await readBody(response);
    return text === undefined ? refuse(source, TOO_LARGE) : compilePolicies([{ source, text }]);
  } catch {
    return refuse(source, `could not be fetched within ${POLICY_URL_TIMEOUT_MS} ms`);
  }
}

const TOO_LARGE = `larger than ${MAX_POLICY_BYTES} bytes`;
const TOO_MANY = `more than ${MAX_POLICY_DOCUMENTS} documents`;
const TOTAL_TOO_LARGE = `larger than ${MAX_TOTAL_POLICY_BYTES} bytes together`;

function refuse(source: string, reason: string): PolicyLoad {
  return { ok: false, errors: [{ source, line: 0, reason }] };
}

/** The real path when it is `realRoot` or below it. */
async function resolveBelow(realRoot: string, candidate: string): Promise<string | undefined> {
  const target = await realpath(candidate);
  return target === realRoot || target.startsWith(realRoot.endsWith(path.sep) ? realRoot : realRoot + path.sep)
    ? target
    : undefined;
}

async function loadFiles(realRoot: string, directory: string): Promise<PolicyLoad> {
  const names = (await readdir(directory)).filter((name) => /\.ya?ml$/.test(name)).sort();
  if (names.length > MAX_POLICY_DOCUMENTS) return refuse('', TOO_MANY);
  const documents: PolicySourceText[] = [];
  const errors: PolicyError[] = [];
  for (const name of names) {
    const source = path.relative(realRoot, path.join(directory, name));
    const target = await resolveBelow(realRoot, path.join(directory, name)).catch(() => undefined);
    if (target === undefined) {
      errors.push({ source, line: 0, reason: 'is not a readable file below the policy directory' });
      continue;
    }
    if (!(await stat(target)).isFile()) continue;
    const text = await readText(target).catch(() => null);
    if (text === null) errors.push({ source, line: 0, reason: 'cannot be read' });
    else if (text === undefined) errors.push({ source, line: 0, reason: TOO_LARGE });
    else documents.push({ source, text });
    // Judged as they come, so that no more than this is ever held.
    if (isTotalTooLarge(documents)) return refuse('', TOTAL_TOO_LARGE);
  }
  if (errors.length > 0 && documents.length === 0) return { ok: false, errors };
  const load = compilePolicies(documents);
  if (errors.length === 0) return load;
  return { ok: false, errors: load.ok ? errors : [...errors, ...load.errors] };
}

/** Undefined when it is larger than a policy may be, also when it grew after it was looked at. */
async function readText(file: string): Promise<string | undefined> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(MAX_POLICY_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (length > MAX_POLICY_BYTES) return undefined;
      if (bytesRead === 0) return buffer.toString('utf8', 0, length);
    }
  } finally {
    await handle.close();
  }
}

async function readBody(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    const bytes = chunk as Uint8Array;
    length += bytes.length;
    // Leaving the loop cancels the body.
    if (length > MAX_POLICY_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isTotalTooLarge(documents: readonly PolicySourceText[]): boolean {
  let total = 0;
  for (const { text } of documents) total += text.length;
  return total > MAX_TOTAL_POLICY_BYTES;
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'unreadable';
}

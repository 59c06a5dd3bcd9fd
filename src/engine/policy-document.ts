/** One policy document: YAML text to a validated policy, with the line of everything that is wrong in it. */

import * as v from 'valibot';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import {
  MAX_CONDITION_LENGTH,
  MAX_NAME_LENGTH,
  MAX_POLICY_BYTES,
  MAX_RULE_ENTRIES,
  MAX_RULES,
  MAX_YAML_ALIASES,
} from './limits.js';

/** Why a policy was refused. It never quotes the document: policies may be secret, and these reasons reach callers. */
export interface PolicyError {
  /** A file's path relative to the policy directory, the URL, or `inline[2]`. */
  readonly source: string;
  /** 1-based; 0 when the whole document is meant. */
  readonly line: number;
  readonly reason: string;
}

const name = (what: string) =>
  v.pipe(
    v.string(`${what} must be a string`),
    v.minLength(1, `${what} must not be empty`),
    v.maxLength(MAX_NAME_LENGTH, `${what} must have at most ${MAX_NAME_LENGTH} characters`),
  );

const entries = <Item extends v.GenericSchema>(what: string, item: Item) =>
  v.pipe(
    v.array(item, `${what} must be a list`),
    v.minLength(1, `${what} must not be empty`),
    v.maxLength(MAX_RULE_ENTRIES, `${what} must have at most ${MAX_RULE_ENTRIES} entries`),
  );

function objectMessage(issue: { expected: string | null; received: string; path?: unknown[] | undefined }): string {
  if (issue.expected === 'never') return 'unknown key';
  if (issue.expected !== 'Object') return 'is required';
  return 'must be a mapping';
}

const ruleSchema = v.strictObject(
  {
    name: v.optional(name('name')),
    actions: entries(
      'actions',
      v.pipe(
        name('action'),
        v.check((action) => !action.slice(0, -1).includes('*'), 'a wildcard must be the last character of the action'),
      ),
    ),
    effect: v.picklist(['allow', 'deny'], 'effect must be "allow" or "deny"'),
    roles: v.union(
      [v.literal('*'), entries('roles', name('role'))],
      `roles must be "*" or a list of 1 to ${MAX_RULE_ENTRIES} names`,
    ),
    condition: v.optional(
      v.pipe(
        v.string('condition must be a CEL string'),
        v.minLength(1, 'condition must not be empty'),
        v.maxLength(MAX_CONDITION_LENGTH, `condition must have at most ${MAX_CONDITION_LENGTH} characters`),
      ),
    ),
  },
  objectMessage,
);

const policySchema = v.strictObject(
  {
    name: name('name'),
    resource: name('resource'),
    rules: v.pipe(
      v.array(ruleSchema, 'rules must be a list'),
      v.minLength(1, 'rules must not be empty'),
      v.maxLength(MAX_RULES, `rules must have at most ${MAX_RULES} entries`),
    ),
  },
  objectMessage,
);

export type RuleDocument = v.InferOutput<typeof ruleSchema>;
export type PolicyDocument = v.InferOutput<typeof policySchema>;

type Path = readonly (string | number)[];

/** A valid policy, and where its parts stand for errors that are found later. */
export interface ParsedPolicy {
  readonly source: string;
  readonly policy: PolicyDocument;
  lineOf(path: Path): number;
}

export type ParsedDocument = { ok: true; parsed: ParsedPolicy } | { ok: false; errors: PolicyError[] };

/** Never throws. */
export function parsePolicyDocument(source: string, text: string): ParsedDocument {
  const refuse = (line: number, reason: string): ParsedDocument => ({ ok: false, errors: [{ source, line, reason }] });
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) return refuse(0, `larger than ${MAX_POLICY_BYTES} bytes`);

  const lines = new LineCounter();
  const line = (offset: number): number => lines.linePos(offset).line;
  let document: Document;
  let value: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, merge: false });
    // A warning is a tag or directive that was not understood: not understood is refused.
    const problems = [...document.errors, ...document.warnings];
    if (problems.length > 0) {
      return {
        ok: false,
        errors: problems.map((problem) => ({
          source,
          line: line(problem.pos[0]),
          reason: `invalid YAML (${problem.code})`,
        })),
      };
    }
    value = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
  } catch {
    return refuse(0, 'cannot be read as YAML: nested too deeply or too many aliases');
  }
  if (value === null) return refuse(0, 'is empty');
  // The schema would take a list for a mapping without our keys.
  if (!isMap(document.contents)) return refuse(1, 'must be a mapping');

  const lineOf = (path: Path): number => lineAt(document, path, line);
  const result = v.safeParse(policySchema, value);
  if (result.success) return { ok: true, parsed: { source, policy: result.output, lineOf } };
  return {
    ok: false,
    errors: result.issues.map((issue) => {
      const path = (issue.path ?? []).map((item) => item.key as string | number);
      return { source, line: lineOf(path), reason: reasonOf(path, issue) };
    }),
  };
}

/** A key that is not ours is content and stays out of the reason. */
function reasonOf(path: Path, issue: { expected: string | null; message: string }): string {
  const named = issue.expected === 'never' ? path.slice(0, -1) : path;
  let where = '';
  for (const key of named) where += typeof key === 'number' ? `[${key}]` : where === '' ? key : `.${key}`;
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}

/** The line of the deepest part of `path` that is there. */
function lineAt(document: Document, path: Path, line: (offset: number) => number): number {
  let node: unknown = document.contents;
  let found = offsetOf(node) ?? 0;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) break;
      found = offsetOf(pair.key) ?? found;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      found = offsetOf(node) ?? found;
    } else break;
  }
  return line(found);
}

function offsetOf(node: unknown): number | undefined {
  const { range } = (node ?? {}) as { range?: readonly number[] | null };
  return range?.[0];
}

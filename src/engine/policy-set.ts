/** The compiled policy set: immutable, indexed by resource kind and action, its conditions compiled once. */

import { createHash } from 'node:crypto';
import { Effect } from '../types.js';
import { compileCondition } from './condition.js';
import type { Condition } from './condition.js';
import { MAX_REPORTED_ERRORS } from './limits.js';
import { parsePolicyDocument } from './policy-document.js';
import type { ParsedPolicy, PolicyError, RuleDocument } from './policy-document.js';

/** What was decided for one action, and by which rule. Frozen and shared between answers. */
export interface ActionDecision {
  readonly effect: typeof Effect.ALLOW | typeof Effect.DENY;
  /** Empty when no rule decided. */
  readonly policy: string;
  /** Empty when no rule decided. */
  readonly rule: string;
  /** False when the default, deny, decided. */
  readonly matched: boolean;
}

export interface CompiledRule {
  readonly deny: boolean;
  /** Undefined: any role, and none. */
  readonly roles: ReadonlySet<string> | undefined;
  readonly condition: Condition | undefined;
  readonly decision: ActionDecision;
  matches(action: string): boolean;
}

/** The rules for one kind of resource; in every list the deny rules come first. */
export interface KindRules {
  /** Policies that apply to this kind. */
  readonly policyCount: number;
  /** For each action that a rule names outright, all rules that apply to it. */
  readonly exact: ReadonlyMap<string, readonly CompiledRule[]>;
  /** The rules with wildcards, for every other action. */
  readonly wildcard: readonly CompiledRule[];
}

export interface PolicySet {
  readonly policyCount: number;
  /** Equal for equal documents from equal sources. */
  readonly fingerprint: string;
  rulesFor(kind: string): KindRules;
}

/** All or nothing: with errors there is no set. */
export type PolicyLoad = { ok: true; set: PolicySet } | { ok: false; errors: readonly PolicyError[] };

export interface PolicySourceText {
  /** How errors name it. */
  readonly source: string;
  readonly text: string;
}

interface CompiledPolicy {
  readonly kind: string;
  readonly rules: readonly { readonly actions: readonly string[]; readonly rule: CompiledRule }[];
}

/** Parses, checks and compiles documents to one set. Never throws. */
export function compilePolicies(documents: readonly PolicySourceText[]): PolicyLoad {
  const errors: PolicyError[] = [];
  const policies: CompiledPolicy[] = [];
  const names = new Set<string>();
  const hash = createHash('sha256');
  for (const { source, text } of documents) {
    hash.update(`${source.length}:${text.length}:`).update(source).update(text);
    const document = parsePolicyDocument(source, text);
    if (!document.ok) {
      errors.push(...document.errors);
      continue;
    }
    const { parsed } = document;
    // Answers name the policy that decided, so a name may stand for one only.
    if (names.has(parsed.policy.name)) {
      errors.push({ source, line: parsed.lineOf(['name']), reason: 'name: another policy has the same name' });
    }
    names.add(parsed.policy.name);
    policies.push(compilePolicy(parsed, errors));
  }
  if (documents.length === 0) errors.push({ source: '', line: 0, reason: 'no policy documents' });
  if (errors.length > 0) return { ok: false, errors: errors.slice(0, MAX_REPORTED_ERRORS) };
  return { ok: true, set: indexPolicies(policies, hash.digest('hex')) };
}

function compilePolicy(parsed: ParsedPolicy, errors: PolicyError[]): CompiledPolicy {
  const { source, policy } = parsed;
  const names = new Set<string>();
  const rules = policy.rules.map((rule, index) => {
    const name = rule.name ?? `rule-${index + 1}`;
    if (names.has(name)) {
      const reason = `rules[${index}].name: another rule of the policy has the same name`;
      errors.push({ source, line: parsed.lineOf(['rules', index, 'name']), reason });
    }
    names.add(name);
    let condition: Condition | undefined;
    if (rule.condition !== undefined) {
      const compiled = compileCondition(rule.condition);
      if (compiled.ok) condition = compiled.condition;
      else {
        const reason = `rules[${index}].condition: ${compiled.reason}`;
        errors.push({ source, line: parsed.lineOf(['rules', index, 'condition']), reason });
      }
    }
    return { actions: rule.actions, rule: compileRule(policy.name, name, rule, condition) };
  });
  return { kind: policy.resource, rules };
}

function compileRule(policy: string, name: string, rule: RuleDocument, condition: Condition | undefined): CompiledRule {
  const literals = new Set(rule.actions.filter((action) => !action.endsWith('*')));
  const prefixes = rule.actions.filter((action) => action.endsWith('*')).map((action) => action.slice(0, -1));
  const deny = rule.effect === 'deny';
  return {
    deny,
    roles: rule.roles === '*' || rule.roles.includes('*') ? undefined : new Set(rule.roles),
    condition,
    decision: Object.freeze({ effect: deny ? Effect.DENY : Effect.ALLOW, policy, rule: name, matched: true }),
    matches: (action) => literals.has(action) || prefixes.some((prefix) => action.startsWith(prefix)),
  };
}

function indexPolicies(policies: readonly CompiledPolicy[], fingerprint: string): PolicySet {
  const anyKind = policies.filter((policy) => policy.kind === '*');
  const others = indexKind(anyKind);
  const kinds = new Map<string, KindRules>();
  for (const { kind } of policies) {
    if (kind === '*' || kinds.has(kind)) continue;
    kinds.set(kind, indexKind(policies.filter((policy) => policy.kind === kind || policy.kind === '*')));
  }
  return {
    policyCount: policies.length,
    fingerprint,
    rulesFor: (kind) => kinds.get(kind) ?? others,
  };
}

function indexKind(policies: readonly CompiledPolicy[]): KindRules {
  const all = policies.flatMap((policy) => policy.rules);
  const ordered = [...all.filter(({ rule }) => rule.deny), ...all.filter(({ rule }) => !rule.deny)];
  const literals = new Set(ordered.flatMap(({ actions }) => actions.filter((action) => !action.endsWith('*'))));
  const exact = new Map<string, readonly CompiledRule[]>();
  for (const action of literals) {
    exact.set(
      action,
      ordered.filter(({ rule }) => rule.matches(action)).map(({ rule }) => rule),
    );
  }
  return {
    policyCount: policies.length,
    exact,
    wildcard: ordered.filter(({ actions }) => actions.some((action) => action.endsWith('*'))).map(({ rule }) => rule),
  };
}

/** Pure evaluation: a policy set and a request to decisions. Deny overrides; what no rule allows is denied. */

import { Effect } from '../types.js';
import type { Attributes, CheckInput } from '../types.js';
import type { ConditionBindings } from './condition.js';
import type { ActionDecision, CompiledRule, PolicySet } from './policy-set.js';

/** What evaluation needs of a check. */
export type EvaluationRequest = Pick<CheckInput, 'principal' | 'resource' | 'actions'> & {
  context?: Attributes | undefined;
};

/** The answer where no rule applies. */
export const DEFAULT_DECISION: ActionDecision = Object.freeze({
  effect: Effect.DENY,
  policy: '',
  rule: '',
  matched: false,
});

const NO_ATTRIBUTES: Attributes = Object.freeze(Object.create(null) as Attributes);

/** Decides every asked action and no other. Never throws for a request of the declared shape. */
export function evaluatePolicies(set: PolicySet, request: EvaluationRequest): Map<string, ActionDecision> {
  const { principal, resource } = request;
  const kind = set.rulesFor(resource.kind);
  const bindings: ConditionBindings = {
    principal: { id: principal.id, roles: principal.roles, attributes: principalAttributes(principal) },
    resource: { kind: resource.kind, id: resource.id, attributes: resource.attributes ?? NO_ATTRIBUTES },
    context: request.context ?? NO_ATTRIBUTES,
  };
  const decisions = new Map<string, ActionDecision>();
  for (const action of request.actions) {
    const rules = kind.exact.get(action);
    decisions.set(
      action,
      rules === undefined
        ? decide(kind.wildcard, action, principal.roles, bindings)
        : decide(rules, undefined, principal.roles, bindings),
    );
  }
  return decisions;
}

/** The rules come deny first, so the first that applies decides. `action` undefined: all of them match it already. */
function decide(
  rules: readonly CompiledRule[],
  action: string | undefined,
  roles: readonly string[],
  bindings: ConditionBindings,
): ActionDecision {
  for (const rule of rules) {
    if (action !== undefined && !rule.matches(action)) continue;
    if (rule.roles !== undefined && !hasOneOf(rule.roles, roles)) continue;
    // Fail closed: a condition that cannot be evaluated stops an allow and lets a deny stand.
    if (rule.condition !== undefined && !(rule.condition(bindings) ?? rule.deny)) continue;
    return rule.decision;
  }
  return DEFAULT_DECISION;
}

function hasOneOf(wanted: ReadonlySet<string>, roles: readonly string[]): boolean {
  for (const role of roles) if (wanted.has(role)) return true;
  return false;
}

/** As the client sends it: `type` travels as the attribute of that name unless there is one. */
function principalAttributes({ attributes, type }: EvaluationRequest['principal']): Attributes {
  if (type === undefined) return attributes ?? NO_ATTRIBUTES;
  if (attributes !== undefined && Object.hasOwn(attributes, 'type')) return attributes;
  // Copied key by key: a spread would give the copy Object.prototype.
  const copy = Object.create(null) as Attributes;
  for (const key of Object.keys(attributes ?? NO_ATTRIBUTES)) copy[key] = attributes?.[key];
  copy['type'] = type;
  return copy;
}

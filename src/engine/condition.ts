/** Conditions of rules: CEL over `principal`, `resource` and `context`, checked and compiled once, when the policy is loaded. */

import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';

/** What a condition can see. Only own properties are visible to CEL, so nothing is inherited from `Object.prototype`. */
export interface ConditionBindings {
  readonly principal: object;
  readonly resource: object;
  readonly context: object;
}

/** Undefined: the evaluation failed, or its result is not a boolean. Never throws. */
export type Condition = (bindings: ConditionBindings) => boolean | undefined;

export type CompiledCondition = { ok: true; condition: Condition } | { ok: false; reason: string };

const environment = new Environment({ unlistedVariablesAreDyn: false, homogeneousAggregateLiterals: false })
  .registerVariable('principal', 'map')
  .registerVariable('resource', 'map')
  .registerVariable('context', 'map');

/** The reason names CEL's error code and the column, never the expression. */
export function compileCondition(source: string): CompiledCondition {
  let parsed;
  try {
    parsed = environment.parse(source);
  } catch (error) {
    return { ok: false, reason: describe(error) };
  }
  const checked = parsed.check();
  if (!checked.valid) return { ok: false, reason: describe(checked.error) };
  if (checked.type !== 'bool' && checked.type !== 'dyn') return { ok: false, reason: 'must be a boolean expression' };
  const badPattern = findBadPattern(parsed.ast);
  if (badPattern !== undefined) return { ok: false, reason: badPattern };

  const run: (bindings: ConditionBindings) => unknown = parsed;
  return {
    ok: true,
    condition: (bindings) => {
      try {
        const value = run(bindings);
        return typeof value === 'boolean' ? value : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

function describe(error: unknown): string {
  const { code, range } = (error ?? {}) as { code?: unknown; range?: { start?: unknown } };
  const start = range?.start;
  const where = typeof start === 'number' ? ` at character ${start + 1}` : '';
  return `invalid CEL (${typeof code === 'string' ? code : 'error'})${where}`;
}

/** A pattern that came with a request could keep the engine busy for ever, so only the policy's author may write one. */
function findBadPattern(node: ASTNode): string | undefined {
  const pending: unknown[] = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (Array.isArray(next)) {
      pending.push(...(next as unknown[]));
      continue;
    }
    if (!isNode(next)) continue;
    if (next.op === 'rcall' && next.args[0] === 'matches') {
      const pattern = next.args[2][0];
      if (pattern?.op !== 'value' || typeof pattern.args !== 'string') return 'matches() needs a literal pattern';
      try {
        new RegExp(pattern.args);
      } catch {
        return 'matches() has an invalid pattern';
      }
    }
    pending.push(next.args);
  }
  return undefined;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePolicies, evaluatePolicies, loadPolicyDirectory } from '../../src/engine/index.js';
import type { EvaluationRequest, PolicySet } from '../../src/engine/index.js';
import { Effect } from '../../src/types.js';

const DEFAULT_DENY = { effect: Effect.DENY, policy: '', rule: '', matched: false };

function compile(...documents: string[]): PolicySet {
  const load = compilePolicies(documents.map((text, index) => ({ source: `p${index}`, text })));
  if (!load.ok) throw new Error(JSON.stringify(load.errors));
  return load.set;
}

/** One policy for notes with the given rules, each in YAML's flow style. */
function notes(...rules: string[]): PolicySet {
  return compile(`name: notes\nresource: note\nrules:\n${rules.map((rule) => `  - {${rule}}\n`).join('')}`);
}

function ask(set: PolicySet, action: string, over: Partial<EvaluationRequest> = {}) {
  const request: EvaluationRequest = {
    principal: { id: 'alice', roles: ['viewer'] },
    resource: { kind: 'note', id: 'n1' },
    actions: [action],
    ...over,
  };
  return evaluatePolicies(set, request).get(action);
}

describe('rules', () => {
  test('an allow rule for role and action allows, and the answer names policy and rule', () => {
    const set = notes('name: viewers, actions: [read], effect: allow, roles: [viewer]');
    expect(ask(set, 'read')).toEqual({ effect: Effect.ALLOW, policy: 'notes', rule: 'viewers', matched: true });
  });

  test('another action, role or kind gets the default deny, unmatched', () => {
    const set = notes('actions: [read], effect: allow, roles: [viewer]');
    expect(ask(set, 'write')).toEqual(DEFAULT_DENY);
    expect(ask(set, 'read', { principal: { id: 'alice', roles: [] } })).toEqual(DEFAULT_DENY);
    expect(ask(set, 'read', { resource: { kind: 'memo', id: 'n1' } })).toEqual(DEFAULT_DENY);
  });

  test('a rule without a name is called by its place', () => {
    const set = notes('actions: [a], effect: allow, roles: [nobody]', "actions: [read], effect: allow, roles: '*'");
    expect(ask(set, 'read')?.rule).toBe('rule-2');
  });

  test('a deny rule overrides allow rules before and after it', () => {
    const allow = "actions: ['*'], effect: allow, roles: '*'";
    const deny = 'name: no, actions: [read], effect: deny, roles: [viewer]';
    for (const set of [notes(allow, deny), notes(deny, allow)]) {
      expect(ask(set, 'read')).toMatchObject({ effect: Effect.DENY, rule: 'no', matched: true });
      expect(ask(set, 'write')?.effect).toBe(Effect.ALLOW);
    }
  });

  test('a deny rule of a policy for every kind overrides the kind’s own policy', () => {
    const set = compile(
      "name: own\nresource: note\nrules: [{actions: [read], effect: allow, roles: '*'}]",
      "name: all\nresource: '*'\nrules: [{actions: [read], effect: deny, roles: '*'}]",
    );
    expect(ask(set, 'read')).toMatchObject({ effect: Effect.DENY, policy: 'all' });
    expect(ask(set, 'read', { resource: { kind: 'memo', id: '1' } })).toMatchObject({ policy: 'all' });
  });

  test('a wildcard matches what starts with what is before it, and nothing else', () => {
    const set = notes("actions: ['read:*', exact], effect: allow, roles: '*'");
    const allowed = (action: string) => ask(set, action)?.effect === Effect.ALLOW;
    expect(['read:', 'read:body', 'read:a:b', 'exact'].map(allowed)).toEqual([true, true, true, true]);
    expect(['read', 'xread:body', 'exact1', 'READ:body', '*', ''].map(allowed)).toEqual(Array(6).fill(false));
  });

  test('a wildcard deny overrides an action that is allowed by name', () => {
    const set = notes("actions: [read], effect: allow, roles: '*'", "actions: ['re*'], effect: deny, roles: '*'");
    expect(ask(set, 'read')?.effect).toBe(Effect.DENY);
  });
});

describe('conditions', () => {
  const owner = "actions: [read], effect: allow, roles: '*', condition: resource.attributes.owner == principal.id";

  test('a true one lets its rule apply, a false one does not', () => {
    const withOwner = (name: string) => ({ resource: { kind: 'note', id: 'n1', attributes: { owner: name } } });
    expect(ask(notes(owner), 'read', withOwner('alice'))?.effect).toBe(Effect.ALLOW);
    expect(ask(notes(owner), 'read', withOwner('bob'))).toEqual(DEFAULT_DENY);
  });

  test('one that fails stops an allow rule', () => {
    expect(ask(notes(owner), 'read')).toEqual(DEFAULT_DENY);
  });

  test('one that fails lets a deny rule stand', () => {
    const set = notes(
      "actions: [read], effect: allow, roles: '*'",
      "name: closed, actions: [read], effect: deny, roles: '*', condition: context.locked == true",
    );
    expect(ask(set, 'read')).toMatchObject({ effect: Effect.DENY, rule: 'closed' });
    expect(ask(set, 'read', { context: { locked: false } })?.effect).toBe(Effect.ALLOW);
  });

  test('one whose result is no boolean counts as failed, either way', () => {
    const allow = notes("actions: [read], effect: allow, roles: '*', condition: context.flag");
    const deny = notes(
      "actions: [read], effect: allow, roles: '*'",
      "actions: [read], effect: deny, roles: '*', condition: context.flag",
    );
    expect(ask(allow, 'read', { context: { flag: 'true' } })).toEqual(DEFAULT_DENY);
    expect(ask(deny, 'read', { context: { flag: '' } })?.effect).toBe(Effect.DENY);
    expect(ask(allow, 'read', { context: { flag: true } })?.effect).toBe(Effect.ALLOW);
  });

  test('see the principal’s type as the attribute that the client sends', () => {
    const set = notes('actions: [read], effect: allow, roles: "*", condition: principal.attributes.type == "service"');
    expect(ask(set, 'read', { principal: { id: 'a', roles: [], type: 'service' } })?.effect).toBe(Effect.ALLOW);
    const principal = { id: 'a', roles: [], type: 'service', attributes: { type: 'user' } };
    expect(ask(set, 'read', { principal })).toEqual(DEFAULT_DENY);
  });

  test('see nothing inherited: keys such as __proto__ and constructor are inert', () => {
    const inherited = notes(
      'actions: [a], effect: allow, roles: "*", condition: has(resource.attributes.constructor)',
      'actions: [b], effect: allow, roles: "*", condition: resource.attributes.admin == true',
      'actions: [c], effect: allow, roles: "*", condition: \'"toString" in context\'',
    );
    const attributes = JSON.parse('{"__proto__": {"admin": true, "constructor": 1}}') as Record<string, unknown>;
    const over = { resource: { kind: 'note', id: '1', attributes }, context: {} };
    for (const action of ['a', 'b', 'c']) expect(ask(inherited, action, over)).toEqual(DEFAULT_DENY);
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
  });

  test('kinds and actions named like properties of Object find no rules by accident', () => {
    const set = notes("actions: [read], effect: allow, roles: '*'");
    for (const word of ['__proto__', 'constructor', 'toString']) {
      expect(ask(set, 'read', { resource: { kind: word, id: '1' } })).toEqual(DEFAULT_DENY);
      expect(ask(set, word)).toEqual(DEFAULT_DENY);
    }
  });
});

test('decisions cover exactly the asked actions, deny beats allow, and what no rule names is denied', () => {
  const word = fc.constantFrom('read', 'read:a', 'read:b', 'write', '__proto__', 'constructor');
  const pattern = fc.constantFrom('*', 'read*', 'read:*', 'read', 'read:a', 'write');
  const rule = fc.record({ actions: fc.array(pattern, { minLength: 1, maxLength: 3 }), deny: fc.boolean() });
  const matches = (one: string, action: string) =>
    one.endsWith('*') ? action.startsWith(one.slice(0, -1)) : one === action;
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), fc.array(word, { maxLength: 8 }), (rules, actions) => {
      const set = notes(
        ...rules.map((one) => {
          const quoted = one.actions.map((action) => `'${action}'`).join(', ');
          return `actions: [${quoted}], effect: ${one.deny ? 'deny' : 'allow'}, roles: '*'`;
        }),
      );
      const decisions = evaluatePolicies(set, {
        principal: { id: 'a', roles: [] },
        resource: { kind: 'note', id: '1' },
        actions,
      });
      expect([...decisions.keys()].sort()).toEqual([...new Set(actions)].sort());
      for (const [action, decision] of decisions) {
        const applying = rules.filter((one) => one.actions.some((each) => matches(each, action)));
        const expected = applying.length > 0 && applying.every((one) => !one.deny) ? Effect.ALLOW : Effect.DENY;
        expect([action, decision.effect, decision.matched]).toEqual([action, expected, applying.length > 0]);
      }
    }),
  );
});

describe('the example policies', () => {
  const directory = path.join(import.meta.dirname, '../../examples/policies');

  test.each<[string, EvaluationRequest, boolean]>([
    [
      'a viewer reads a document',
      { principal: { id: 'v', roles: ['viewer'] }, resource: { kind: 'document', id: '1' }, actions: ['read'] },
      true,
    ],
    [
      'a viewer writes a document',
      { principal: { id: 'v', roles: ['viewer'] }, resource: { kind: 'document', id: '1' }, actions: ['write'] },
      false,
    ],
    [
      'an owner deletes a document',
      {
        principal: { id: 'o', roles: [] },
        resource: { kind: 'document', id: '1', attributes: { owner: 'o' } },
        actions: ['delete'],
      },
      true,
    ],
    [
      'an uncleared admin reads a confidential document',
      {
        principal: { id: 'a', roles: ['admin'] },
        resource: { kind: 'document', id: '1', attributes: { confidential: true } },
        actions: ['read'],
      },
      false,
    ],
    [
      'a cleared admin reads a confidential document',
      {
        principal: { id: 'a', roles: ['admin', 'cleared'] },
        resource: { kind: 'document', id: '1', attributes: { confidential: true } },
        actions: ['read'],
      },
      true,
    ],
    [
      'a manager approves an invoice within the limit',
      {
        principal: { id: 'm', roles: ['manager'] },
        resource: { kind: 'invoice', id: '1', attributes: { amount: 100 } },
        actions: ['approve'],
        context: { approvalLimit: 100 },
      },
      true,
    ],
    [
      'a manager approves an invoice over the limit',
      {
        principal: { id: 'm', roles: ['manager'] },
        resource: { kind: 'invoice', id: '1', attributes: { amount: 101 } },
        actions: ['approve'],
        context: { approvalLimit: 100 },
      },
      false,
    ],
    [
      'an analyst runs a report at noon',
      {
        principal: { id: 'n', roles: ['analyst'] },
        resource: { kind: 'report', id: '1' },
        actions: ['run'],
        context: { hour: 12 },
      },
      true,
    ],
    [
      'an analyst runs a report at night',
      {
        principal: { id: 'n', roles: ['analyst'] },
        resource: { kind: 'report', id: '1' },
        actions: ['run'],
        context: { hour: 22 },
      },
      false,
    ],
    [
      'a superuser acts on a kind no policy names',
      { principal: { id: 's', roles: ['superuser'] }, resource: { kind: 'printer', id: '1' }, actions: ['reset'] },
      true,
    ],
    [
      'a superuser purges alone',
      { principal: { id: 's', roles: ['superuser'] }, resource: { kind: 'printer', id: '1' }, actions: ['purge'] },
      false,
    ],
  ])('%s', async (_what, request, allowed) => {
    const set = await loadPolicyDirectory(directory);
    const [decision] = evaluatePolicies(set, request).values();
    expect(decision?.effect).toBe(allowed ? Effect.ALLOW : Effect.DENY);
  });
});

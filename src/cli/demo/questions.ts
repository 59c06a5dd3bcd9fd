/** The demo's questions, the same in every run, and the answers that the policies give: worked out apart from the client. */

import { createSeededRandom, type Random } from '../../core/random.js';
import { type ActionDecision, evaluatePolicies, type PolicySet } from '../../engine/index.js';
import type { Attributes, CheckInput, CheckResponse } from '../../types.js';

/** What is asked, without a request id: the same question is asked many times. */
export type Question = Omit<CheckInput, 'requestId'>;

export interface KnownQuestion {
  readonly question: Question;
  /** By action, what the policies say. */
  readonly expected: ReadonlyMap<string, ActionDecision>;
}

/** Enough that all rules and their conditions are met both ways, few enough to be worked out in a moment. */
const QUESTIONS = 4_096;

const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy', 'mallory', 'olivia'];

/** What is asked of a kind of resource, and the circumstances its conditions look at; sometimes one is missing, as in life. */
interface Kind {
  readonly name: string;
  readonly roles: readonly string[];
  readonly actions: readonly string[];
  attributes(random: Random): Attributes;
  context(random: Random): Attributes;
}

const KINDS: readonly Kind[] = [
  {
    name: 'document',
    roles: ['viewer', 'editor', 'admin', 'cleared', 'guest'],
    actions: ['read', 'read:history', 'list', 'write', 'comment', 'share', 'delete'],
    attributes: (random) => ({
      ...sometimes(random, 0.7, () => ({ owner: pick(random, NAMES) })),
      ...sometimes(random, 0.3, () => ({ confidential: random() < 0.5 })),
    }),
    context: () => ({}),
  },
  {
    name: 'invoice',
    roles: ['clerk', 'manager', 'director'],
    actions: ['read', 'create', 'update', 'approve', 'void'],
    attributes: (random) => ({
      amount: Math.floor(random() * 2_000),
      ...sometimes(random, 0.5, () => ({ createdBy: pick(random, NAMES) })),
    }),
    context: (random) => sometimes(random, 0.9, () => ({ approvalLimit: pick(random, [500, 1_000, 1_500]) })),
  },
  {
    name: 'report',
    roles: ['analyst', 'auditor'],
    actions: ['read', 'run', 'export:csv', 'export:bulk'],
    attributes: () => ({}),
    context: (random) => ({
      ...sometimes(random, 0.9, () => ({ hour: Math.floor(random() * 24) })),
      ...sometimes(random, 0.8, () => ({ network: pick(random, ['office', 'home']) })),
    }),
  },
  {
    // No policy of its own: only those for every kind apply.
    name: 'warehouse',
    roles: ['clerk', 'superuser'],
    actions: ['read', 'purge'],
    attributes: () => ({}),
    context: (random) => sometimes(random, 0.7, () => ({ approver: pick(random, NAMES) })),
  },
];

/** The same for the same policies and seed. */
export function createQuestions(policies: PolicySet, seed = 42): readonly KnownQuestion[] {
  const random = createSeededRandom(seed);
  return Array.from({ length: QUESTIONS }, () => {
    const question = createQuestion(random);
    return { question, expected: evaluatePolicies(policies, question) };
  });
}

/** Whether the answer says what the policies say: of every action that was asked, and of no other. */
export function isAsExpected({ expected }: KnownQuestion, { results, error }: CheckResponse): boolean {
  if (error !== undefined || results.size !== expected.size) return false;
  return [...expected].every(([action, decision]) => {
    const result = results.get(action);
    return (
      result !== undefined &&
      result.effect === decision.effect &&
      result.matched === decision.matched &&
      (result.policy ?? '') === decision.policy &&
      (result.rule ?? '') === decision.rule
    );
  });
}

function createQuestion(random: Random): Question {
  const kind = pick(random, KINDS);
  const context = kind.context(random);
  return {
    principal: {
      id: pick(random, NAMES),
      roles: someOf(random, kind.roles, 2),
      ...(random() < 0.05 ? { attributes: { suspended: random() < 0.7 } } : {}),
    },
    resource: { kind: kind.name, id: String(Math.floor(random() * 1_000)), attributes: kind.attributes(random) },
    actions: someOf(random, kind.actions, 3, 1),
    ...(Object.keys(context).length === 0 ? {} : { context }),
  };
}

function sometimes(random: Random, probability: number, create: () => Attributes): Attributes {
  return random() < probability ? create() : {};
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

/** From `least` to `most` of them, each once. */
function someOf(random: Random, items: readonly string[], most: number, least = 0): string[] {
  const left = [...items];
  const count = Math.min(left.length, least + Math.floor(random() * (most - least + 1)));
  return Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)).flat();
}

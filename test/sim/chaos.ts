/** Servers that decide by chance, so that no answer can be guessed, and do wrong by chance, so that none can be trusted. */

import type { Random } from '../../src/core/random.js';
import { Effect } from '../../src/types.js';
import type { SimulatedDecision, SimulatedHandler, SimulatedReply, SimulatedRequest } from '../../src/testing/index.js';
import type { Chaos } from './scenario.js';

/** One answer of a server, as it left. Its tag stands in the answer itself, as the policy of each result. */
export interface Answer {
  readonly tag: string;
  readonly connection: number;
  readonly stream: number;
  /** The resource's id: every question of a run has one of its own. */
  readonly question: string;
  /** As the request had it. */
  readonly askedAs: string;
  /** As the answer has it. */
  readonly requestId: string;
  readonly results: ReadonlyMap<string, SimulatedDecision>;
}

/** Effects a server may send: two that mean something, and two that must never be taken for an ALLOW. */
const EFFECTS = [Effect.ALLOW, Effect.ALLOW, Effect.DENY, Effect.UNSPECIFIED, 7] as const;
const SLOW_MS = 400;

/** @param onSilence told of a request that is never answered */
export function chaoticHandler(random: Random, chaosOf: () => Chaos, onSilence: () => void): SimulatedHandler {
  let count = 0;
  const happens = (percent: number): boolean => percent > 0 && random() * 100 < percent;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

  const decide = (actions: readonly string[], tag: string, chaos: Chaos): Map<string, SimulatedDecision> => {
    const results = new Map<string, SimulatedDecision>();
    for (const action of actions) {
      if (!happens(chaos.missingActions)) results.set(action, { effect: pick(EFFECTS), policy: tag });
    }
    if (happens(chaos.foreignActions)) results.set('never-asked', { effect: Effect.ALLOW, policy: tag });
    return results;
  };

  const answer = ({ connection, stream, request }: SimulatedRequest, chaos: Chaos): SimulatedReply => {
    count++;
    const tag = `t${count}`;
    const requestId = happens(chaos.foreignId) ? `foreign-${count}` : request.requestId;
    const results = decide(request.actions, tag, chaos);
    const question = request.resource?.id ?? '';
    const note: Answer = { tag, connection, stream, question, askedAs: request.requestId, requestId, results };
    const afterMs = happens(chaos.slow) ? Math.floor(random() * SLOW_MS) : Math.floor(random() * 4);
    return { kind: 'answer', requestId, results, note, afterMs };
  };

  return (request) => {
    const chaos = chaosOf();
    if (happens(chaos.missing)) {
      onSilence();
      return [];
    }
    if (happens(chaos.malformed)) return [{ kind: 'bytes', bytes: Uint8Array.of(0x0a, 0xff, 0xff) }];
    if (happens(chaos.failing)) {
      return [
        pick<SimulatedReply>([
          { kind: 'status', code: 14, message: 'try later' },
          { kind: 'status', code: 8, message: 'too much' },
          { kind: 'status', code: 13, message: 'broken' },
          { kind: 'reset', code: 7 },
          { kind: 'reset', code: 2 },
        ]),
      ];
    }
    const replies = [answer(request, chaos)];
    // A second answer may well say the contrary.
    if (happens(chaos.duplicate)) replies.push(answer(request, chaos));
    return replies;
  };
}

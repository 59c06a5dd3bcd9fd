import type { Balancer, Routable } from './balancer.js';

/**
 * Smooth weighted round robin, as nginx does it: every member gains its weight, the richest is picked and pays the sum. So a member of
 * weight 5 beside two of weight 1 gets 5 of 7, spread out, not 5 in a row.
 */
export class WeightedBalancer<T extends Routable> implements Balancer<T> {
  #members: readonly T[] = [];
  /** What each member has gained, in the order of the members. */
  #gains: number[] = [];

  setMembers(members: readonly T[]): void {
    const gainById = new Map<string, number>();
    this.#members.forEach((member, index) => gainById.set(member.id, this.#gains[index] ?? 0));
    this.#gains = members.map((member) => gainById.get(member.id) ?? 0);
    this.#members = members;
  }

  pick(): T | undefined {
    const members = this.#members;
    let total = 0;
    for (const member of members) {
      if (member.weight > 0) total += member.weight;
    }
    const allEqual = total === 0;
    if (allEqual) total = members.length;
    let best: T | undefined;
    let bestIndex = 0;
    let bestGain = -Infinity;
    let index = 0;
    for (const member of members) {
      const weight = allEqual ? 1 : member.weight;
      if (weight > 0) {
        const gain = (this.#gains[index] ?? 0) + weight;
        this.#gains[index] = gain;
        if (gain > bestGain) {
          best = member;
          bestIndex = index;
          bestGain = gain;
        }
      } else {
        // Out of the game: it starts afresh when it comes back.
        this.#gains[index] = 0;
      }
      index += 1;
    }
    if (best !== undefined) this.#gains[bestIndex] = bestGain - total;
    return best;
  }
}

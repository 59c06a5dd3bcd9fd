import type { Balancer, Routable } from './balancer.js';
import { countEligible, movedCursor } from './balancer.js';

/** The one with the fewest requests in flight; among equals, each in turn. */
export class LeastConnectionsBalancer<T extends Routable> implements Balancer<T> {
  #members: readonly T[] = [];
  /** Where the search starts, so that equals do not all go to the first. */
  #cursor = 0;

  setMembers(members: readonly T[]): void {
    this.#cursor = movedCursor(this.#members, this.#cursor, members);
    this.#members = members;
  }

  pick(): T | undefined {
    const members = this.#members;
    const count = members.length;
    const allEligible = countEligible(members) === count;
    let best: T | undefined;
    let bestIndex = 0;
    let index = this.#cursor;
    for (let step = 0; step < count; step += 1) {
      const member = members[index];
      if (
        member !== undefined &&
        (allEligible || member.weight > 0) &&
        (best === undefined || member.inFlight < best.inFlight)
      ) {
        best = member;
        bestIndex = index;
      }
      index = index + 1 < count ? index + 1 : 0;
    }
    this.#cursor = bestIndex + 1 < count ? bestIndex + 1 : 0;
    return best;
  }
}

import type { Random } from '../../core/random.js';
import type { Balancer, Routable } from './balancer.js';
import { countEligible, eligibleAt } from './balancer.js';

/** Whether `a` is expected to answer no later than `b`: fewer in flight times how long each takes. */
function isNotSlower(a: Routable, b: Routable): boolean {
  // A latency of 0 is one that nobody has measured; a product with it would send everything to the newcomer.
  if (!(a.ewmaLatencyMs > 0) || !(b.ewmaLatencyMs > 0)) return a.inFlight <= b.inFlight;
  return (a.inFlight + 1) * a.ewmaLatencyMs <= (b.inFlight + 1) * b.ewmaLatencyMs;
}

/** Power of two choices: of two picked at random, the one expected to answer sooner. */
export class P2cBalancer<T extends Routable> implements Balancer<T> {
  readonly #random: Random;
  #members: readonly T[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  setMembers(members: readonly T[]): void {
    this.#members = members;
  }

  pick(): T | undefined {
    const members = this.#members;
    const count = countEligible(members);
    const firstIndex = Math.floor(this.#random() * count);
    const first = eligibleAt(members, count, firstIndex);
    if (count < 2) return first;
    // Of the others: the one at the first's place or beyond is one further on.
    const otherIndex = Math.floor(this.#random() * (count - 1));
    const second = eligibleAt(members, count, otherIndex < firstIndex ? otherIndex : otherIndex + 1);
    if (first === undefined || second === undefined) return first ?? second;
    return isNotSlower(first, second) ? first : second;
  }
}

import type { Random } from '../../core/random.js';
import type { Balancer, Routable } from './balancer.js';
import { countEligible, eligibleAt } from './balancer.js';

/** Any of them, each as likely. */
export class RandomBalancer<T extends Routable> implements Balancer<T> {
  readonly #random: Random;
  #members: readonly T[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  setMembers(members: readonly T[]): void {
    this.#members = members;
  }

  pick(): T | undefined {
    const count = countEligible(this.#members);
    return eligibleAt(this.#members, count, Math.floor(this.#random() * count));
  }
}

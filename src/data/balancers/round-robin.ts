import type { Balancer, Routable } from './balancer.js';
import { movedCursor } from './balancer.js';

/** Each in turn. */
export class RoundRobinBalancer<T extends Routable> implements Balancer<T> {
  #members: readonly T[] = [];
  /** Whose turn it is. */
  #cursor = 0;

  setMembers(members: readonly T[]): void {
    this.#cursor = movedCursor(this.#members, this.#cursor, members);
    this.#members = members;
  }

  pick(): T | undefined {
    const count = this.#members.length;
    let index = this.#cursor;
    for (let step = 0; step < count; step += 1) {
      const member = this.#members[index];
      const next = index + 1 < count ? index + 1 : 0;
      if (member !== undefined && member.weight > 0) {
        this.#cursor = next;
        return member;
      }
      index = next;
    }
    // Nobody has a weight: all are equal.
    const member = this.#members[this.#cursor];
    this.#cursor = this.#cursor + 1 < count ? this.#cursor + 1 : 0;
    return member;
  }
}

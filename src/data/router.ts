/** Picks where the next request goes. */

import type { Random } from '../core/random.js';
import { LoadBalancingStrategy } from '../types.js';
import type { Balancer, Routable } from './balancers/balancer.js';
import { LeastConnectionsBalancer } from './balancers/least-connections.js';
import { P2cBalancer } from './balancers/p2c.js';
import { RandomBalancer } from './balancers/random.js';
import { RoundRobinBalancer } from './balancers/round-robin.js';
import { WeightedBalancer } from './balancers/weighted.js';

export type { Routable } from './balancers/balancer.js';

function createBalancer<T extends Routable>(strategy: LoadBalancingStrategy, random: Random): Balancer<T> {
  switch (strategy) {
    case LoadBalancingStrategy.ROUND_ROBIN:
      return new RoundRobinBalancer();
    case LoadBalancingStrategy.LEAST_CONNECTIONS:
      return new LeastConnectionsBalancer();
    case LoadBalancingStrategy.RANDOM:
      return new RandomBalancer(random);
    case LoadBalancingStrategy.WEIGHTED:
      return new WeightedBalancer();
    case LoadBalancingStrategy.P2C:
      return new P2cBalancer(random);
  }
}

/** Members are told apart by their ids; a strategy keeps its place when some come or go. */
export class Router<T extends Routable> {
  readonly #balancer: Balancer<T>;
  #members: readonly T[] = [];

  constructor(strategy: LoadBalancingStrategy, random: Random) {
    this.#balancer = createBalancer<T>(strategy, random);
  }

  get members(): readonly T[] {
    return this.#members;
  }

  /** The list is copied. */
  setMembers(members: readonly T[]): void {
    this.#members = [...members];
    this.#balancer.setMembers(this.#members);
  }

  /** Undefined only when there are no members. */
  pick(): T | undefined {
    return this.#balancer.pick();
  }
}

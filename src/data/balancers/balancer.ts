/** What a load balancing strategy is made of. */

/** A member that work can be routed to. The numbers are read at each pick and may change at any time. */
export interface Routable {
  readonly id: string;
  /** Share of work under `weighted`; 0 means no new work under every strategy. If every member's weight is 0, all are equal. */
  weight: number;
  inFlight: number;
  /** Milliseconds; 0 while nothing was measured. */
  ewmaLatencyMs: number;
}

export interface Balancer<T extends Routable> {
  /** Must keep its place: who was picked lately is not picked again first because somebody came or went. */
  setMembers(members: readonly T[]): void;
  pick(): T | undefined;
}

/** How many members may get work: those with a weight, or all when none has one. */
export function countEligible(members: readonly Routable[]): number {
  let count = 0;
  for (const member of members) {
    if (member.weight > 0) count += 1;
  }
  return count === 0 ? members.length : count;
}

/** The member at `index` among the `eligibleCount` that may get work. */
export function eligibleAt<T extends Routable>(
  members: readonly T[],
  eligibleCount: number,
  index: number,
): T | undefined {
  if (eligibleCount === members.length) return members[index];
  let left = index;
  for (const member of members) {
    if (!(member.weight > 0)) continue;
    if (left === 0) return member;
    left -= 1;
  }
  return undefined;
}

/** Where a cursor on `before[cursor]` stands in `after`: on the first of the members from there on that stayed, else at the start. */
export function movedCursor(before: readonly Routable[], cursor: number, after: readonly Routable[]): number {
  for (let step = 0; step < before.length; step += 1) {
    const id = before[(cursor + step) % before.length]?.id;
    const index = after.findIndex((member) => member.id === id);
    if (index >= 0) return index;
  }
  return 0;
}

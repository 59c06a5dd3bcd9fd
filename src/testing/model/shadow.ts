import { type InspectionEvent, initialTransition, transition } from 'xstate';
import {
  type FailoverContext,
  type FailoverEvent,
  type FailoverInput,
  failoverMachine,
} from '../../../machines/index.js';
import { stateOf } from '../paths.js';
import { must } from './ledger.js';
import type { RouteMove } from './observation.js';

interface Snapshot {
  readonly value: unknown;
  readonly context: FailoverContext;
}

/**
 * Follows the client's failover controller: gives each event that it took to the pure statechart, and holds it to what that makes of it. Also
 * the source of what is known of the route.
 */
export class FailoverShadow {
  readonly moves: RouteMove[] = [];
  readonly #now: () => number;
  readonly #onMove: (move: RouteMove) => void;
  readonly #fail: (violation: unknown) => void;
  #shadow: Snapshot | undefined;
  /** What the controller took, and what it made of that, since the last look. */
  #taken: { readonly event: FailoverEvent | InitEvent; readonly seen: Snapshot }[] = [];
  #level = -1;
  #epoch = 0;
  /** Levels that carried traffic, or were made ready to, since it was last asked. */
  #recent = new Set<number>();

  constructor(now: () => number, onMove: (move: RouteMove) => void, fail: (violation: unknown) => void) {
    this.#now = now;
    this.#onMove = onMove;
    this.#fail = fail;
  }

  get level(): number {
    return this.#level;
  }

  /** For the client's option. An observer's exceptions are swallowed, so what it finds is told otherwise. */
  readonly inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.snapshot' || (event.actorRef as { id?: string }).id !== 'failover') return;
    const seen = event.snapshot as unknown as Snapshot;
    // A client that begins anew counts anew.
    if (event.event.type === 'xstate.init') this.#epoch = 0;
    this.#taken.push({ event: event.event as FailoverEvent | InitEvent, seen });
    try {
      this.#holdServed(stateOf(seen), seen.context);
      this.#noteRoute(seen.context);
    } catch (violation) {
      this.#fail(violation);
    }
  };

  /** Which levels may have been written to since this was last asked. */
  takeRecent(): ReadonlySet<number> {
    const recent = this.#recent;
    this.#recent = new Set([this.#level]);
    return recent;
  }

  /** Holds the controller to its statechart. Not within an effect of a statechart, where XState takes what another does for a mistake. */
  look(): void {
    for (const { event, seen } of this.#taken.splice(0)) {
      const expected = this.#next(event);
      must(
        tell(expected) === tell(seen),
        () =>
          `the failover controller came to ${tell(seen)} by ${event.type}, its statechart comes to ${tell(expected)}`,
      );
    }
  }

  #next(event: FailoverEvent | InitEvent): Snapshot {
    const [next] =
      event.type === 'xstate.init'
        ? initialTransition(failoverMachine, event.input)
        : transition(failoverMachine, this.#shadow as never, event);
    this.#shadow = next;
    return this.#shadow;
  }

  #holdServed(state: string, { active, levels }: FailoverContext): void {
    const carries = state === 'open' || state.startsWith('failedOver');
    must(!carries || levels[active] === 'served', () => `traffic goes to level ${active}, which is not served`);
  }

  #noteRoute({ active, target, epoch, reason }: FailoverContext): void {
    this.#recent.add(active).add(target);
    if (active === this.#level) return;
    const move: RouteMove = { atMs: this.#now(), from: this.#level, to: active, epoch, reason };
    this.#level = active;
    // No traffic is no move; what comes after it is one of its own.
    must(
      active === -1 || epoch > this.#epoch,
      () => `traffic moved to level ${active} in epoch ${epoch}, and before that in epoch ${this.#epoch}`,
    );
    if (active !== -1) this.#epoch = epoch;
    this.moves.push(move);
    this.#onMove(move);
  }
}

interface InitEvent {
  readonly type: 'xstate.init';
  readonly input: FailoverInput;
}

function tell({ value, context }: Snapshot): string {
  const { epoch, active, target, previous, levels } = context;
  return `${stateOf({ value })} (epoch ${epoch}, active ${active}, target ${target}, previous ${previous}, levels ${levels.join()})`;
}

/** The results of an answer, judged by what was asked. */

import type { ActionResult } from '../types.js';
import { Effect } from '../types.js';

/** What an action has that the server did not answer for. */
const UNANSWERED: ActionResult = Object.freeze({ effect: Effect.UNSPECIFIED, matched: false });

function refuse(): never {
  throw new TypeError(
    'the results of a check are shared between answers and cannot be changed; copy them with new Map(results)',
  );
}

/** Exactly the asked actions, in the order they were asked. Mutators throw a TypeError. */
export class FrozenResults extends Map<string, ActionResult> {
  constructor(actions: readonly string[], answered?: ReadonlyMap<string, ActionResult>) {
    super();
    for (const action of actions) super.set(action, answered?.get(action) ?? UNANSWERED);
    Object.freeze(this);
  }

  override set(): never {
    return refuse();
  }

  override delete(): never {
    return refuse();
  }

  override clear(): never {
    return refuse();
  }
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) {
    if (a[index] !== b[index]) return false;
  }
  return true;
}

/** What the server answered, by action, as it came. Remembers what it built last: one server answers one question often alike. */
export class DecodedResults extends Map<string, ActionResult> {
  #actions: readonly string[] = [];
  #built: FrozenResults | undefined;
  #foreign = 0;

  /** The results of the asked actions: what was not answered is UNSPECIFIED and unmatched, what was not asked is left out. */
  forActions(actions: readonly string[]): FrozenResults {
    if (this.#built !== undefined && areEqual(this.#actions, actions)) return this.#built;
    const built = new FrozenResults(actions, this);
    let foreign = 0;
    for (const action of this.keys()) {
      if (!built.has(action)) foreign += 1;
    }
    // A copy: the caller may change its list.
    this.#actions = [...actions];
    this.#built = built;
    this.#foreign = foreign;
    return built;
  }

  /** How many answered actions the last `forActions` left out. */
  get foreign(): number {
    return this.#foreign;
  }
}

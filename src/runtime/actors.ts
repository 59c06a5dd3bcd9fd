import { type ActorRefFrom, type AnyActorRef, createActor, type InspectionEvent } from 'xstate';
import type {
  ClientEvent,
  ClientInput,
  clientMachine,
  ConnectionEvent,
  EndpointEvent,
  FailoverEvent,
  StreamEvent,
} from '../../machines/index.js';
import type { Clock } from '../core/clock.js';
import type { InspectOption } from '../options.js';

export type RootActor = ActorRefFrom<typeof clientMachine>;

type ChildEvent = ConnectionEvent | EndpointEvent | FailoverEvent | StreamEvent;

/** Runs the statecharts' effects, and knows whether one is running: they nest when an effect tells another actor. */
export class EffectScope {
  readonly #onError: (cause: unknown) => void;
  #depth = 0;

  constructor(onError: (cause: unknown) => void) {
    this.#onError = onError;
  }

  get isRunning(): boolean {
    return this.#depth > 0;
  }

  /** An effect that throws would end its actor: it is caught, and told. */
  run(effect: () => void): void {
    this.#depth++;
    try {
      effect();
    } catch (cause) {
      this.#onError(cause);
    } finally {
      this.#depth--;
    }
  }
}

/** The actor tree, and how it is spoken to: children by their ids, which are stable and readable. */
export class Actors {
  readonly root: RootActor;
  /** Events for actors whose spawning is still under way. */
  readonly #early = new Map<string, ChildEvent[]>();
  readonly #effects: EffectScope;

  constructor(init: {
    machine: typeof clientMachine;
    input: ClientInput;
    clock: Clock;
    inspect: InspectOption | undefined;
    effects: EffectScope;
    onError: (cause: unknown) => void;
  }) {
    const { machine, input, clock, inspect, effects, onError } = init;
    this.#effects = effects;
    this.root = createActor(machine, {
      id: 'client',
      clock,
      input,
      ...(inspect === undefined ? {} : { inspect: harmless(inspect) }),
    });
    // Observed at all times: an unobserved actor error would be an uncaught exception.
    this.root.subscribe({ next: () => this.#flushEarly(), error: onError });
    this.root.start();
  }

  tellRoot(event: ClientEvent): void {
    this.root.send(event);
  }

  /** Has the root spawn a child; what it is told meanwhile waits for it. */
  spawn(id: string, event: ClientEvent): void {
    this.#early.set(id, []);
    // XState objects to making an actor in the middle of another's action.
    if (this.#effects.isRunning) queueMicrotask(() => this.root.send(event));
    else this.root.send(event);
  }

  /** `spawn` was called, and the root has not made it yet. */
  isAwaited(id: string): boolean {
    return this.#early.has(id);
  }

  /** An actor that is gone is told nothing. */
  tell(id: string, event: ChildEvent): void {
    const early = this.#early.get(id);
    if (early === undefined) this.#childOf(id)?.send(event);
    else early.push(event);
  }

  forget(id: string): void {
    this.#early.delete(id);
  }

  /** The root's state value, as dotted text. As it was before the transition that is under way. */
  get state(): string {
    return dotted(this.root.getSnapshot().value);
  }

  /** A child's state value, as dotted text; `closed` once it is gone. */
  stateOf(id: string): string {
    if (this.isAwaited(id)) return 'idle';
    const snapshot: unknown = this.#childOf(id)?.getSnapshot();
    return dotted((snapshot as { value?: unknown } | undefined)?.value ?? 'closed');
  }

  #childOf(id: string): AnyActorRef | undefined {
    return (this.root.getSnapshot().children as Record<string, AnyActorRef | undefined>)[id];
  }

  #flushEarly(): void {
    for (const [id, events] of this.#early) {
      const child = this.#childOf(id);
      if (child === undefined) continue;
      this.#early.delete(id);
      for (const event of events) child.send(event);
    }
  }
}

/** An observer that throws, or an asynchronous one that rejects, must not hurt the client. */
function harmless(inspect: InspectOption): (event: InspectionEvent) => void {
  const tell: (event: InspectionEvent) => unknown =
    typeof inspect === 'function' ? inspect : (event) => inspect.next?.(event);
  return (event) => {
    try {
      const result = tell(event);
      if (result instanceof Promise) result.catch(ignore);
    } catch {
      // As below.
    }
  };
}

function ignore(): void {
  // Whoever watches is not told of its own failure by what it watches.
}

/** The state inside another that nothing happens in: the outer name says it all. */
const AT_REST = 'steady';

/** `{draining: 'flushing'}` as `draining.flushing`, and `{open: 'steady'}` as `open`. */
function dotted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, inner]) => (inner === AT_REST ? name : `${name}.${dotted(inner)}`))
    .join(',');
}

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

/** The actor tree, and how it is spoken to: children by their ids, which are stable and readable. */
export class Actors {
  readonly root: RootActor;
  /** Events for actors whose spawning is still under way. */
  readonly #early = new Map<string, ChildEvent[]>();

  constructor(init: {
    machine: typeof clientMachine;
    input: ClientInput;
    clock: Clock;
    inspect: InspectOption | undefined;
    onError: (cause: unknown) => void;
  }) {
    const { machine, input, clock, inspect, onError } = init;
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
    this.root.send(event);
    this.#flushEarly();
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

/** An observer that throws must not hurt the client. */
function harmless(inspect: InspectOption): (event: InspectionEvent) => void {
  return (event) => {
    try {
      if (typeof inspect === 'function') inspect(event);
      else inspect.next?.(event);
    } catch {
      // Whoever watches is not told of its own failure by what it watches.
    }
  };
}

/** `{draining: 'flushing'}` as `draining.flushing`. */
function dotted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, inner]) => `${name}.${dotted(inner)}`)
    .join(',');
}

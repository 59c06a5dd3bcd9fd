/** An actor of XState v5 as the service of v4 that the inspector takes it for. */

import { type AnyEventObject, type AnyState, type AnyStateMachine, State, type StateValue, toSCXMLEvent } from 'xstate';
import type { ShownMachine } from './machine.js';

/** As much of a v5 machine's snapshot as is shown. */
export interface Snapshot {
  readonly value: StateValue;
  readonly context: unknown;
  readonly status: string;
}

/** Holds the last state and no other, whoever watches. */
export class Service {
  readonly id: string;
  readonly sessionId: string;
  /** The inspector puts its own here, to hear of events. They end here: the actor has had them, and a viewer may only look. */
  send: (event: AnyEventObject) => void = () => undefined;
  readonly #shown: ShownMachine;
  #snapshot: Snapshot;
  #event: AnyEventObject;
  #state: AnyState | undefined;
  readonly #stateListeners: ((state: AnyState) => void)[] = [];
  readonly #stopListeners: (() => void)[] = [];

  constructor(name: string, shown: ShownMachine, snapshot: Snapshot, event: AnyEventObject) {
    this.id = name;
    this.sessionId = name;
    this.#shown = shown;
    this.#snapshot = snapshot;
    this.#event = event;
  }

  get machine(): AnyStateMachine {
    return this.#shown.machine;
  }

  /** Made when it is asked for: without a viewer, nobody asks. Never throws: the inspector would be stopped half-way. */
  get state(): AnyState {
    this.#state ??= this.#makeState();
    return this.#state;
  }

  subscribe(listener: (state: AnyState) => void): { unsubscribe: () => void } {
    this.#stateListeners.push(listener);
    return { unsubscribe: () => undefined };
  }

  onStop(listener: () => void): this {
    this.#stopListeners.push(listener);
    return this;
  }

  /** The actor is given an event. */
  receive(event: AnyEventObject): void {
    this.send(this.#named(event));
  }

  /** The actor is in a state, by an event. */
  move(snapshot: Snapshot, event: AnyEventObject): void {
    this.#snapshot = snapshot;
    this.#event = event;
    this.#state = undefined;
  }

  tell(): void {
    for (const listener of this.#stateListeners) listener(this.state);
  }

  stop(): void {
    for (const listener of this.#stopListeners) listener();
  }

  #makeState(): AnyState {
    const { value, context } = this.#snapshot;
    const state: AnyState = State.create({
      value,
      context: isJson(context) ? context : NOT_JSON,
      _event: toSCXMLEvent(this.#named(this.#event)),
      _sessionid: this.sessionId,
      configuration: [],
      transitions: [],
      children: {},
    });
    try {
      return this.machine.resolveState(state);
    } catch {
      return state;
    }
  }

  #named(event: AnyEventObject): AnyEventObject {
    const type = this.#shown.delayedEvents.get(event.type) ?? event.type;
    if (!isJson(event)) return { type, event: NOT_JSON };
    return type === event.type ? event : { ...event, type };
  }
}

const NOT_JSON = '(not JSON)';

/** All that the client's actors have is. Others' may be shown as well. */
function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

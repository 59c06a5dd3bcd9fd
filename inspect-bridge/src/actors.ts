/** Follows the actors of XState v5 by what its inspection tells, and shows them to the inspector of v4. */

import type { AnyEventObject, AnyInterpreter } from 'xstate';
import type { Inspector } from './inspector.js';
import { type ShownMachine, type StateConfig, toV4Machine } from './machine.js';
import { Service, type Snapshot } from './service.js';

/** An `InspectionEvent` of XState v5, as much of it as is read. Spelt out, since `xstate` means v4 to this package. */
export interface InspectedEvent {
  readonly type: string;
  /** Of the root of the actor's system: one for each client. */
  readonly rootId: string;
  readonly actorRef: { readonly sessionId: string };
  readonly event?: { readonly type: string };
  readonly snapshot?: object;
}

/** As much of an actor of v5 as is read. */
interface Actor {
  readonly id: string;
  readonly sessionId: string;
  readonly logic?: { readonly config?: unknown };
}

export class Actors {
  readonly #inspector: Inspector;
  /** By XState's session, unique in the process. */
  readonly #living = new Map<string, Service>();
  /** Numbers of the clients that live, by their roots. */
  readonly #clients = new Map<string, number>();
  /** By configuration, which all actors of a machine share. `undefined`: v4 has no form for it. */
  readonly #machines = new WeakMap<object, ShownMachine | undefined>();

  constructor(inspector: Inspector) {
    this.#inspector = inspector;
  }

  see({ type, rootId, actorRef, event, snapshot }: InspectedEvent): void {
    if (event === undefined) return;
    if (type === '@xstate.event' && this.#inspector.isWatched) this.#living.get(actorRef.sessionId)?.receive(event);
    if (type !== '@xstate.snapshot') return;
    this.#onSnapshot(actorRef as unknown as Actor, rootId, snapshot as unknown as Snapshot, event);
  }

  stopAll(): void {
    for (const session of [...this.#living.keys()]) this.#stop(session);
    this.#clients.clear();
  }

  #onSnapshot(actor: Actor, rootId: string, snapshot: Snapshot, event: AnyEventObject): void {
    const known = this.#living.get(actor.sessionId);
    known?.move(snapshot, event);
    const service = known ?? this.#start(actor, rootId, snapshot, event);
    if (this.#inspector.isWatched) service?.tell();
    if (snapshot.status !== 'active') this.#stop(actor.sessionId);
  }

  #start(actor: Actor, rootId: string, snapshot: Snapshot, event: AnyEventObject): Service | undefined {
    const shown = this.#machineOf(actor.logic?.config);
    // One that ended unknown to us is not begun again by its last word.
    if (shown === undefined || snapshot.status !== 'active') return undefined;
    const service = new Service(this.#nameOf(actor, rootId), shown, snapshot, event);
    this.#living.set(actor.sessionId, service);
    this.#inspector.registry.register(service as unknown as AnyInterpreter);
    return service;
  }

  #stop(session: string): void {
    const service = this.#living.get(session);
    this.#living.delete(session);
    this.#clients.delete(session);
    service?.stop();
  }

  #machineOf(config: unknown): ShownMachine | undefined {
    if (typeof config !== 'object' || config === null) return undefined;
    if (!this.#machines.has(config)) this.#machines.set(config, translate(config));
    return this.#machines.get(config);
  }

  /** `stream-3`, and of the second client at a time `stream-3@2`. */
  #nameOf({ id }: Actor, rootId: string): string {
    let number = this.#clients.get(rootId);
    if (number === undefined) {
      const taken = new Set(this.#clients.values());
      number = 1;
      while (taken.has(number)) number++;
      this.#clients.set(rootId, number);
    }
    return number === 1 ? id : `${id}@${number}`;
  }
}

function translate(config: StateConfig): ShownMachine | undefined {
  try {
    return toV4Machine(config);
  } catch {
    return undefined;
  }
}

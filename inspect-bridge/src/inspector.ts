/** The one inspector of @xstate/inspect that a process has, and between it and its viewers what keeps either from hurting the client. */

import { inspect } from '@xstate/inspect/lib/server.js';
import { EventEmitter } from 'node:events';
import type { XStateDevInterface } from 'xstate';

/** Where `inspect()` puts the registry of its services, and v4 looks for it. */
const GLOBAL = '__xstate__';

/** As much of a WebSocket as the inspector asks for. `send` must not throw. */
export interface Viewer {
  readonly OPEN: number;
  readonly readyState: number;
  send(message: string): void;
}

/** What the inspector takes for its WebSocket server. */
class Audience extends EventEmitter {
  clients: ReadonlySet<Viewer> = new Set();
}

export class Inspector {
  /** Services are registered here to be shown. */
  readonly registry: XStateDevInterface;
  readonly #audience = new Audience();
  /** The only one whose messages the inspector reads: what viewers say, it would take for JSON, and for events for the actors. */
  readonly #desk = new EventEmitter();

  constructor() {
    this.registry = takeRegistry(() => inspect({ server: this.#audience as never }));
    this.#audience.emit('connection', this.#desk);
  }

  get isWatched(): boolean {
    return this.#audience.clients.size > 0;
  }

  /** Tells a viewer of each service there is, and from now on of all that happens. */
  add(viewer: Viewer): void {
    const { clients } = this.#audience;
    // The inspector tells all its viewers whenever one comes. The others know already.
    this.#audience.clients = new Set([viewer]);
    try {
      this.#desk.emit('message', JSON.stringify({ type: 'xstate.inspecting' }), false);
    } finally {
      this.#audience.clients = new Set([...clients, viewer]);
    }
  }

  remove(viewer: Viewer): void {
    this.#audience.clients = new Set([...this.#audience.clients].filter((other) => other !== viewer));
  }
}

let inspector: Inspector | undefined;

/** `inspect()` can be called but not undone: its module keeps what listens, so it is called once. */
export const theInspector = (): Inspector => (inspector ??= new Inspector());

/**
 * The registry that `inspect()` makes, without leaving it on `globalThis`. It asks the registry twice to be told of services. The first time
 * is to find the one that a viewer sends an event to: no event gets there, and it would remember every service for ever. So it is not told.
 */
function takeRegistry(install: () => unknown): XStateDevInterface {
  const before = Object.getOwnPropertyDescriptor(globalThis, GLOBAL);
  const made: XStateDevInterface[] = [];
  let asked = 0;
  Object.defineProperty(globalThis, GLOBAL, {
    configurable: true,
    get: () => made.at(-1),
    set: (registry: XStateDevInterface) => {
      const onRegister: XStateDevInterface['onRegister'] = (listener) =>
        ++asked === 1 ? { unsubscribe: () => undefined } : registry.onRegister(listener);
      made.push({ ...registry, onRegister });
    },
  });
  try {
    install();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, GLOBAL);
    else Object.defineProperty(globalThis, GLOBAL, before);
  }
  const registry = made.at(-1);
  if (registry === undefined)
    throw new Error('inspect() of @xstate/inspect has made no registry: its version is another');
  return registry;
}

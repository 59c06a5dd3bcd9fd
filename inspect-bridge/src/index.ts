/** Shows the statecharts of `@authz-engine/grpc-client`, which are of XState v5, in the viewer of `@xstate/inspect`, which is of v4. */

import { Actors, type InspectedEvent } from './actors.js';
import { theInspector } from './inspector.js';
import { Viewers } from './viewers.js';

export type { InspectedEvent };

const DEFAULT_PORT = 8888;
/** The hosted viewer, and one that is run from its sources. */
const DEFAULT_ORIGINS = ['https://stately.ai', 'http://localhost:3000'];

export interface InspectBridgeOptions {
  /** On 127.0.0.1, where it listens. 0: any that is free. Default 8888. */
  readonly port?: number;
  /**
   * The web pages that may connect, as browsers name their origin: `https://stately.ai`. Programs that name none always may.
   * Default: the hosted viewer's, and `http://localhost:3000`.
   */
  readonly origins?: readonly string[];
}

export interface InspectBridge {
  /** For `createClient({ inspect })`: of one client or of several. Never throws. */
  readonly inspect: (event: InspectedEvent) => void;
  /** For the viewer's `?inspect&server=`: `ws://127.0.0.1:8888`. */
  readonly server: string;
  /** Lets the viewers go, and the port. Clients live on unwatched. May be called again. */
  close(): Promise<void>;
}

let isOpen = false;

/**
 * Listens for viewers on 127.0.0.1. The bridge does not keep the process alive. One at a time may be open
 * in a process.
 * @throws TypeError naming an option that cannot be used
 * @throws Error when one is open already, or the port is taken
 */
export async function createInspectBridge(options: InspectBridgeOptions = {}): Promise<InspectBridge> {
  const { port = DEFAULT_PORT, origins = DEFAULT_ORIGINS } = options;
  refuseUnfit(port, origins);
  if (isOpen) throw new Error('a bridge is open already: give its inspect to this client too, or close() it first');
  isOpen = true;
  try {
    const inspector = theInspector();
    const viewers = await listen(() => Viewers.listen(inspector, port, origins), port);
    return open(new Actors(inspector), viewers);
  } catch (cause) {
    isOpen = false;
    throw cause;
  }
}

function open(actors: Actors, viewers: Viewers): InspectBridge {
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    actors.stopAll();
    await viewers.close();
    isOpen = false;
  };
  return {
    server: viewers.url,
    inspect: (event) => {
      if (closing !== undefined) return;
      try {
        actors.see(event);
      } catch {
        // What cannot be shown must not hurt what it is of.
      }
    },
    close: () => (closing ??= close()),
  };
}

async function listen(start: () => Promise<Viewers>, port: number): Promise<Viewers> {
  try {
    return await start();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `port: 127.0.0.1:${port} cannot be listened on (${reason}); give another, or 0 for any that is free`,
      {
        cause,
      },
    );
  }
}

function refuseUnfit(port: unknown, origins: unknown): void {
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TypeError(`port: must be a whole number from 0 to 65535, got ${String(port)}`);
  }
  if (!Array.isArray(origins)) throw new TypeError('origins: must be a list of origins, such as https://stately.ai');
  for (const origin of origins as readonly unknown[]) {
    if (typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin) continue;
    throw new TypeError(`origins: must be origins, such as https://stately.ai, got ${String(origin)}`);
  }
}

/** The inspector: a web page, served on this machine alone, that shows a client as it is at this moment. */

import type { AuthzClient } from '../client.js';
import { requireOptions } from '../options.js';
import { type Inspector, serveClient } from './server.js';

export type { Inspector } from './server.js';

/** Options of {@link startInspector}. */
export interface InspectorOptions {
  /** On which port of 127.0.0.1. Default 0: any free one. */
  readonly port?: number;
}

/**
 * Serves a page that shows the client's statecharts, transitions, events and gauges, live. Whoever has the {@link Inspector.url} can see it, from
 * this machine alone; nobody can change anything by it.
 *
 * It costs nothing while no page is open, and does not keep the process alive. After the client's `disconnect()` it shows what became of the
 * client, until it is closed.
 * @throws ConfigurationError naming what is wrong: `client` is none of this package's, `options.port` is no port, or one in use
 */
export async function startInspector(client: AuthzClient, options: InspectorOptions = {}): Promise<Inspector> {
  requireOptions('options', options, ['port']);
  return serveClient(client, options);
}

/** A bridge and a viewer of it, open until the test ends, and actors of no client. */

import type { Stage } from '../../test/support/stage.js';
import {
  createInspectBridge,
  type InspectBridge,
  type InspectBridgeOptions,
  type InspectedEvent,
} from '../src/index.js';
import { Viewer } from './viewer.js';

export async function openBridge(stage: Stage, options: InspectBridgeOptions = {}): Promise<InspectBridge> {
  const bridge = await createInspectBridge({ port: 0, ...options });
  stage.onEnd(() => bridge.close());
  return bridge;
}

/** Connected; and known to the bridge, since it has seen an actor come and go. */
export async function openViewer(stage: Stage, bridge: InspectBridge): Promise<Viewer> {
  const viewer = new Viewer(bridge.server);
  stage.onEnd(() => viewer.close());
  const probe = `probe-${crypto.randomUUID()}`;
  bridge.inspect(snapshotOf(probe, 'here'));
  await viewer.until(() => viewer.registered.length > 0, 'the viewer to be told of an actor');
  bridge.inspect(snapshotOf(probe, 'here', 'stopped'));
  await viewer.until(() => viewer.stopped.length > 0, 'the viewer to be told that it has stopped');
  viewer.events.length = 0;
  return viewer;
}

const config = { id: 'probe', initial: 'here', states: { here: {}, there: { initial: 'deep', states: { deep: {} } } } };

/** As XState tells that an actor is in a state: `here`, or `{ there: 'deep' }`. Its own root, unless another is named. */
export const snapshotOf = (id: string, value: unknown, status = 'active', rootId = id): InspectedEvent => ({
  type: '@xstate.snapshot',
  rootId,
  actorRef: { sessionId: id, id, logic: { config } } as { sessionId: string },
  event: { type: 'MOVE' },
  snapshot: { value, context: {}, status },
});

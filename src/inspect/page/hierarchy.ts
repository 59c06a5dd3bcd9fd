/** What hangs on what on the way of a check, with its figures: before anything has a place in a picture. */

import type { ActorView } from '../protocol.js';
import { topState } from './tones.js';
import { type Forest, levelOf, ROOT } from './tree.js';
import type { Scene } from './travel.js';

export interface Queue {
  readonly queued: number;
  readonly low: number;
  readonly high: number;
}

export interface Stream {
  readonly actor: ActorView;
  readonly checksPerSecond: number | null;
  readonly queue?: Queue;
}

export interface Connection {
  readonly actor: ActorView;
  readonly checksPerSecond: number | null;
  readonly inFlight: number | null;
  readonly streams: readonly Stream[];
}

export interface Endpoint {
  readonly actor: ActorView;
  readonly level: number;
  readonly isActive: boolean;
  readonly connections: readonly Connection[];
}

export interface Hierarchy {
  readonly endpoints: readonly Endpoint[];
  /** Of no connection: they wait for one. */
  readonly waiting: readonly Stream[];
}

export function hierarchyOf({ actors, gauges, isPast }: Scene, { children }: Forest): Hierarchy {
  const endpointGauges = new Map(gauges?.endpoints.map((each) => [each.id, each]));
  const connectionGauges = new Map(gauges?.connections.map((each) => [each.id, each]));
  const streamGauges = new Map(gauges?.streams.map((each) => [each.id, each]));
  const activeLevel = activeLevelOf(actors);
  const ofMachine = (parent: string, machine: ActorView['machine']): ActorView[] =>
    (children.get(parent) ?? []).flatMap((id) => {
      const actor = actors.get(id);
      return actor?.machine === machine ? [actor] : [];
    });
  const toStream = (actor: ActorView): Stream => {
    const known = streamGauges.get(actor.id);
    if (known === undefined) return { actor, checksPerSecond: null };
    const { queued, lowWaterMark: low, highWaterMark: high, checksPerSecond } = known;
    return { actor, checksPerSecond, queue: { queued, low, high } };
  };
  const toConnection = (actor: ActorView): Connection => {
    const { checksPerSecond = null, inFlight = null } = connectionGauges.get(actor.id) ?? {};
    return { actor, checksPerSecond, inFlight, streams: ofMachine(actor.id, 'stream').map(toStream) };
  };
  const toEndpoint = (actor: ActorView): Endpoint => {
    const known = endpointGauges.get(actor.id);
    const level = known?.level ?? levelOf(actor);
    // Gauges are sampled: of a moment of the past, the states know better.
    const isActive = isPast || known === undefined ? activeLevel === level : known.active;
    return { actor, level, isActive, connections: ofMachine(actor.id, 'connection').map(toConnection) };
  };
  const endpoints = ofMachine(ROOT, 'endpoint')
    .map(toEndpoint)
    .sort((one, other) => one.level - other.level);
  return { endpoints, waiting: ofMachine(ROOT, 'stream').map(toStream) };
}

/** Where no gauges tell it: what the failover's state says. */
function activeLevelOf(actors: ReadonlyMap<string, ActorView>): number | null {
  switch (topState(actors.get('failover')?.active ?? [])) {
    case 'open':
      return 0;
    case 'failedOver':
    case 'failingBack':
      return bestFallback(actors);
    default:
      return null;
  }
}

function bestFallback(actors: ReadonlyMap<string, ActorView>): number | null {
  const levels = [...actors.values()]
    .filter(({ machine, active }) => machine === 'endpoint' && ['serving', 'suspect'].includes(topState(active)))
    .map(levelOf)
    .filter((level) => level > 0);
  return levels.length === 0 ? null : Math.min(...levels);
}

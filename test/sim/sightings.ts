/**
 * What was seen to happen to the client. That a fault can be drawn does not say that it ever met the client at work: the simulation's test
 * wants to have seen each of these.
 */

import type { ClientRuntime } from '../../src/runtime/client-runtime.js';
import type { SimulatedEvent, SimulatedNetwork } from '../../src/testing/index.js';

export const SIGHTINGS = [
  'a connection lost with calls under way',
  'a dial refused',
  'a dial that hangs',
  'a dial that is hung up on',
  'a check into a blackhole',
  'a check into a partition towards the server',
  'a check into a partition towards the client',
  'a check over a slow link',
  'a check to a frozen server',
  'answers out of order',
  'an answer that comes twice',
  'an answer that never comes',
  'an answer to nobody',
  'an answer for actions that were not asked',
  'an answer with actions missing',
  'an answer that cannot be read',
  'a GOAWAY that lets calls finish',
  'a GOAWAY that refuses calls',
  'a call refused by REFUSED_STREAM',
  'a call reset',
  'a call turned away',
  'an rpc that is not there',
  'a connection at its limit of streams',
  'health that flaps',
  'a server that reads no more',
  'a clogged link',
  'a handle that holds its answers',
  'a stall of our own loop',
  'a ping',
  'a failover',
  'a failback',
  'a check too late',
  'a request refused for want of room',
] as const;
export type Sighting = (typeof SIGHTINGS)[number];

/** How often health must change within a run to flap. */
const FLAPS = 4;

export class Sightings {
  readonly seen = new Set<Sighting>();
  readonly #up = new Set<number>();
  #flaps = 0;

  note(sighting: Sighting, condition = true): void {
    if (condition) this.seen.add(sighting);
  }

  onEvent(event: SimulatedEvent, network: SimulatedNetwork): void {
    const { kind, detail, address, connection, stream } = event;
    if (kind === 'up') this.#up.add(connection);
    if (kind === 'down' && !this.#up.has(connection)) this.#onFailedDial(detail);
    if (kind === 'write' && detail.startsWith('/authz.v1.')) this.#onCheck(address, network);
    if (kind === 'full') this.note(network.server(address).reads ? 'a clogged link' : 'a server that reads no more');
    if (kind === 'ping') this.note('a ping');
    // It names the last call that it lets finish; 0: none.
    if (kind === 'goaway') this.note(stream === 0 ? 'a GOAWAY that refuses calls' : 'a GOAWAY that lets calls finish');
    if (kind === 'status') this.#onStatus(detail);
  }

  onClientEvent(name: string): void {
    if (name === 'failover_completed') this.note('a failover');
    if (name === 'failback_completed') this.note('a failback');
    if (name === 'health_status_change') this.note('health that flaps', ++this.#flaps >= FLAPS);
  }

  onFailure(name: string): void {
    this.note('a check too late', name === 'TimeoutError');
    this.note('a request refused for want of room', name === 'BackpressureError');
  }

  look({ env, pool }: ClientRuntime): void {
    const { duplicateAnswers, unknownAnswers, foreignResults, malformedAnswers } = env.counters;
    this.note('an answer that comes twice', duplicateAnswers > 0);
    this.note('an answer to nobody', unknownAnswers > 0);
    this.note('an answer for actions that were not asked', foreignResults > 0);
    this.note('an answer that cannot be read', malformedAnswers > 0);
    for (const { connected, hasRoom } of pool) this.note('a connection at its limit of streams', connected && !hasRoom);
  }

  #onFailedDial(detail: string): void {
    this.note('a dial refused', detail.startsWith('refused:'));
    this.note('a dial that hangs', detail.startsWith('connectTimeout:'));
    this.note('a dial that is hung up on', detail.startsWith('lost:'));
  }

  #onCheck(address: string, network: SimulatedNetwork): void {
    const { toServerHeld, toClientHeld, delayMs } = network.link(address);
    this.note('a check into a blackhole', toServerHeld && toClientHeld);
    this.note('a check into a partition towards the server', toServerHeld && !toClientHeld);
    this.note('a check into a partition towards the client', !toServerHeld && toClientHeld);
    this.note('a check over a slow link', delayMs > 0);
    this.note('a check to a frozen server', network.server(address).isFrozen);
  }

  /** A code of gRPC, and what is known of what was asked. */
  #onStatus(detail: string): void {
    this.note('a connection lost with calls under way', detail === '14 unknown');
    this.note('a call refused by REFUSED_STREAM', detail === '14 refused');
    this.note('a call turned away', detail === '14 answered');
    this.note('an rpc that is not there', detail === '12 answered');
    this.note('a call reset', /^(7|8|13) unknown$/.test(detail));
  }
}

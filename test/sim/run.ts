import { createHash } from 'node:crypto';

import { decodeCheckBatchRequest, decodeCheckRequest } from '../../src/engine/wire.js';
import type { SimulatedEvent } from '../../src/testing/index.js';
import type { Answer } from './chaos.js';
import type { Scenario } from './scenario.js';
import type { Sighting } from './sightings.js';
import { World } from './world.js';

export interface Outcome {
  /** Undefined: everything held. */
  readonly failure: Error | undefined;
  readonly seen: ReadonlySet<Sighting>;
  /** Of everything that happened, in order. */
  readonly hash: string;
  readonly transcript: readonly string[];
}

function idsOf({ bytes, kind, detail }: SimulatedEvent): string {
  if (bytes === undefined || kind !== 'write' || !detail.startsWith('/authz.v1.')) return '';
  const requests = detail.endsWith('CheckBatch') ? decodeCheckBatchRequest(bytes) : [decodeCheckRequest(bytes)];
  return requests.map(({ requestId }) => requestId).join();
}

function toText({ tag, askedAs, requestId, results }: Answer): string {
  const effects = [...results].map(([action, { effect }]) => `${action}:${effect}`).join();
  return `${tag} to ${askedAs}${requestId === askedAs ? '' : ` as ${requestId}`} (${effects})`;
}

function toLine(event: SimulatedEvent | string, startedAt: number): string {
  if (typeof event === 'string') return event;
  const { at, kind, address, connection, stream, detail, note } = event;
  const where = `${address.slice(-4)}${connection === 0 ? '' : ` c${connection}`}${stream === 0 ? '' : ` s${stream}`}`;
  const answers = note === undefined ? [] : ((Array.isArray(note) ? note : [note]) as Answer[]);
  const method = detail.replace(/^\/.*\./, '');
  return `${at - startedAt} ${kind} ${where} ${method} ${idsOf(event)}${answers.map(toText).join()}`.trimEnd();
}

/** One run, from its first command to the last check that nothing is left. */
export async function simulate({ setup, commands }: Scenario): Promise<Outcome> {
  const world = new World(setup);
  const startedAt = world.clock.now();
  let failure: Error | undefined;
  try {
    for (const command of commands) await world.run(command);
    await world.finish();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    await world.abandon();
  }
  const lines = (): string[] => world.transcript.map((event) => toLine(event, startedAt));
  return {
    failure,
    seen: world.sightings.seen,
    get transcript() {
      return lines();
    },
    get hash() {
      return createHash('sha256').update(lines().join('\n')).digest('hex');
    },
  };
}

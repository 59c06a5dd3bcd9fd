/** A client's whole life, with something secret in all that it is given, and what its inspection observer sees of it. */

import { expect } from 'vitest';
import type { AnyActorRef, InspectionEvent } from 'xstate';
import { type AuthzClient, GrpcCode, isAllowed, type InspectOption } from '../../src/index.js';
import { allow, type Script } from './scripted-server.js';
import { nextEvent, question, Recorder, type Stage } from './stage.js';

/** Every secret has this in it. */
export const CANARY = 'c4n4ry';
const TOKEN = `${CANARY}.of_the~token+1`;
const API_KEY = `${CANARY}-of-the-key-header`;

/** Tells whoever asks for something else than `read` what it was told itself. */
const careless: Script = {
  onStreamRequest: (request, stream) => {
    if (request.actions.includes('read')) stream.reply(allow(request));
    else stream.fail(GrpcCode.PERMISSION_DENIED, `token ${TOKEN} (Bearer ${TOKEN}), key <${API_KEY}> are not enough`);
  },
};

const secretQuestion = (action = 'read') =>
  question({
    requestId: `${CANARY}-id-${action}`,
    principal: { id: `${CANARY}-alice`, roles: [`${CANARY}-role`], attributes: { ssn: `${CANARY}-of-the-principal` } },
    resource: {
      kind: 'note',
      id: `${CANARY}-n1`,
      attributes: { [`${CANARY}-as-a-key`]: [`${CANARY}-of-the-resource`] },
    },
    actions: [action],
    context: { deep: { er: `${CANARY}-of-the-context` } },
  });

export interface Life {
  readonly client: AuthzClient;
  readonly addresses: readonly [string, string];
  /** The last of it. */
  end(): Promise<void>;
}

/** Connects, asks, streams, is refused, loses its primary and moves to its backup, where it asks again. */
export async function live(stage: Stage, inspect: InspectOption): Promise<Life> {
  stage.errors();
  const [primary, backup] = [await stage.server(careless), await stage.server(careless)];
  const client = stage.pooled([primary, backup], {
    credentials: () => Promise.resolve(TOKEN),
    metadata: { 'x-api-key': API_KEY, 'x-tenant': `${CANARY}-of-the-tenant-header` },
    failover: { enabled: true },
    inspect,
  });
  await client.connect();
  const recorder = new Recorder();
  const handle = client.createBidirectionalStream(recorder);
  expect(isAllowed(await handle.check(secretQuestion()))).toBe(true);
  expect(isAllowed(await client.check(secretQuestion(), { metadata: { 'x-note': `${CANARY}-of-a-call` } }))).toBe(true);
  expect(isAllowed(await client.check(secretQuestion()))).toBe(true);
  await expect(client.check(secretQuestion('write'))).rejects.toMatchObject({ grpcCode: GrpcCode.PERMISSION_DENIED });
  handle.pause();
  handle.resume();

  const moved = nextEvent(client, 'failover_completed');
  await primary.stop();
  await moved;
  expect(isAllowed(await client.check(secretQuestion()))).toBe(true);
  expect(isAllowed(await handle.check(secretQuestion()))).toBe(true);
  return {
    client,
    addresses: [primary.address, backup.address],
    end: async () => {
      handle.end();
      await recorder.ended();
      await client.disconnect();
    },
  };
}

export interface Sighting {
  /** XState's, unique in the process. */
  readonly session: string;
  readonly value: unknown;
  readonly event: string;
  readonly status: string;
}

/** What an observer is told by XState itself. */
export class Sightings {
  /** Ids by session. */
  readonly actors = new Map<string, { readonly id: string; readonly parent: string | undefined }>();
  readonly snapshots: Sighting[] = [];

  readonly see = (event: InspectionEvent): void => {
    const { sessionId: session } = event.actorRef;
    if (event.type === '@xstate.actor') {
      const { id, _parent } = event.actorRef as AnyActorRef;
      this.actors.set(session, { id, parent: _parent?.sessionId });
    }
    if (event.type === '@xstate.snapshot') {
      const { value, status } = event.snapshot as { value?: unknown; status: string };
      this.snapshots.push({ session, value, event: event.event.type, status });
    }
  };

  get ids(): string[] {
    return [...this.actors.values()].map(({ id }) => id);
  }

  /** That it was a life worth watching: every kind of actor, nested states, and all of them stopped. */
  expectWhole(addresses: readonly string[]): void {
    expect(new Set(this.ids)).toEqual(
      new Set([
        'client',
        'failover',
        ...addresses.map((address) => `endpoint:${address}`),
        ...this.ids.filter((id) => /^(connection|stream)-\d+$/.test(id)),
      ]),
    );
    expect(this.ids.filter((id) => id.startsWith('connection-')).length).toBeGreaterThanOrEqual(2);
    expect(this.ids.filter((id) => id.startsWith('stream-')).length).toBeGreaterThanOrEqual(2);
    expect(new Set(this.ids).size).toBe(this.ids.length);
    const values = new Set(this.snapshots.map(({ value }) => JSON.stringify(value)));
    for (const value of ['"open"', '"failedOver"', '{"open":"steady"}', '{"draining":"flushing"}']) {
      expect(values).toContain(value);
    }
    const stopped = new Set(this.snapshots.filter(({ status }) => status !== 'active').map(({ session }) => session));
    expect(stopped).toEqual(new Set(this.actors.keys()));
  }
}

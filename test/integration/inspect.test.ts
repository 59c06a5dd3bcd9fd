/** Watching a client with any inspector of XState v5: Stately's own over a real WebSocket, and observers that misbehave. */

import { createWebSocketInspector, createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { InspectionEvent } from 'xstate';
import type { InspectOption } from '../../src/index.js';
import { ChildProgram } from '../support/engine-process.js';
import { Changes } from '../support/recorder.js';
import { question, useStage } from '../support/stage.js';
import { CANARY, live, Sightings } from '../support/watched-life.js';

const stage = useStage();

/** What stands between the program and its viewer: passes on all that it is told, and keeps it. */
class Relay extends Changes {
  readonly frames: Buffer[] = [];
  connections = 0;
  readonly #server = new WebSocketServer({ host: '127.0.0.1', port: 0 });

  constructor() {
    super();
    this.#server.on('connection', (socket) => {
      this.connections++;
      this.changed();
      socket.on('message', (data: Buffer) => {
        this.frames.push(data);
        for (const other of this.#server.clients) if (other !== socket) other.send(data.toString());
      });
    });
  }

  static async listen(): Promise<Relay> {
    const relay = new Relay();
    await new Promise<void>((resolve) => relay.#server.once('listening', resolve));
    stage.onEnd(() => relay.#close());
    return relay;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** An inspector and its receiver, connected. */
async function inspected() {
  const relay = await Relay.listen();
  const received: StatelyInspectionEvent[] = [];
  createWebSocketReceiver({ server: relay.url }).subscribe((event) => {
    received.push(event);
    relay.changed();
  });
  const { inspect } = createWebSocketInspector({ url: relay.url });
  await relay.until(() => relay.connections === 2, 'the inspector and its receiver to connect');
  const sightings = new Sightings();
  const observer = (event: InspectionEvent): void => {
    sightings.see(event);
    inspect.next?.(event);
  };
  const snapshots = () => received.filter((event) => event.type === '@xstate.snapshot');
  const caughtUp = (): Promise<void> =>
    relay.until(() => snapshots().length >= sightings.snapshots.length, 'every snapshot to arrive');
  return { relay, received, sightings, observer, snapshots, caughtUp };
}

describe('@statelyai/inspect over a WebSocket', () => {
  test('a client that connects, fails over and ends: shows every actor by its name and parent, and every transition in order', async () => {
    const { received, sightings, observer, snapshots, caughtUp } = await inspected();
    const life = await live(stage, observer);
    await life.end();
    sightings.expectWhole(life.addresses);
    await caughtUp();

    const actors = received.filter((event) => event.type === '@xstate.actor');
    expect(actors.map(({ sessionId, name, parentId }) => [sessionId, { id: name, parent: parentId }])).toEqual([
      ...sightings.actors,
    ]);
    for (const { name, definition, rootId } of actors) {
      expect(rootId).toBe(actors[0]?.sessionId);
      expect((JSON.parse(definition ?? '') as { id: string }).id).toBe(/^[a-z]+/.exec(name)?.[0]);
    }
    expect(
      snapshots().map(({ sessionId, snapshot, event }) => {
        const { value, status } = snapshot as { value?: unknown; status: string };
        return { session: sessionId, value, event: event.type, status };
      }),
    ).toEqual(sightings.snapshots);
  });

  test('a client whose credentials, headers, questions and errors are secret: none is in any byte on the socket', async () => {
    const { relay, sightings, observer, caughtUp } = await inspected();
    const life = await live(stage, observer);
    await life.end();
    await caughtUp();
    const bytes = Buffer.concat(relay.frames);
    expect(bytes.length).toBeGreaterThan(50_000);
    expect(bytes.includes(life.addresses[0])).toBe(true);
    expect(bytes.includes(CANARY)).toBe(false);
    expect(sightings.ids).toContain('stream-3');
  });

  test('a process that has stopped its client and its inspector: ends by itself', async () => {
    const [relay, server] = [await Relay.listen(), await stage.server()];
    const child = new ChildProgram('inspected-child', [relay.url, server.address]);
    stage.onEnd(() => child.kill());
    expect(await child.exited).toBe(0);
    expect(child.errors).toBe('');
    expect(child.lines).toEqual(['stopped']);
    expect(relay.frames.length).toBeGreaterThan(10);
  });
});

test('two clients of the same options: name their actors alike', async () => {
  const server = await stage.server();
  const seen: string[][] = [];
  for (let index = 0; index < 2; index++) {
    const sightings = new Sightings();
    const client = stage.client(server, { inspect: { next: sightings.see } });
    await client.check(question());
    await client.disconnect();
    seen.push(sightings.ids);
  }
  expect(seen[0]).toEqual(['client', 'failover', `endpoint:${server.address}`, 'connection-1', 'stream-1']);
  expect(seen[1]).toEqual(seen[0]);
});

describe('an observer that fails', () => {
  const broken = (): never => {
    throw new Error('the observer is broken');
  };
  /** As an asynchronous function does, where none is expected. */
  const rejecting = (): object => Promise.reject(new Error('the observer is broken, later'));
  const observers: [string, (watched: (event: InspectionEvent) => void) => InspectOption][] = [
    [
      'a function that throws',
      (watched) => (event) => {
        watched(event);
        broken();
      },
    ],
    [
      'an object whose next() throws',
      (watched) => ({
        next: (event) => {
          watched(event);
          broken();
        },
      }),
    ],
    [
      'a function that rejects',
      (watched) => (event) => {
        watched(event);
        return rejecting();
      },
    ],
    [
      'an object whose next() rejects',
      (watched) => ({
        next: (event) => {
          watched(event);
          return rejecting();
        },
      }),
    ],
  ];

  test.each(observers)('%s at everything it is told: the client lives as if nobody watched', async (_name, make) => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', note);
    stage.onEnd(() => process.off('unhandledRejection', note));
    const sightings = new Sightings();
    const life = await live(stage, make(sightings.see));
    expect(life.client.getState()).toBe('failedOver');
    await life.end();
    expect(life.client.getState()).toBe('closed');
    sightings.expectWhole(life.addresses);
    // Rejections are told of once the loop has turned.
    await new Promise((resolve) => setImmediate(resolve));
    expect(rejections).toEqual([]);
  });
});

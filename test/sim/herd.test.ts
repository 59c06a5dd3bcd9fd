/** A thousand clients lose the one server they have, and all want it back. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type AuthzClient, createClient } from '../../src/client.js';
import { createSeededRandom } from '../../src/core/random.js';
import { VirtualClock } from '../../src/core/virtual-clock.js';
import { GrpcCode } from '../../src/errors.js';
import { replyToAll, type SimulatedHandler, SimulatedNetwork } from '../../src/testing/index.js';
import { Effect } from '../../src/types.js';
import { question } from './pair.js';

const ADDRESS = '127.0.0.1:1001';
const CLIENTS = 1_000;
/** The defaults of `reconnect`. */
const MAX_DELAY_MS = 30_000;
const SECOND_MS = 1_000;

const answers: SimulatedHandler = replyToAll(Effect.ALLOW);
const turnsAway: SimulatedHandler = () => [{ kind: 'status', code: GrpcCode.UNAVAILABLE, message: 'overloaded' }];

/** The most that happened within any so many milliseconds. */
function peakOf(times: readonly number[], windowMs: number): number {
  let peak = 0;
  let from = 0;
  times.forEach((at, index) => {
    while ((times[from] ?? at) <= at - windowMs) from += 1;
    peak = Math.max(peak, index + 1 - from);
  });
  return peak;
}

/** Clients with default options, seeds of their own and books in common. */
class Herd {
  readonly clock = new VirtualClock();
  readonly dials: number[] = [];
  asked = 0;
  answered = 0;
  failed = 0;
  /** When checks left, those asked again included. */
  readonly writes: number[] = [];
  readonly network = new SimulatedNetwork({
    clock: this.clock,
    minLatencyMs: 1,
    maxLatencyMs: 5,
    observer: ({ kind, at, detail }) => {
      if (kind === 'dial') this.dials.push(at);
      if (kind === 'write' && detail.startsWith('/authz.v1.')) this.writes.push(at);
    },
  });
  readonly server = this.network.server(ADDRESS);
  readonly #clients: AuthzClient[];

  constructor() {
    const random = createSeededRandom(46);
    this.server.handler = answers;
    this.#clients = Array.from({ length: CLIENTS }, () =>
      createClient({
        address: ADDRESS,
        clock: this.clock,
        transport: this.network,
        random: createSeededRandom(Math.floor(random() * 2 ** 31)),
      }),
    );
  }

  async connect(): Promise<void> {
    const connected = Promise.all(this.#clients.map((client) => client.connect()));
    await this.clock.advanceAsync(100);
    await connected;
  }

  /** Every client, so many checks at once. */
  ask(count: number): void {
    for (const client of this.#clients) {
      for (let index = 0; index < count; index += 1) {
        this.asked += 1;
        client.check(question(index)).then(
          () => (this.answered += 1),
          () => (this.failed += 1),
        );
      }
    }
  }

  get connected(): number {
    return this.#clients.filter((client) => client.isConnected()).length;
  }

  /** Checks that were asked a second time, or more often. */
  get again(): number {
    return this.writes.length - this.asked;
  }

  forget(): void {
    this.dials.length = this.writes.length = 0;
    this.asked = this.answered = this.failed = 0;
  }

  async disconnect(): Promise<void> {
    const gone = Promise.all(this.#clients.map((client) => client.disconnect({ force: true })));
    await this.clock.advanceAsync(100);
    await gone;
  }
}

describe('a thousand clients of one server', () => {
  let herd: Herd;
  beforeAll(async () => {
    herd = new Herd();
    await herd.connect();
  }, 60_000);
  afterAll(() => herd.disconnect());

  test('row 46: it is killed under load and started again: dials are spread, all are back within a backoff, and few checks are asked twice', async () => {
    const { clock, server, dials } = herd;
    herd.forget();
    server.serviceMs = 50;
    for (let turn = 0; turn < 5; turn += 1) {
      herd.ask(2);
      await clock.advanceAsync(200);
    }
    herd.ask(2);
    await clock.advanceAsync(25);
    server.stop();
    const stoppedAt = clock.now();
    await clock.advanceAsync(20 * SECOND_MS);
    // The first redial of what had worked is immediate; the next come by a backoff that each draws for itself.
    expect(
      peakOf(
        dials.filter((at) => at <= stoppedAt + 100),
        100,
      ),
    ).toBe(CLIENTS);
    const later = dials.filter((at) => at > stoppedAt + 100);
    expect(later.length).toBeGreaterThan(3 * CLIENTS);
    expect(peakOf(later, 50)).toBeLessThan(CLIENTS / 5);
    expect(
      peakOf(
        later.filter((at) => at > stoppedAt + 4 * SECOND_MS),
        50,
      ),
    ).toBeLessThan(CLIENTS / 20);

    server.start();
    const startedAt = clock.now();
    await clock.advanceAsync(MAX_DELAY_MS + SECOND_MS);
    expect(herd.connected).toBe(CLIENTS);
    expect(
      peakOf(
        dials.filter((at) => at > startedAt),
        50,
      ),
    ).toBeLessThan(CLIENTS / 20);
    // Each client needed one more dial.
    expect(dials.filter((at) => at > startedAt)).toHaveLength(CLIENTS);

    herd.ask(1);
    await clock.advanceAsync(200);
    expect(herd.answered + herd.failed).toBe(herd.asked);
    // Only what was under way when it was killed.
    expect(herd.failed).toBe(2 * CLIENTS);
    expect(herd.again).toBeLessThanOrEqual(0.2 * herd.asked);
    server.serviceMs = 0;
  }, 60_000);

  test('row 46: it comes back overloaded, and turns away all that waited: no more than a fifth is asked again beside what each may save up, and answers go on', async () => {
    const { clock, server } = herd;
    const PER_CLIENT = 50;
    herd.forget();
    server.stop();
    await clock.advanceAsync(300);
    herd.ask(PER_CLIENT);
    server.handler = turnsAway;
    server.start();
    // As long as any of them may be asked again.
    await clock.advanceAsync(6 * SECOND_MS);
    expect(herd.failed).toBe(herd.asked);
    const { again, asked, writes } = herd;
    const seconds = ((writes.at(-1) ?? 0) - (writes[0] ?? 0)) / SECOND_MS;
    expect(again).toBeGreaterThan(0);
    // Ten a second are each client's own, of which those of one second can be saved up.
    expect(again).toBeLessThanOrEqual(0.2 * asked + 10 * (seconds + 1) * CLIENTS);

    server.handler = answers;
    await clock.advanceAsync(2 * MAX_DELAY_MS);
    herd.forget();
    herd.ask(1);
    await clock.advanceAsync(200);
    expect([herd.answered, herd.again]).toEqual([CLIENTS, 0]);
  }, 60_000);
});

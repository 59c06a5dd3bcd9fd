/** Random scripts of faults over two engines behind proxies, while callers and a handle run. Whatever happens, the books balance. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ConnectionError, TimeoutError } from '../../src/errors.js';
import { Bench } from '../support/fault-bench.js';
import { faultOf, question, type EngineProcess } from '../support/fault-engine.js';
import { Callers, HandleLoad, inOrder } from '../support/fault-load.js';
import { TcpProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/recorder.js';

const bench = new Bench();

const FAULTS = ['kill', 'restart', 'freeze', 'thaw', 'reset', 'unhealthy', 'healthy'] as const;
type Fault = (typeof FAULTS)[number];

interface Step {
  readonly target: 0 | 1;
  readonly fault: Fault;
  /** How many checks may settle before the next step. */
  readonly settles: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  target: fc.constantFrom(0, 1),
  fault: fc.constantFrom(...FAULTS),
  settles: fc.integer({ min: 1, max: 300 }),
});

/** What cannot be done to an engine in its state is passed over. */
class Target {
  readonly engine: EngineProcess;
  readonly proxy: TcpProxy;
  #frozen = false;

  constructor(engine: EngineProcess, proxy: TcpProxy) {
    this.engine = engine;
    this.proxy = proxy;
  }

  async suffer(fault: Fault): Promise<void> {
    const { engine } = this;
    if (fault === 'reset') this.proxy.reset();
    else if (fault === 'restart') await this.#restart();
    else if (!engine.running) return;
    else if (fault === 'kill') await this.#kill();
    else if (fault === 'freeze') this.#freeze(true);
    else if (fault === 'thaw') this.#freeze(false);
    else if (!this.#frozen) await engine.setHealth(fault === 'healthy' ? 'SERVING' : 'NOT_SERVING');
  }

  async heal(): Promise<void> {
    if (this.engine.running) this.#freeze(false);
    await this.#restart();
    await this.engine.setHealth('SERVING');
  }

  async #kill(): Promise<void> {
    this.#frozen = false;
    await this.engine.kill();
  }

  async #restart(): Promise<void> {
    if (this.engine.running) return;
    await this.engine.restart();
    this.engine.prepare();
  }

  #freeze(frozen: boolean): void {
    this.#frozen = frozen;
    if (frozen) this.engine.freeze();
    else this.engine.thaw();
  }
}

async function openTargets(): Promise<readonly [Target, Target]> {
  const [alpha, beta] = await bench.engines('alpha', 'beta');
  if (alpha === undefined || beta === undefined) throw new Error('no engines');
  alpha.prepare();
  beta.prepare();
  return [
    new Target(alpha, await TcpProxy.listen(() => alpha.port)),
    new Target(beta, await TcpProxy.listen(() => beta.port)),
  ];
}

async function survive(steps: readonly Step[]): Promise<void> {
  const targets = await openTargets();
  const { client, events } = bench.failoverClient(
    targets.map(({ proxy }) => proxy),
    { timeout: 1_500, connectTimeout: 300, reconnect: { maxAttempts: 1_000 }, failover: { failbackDelay: 50 } },
  );
  const callers = new Callers(client, 32);
  const load = new HandleLoad(client, 50);
  const { ledger } = callers;
  try {
    for (const { target, fault, settles } of steps) {
      await targets[target].suffer(fault);
      const goal = ledger.settled + settles;
      const until = performance.now() + 200;
      // With nobody served nothing settles for long: the script goes on.
      await eventually(() => ledger.settled >= goal || performance.now() > until, 'the next step');
    }
    await Promise.all(targets.map((each) => each.heal()));
    await eventually(() => client.isConnected(), `the client to be ready: ${client.getState()}`);
    await eventually(() => client.getState() === 'open', `traffic to be at the primary: ${client.getState()}`);
    await Promise.all([ledger.more(50), load.ledger.more(50)]);
    for (const each of await Promise.all([callers.stop(), load.stop()])) {
      expect(each.wrong).toEqual([]);
      expect(each.settled).toBe(each.asked);
      const odd = each.errors.filter((error) => !(error instanceof ConnectionError || error instanceof TimeoutError));
      expect(odd).toEqual([]);
    }
    expect(load.delivered).toEqual(inOrder(load.ledger.asked));
    const responses = await Promise.all(Array.from({ length: 20 }, (_, index) => client.check(question(index))));
    expect(responses.map((response, index) => faultOf(index, response)).filter(Boolean)).toEqual([]);
    const { totalRequests, successfulRequests, failedRequests } = client.getStats();
    expect(successfulRequests + failedRequests).toBe(totalRequests);
    expect(totalRequests).toBe(ledger.asked + load.ledger.asked + 20);
    expect(events.of('error')).toEqual([]);
  } finally {
    await client.disconnect({ force: true });
    await Promise.all(targets.map((each) => each.heal()));
    await Promise.all(targets.map(({ proxy }) => proxy.close()));
  }
}

test('two engines that are killed, frozen, reset and flap at random: every request settles once, no answer is wrong, and it recovers', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 9 }), survive), {
    numRuns: 6,
    // A run takes seconds: a smaller counterexample would cost more than it tells.
    endOnFailure: true,
  });
}, 60_000);

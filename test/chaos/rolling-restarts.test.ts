/** A minute of deployments: three engines are restarted in turn, gracefully and not, under the load of two clients. */

import { expect, test } from 'vitest';

import type { Engine } from './support/engine.js';
import { Callers, StreamLoad, type Load } from './support/load.js';
import { Yard, type Subject } from './support/yard.js';

const yard = new Yard();
const DURATION_MS = 60_000;

function put(subject: Subject, callers: number): Load[] {
  return [new Callers(subject.client, callers), new StreamLoad(subject.client, 16)];
}

/** Every fourth is killed: some crash while others are deployed. */
async function restart(engine: Engine, nth: number): Promise<void> {
  if (nth % 4 === 3) await engine.kill();
  else expect(await engine.terminate()).toEqual({ code: 0, signal: null });
  await engine.restart();
}

test('rows 1 and 13: three engines, restarted in turn for a minute: no check is lost, fails or settles twice', async () => {
  const engines = await yard.trio();
  const pooled = yard.pooledClient(engines);
  const ranked = yard.failoverClient(engines);
  await Promise.all([pooled.client.connect(), ranked.client.connect()]);
  const ofPool = put(pooled, 64);
  const ofRanks = put(ranked, 16);
  const loads = [...ofPool, ...ofRanks];
  const until = performance.now() + DURATION_MS;
  let restarts = 0;
  while (performance.now() < until) {
    const engine = engines[restarts % engines.length];
    if (engine === undefined) throw new Error('no engine');
    await restart(engine, restarts);
    restarts += 1;
    // The pool asks whoever is there: the next one goes only when this one is back.
    await ofPool[0]?.tally.answeredBy(engine.name);
    await Promise.all(loads.map(({ tally }) => tally.more(100)));
  }
  await Promise.all(loads.map((load) => load.stop()));
  for (const { tally } of loads) tally.expectSpotless();
  // Of three in ranks one backup is warm: the ranked client may have to dial for a moment.
  expect(pooled.events.count('disconnected')).toBe(0);
  for (const { client, events } of [pooled, ranked]) {
    expect(events.of('error')).toEqual([]);
    const { totalRequests, successfulRequests, failedRequests } = client.getStats();
    const asked = (client === pooled.client ? ofPool : ofRanks).reduce((sum, { tally }) => sum + tally.asked, 0);
    expect({ totalRequests, successfulRequests, failedRequests }).toEqual({
      totalRequests: asked,
      successfulRequests: asked,
      failedRequests: 0,
    });
  }
  expect(restarts).toBeGreaterThanOrEqual(6);
}, 150_000);

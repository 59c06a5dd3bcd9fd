/** The page of `authz demo --inspect` in a real browser: real engines, killed and revived by its buttons. */

import { describe, expect } from 'vitest';
import type { ActorView } from '../../src/inspect/protocol.js';
import { type InspectedPage, PageBrowser } from '../support/browser.js';
import { PageReader } from '../support/inspector-page.js';
import { LiveDemo } from '../support/live-demo.js';
import { testWith } from '../support/needs.js';
import { eventually } from '../support/recorder.js';

const LIMIT_MS = 60_000;
/** The promise of the page: what becomes of an engine is seen within a second. */
const SEEN_WITHIN_MS = 1_000;

const browser = new PageBrowser();
const browserTest = testWith('chromium');

/** What the client itself says of its actors, asked beside the page. */
async function actorsOf(demo: LiveDemo): Promise<readonly ActorView[]> {
  const reader = await PageReader.open(demo);
  const { actors } = await reader.hello();
  reader.leave();
  return actors;
}

async function untilLitAsIs(shown: InspectedPage, demo: LiveDemo, id: string): Promise<void> {
  await eventually(async () => {
    const lit = await shown.litStates();
    const actor = (await actorsOf(demo)).find((each) => each.id === id);
    return lit.length > 0 && lit.join() === actor?.active.join();
  }, `the chart of ${id} to be lit where the actor is`);
}

describe('the page of a running demo', () => {
  browserTest(
    'opened: shows both engines, the traffic, and the statechart of each kind of actor lit where the actor is',
    async () => {
      const demo = await LiveDemo.start('--streams', '2');
      const { primary, backup } = demo.ready.engines;
      const shown = await browser.open(demo.url);
      await shown.status('live').waitFor();
      await shown.endpoint(primary).filter({ hasText: 'serving' }).waitFor();
      await shown.endpoint(backup).filter({ hasText: 'serving' }).waitFor();
      await eventually(async () => (await shown.rateOf(primary)) > 0, 'traffic to the primary');
      expect(await shown.rateOf(backup)).toBe(0);
      const byMachine = new Map((await actorsOf(demo)).map(({ machine, id }) => [machine, id]));
      expect([...byMachine.keys()].sort()).toEqual(['client', 'connection', 'endpoint', 'failover', 'stream']);
      for (const id of byMachine.values()) {
        await shown.choose(id);
        await untilLitAsIs(shown, demo, id);
      }
    },
    LIMIT_MS,
  );

  browserTest(
    'its primary killed by a button: is red and the failover chart at failedOver within a second, the traffic moves, and revived it moves back',
    async () => {
      const demo = await LiveDemo.start();
      const { primary, backup } = demo.ready.engines;
      const shown = await browser.open(demo.url);
      await shown.choose('failover');
      await shown.litState('open').waitFor();
      await eventually(async () => (await shown.rateOf(primary)) > 0, 'traffic to the primary');

      const giveUpAt = performance.now() + SEEN_WITHIN_MS;
      const untilSeen = (): number => Math.max(1, giveUpAt - performance.now());
      await shown.command('Kill', primary).click();
      await shown.endpoint(primary, 'bad').waitFor({ timeout: untilSeen() });
      await shown.litState('failedOver').waitFor({ timeout: untilSeen() });

      await untilLitAsIs(shown, demo, 'failover');
      await eventually(async () => (await shown.rateOf(backup)) > 0, 'traffic to the backup');
      await eventually(async () => (await shown.rateOf(primary)) === 0, 'no traffic to the primary');

      await shown.command('Revive', primary).click();
      await shown.endpoint(primary, 'ok').waitFor();
      await shown.litState('open').waitFor();
      await eventually(async () => (await shown.rateOf(primary)) > 0, 'traffic to the primary again');
      // Before the server goes, which a browser reports as an error of its own.
      await shown.page.close();
      const { report } = await demo.end();
      expect(report).toMatchObject({ ok: true, failovers: 1, failbacks: 1 });
    },
    LIMIT_MS,
  );
});

/** The page in a real browser, over a client that is made up: what no engine does on demand, and a thousand actors at once. */

import type { Locator } from 'playwright-core';
import { describe, expect, onTestFinished } from 'vitest';
import type { ActorView, Hello } from '../../src/inspect/protocol.js';
import { type InspectedPage, PageBrowser, type Visit } from '../support/browser.js';
import { CONTROLS_TOKEN, FakeInspector } from '../support/fake-inspector.js';
import { InspectedWorld, type WorldOptions } from '../support/inspected-world.js';
import { testWith } from '../support/needs.js';
import { eventually } from '../support/recorder.js';

const PRIMARY = '127.0.0.1:50051';
const NARROW = { width: 390, height: 844 };

const browser = new PageBrowser();
const browserTest = testWith('chromium');

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const covers = (outer: Box, inner: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

interface Shown {
  readonly shown: InspectedPage;
  readonly inspector: FakeInspector;
  readonly world: InspectedWorld;
}

/** A client that has connected, and the page that shows it; no time passes but what a test lets. */
async function show(options: WorldOptions | InspectedWorld = {}, visit: Visit = {}): Promise<Shown> {
  const world = options instanceof InspectedWorld ? options : new InspectedWorld(options);
  world.connect();
  world.skip(5_000);
  const inspector = await FakeInspector.start(world, { isStill: true });
  onTestFinished(() => inspector[Symbol.asyncDispose]());
  const shown = await browser.open(inspector.url, visit);
  await shown.status(world.hello().mode).waitFor();
  return { shown, inspector, world };
}

describe('a page that loses its inspector', () => {
  browserTest('cut off, and served again: says since when it shows the past, and goes on', async () => {
    const { shown, inspector, world } = await show({}, { complains: true });
    const { page } = shown;
    inspector.goDown();
    await page.getByRole('alert').getByText('Disconnected').waitFor();
    await page.getByRole('button', { name: 'Try now' }).waitFor();
    await shown.status('disconnected').waitFor();
    expect(await shown.row('failover').count()).toBe(1);
    world.kill(PRIMARY);
    world.skip(1_000);
    inspector.isDown = false;
    await shown.status('live').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    await shown.choose('failover');
    await shown.litState('failedOver').waitFor();
  });
});

describe('the past', () => {
  browserTest('stepped back from a failover: the chart is lit as it was then, and live again as it is', async () => {
    const { shown, inspector, world } = await show();
    const { page } = shown;
    await shown.choose('failover');
    world.kill(PRIMARY);
    inspector.tick(1_000);
    await shown.litState('failedOver').waitFor();
    await page.keyboard.press('Space');
    await shown.status('paused').waitFor();
    await eventually(async () => {
      await page.keyboard.press('[');
      return (await shown.litState('open').count()) === 1;
    }, 'the moment before the failover');
    await page.keyboard.press('l');
    await shown.status('live').waitFor();
    await shown.litState('failedOver').waitFor();
  });

  browserTest('a recording: is shown as of its last transition, and nothing goes on', async () => {
    const { shown } = await show({ mode: 'recording' });
    const { page } = shown;
    await shown.choose('failover');
    await shown.litState('open').waitFor();
    expect(await page.getByRole('button', { name: 'Back to live' }).count()).toBe(0);
    await page.getByRole('button', { name: 'To the first transition that is held' }).click();
    await page.getByText('failover did not exist at this moment.').waitFor();
  });
});

/** Says what somebody else may have written into a dump, or a server into a reason. */
class OddWorld extends InspectedWorld {
  static readonly HTML = '<img src="x" onerror="alert(1)"><script>alert(2)</script>';

  override hello(): Hello {
    const { actors, transitions, ...rest } = super.hello();
    const odd = {
      id: '__proto__',
      machine: 'constructor' as ActorView['machine'],
      parent: 'client',
      active: ['constructor'],
      context: JSON.parse(
        `{"__proto__": {"polluted": 1}, "level": {"valueOf": 1}, "text": "<i>context</i>"}`,
      ) as object,
      status: 'active',
    } as ActorView;
    return {
      ...rest,
      version: OddWorld.HTML,
      actors: [...actors, odd, { ...odd, id: OddWorld.HTML, machine: 'endpoint' }],
      transitions: transitions.map((each) => ({ ...each, cause: OddWorld.HTML, event: '<b>EVENT</b>' })),
    };
  }
}

describe('texts of others', () => {
  browserTest('that are HTML, and names that every object has: are shown as text, and nothing else', async () => {
    const { shown } = await show(new OddWorld({ mode: 'recording' }));
    const { page } = shown;
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => dialogs.push(dialog.message()));
    expect(await page.locator('.version').innerText()).toBe(OddWorld.HTML);
    await shown.choose('client');
    expect(await page.locator('.transition-why').first().innerText()).toBe(`<b>EVENT</b> ${OddWorld.HTML}`);
    await page.getByRole('treeitem', { name: '__proto__' }).click();
    await page.getByRole('region', { name: 'Actor __proto__', exact: true }).waitFor();
    await page.getByText('There is no drawing of this statechart').waitFor();
    await page.getByText('<i>context</i>').waitFor();
    await page.getByRole('treeitem', { name: OddWorld.HTML }).click();
    await page.locator('.actor-title').getByText(OddWorld.HTML, { exact: true }).waitFor();
    expect(await page.locator('img, script:not([src]), dd i:not(:text("empty"))').count()).toBe(0);
    expect(await page.evaluate<unknown>('({}).polluted')).toBeUndefined();
    expect(dialogs).toEqual([]);
  });
});

describe('a transition', () => {
  browserTest('made while its actor is looked at: flashes along its edge', async () => {
    const { shown, inspector, world } = await show();
    await shown.choose('failover');
    world.kill(PRIMARY);
    inspector.tick(1_000);
    const flash = shown.page.locator('.chart-flash');
    await flash.waitFor({ state: 'attached' });
    const edge = await flash.getAttribute('data-flash');
    const drawn = await shown.page.locator(`.chart-edge[data-edge="${edge ?? ''}"]`).getAttribute('d');
    expect(drawn).toBe(await flash.getAttribute('d'));
    expect(drawn).toMatch(/^M/);
  });
});

describe('a statechart too large to be read as a whole', () => {
  browserTest('of an actor that moves: what is lit is in sight, and the whole on request', async () => {
    const { shown, inspector, world } = await show();
    const { page } = shown;
    const frame = page.locator('.chart-drawing');
    const isInSight = async (state: Locator): Promise<boolean> => {
      const [inner, outer] = [await state.locator('rect').boundingBox(), await frame.boundingBox()];
      return inner !== null && outer !== null && covers(outer, inner);
    };
    await shown.choose('failover');
    await eventually(() => isInSight(shown.litState('open')), 'open in sight');
    expect(await isInSight(shown.chartState('draining'))).toBe(false);
    world.kill(PRIMARY);
    inspector.tick(1_000);
    await shown.litState('failedOver').waitFor();
    await eventually(() => isInSight(shown.litState('failedOver')), 'failedOver in sight');
    await page.getByRole('button', { name: 'The whole chart (0)' }).click();
    await eventually(() => isInSight(shown.chartState('draining')), 'the whole in sight');
    const narrow = (await frame.boundingBox())?.width ?? 0;
    await page.keyboard.press('c');
    await page.getByRole('region', { name: 'Timeline' }).waitFor({ state: 'hidden' });
    expect((await frame.boundingBox())?.width).toBeGreaterThan(narrow * 1.4);
    await page.keyboard.press('Escape');
    await page.getByRole('region', { name: 'Timeline' }).waitFor();
  });
});

describe('the engines of a demo', () => {
  browserTest('killed by a button: is told with the second token, and shown dead', async () => {
    const { shown, inspector } = await show({ controlsToken: CONTROLS_TOKEN });
    await shown.command('Kill', PRIMARY).click();
    await eventually(() => inspector.world.engines.some(({ state }) => state === 'dead'), 'the kill');
    inspector.tick(1_000);
    await shown.command('Revive', PRIMARY).waitFor();
    expect(await shown.command('Kill', PRIMARY).count()).toBe(0);
  });
});

describe('the keyboard', () => {
  browserTest('alone: searches the actors, moves in the tree, chooses one, and shows the keys', async () => {
    const { shown } = await show();
    const { page } = shown;
    await page.keyboard.press('/');
    await page.keyboard.type('stream-3');
    await eventually(async () => (await page.getByRole('treeitem', { name: 'stream-' }).count()) === 1, 'one stream');
    await page.keyboard.press('Escape');
    await page.getByRole('tree').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    const chosen = page.getByRole('treeitem', { selected: true });
    await eventually(async () => (await chosen.getAttribute('id')) !== 'actor-client', 'another actor to be chosen');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys and signs' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });
});

describe('colours', () => {
  browserTest('of the system, then of one’s choice: the choice outlives a reload', async () => {
    const { shown } = await show({}, { colorScheme: 'light' });
    const { page } = shown;
    const background = (): Promise<string> => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.keyboard.press('t');
    await page.keyboard.press('t');
    await eventually(async () => (await background()) === light, 'light by choice');
    await page.reload();
    await shown.status('live').waitFor();
    expect(await background()).toBe(light);
  });
});

describe('a narrow screen', () => {
  browserTest('shows one view at a time, without scrolling sideways', async () => {
    const { shown } = await show({}, { viewport: NARROW });
    const { page } = shown;
    for (const [tab, region] of [
      ['Actors', 'Actors'],
      ['Topology', 'Topology'],
      ['Chart', 'Actor client'],
      ['Timeline', 'Timeline'],
    ] as const) {
      await page.getByRole('navigation', { name: 'Views' }).getByRole('button', { name: tab }).click();
      await page.getByRole('region', { name: region, exact: true }).waitFor();
      const panels = await page.locator('section.panel:visible').count();
      expect({ tab, panels }).toEqual({ tab, panels: tab === 'Actors' ? panels : 1 });
      expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    }
  });
});

describe('a thousand actors', () => {
  browserTest('of which each moves: only what is in sight is in the document, and all can be reached', async () => {
    const { shown, inspector, world } = await show({ connectionsPerEndpoint: 40, streamsPerConnection: 24 });
    const { page } = shown;
    expect(world.hello().actors.length).toBeGreaterThan(1_000);
    for (let count = 0; count < 20; count += 1) {
      world.churn();
      inspector.tick();
    }
    const rows = page.getByRole('treeitem');
    await page.keyboard.press('/');
    await page.keyboard.type('stream-');
    await page.getByRole('tree').focus();
    await page.keyboard.press('End');
    const lastStream = world.hello().actors.findLast(({ machine }) => machine === 'stream');
    await shown.row(lastStream?.id ?? '').waitFor();
    expect(await rows.count()).toBeLessThan(100);
    expect(await page.locator('*').count()).toBeLessThan(2_500);
  });
});

describe('a client that has not connected', () => {
  browserTest('shows what there is, and says what is not', async () => {
    const inspector = await FakeInspector.start(new InspectedWorld(), { isStill: true });
    onTestFinished(() => inspector[Symbol.asyncDispose]());
    const shown = await browser.open(inspector.url);
    await shown.row('client').waitFor();
    await shown.page.getByText('No endpoints yet: they come when the client connects.').waitFor();
    expect(await shown.litStates()).toEqual(['idle']);
  });
});

/** The inspector's page in Debian's Chromium: what it asks for and complains of is written down, and held against it. */

import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, expect, onTestFinished } from 'vitest';
import { launchChromium } from '../../scripts/chromium.js';
import type { Tone } from '../../src/inspect/page/tones.js';

/** Of what a page is waited for; a second under the load of a whole suite is not one at a desk. */
const WAIT_LIMIT_MS = 15_000;

export interface Visit extends BrowserContextOptions {
  /** Keep the page's ways of complaining out of the verdict: it is to be refused. */
  readonly complains?: boolean;
}

/** One browser for the tests of a file; each page has a profile of its own. */
export class PageBrowser {
  readonly #args: readonly string[];
  #browser: Promise<Browser> | undefined;

  /** @param args switches of Chromium's */
  constructor(...args: string[]) {
    this.#args = args;
    afterAll(async () => (await this.#browser)?.close());
  }

  /** Opens it, and when the test ends holds it to having asked nobody but 127.0.0.1 and having had no error. */
  async open(url: string, { complains = false, ...options }: Visit = {}): Promise<InspectedPage> {
    this.#browser ??= launchChromium(this.#args);
    const context = await (await this.#browser).newContext({ viewport: { width: 1_360, height: 850 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_LIMIT_MS);
    const inspected = new InspectedPage(page);
    onTestFinished(async () => {
      await context.close();
      const strangers = inspected.requests.filter((asked) => new URL(asked).hostname !== '127.0.0.1');
      if (!complains)
        expect({ strangers, complaints: inspected.complaints }).toEqual({ strangers: [], complaints: [] });
    });
    await page.goto(url);
    return inspected;
  }
}

/** The page of an inspector, as somebody sees it. */
export class InspectedPage {
  readonly page: Page;
  /** URLs, in order. */
  readonly requests: string[] = [];
  /** What the console has of errors and warnings, exceptions included. */
  readonly complaints: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('request', (request) => this.requests.push(request.url()));
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
  }

  /** What it says of its stream: `live`, `paused`, `disconnected`. */
  status(text: string): Locator {
    return this.page.locator('.feed-status').getByText(text, { exact: true });
  }

  row(actor: string): Locator {
    return this.page.locator(`[id="actor-${actor}"]`);
  }

  async choose(actor: string): Promise<void> {
    await this.row(actor).click();
    await this.page.getByRole('region', { name: `Actor ${actor}`, exact: true }).waitFor();
  }

  /** Of the topology. */
  endpoint(address: string, tone?: Tone): Locator {
    const look = tone === undefined ? '' : `.tone-${tone}`;
    return this.page.locator(`.node-endpoint${look}`, { hasText: address });
  }

  /** Checks per second that the topology has beside an endpoint; 0 where it tells none. */
  async rateOf(address: string): Promise<number> {
    const told = await this.endpoint(address).locator('.node-rate').allInnerTexts();
    const [, figure = '0', thousands] = /^([\d.,]+)(k?)\/s/.exec(told[0] ?? '') ?? [];
    return Number(figure.replaceAll(',', '')) * (thousands === 'k' ? 1_000 : 1);
  }

  command(label: 'Kill' | 'Freeze' | 'Revive', address: string): Locator {
    return this.page.getByRole('button', { name: `${label} ${address}` });
  }

  chartState(path: string): Locator {
    return this.page.locator(`.chart-state[data-state="${path}"]`);
  }

  /** A lit state of the chart: this one, or a leaf within it. */
  litState(state: string): Locator {
    return this.page.locator(
      `.chart-state.is-active[data-state="${state}"], .chart-state.is-active[data-state^="${state}."]`,
    );
  }

  /** Paths of the states that the chart has lit as where the actor is. */
  async litStates(): Promise<string[]> {
    const lit = await this.page.locator('.chart-state.is-active').all();
    return await Promise.all(lit.map(async (state) => (await state.getAttribute('data-state')) ?? ''));
  }
}

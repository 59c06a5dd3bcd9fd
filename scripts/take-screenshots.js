// Takes the pictures of the inspector in docs/images: the real demo under its load, in Debian's Chromium. `npm run docs:screenshots`.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launchChromium } from './chromium.js';
import { readPng, writePalettePng } from './palette-png.js';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ url: string, engines: { primary: string } }} Ready the first line of the demo */

/** @type {(text: string) => Ready} */
const parse = JSON.parse;

const IMAGES = new URL('../docs/images/', import.meta.url);
const MAIN = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));
const MAX_BYTES = 250 * 1_024;
/** Sparklines with nothing in them are no picture. */
const HISTORY_MS = 60_000;
/** After a kill, until the traffic has moved over for the eye too. */
const MOVED_MS = 4_000;

const WIDE = { width: 1_360, height: 850 };
const NARROW = { width: 390, height: 844 };

/** @type {(browser: Browser, url: string, colorScheme: 'dark' | 'light', viewport: { width: number, height: number }) => Promise<Page>} */
async function open(browser, url, colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: 2 });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

/** @type {(page: Page, name: string) => Promise<void>} */
async function take(page, name) {
  const png = writePalettePng(readPng(await page.screenshot()));
  if (png.length > MAX_BYTES) throw new Error(`${name}.png has ${png.length} bytes, more than ${MAX_BYTES}`);
  writeFileSync(new URL(`${name}.png`, IMAGES), png);
  process.stdout.write(`docs/images/${name}.png: ${Math.round(png.length / 1_024)} KiB\n`);
}

const demo = spawn(process.execPath, [MAIN, 'demo', '--inspect', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
const browser = await launchChromium();
try {
  /** @type {Ready | undefined} */
  let ready;
  for await (const line of createInterface({ input: demo.stdout })) {
    ready = parse(line);
    break;
  }
  if (ready === undefined) throw new Error('the demo did not start');
  const { url, engines } = ready;
  mkdirSync(IMAGES, { recursive: true });
  const dark = await open(browser, url, 'dark', WIDE);
  const light = await open(browser, url, 'light', WIDE);
  const narrow = await open(browser, url, 'dark', NARROW);
  for (const page of [dark, light]) await page.getByRole('treeitem', { name: 'failover' }).click();
  await delay(HISTORY_MS);
  await take(dark, 'inspector-dark');
  await take(light, 'inspector-light');
  await take(narrow, 'inspector-narrow');
  await dark.getByRole('button', { name: `Kill ${engines.primary}` }).click();
  await delay(MOVED_MS);
  await take(dark, 'inspector-failed-over');
} finally {
  await browser.close();
  demo.kill('SIGINT');
}

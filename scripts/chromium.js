// The browser that the tests, the benchmark and the pictures share.
import process from 'node:process';

/** Debian's. */
export const CHROMIUM = '/usr/bin/chromium';

/**
 * @param {readonly string[]} [args] switches of Chromium's
 * @returns {Promise<import('playwright-core').Browser>}
 */
export async function launchChromium(args = []) {
  // Only now: who only asks where it is need not load what drives it.
  const { chromium } = await import('playwright-core');
  return chromium.launch({
    executablePath: CHROMIUM,
    // Chromium has no sandbox for root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...args],
  });
}

import { defineConfig } from 'vitest/config';

/** The inspector's page in a real browser: `npm run test:browser`, apart from `npm test`, which needs Node alone. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Two browsers, and the engines that one of them shows, would starve one another.
    maxWorkers: 1,
  },
});

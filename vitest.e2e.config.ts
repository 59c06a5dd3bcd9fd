import { defineConfig } from 'vitest/config';

/** The demo from its beginning to its end, the inspector's page in a real browser, the package as it is installed: `npm run test:e2e`, apart from `npm test`. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts', 'test/package/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // A browser, the engines that it shows and a demo under load would starve one another.
    maxWorkers: 1,
  },
});

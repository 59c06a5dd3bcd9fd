import { defineConfig } from 'vitest/config';

/** What people run, as they run it: the package installed, the command line, the code on the pages, the demo, the inspector in a browser. `npm run test:e2e`. */
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

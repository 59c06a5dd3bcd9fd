import { defineConfig } from 'vitest/config';

/** Real processes and minutes of load: `npm run test:chaos`, apart from `npm test`. */
export default defineConfig({
  test: {
    include: ['test/chaos/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // A client under load, its servers and another client would starve one another.
    maxWorkers: 1,
  },
});

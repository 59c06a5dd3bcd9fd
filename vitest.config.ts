import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'inspect-bridge/test/**/*.test.ts'],
    // Minutes of load on real processes, and a browser: `npm run test:chaos`, `npm run test:browser`.
    exclude: [...configDefaults.exclude, 'test/chaos/**', 'test/browser/**'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});

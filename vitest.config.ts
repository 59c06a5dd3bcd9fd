import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'inspect-bridge/test/**/*.test.ts'],
    // Minutes of load on real processes: `npm run test:chaos`.
    exclude: [...configDefaults.exclude, 'test/chaos/**'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});

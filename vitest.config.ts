import { configDefaults, defineConfig } from 'vitest/config';

// Neither sockets nor processes, and nothing that one file leaves behind for another: they share a worker, and load what they test once.
const SHARING = ['test/unit/**/*.test.ts', 'test/machines/**/*.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    maxWorkers: 2,
    // Run in the order of their names: while the last isolated file, which may be a long one, runs in one worker, the other has much to share.
    projects: [
      { extends: true, test: { name: 'sharing', include: SHARING, isolate: false } },
      {
        extends: true,
        test: {
          name: 'isolated',
          include: ['test/**/*.test.ts', 'inspect-bridge/test/**/*.test.ts'],
          // Minutes of load on real processes, and what people run, as they run it: `npm run test:chaos`, `npm run test:e2e`.
          exclude: [...configDefaults.exclude, ...SHARING, 'test/chaos/**', 'test/e2e/**', 'test/package/**'],
        },
      },
    ],
  },
});

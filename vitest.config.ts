import { defineConfig } from 'vitest/config';

// Node reads this variable's bundle at every start, which would slow each spawned process by 100 ms.
delete process.env.NODE_EXTRA_CA_CERTS;

const shared = { pool: 'forks', testTimeout: 30_000, hookTimeout: 120_000 } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: { ...shared, name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/system/**'] },
      },
      {
        test: { ...shared, name: 'system', include: ['test/system/**/*.test.ts'], testTimeout: 300_000 },
      },
    ],
  },
});

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Node reads this variable's bundle at every start, which would slow each spawned process by 100 ms.
delete process.env.NODE_EXTRA_CA_CERTS;

// The limits are there to end what hangs, and no measure of what is slow: a machine may be busy.
const shared = { pool: 'forks', testTimeout: 300_000, hookTimeout: 300_000 } as const;

// Installs and starts servers: only when it is asked for (npm run test:stores).
const stores = {
  test: { ...shared, name: 'stores', include: ['test/stores/**/*.test.ts'] },
};

// Random lives of a database, for as long as one wants: only when it is asked for (npm run test:soak).
const soak = {
  test: { ...shared, name: 'soak', include: ['test/soak/**/*.test.ts'], testTimeout: 24 * 3_600_000 },
};

/** The files that take longest, most first: what begins last would otherwise be waited for with most cores idle. */
const LONGEST = [
  'docs',
  'restore/restore',
  'delete',
  'delete-s3',
  'backup-push/failure',
  'backup-push/live',
  'conformance',
  'delete-model',
  'backup-push/standby',
  's3-aws',
  'demo',
  'delete-beside',
  's3-faults',
  'moving',
  'hanging-archive',
  'standby',
].map((name) => `/test/system/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    const longest = LONGEST.flatMap((name) => others.filter(({ moduleId }) => moduleId.endsWith(name)));
    return [...new Set([...longest, ...others])];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // The system tests mostly wait for servers and processes: more of them than cores run side by side.
    maxWorkers: 4,
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**', 'test/stores/**', 'test/soak/**'],
        },
      },
      {
        test: { ...shared, name: 'system', include: ['test/system/**/*.test.ts'], testTimeout: 600_000 },
      },
      ...(process.env.WALE_TEST_STORES === '1' ? [stores] : []),
      ...(process.env.WALE_SOAK_MINUTES === undefined ? [] : [soak]),
    ],
  },
});

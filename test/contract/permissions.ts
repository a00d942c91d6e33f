/** The policies of docs/s3-permissions.md, as they stand there, suffice for what the page says of them, and for no more. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { logEntries, type ProgramResult, runProgram } from '../harness/program.ts';
import type { Policy } from '../harness/s3/policy.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { stageProgram } from '../harness/staging.ts';

/** A store that enforces policies, with the bucket `my-bucket`. */
export interface EnforcingStore {
  /** Endpoint and keys of the account that policies are given to. */
  readonly environment: Readonly<Record<string, string>>;
  /** From now on the account may do this and nothing else. */
  give(policy: Policy): Promise<void>;
  close(): Promise<void>;
}

export interface Enforcement {
  /** Whether the store looks at `Condition`; where the page says to leave it out, it is left out. */
  readonly conditions: boolean;
}

const page = readFileSync(fileURLToPath(new URL('../../docs/s3-permissions.md', import.meta.url)), 'utf8');
const documented = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(
  ([, text = '']): Policy => (JSON.parse(text) as { Statement: Policy }).Statement,
);

const SEGMENT = '000000090000000000000001';
const ABSENT = '000000090000000000000002';
const OTHER = '000000090000000000000003';

export function permissionsContract(
  name: string,
  { conditions }: Enforcement,
  open: () => Promise<EnforcingStore>,
): void {
  describe(`the policies of docs/s3-permissions.md on ${name}`, () => {
    const [archiving = [], restoring = [], deleting = []] = documented.map((policy) =>
      conditions ? policy : policy.map(({ Condition: _, ...rest }) => rest),
    );
    let store: EnforcingStore;
    let cluster: Cluster;
    let folder: string;
    let environment: Record<string, string>;

    beforeAll(async () => {
      store = await open();
      folder = mkdtempSync(join(tmpdir(), 'wale-policy-'));
      environment = {
        NO_PROXY: '127.0.0.1',
        WALE_RETRIES: '2',
        ...store.environment,
        WALE_S3_PREFIX: 's3://my-bucket/production/main',
      };
      const envdir = createScratch(serverAccount());
      for (const [key, value] of Object.entries(environment)) writeFileSync(join(envdir, key), value);
      cluster = await createCluster({
        segmentMb: 1,
        settings: {
          archive_mode: 'on',
          archive_command: `${stageProgram()} --envdir ${envdir} wal-push %p`,
          min_wal_size: '2MB',
          max_wal_size: '16MB',
        },
      });
      await store.give(archiving);
      await cluster.start();
      for (const segment of [SEGMENT, OTHER])
        writeFileSync(join(folder, segment), segmentBytes(segment, 1024 * 1024, 1));
    });
    afterAll(async () => {
      await cluster.dispose();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    });

    async function run(
      args: readonly string[],
      policy: Policy,
      changes: Readonly<Record<string, string>> = {},
    ): Promise<ProgramResult> {
      await store.give(policy);
      const all = { ...environment, ...cluster.environment, ...changes };
      return runProgram(args, { environment: all, cwd: folder });
    }

    async function states(policy: Policy): Promise<Record<string, string>> {
      const { stdout } = await run(['check', '--without-postgres', '--json'], policy);
      const { findings }: { findings: { name: string; state: string }[] } = JSON.parse(stdout);
      const own = findings.filter((finding) => finding.name.startsWith('store '));
      return Object.fromEntries(own.map((finding) => [finding.name.slice(6), finding.state]));
    }

    test('the page has a policy for archiving, for restoring and for deleting', () => {
      expect([archiving, restoring, deleting].every((policy) => policy.length > 0)).toBe(true);
    });

    test('archiving: segments, again and with other content, and base backups; nothing can be deleted', async () => {
      expect((await run(['wal-push', SEGMENT], archiving)).status).toBe(0);
      expect((await run(['wal-push', SEGMENT], archiving)).status).toBe(0);
      const backup = await run(['backup-push', '--fast-checkpoint', cluster.dataDirectory], archiving);
      expect(backup.status, backup.stderr).toBe(0);
      expect(wasDenied(await run(['delete', '--confirm', 'everything'], archiving))).toBe(true);
      expect((await run(['backup-list'], archiving)).stdout).toMatch(/^base_/m);
    });

    test('archiving: check finds all that it needs, and warns that nothing can be deleted', async () => {
      const ok = { put: 'ok', 'create-only': 'ok', get: 'ok', list: 'ok' };
      expect(await states(archiving)).toEqual({ ...ok, delete: 'warning' });
    });

    test('restoring: lists, verifies and fetches, tells what is missing, and stores nothing', async () => {
      expect((await run(['backup-list', '--detail'], restoring)).stdout).toMatch(/^base_/m);
      const to = join(folder, 'to');
      expect((await run(['wal-fetch', '-p', '0', SEGMENT, to], restoring)).status).toBe(0);
      const miss = await run(['wal-fetch', '-p', '0', ABSENT, to], restoring);
      expect(miss.status, miss.stderr).toBe(1);
      const fetched = await run(['backup-fetch', join(folder, 'data'), 'LATEST'], restoring);
      expect(fetched.status, fetched.stderr).toBe(0);
      const verified = await run(['wal-verify', '--read'], restoring);
      expect(logEntries(verified.stderr).filter(({ level }) => level === 'ERROR')).toEqual([]);
      expect(wasDenied(await run(['wal-push', OTHER], restoring))).toBe(true);
      expect(await states(restoring)).toEqual({ put: 'failed' });
    });

    test('the rights end at the prefix', async () => {
      const elsewhere = { WALE_S3_PREFIX: 's3://my-bucket/production/other' };
      expect(wasDenied(await run(['wal-push', SEGMENT], archiving, elsewhere))).toBe(true);
      const list = await run(['backup-list'], restoring, elsewhere);
      expect(conditions ? wasDenied(list) : list.status === 0).toBe(true);
    });

    test('deleting: everything goes, and nothing can be stored', async () => {
      expect(wasDenied(await run(['wal-push', OTHER], deleting))).toBe(true);
      const result = await run(['delete', '--confirm', 'everything'], deleting);
      expect(result.status, result.stderr).toBe(0);
      expect((await run(['backup-list'], deleting)).stdout).not.toMatch(/^base_/m);
      expect((await run(['wal-fetch', '-p', '0', SEGMENT, join(folder, 'to')], restoring)).status).toBe(1);
    });
  });
}

function wasDenied({ status, stderr }: ProgramResult): boolean {
  return status !== 0 && /AccessDenied|403/.test(stderr);
}

/** What delete does in a bucket that keeps versions, and what is left there. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { type Key, partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { readS3Settings } from '../../src/settings/s3.ts';
import type { Environment } from '../../src/settings/settings.ts';
import { createRetry } from '../../src/store/retrying.ts';
import { createS3Store } from '../../src/store/s3/store.ts';
import type { Store } from '../../src/store/store.ts';
import { backupOf, segmentAt } from '../archive/backups.ts';
import { stageProgram } from '../harness/staging.ts';
import {
  createBucket,
  enableVersions,
  listVersions,
  type RadosAccount,
  removeVersion,
} from './rados-accounts.ts';

const run = promisify(execFile);
const call = { signal: new AbortController().signal };
const BUCKET = 'versioned';
const PREFIX = `s3://${BUCKET}/main`;

/** Backups in segments 3 and 6, and WAL from 1 to 8. */
async function fill(store: Store): Promise<void> {
  const put = async (key: Key, text: string) => {
    const options = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
    expect(await store.put(key, [Buffer.from(text)], options)).toBe('stored');
  };
  for (const start of [3, 6]) {
    const { name, reading } = backupOf({ start, at: Date.now() - (10 - start) * 60_000, system: '7' });
    await put(versionKey(name), 'PostgreSQL 18');
    await put(partKey(name, 0), 'x'.repeat(100));
    if (reading.kind === 'read') await put(sentinelKey(name), writeSentinel(reading.sentinel));
  }
  for (let index = 1; index <= 8; index += 1) await put(walKey(segmentAt(1, index)), 'x');
}

async function keysIn(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list('', call)) keys.push(...page.map(({ key }) => key));
  return keys;
}

export function versionsContract(admin: RadosAccount, environment: Environment): void {
  it('deletes in a bucket with versioning, says that nothing becomes free, and leaves versions', async () => {
    await createBucket(admin, BUCKET);
    await enableVersions(admin, BUCKET);
    const settings = readS3Settings(PREFIX, environment, {});
    const store = createS3Store({ settings, retry: createRetry({ attempts: 5, firstDelayMs: 50 }) });
    const wale = async (...words: string[]) => {
      const env = { ...process.env, ...environment, WALE_LOG_DESTINATION: 'stderr' };
      return (await run(stageProgram(), [`--s3-prefix=${PREFIX}`, ...words], { env })).stdout;
    };
    try {
      await fill(store);
      const before = await keysIn(store);
      expect(await wale('delete', 'retain', '1')).toContain(
        'The bucket keeps versions: what is deleted stays there as older versions',
      );
      const report = JSON.parse(await wale('delete', '--confirm', '--json', 'retain', '1'));
      expect(report).toMatchObject({ keepsVersions: true, result: { deleted: 8, failed: 0 } });
      const kept = await keysIn(store);
      expect(kept).toHaveLength(before.length - 8);
      const again = JSON.parse(await wale('delete', '--confirm', '--json', 'retain', '1'));
      expect(again).toMatchObject({ keepsVersions: false, result: { deleted: 0, failed: 0 } });
      const versions = await listVersions(admin, BUCKET);
      const gone = before.filter((key) => !kept.includes(key)).map((key) => `main/${key}`);
      const markers = versions.filter(({ kind, isLatest }) => kind === 'DeleteMarker' && isLatest);
      const older = versions.filter(({ kind, isLatest }) => kind === 'Version' && !isLatest);
      // And the note that a run leaves while it is under way.
      const ofArchive = ({ key }: { key: string }) => !key.startsWith('main/wale_delete_');
      expect(markers.filter(ofArchive).map(({ key }) => key)).toEqual(gone);
      const versioned = older.filter(ofArchive).map(({ key }) => key);
      expect([...new Set(versioned)]).toEqual(gone);
      // The first object was put twice, to learn whether conditions are honoured: here they are not.
      expect(versioned).toHaveLength(gone.length + 1);
      for (const marker of markers.filter(ofArchive)) await removeVersion(admin, BUCKET, marker);
      expect(await keysIn(store)).toEqual(before);
      const restored: { backups: { restorable: boolean }[] } = JSON.parse(
        await wale('delete', '--json', 'retain', '2'),
      );
      expect(restored.backups.map(({ restorable }) => restorable)).toEqual([true, true]);
    } finally {
      await store.close();
    }
  });
}

/** backup-fetch from a bucket whose lifecycle rules move objects into cold storage: it is said before anything is written. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BackupName, type Key, partKey, sentinelKey, walKey } from '../../src/archive/layout.ts';
import { type BackupFetchArguments, run } from '../../src/commands/backup-fetch.ts';
import type { Store } from '../../src/store/store.ts';
import { leastMembers, storeBackup } from '../harness/backup.ts';
import { testContext } from '../harness/context.ts';
import { PLAIN_FETCH } from '../harness/fetch-arguments.ts';
import { moveToClass, restoreObject } from '../harness/s3/cold.ts';
import { AMAZON } from '../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../harness/s3/server.ts';
import { openTestStore } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { file } from '../harness/tar.ts';

const call = { signal: new AbortController().signal };
const PARTS = 4;
const SEGMENTS = ['000000010000000000000003', '000000010000000000000004', '000000010000000000000005'];

let scratch: string;
let server: S3Server;
let store: Store;
let name: BackupName;
beforeEach(async () => {
  scratch = createScratch();
  server = await createS3Server();
  store = openTestStore(server.url);
  ({ name } = await storeBackup(store, {
    parts: [leastMembers(), ...[1, 2, 3].map((n) => [file(`base/${n}`, `content ${n}`)])],
  }));
  const put = { ...call, createOnly: false, contentType: 'application/octet-stream' } as const;
  for (const segment of SEGMENTS) await store.put(walKey(segment), [Buffer.from('a segment')], put);
  server.forgetLog();
});
afterEach(async () => {
  await store.close();
  await server.close();
  rmSync(scratch, { recursive: true, force: true });
});

const move = (key: Key, storageClass = 'GLACIER', tier?: string) =>
  moveToClass(server.bucket, `some/prefix/${key}`, storageClass, tier);
const restore = (key: Key, state: 'under way' | 'done') =>
  restoreObject(server.bucket, `some/prefix/${key}`, state);
const part = (number: number) => partKey(name, number);

async function fetch(args: Partial<BackupFetchArguments> = {}) {
  const context = testContext({ store, environment: { WALE_FILE_PREFIX: 'file:///unused' } });
  await run(
    {
      clusterDirectory: join(scratch, 'data'),
      ...PLAIN_FETCH,
      ...args,
    },
    context,
  );
  return { printed: context.printed.join(''), records: context.records };
}

const heads = () => server.log.filter((line) => line.startsWith('HEAD')).length;

describe('parts', () => {
  it.each([false, true])(
    'in cold storage are told before anything is written (--dry-run: %s)',
    async (dryRun) => {
      move(part(2));
      move(part(3), 'DEEP_ARCHIVE');
      restore(part(3), 'under way');
      await expect(fetch({ dryRun })).rejects.toMatchObject({
        message: 'the base backup is in cold storage',
        detail: `Of "${name}", 2 of ${PARTS} parts that are to be fetched cannot be read before they are brought back, which was asked for 1 of them: the first is s3://wale-test/some/prefix/${part(2)} (GLACIER).`,
        hint: expect.stringContaining('aws s3api restore-object'),
      });
      expect(existsSync(join(scratch, 'data'))).toBe(false);
    },
  );

  it('in an archive tier, which only a HEAD tells, are told as well', async () => {
    for (const number of [0, 1, 2]) move(part(number), 'INTELLIGENT_TIERING');
    move(part(3), 'INTELLIGENT_TIERING', 'ARCHIVE_ACCESS');
    await expect(fetch()).rejects.toMatchObject({
      detail: expect.stringMatching(
        /1 of 4 parts .*part_00000003\.tar\.lzo \(INTELLIGENT_TIERING ARCHIVE_ACCESS\)/,
      ),
    });
  });

  it('that were brought back are restored; no others are asked for', async () => {
    move(part(2));
    restore(part(2), 'done');
    move(part(3), 'GLACIER_IR');
    await fetch();
    expect(existsSync(join(scratch, 'data/global/pg_control'))).toBe(true);
    expect(heads()).toBe(1);
  });

  it('of a store that reads them at once in spite of the name are restored', async () => {
    server.habits = { ...AMAZON, coldClasses: [] };
    for (const number of [0, 1, 2, 3]) move(part(number));
    await fetch();
    expect(existsSync(join(scratch, 'data/global/pg_control'))).toBe(true);
  });

  it('that an earlier run has restored are not needed again', async () => {
    move(part(3));
    restore(part(3), 'done');
    const path = `some/prefix/${part(3)}`;
    const thawed = server.bucket.get(path);
    server.intercept = ({ method, key }) =>
      method === 'GET' && key === path
        ? { status: 403, body: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')] }
        : undefined;
    await expect(fetch({ poolSize: 1 })).rejects.toThrow('denies access');
    server.intercept = undefined;
    if (thawed !== undefined) server.bucket.set(path, thawed);
    for (const number of [0, 1, 2]) move(part(number));
    await fetch();
    expect(existsSync(join(scratch, 'data/global/pg_control'))).toBe(true);
  });
});

it('a sentinel in cold storage is told as that, and not as one that makes no sense', async () => {
  move(sentinelKey(name));
  for (const number of [1, 2]) move(part(number));
  await expect(fetch()).rejects.toMatchObject({
    message: 'the base backup is in cold storage',
    detail: `The sentinel of "${name}", s3://wale-test/some/prefix/${sentinelKey(name)}, cannot be read before it is brought back; and there are 2 parts in GLACIER.`,
  });
});

describe('WAL', () => {
  const WARNING = 'WAL that recovery needs is in cold storage';

  it.each([false, true])(
    'in cold storage is warned of, with the first segment (--recovery-conf: %s)',
    async (recoveryConf) => {
      move(walKey('000000010000000000000003'));
      restore(walKey('000000010000000000000003'), 'done');
      move(walKey('000000010000000000000005'));
      const { records, printed } = await fetch({ dryRun: true, recoveryConf });
      expect(records.find(({ message }) => message === WARNING)).toMatchObject({
        level: 'WARNING',
        detail: expect.stringMatching(
          /wal_005\/000000010000000000000005\.lzo \(GLACIER\) cannot be read .* There are 2 segments/,
        ),
        hint: expect.stringContaining('before the server is started'),
      });
      expect(printed).toContain('IN COLD STORAGE: 000000010000000000000005.lzo (GLACIER)');
    },
  );

  it('from before the backup may be anywhere, and is not asked for', async () => {
    const before = '000000010000000000000002';
    const put = { ...call, createOnly: false, contentType: 'application/octet-stream' } as const;
    await store.put(walKey(before), [Buffer.from('a segment')], put);
    move(walKey(before));
    server.forgetLog();
    const { records } = await fetch();
    expect(records.map(({ message }) => message)).not.toContain(WARNING);
    expect(heads()).toBe(0);
  });
});

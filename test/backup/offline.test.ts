import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { backupName, partKey } from '../../src/archive/layout.ts';
import { openOffline } from '../../src/backup/offline.ts';
import { run } from '../../src/commands/backup-push.ts';
import { controlLayout } from '../../src/postgres/control-layout.ts';
import { crc32c } from '../../src/postgres/crc32c.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import { testContext } from '../harness/context.ts';
import { createScratch } from '../harness/scratch.ts';

const SHUT_DOWN_IN_RECOVERY = 2;
const signal = new AbortController().signal;

/** The control file of a standby that was stopped at that time. */
function stoppedStandby(seconds: bigint): Buffer {
  const bytes = readFileSync(new URL('../../fixtures/pg_control/14.bin', import.meta.url));
  const layout = controlLayout(bytes.readUInt32LE(8));
  const place = (name: string) => layout.get(name) ?? Number.NaN;
  bytes.writeUInt32LE(SHUT_DOWN_IN_RECOVERY, place('state'));
  bytes.writeBigInt64LE(seconds, place('time'));
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, place('crc'))), place('crc'));
  return bytes;
}

it('notices a standby that was started and stopped meanwhile, even without a new checkpoint', async () => {
  const data = createScratch();
  mkdirSync(join(data, 'global'));
  const control = join(data, 'global', 'pg_control');
  writeFileSync(control, stoppedStandby(1_700_000_000n));
  const source = await openOffline(data);
  const start = await source.start(signal);
  expect(await source.stop(start, signal)).toMatchObject({ firstSegment: expect.any(String) });
  writeFileSync(control, stoppedStandby(1_700_000_100n));
  await expect(source.stop(start, signal)).rejects.toThrow('the server was started during the backup');
});

it('removes nothing for a standby, since a backup of its primary has the same name', async () => {
  const data = createScratch();
  for (const folder of ['global', 'pg_tblspc']) mkdirSync(join(data, folder));
  writeFileSync(join(data, 'global', 'pg_control'), stoppedStandby(1_700_000_000n));
  const { lsn, timeline } = await (await openOffline(data)).start(signal);
  const segmentBytes = 16 * 1024 * 1024;
  const name = backupName(segmentName(timeline, lsn, segmentBytes), Number(lsn % BigInt(segmentBytes)));
  const store = createFileStore(createScratch());
  const put = { createOnly: true, contentType: 'text/plain', signal } as const;
  await store.put(partKey(name, 0), [Buffer.from('of the primary')], put);
  const args = { clusterDirectory: data, poolSize: 1, clusterReadRateLimit: undefined, whileOffline: true };
  const others = { fastCheckpoint: undefined, withConfig: false, failOnChecksum: false, walTimeout: 1 };
  await expect(run({ ...args, ...others, walCheck: undefined }, testContext({ store }))).rejects.toThrow(
    'another backup of the same name is not finished',
  );
  expect(await store.head(partKey(name, 0), { signal })).toBeDefined();
});

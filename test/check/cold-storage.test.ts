/** What check says of an archive from which nothing, or not the newest backup, could be restored at once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BackupName, type Key, partKey, sentinelKey } from '../../src/archive/layout.ts';
import { probeBackups } from '../../src/check/backup-probe.ts';
import type { Finding } from '../../src/check/finding.ts';
import { probeStore } from '../../src/check/store-probe.ts';
import type { Store } from '../../src/store/store.ts';
import { leastMembers, storeBackup } from '../harness/backup.ts';
import { moveToClass, restoreObject } from '../harness/s3/cold.ts';
import { createS3Server, type S3Server } from '../harness/s3/server.ts';
import { openTestStore } from '../harness/s3/store.ts';
import { file } from '../harness/tar.ts';

const { signal } = new AbortController();
const YEARS = 24 * 365 * 100;

let server: S3Server;
const stores: Store[] = [];
beforeEach(async () => {
  server = await createS3Server();
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await server.close();
});

function open(environment: Record<string, string> = {}): Store {
  const store = openTestStore(server.url, { environment });
  stores.push(store);
  return store;
}

describe('the newest backup', () => {
  let name: BackupName;
  let store: Store;
  beforeEach(async () => {
    store = open();
    ({ name } = await storeBackup(store, { parts: [leastMembers(), [file('base/1', 'content')]] }));
    server.forgetLog();
  });
  const move = (key: Key) => moveToClass(server.bucket, `some/prefix/${key}`, 'GLACIER');

  it('in cold storage is a warning, until it is brought back', async () => {
    move(partKey(name, 1));
    const finding = await probeBackups(store, YEARS, signal);
    expect(finding).toMatchObject({ state: 'warning', remedy: expect.stringContaining('lifecycle rule') });
    expect(finding.message).toContain(
      `it is in cold storage: 1 part in GLACIER, and s3://wale-test/some/prefix/${partKey(name, 1)} cannot be read`,
    );
    restoreObject(server.bucket, `some/prefix/${partKey(name, 1)}`, 'done');
    expect(await probeBackups(store, YEARS, signal)).toMatchObject({ state: 'ok' });
  });

  it('whose sentinel is in cold storage is not one that makes no sense', async () => {
    move(sentinelKey(name));
    const finding = await probeBackups(store, YEARS, signal);
    expect(finding).toMatchObject({ state: 'warning' });
    expect(finding.message).toContain('it is in cold storage: not even its sentinel can be read');
  });

  it('that lacks a part is a failure wherever the others are', async () => {
    move(partKey(name, 1));
    await store.remove([partKey(name, 0)], { signal });
    expect(await probeBackups(store, YEARS, signal)).toMatchObject({ state: 'failed' });
  });

  it('costs no request more where nothing is in cold storage', async () => {
    await probeBackups(store, YEARS, signal);
    expect(server.log.map((line) => line.split(' ')[0])).toEqual(['GET', 'GET']);
  });
});

it.each([
  ['GLACIER', 'failed'],
  ['DEEP_ARCHIVE', 'failed'],
  ['STANDARD_IA', 'ok'],
  ['GLACIER_IR', 'ok'],
])('WALE_S3_STORAGE_CLASS %s: store get is %s', async (storageClass, state) => {
  const findings: Finding[] = [];
  for await (const finding of probeStore(open({ WALE_S3_STORAGE_CLASS: storageClass }), signal))
    findings.push(finding);
  const get = findings.find(({ name }) => name === 'store get');
  expect(get?.state).toBe(state);
  if (state === 'failed') expect(get?.remedy).toContain('WALE_S3_STORAGE_CLASS');
});

import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backupName, type Key, partKey, sentinelKey, versionKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { probeBackups } from '../../src/check/backup-probe.ts';
import { probeCodec } from '../../src/check/codec-probe.ts';
import { probeCrypt } from '../../src/check/crypt-probe.ts';
import { spaceFinding } from '../../src/check/space.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { backupOf } from '../archive/backups.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';

const signal = new AbortController().signal;
const ORIGINAL_SENTINEL = JSON.stringify({
  wal_segment_backup_stop: '00000001000000000000000B',
  wal_segment_offset_backup_stop: '00000256',
  expanded_size_bytes: 1,
});

test('the codec reads what lzop made and what it made itself', async () => {
  expect(await probeCodec(signal)).toMatchObject({ name: 'lzop', state: 'ok' });
});

describe('last backup', () => {
  let directory: string;
  let store: Store;
  const old = backupName('000000010000000000000002', 40);
  const fresh = backupName('000000010000000000000001', 40);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'wale-check-'));
    store = createFileStore(directory);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const put = (key: Key, content: string | Buffer) =>
    store.put(key, [Buffer.from(content)], { createOnly: false, contentType: 'text/plain', signal });

  /** Of the original: its age is the date of its sentinel object. */
  async function addBackup(name: ReturnType<typeof backupName>, hoursAgo: number) {
    await put(partKey(name, 0), Buffer.alloc(100));
    await put(sentinelKey(name), ORIGINAL_SENTINEL);
    const time = Date.now() / 1000 - hoursAgo * 3600;
    utimesSync(join(directory, sentinelKey(name)), time, time);
  }

  async function addOwn(hoursAgo: number, start: number) {
    const { name, reading } = backupOf({ start, finished: Date.now() - hoursAgo * 3_600_000, system: '7' });
    if (reading.kind !== 'read') throw new Error('not read');
    await put(partKey(name, 0), Buffer.alloc(100));
    await put(sentinelKey(name), writeSentinel(reading.sentinel));
    return name;
  }

  test('none is a warning', async () => {
    expect(await probeBackups(store, 48, signal)).toMatchObject({
      state: 'warning',
      message: 'there is none',
    });
  });

  test('the newest counts, not the one with the greatest name', async () => {
    await addBackup(old, 100);
    await addBackup(fresh, 3);
    const finding = await probeBackups(store, 48, signal);
    expect(finding).toMatchObject({ state: 'ok', message: `${fresh}, 3 h ago` });
  });

  test('its age is the time that our sentinel states, also in a copy whose dates are new', async () => {
    const younger = await addOwn(70, 3);
    await addOwn(100, 4);
    const finding = await probeBackups(store, 48, signal);
    expect(finding).toMatchObject({ state: 'warning', message: `${younger}, 2 d ago` });
  });

  test('one that cannot be restored is a failure, however young it is', async () => {
    await addOwn(100, 3);
    const name = await addOwn(1, 4);
    const state = async () => (await probeBackups(store, 48, signal)).message;
    await put(partKey(name, 0), Buffer.alloc(99));
    expect(await state()).toBe(`${name}, 60 min ago; it cannot be restored: part 0 is not of its size`);
    await store.remove([partKey(name, 0)], { signal });
    expect(await probeBackups(store, 48, signal)).toMatchObject({
      state: 'failed',
      message: `${name}, 60 min ago; it cannot be restored: part 0 is missing`,
      remedy: expect.stringContaining('wal-e wal-verify'),
    });
    await put(partKey(name, 0), Buffer.alloc(100));
    expect(await probeBackups(store, 48, signal)).toMatchObject({ state: 'ok' });
    await put(sentinelKey(name), 'no JSON');
    expect(await state()).toContain('it cannot be restored: its sentinel cannot be understood: ');
  });

  test('older than the limit is a warning that names the option', async () => {
    await addBackup(old, 100);
    const finding = await probeBackups(store, 48, signal);
    expect(finding).toMatchObject({ state: 'warning', message: `${old}, 4 d ago` });
    expect(finding.remedy).toContain('--max-backup-age');
    expect(await probeBackups(store, 101, signal)).toMatchObject({ state: 'ok' });
  });

  test('an unfinished backup is not taken for one', async () => {
    await store.put(versionKey(old), [], { createOnly: true, contentType: 'text/plain', signal });
    const message = 'there is none; 1 unfinished';
    expect(await probeBackups(store, 48, signal)).toMatchObject({ state: 'warning', message });
  });
});

test.each([
  [50, 'ok'],
  [9, 'warning'],
  [2, 'failed'],
])('%i %% of free space is %s', (percent, state) => {
  const space = { free: percent * 2 ** 30, total: 100 * 2 ** 30 };
  const finding = spaceFinding('free space', '/data', space, 'make room');
  expect(finding).toMatchObject({
    state,
    message: `${percent}.0 GiB of 100.0 GiB free (${percent} %) at /data`,
  });
});

describe.runIf(hasGpg())('gpg', () => {
  const home = process.env.GNUPGHOME;
  let secret: Keyring;
  let publicOnly: Keyring;
  beforeAll(() => {
    secret = createKeyring('secret');
    publicOnly = createKeyring('public');
  });
  afterAll(() => {
    secret.dispose();
    publicOnly.dispose();
    process.env.GNUPGHOME = home;
    if (home === undefined) delete process.env.GNUPGHOME;
  });

  test('no key is ok and said', async () => {
    expect(await probeCrypt(undefined, signal)).toMatchObject({
      state: 'ok',
      message: expect.stringMatching(/^off/),
    });
  });

  test('a whole keyring is ok, a public key alone is a warning, an unknown key fails', async () => {
    process.env.GNUPGHOME = secret.home;
    expect(await probeCrypt(GOLDEN_KEY, signal)).toMatchObject({ state: 'ok' });
    process.env.GNUPGHOME = publicOnly.home;
    const half = await probeCrypt(GOLDEN_KEY, signal);
    expect(half).toMatchObject({ state: 'warning' });
    expect(half.message).toMatch(/can encrypt to .* but not read/);
    const unknown = await probeCrypt('0xDEADBEEF', signal);
    expect(unknown).toMatchObject({ state: 'failed' });
    expect(unknown.remedy).toContain('gpg --list-keys 0xDEADBEEF');
  });
});

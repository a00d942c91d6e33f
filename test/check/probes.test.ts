import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backupName, sentinelKey, versionKey } from '../../src/archive/layout.ts';
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

  async function addBackup(name: ReturnType<typeof backupName>, hoursAgo: number) {
    const key = sentinelKey(name);
    await store.put(key, [Buffer.from('{}')], { createOnly: true, contentType: 'application/json', signal });
    const time = Date.now() / 1000 - hoursAgo * 3600;
    utimesSync(join(directory, key), time, time);
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
    const now = Date.now();
    const stated = (hoursAgo: number, start: number) =>
      backupOf({ start, finished: now - hoursAgo * 3_600_000, system: '7' });
    for (const { name, reading } of [stated(70, 3), stated(100, 4)]) {
      if (reading.kind !== 'read') throw new Error('not read');
      const text = writeSentinel(reading.sentinel);
      await store.put(sentinelKey(name), [Buffer.from(text)], {
        createOnly: true,
        contentType: 'application/json',
        signal,
      });
    }
    const finding = await probeBackups(store, 48, signal);
    expect(finding).toMatchObject({ state: 'warning', message: `${stated(70, 3).name}, 2 d ago` });
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

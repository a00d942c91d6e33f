import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run as fetch } from '../../src/commands/wal-fetch.ts';
import { run as push } from '../../src/commands/wal-push.ts';
import { isOpenPgp } from '../../src/crypt/gpg.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { testContext } from '../harness/context.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAME = '000000010000000000000003';

describe.skipIf(!hasGpg())('an encrypted segment', () => {
  let publicKey: Keyring;
  let secretKey: Keyring;
  let folder: string;
  let pgWal: string;
  let store: Store;
  const before = process.env.GNUPGHOME;

  beforeAll(() => {
    publicKey = createKeyring('public');
    secretKey = createKeyring('secret');
  });

  afterAll(() => {
    publicKey.dispose();
    secretKey.dispose();
    if (before === undefined) delete process.env.GNUPGHOME;
    else process.env.GNUPGHOME = before;
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wale-gpg-push-'));
    pgWal = join(folder, 'pg_wal');
    mkdirSync(join(pgWal, 'archive_status'), { recursive: true });
    store = createFileStore(join(folder, 'archive'));
    // A database host need not be able to read its archive.
    process.env.GNUPGHOME = publicKey.home;
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function addReady(name: string, seed: number, size = MB): string {
    writeFileSync(join(pgWal, name), segmentBytes(name, size, seed));
    writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
    return join(pgWal, name);
  }

  const environment = { WALE_GPG_KEY_ID: GOLDEN_KEY };
  const pushed = (path: string) =>
    push({ walSegment: path, poolSize: 32, markDone: true }, testContext({ store, environment }));

  async function fetched(name: string): Promise<Buffer> {
    process.env.GNUPGHOME = secretKey.home;
    const destination = join(folder, 'fetched');
    const args = { walSegment: name, walDestination: destination, prefetch: 0 };
    expect(await fetch(args, testContext({ store }))).toBe(0);
    return readFileSync(destination);
  }

  it.each([1, 64])('of %i MB is not readable in the archive, and comes back as it was', async (megabytes) => {
    const path = addReady(NAME, 1, megabytes * MB);
    expect(await pushed(path)).toBe(0);
    expect(isOpenPgp(readFileSync(join(folder, 'archive/wal_005', `${NAME}.lzo`)))).toBe(true);
    expect((await fetched(NAME)).equals(readFileSync(path))).toBe(true);
  });

  it('takes its neighbours along', async () => {
    const names = [NAME, ...followingSegments(NAME, 3, MB)];
    for (const [index, name] of names.entries()) addReady(name, index);
    expect(await pushed(join(pgWal, NAME))).toBe(0);
    for (const name of names)
      expect((await fetched(name)).equals(readFileSync(join(pgWal, name)))).toBe(true);
  });

  it('is recognised by the server that stored it, which cannot decrypt it', async () => {
    const path = addReady(NAME, 1);
    await pushed(path);
    expect(await pushed(path)).toBe(0);
    expect(await pushed(path)).toBe(0);
  });

  it('is archived where its checksum cannot be noted, as on a full disk, and that is said', async () => {
    const path = addReady(NAME, 1);
    writeFileSync(join(pgWal, '.wal-e'), 'in the way');
    const context = testContext({ store, environment });
    expect(await push({ walSegment: path, poolSize: 32, markDone: true }, context)).toBe(0);
    expect((await fetched(NAME)).equals(readFileSync(path))).toBe(true);
    const warnings = context.records.filter(({ level }) => level === 'WARNING');
    expect(warnings.map(({ message }) => message)).toEqual([
      'the checksum of an encrypted object could not be noted',
    ]);
  });

  it('of another content is not taken for it', async () => {
    await pushed(addReady(NAME, 1));
    await expect(pushed(addReady(NAME, 2))).rejects.toThrow('cannot be compared');
    process.env.GNUPGHOME = secretKey.home;
    await expect(pushed(join(pgWal, NAME))).rejects.toThrow(
      'the archive holds another content under this name',
    );
  });

  it('without a note of it, is compared where it can be decrypted, and else is an error', async () => {
    const path = addReady(NAME, 1);
    await pushed(path);
    rmSync(join(pgWal, '.wal-e'), { recursive: true });
    await expect(pushed(path)).rejects.toThrow('cannot be compared');
    process.env.GNUPGHOME = secretKey.home;
    expect(await pushed(path)).toBe(0);
  });

  it('leaves no notes once PostgreSQL no longer asks for it, and none outside of pg_wal', async () => {
    const path = addReady(NAME, 1);
    await pushed(path);
    rmSync(join(pgWal, 'archive_status', `${NAME}.ready`));
    const [next = ''] = followingSegments(NAME, 1, MB);
    await pushed(addReady(next, 2));
    expect(readdirSync(join(pgWal, '.wal-e/encrypted'))).toEqual([
      expect.stringMatching(new RegExp(`^${next}\\.[0-9a-f]{16}$`)),
    ]);

    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const [other = ''] = followingSegments(NAME, 1, 2 * MB);
    writeFileSync(join(elsewhere, `${other}.partial`), segmentBytes(other, 2 * MB, 1));
    await pushed(join(elsewhere, `${other}.partial`));
    expect(existsSync(join(elsewhere, '.wal-e'))).toBe(false);
  });
});

/** An archive that looks new to a server that is not: its file system may not be mounted. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { followingSegments } from '../../src/postgres/segment.ts';
import { serverAccount } from '../harness/account.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const MB = 1024 * 1024;
const FIRST = '000000010000000000000001';
const NAMES = [FIRST, ...followingSegments(FIRST, 5, MB)];
const [, SECOND = ''] = NAMES;
const WARNING = 'MSG: the archive holds no WAL yet, though PostgreSQL counts other files as archived';

let pgWal: string;
let archive: string;

beforeEach(() => {
  const scratch = createScratch();
  pgWal = join(scratch, 'pg_wal');
  archive = join(scratch, 'archive');
  mkdirSync(archive);
  for (const [index, name] of NAMES.entries()) addWaiting(pgWal, name, segmentBytes(name, MB, index));
});

const push = (name: string, options: readonly string[] = [], uid?: number) =>
  runProgram([`--file-prefix=file://localhost${archive}`, 'wal-push', ...options, join(pgWal, name)], {
    uid,
  });
/** As the archiver does it after a success. */
function archived(name: string): void {
  const status = join(pgWal, 'archive_status', name);
  renameSync(`${status}.ready`, `${status}.done`);
}
const objects = () => readdirSync(join(archive, 'wal_005')).sort();
const timesIn = (stderr: string) => stderr.split(WARNING).length - 1;

describe('wal-push into a prefix without WAL', () => {
  it('warns, once, where other WAL counts as archived: a mount may be gone', async () => {
    expect((await push(FIRST, ['-p', '1'])).status).toBe(0);
    archived(FIRST);
    // What an unmounted file system leaves.
    renameSync(archive, `${archive}.mounted`);
    mkdirSync(archive);
    const { status, stderr } = await push(SECOND, ['-p', '1']);
    expect(status, stderr).toBe(0);
    expect(timesIn(stderr)).toBe(1);
    expect(stderr).toContain(
      `There is no "file://localhost${archive}/wal_005", and ${FIRST} in "${pgWal}" need not be archived any more.`,
    );
    expect(stderr).toContain('is it mounted?');
    expect(objects()).toEqual([`${SECOND}.lzo`]);
    const again = await push(NAMES[2] ?? '', ['-p', '1']);
    expect(again.status).toBe(0);
    expect(timesIn(again.stderr)).toBe(0);
  });

  it.each(['--mark-done', '--no-mark-done'])(
    'warns once also for a pool, %s, and not of what it archives itself',
    async (mark) => {
      const fresh = await push(FIRST, [mark]);
      expect(fresh.status, fresh.stderr).toBe(0);
      expect(objects()).toHaveLength(NAMES.length);
      expect(timesIn(fresh.stderr)).toBe(0);
      archived(FIRST);
      renameSync(archive, `${archive}.mounted`);
      for (const name of ['000000010000000000000007', '000000010000000000000008']) {
        writeFileSync(join(pgWal, name), segmentBytes(name, MB, 9));
        writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
      }
      const { status, stderr } = await push('000000010000000000000007', [mark]);
      expect(status, stderr).toBe(0);
      expect(timesIn(stderr)).toBe(1);
    },
  );

  it.runIf(process.getuid?.() === 0)(
    'fails where it may not begin an archive, with the same word each time',
    async () => {
      const { uid, gid } = serverAccount();
      archived(FIRST);
      execFileSync('chown', ['-R', `${uid}:${gid}`, pgWal]);
      chmodSync(archive, 0o755);
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        const { status, stderr } = await push(SECOND, [], uid);
        expect(status).toBe(1);
        expect(timesIn(stderr)).toBe(1);
        expect(stderr).toContain('needs read and write permission on the storage prefix');
      }
      expect(readdirSync(archive)).toEqual([]);
      expect(existsSync(join(pgWal, 'archive_status', `${SECOND}.ready`))).toBe(true);
    },
  );

  it('says nothing of it where nothing is known of other WAL', async () => {
    execFileSync('rm', ['-r', join(pgWal, 'archive_status')]);
    const { status, stderr } = await push(FIRST);
    expect(status, stderr).toBe(0);
    expect(timesIn(stderr)).toBe(0);
    expect(objects()).toEqual([`${FIRST}.lzo`]);
  });
});

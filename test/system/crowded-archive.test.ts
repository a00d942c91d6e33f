/** An archive that has room for the segment that PostgreSQL asked for, and not for its neighbours as well. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { followingSegments } from '../../src/postgres/segment.ts';
import { type Archive, createArchive } from '../harness/archiving.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const CROWDING = fileURLToPath(new URL('../harness/crowding-fs.cjs', import.meta.url));
const MB = 1024 * 1024;
/** Of two objects; two and a half fill the archive. */
const ROOM = 1.25 * MB;
const NAMED = '000000010000000000000001';
const NEIGHBOURS = followingSegments(NAMED, 2, MB);
const NO_ROOM = 'MSG: the archive has no room for the segment and its neighbours';

let pgWal: string;
let archive: Archive;

beforeEach(() => {
  archive = createArchive();
  pgWal = join(createScratch(), 'pg_wal');
  for (const [index, name] of [NAMED, ...NEIGHBOURS].entries())
    addWaiting(pgWal, name, segmentBytes(name, MB, index));
});

/** The neighbours' objects are written, and not yet in place, when the named one's is begun. */
function pushIntoCrowd(...options: string[]) {
  return runProgram([`--file-prefix=${archive.prefix}`, 'wal-push', ...options, join(pgWal, NAMED)], {
    environment: {
      NODE_OPTIONS: `--require ${CROWDING}`,
      CROWD_NAMED: NAMED,
      CROWD_OTHERS: String(NEIGHBOURS.length),
    },
  });
}

const push = (name: string) => runProgram([`--file-prefix=${archive.prefix}`, 'wal-push', join(pgWal, name)]);
const objects = () => readdirSync(join(archive.directory, 'wal_005')).sort();
const waiting = () => readdirSync(join(pgWal, 'archive_status')).sort();

async function checkContent(...names: string[]): Promise<void> {
  for (const name of names) {
    const seed = [NAMED, ...NEIGHBOURS].indexOf(name);
    expect((await archive.content(name)).equals(segmentBytes(name, MB, seed))).toBe(true);
  }
}

describe.runIf(canMount())('wal-push, where its neighbours take the room of the segment', () => {
  it.each(['--mark-done', '--no-mark-done'])(
    'gives them up and stores the segment, %s: none of them counts as archived',
    async (mark) => {
      mountSmall(archive.directory, ROOM);
      const { status, stderr } = await pushIntoCrowd(mark);
      expect(status, stderr).toBe(0);
      expect(objects()).toEqual([`${NAMED}.lzo`]);
      await checkContent(NAMED);
      expect(stderr).toContain(NO_ROOM);
      expect(stderr).toContain(`${NAMED} is tried once more, alone. "${archive.directory}/wal_005/${NAMED}`);
      expect(stderr).toContain('Free some space on the file system of the storage prefix.');
      for (const name of NEIGHBOURS) {
        expect(stderr).toContain(
          `${name}: given up, to leave the room in the archive to the file that was asked for`,
        );
      }
      expect(waiting()).toEqual([NAMED, ...NEIGHBOURS].map((name) => `${name}.ready`));
      expect(existsSync(join(pgWal, '.wal-e', 'pushed'))).toBe(false);
    },
  );

  it('archives them in their turn', async () => {
    mountSmall(archive.directory, ROOM);
    expect((await pushIntoCrowd('--no-mark-done')).status).toBe(0);
    const [first = '', second = ''] = NEIGHBOURS;
    expect((await push(first)).status).toBe(0);
    const full = await push(second);
    expect(full.status).toBe(1);
    expect(objects()).toEqual([NAMED, first].map((name) => `${name}.lzo`));
    execFileSync('mount', ['-o', `remount,size=${4 * MB}`, archive.directory]);
    expect((await push(second)).status).toBe(0);
    await checkContent(NAMED, ...NEIGHBOURS);
  });

  it('fails where the segment does not fit alone either, and leaves nothing', async () => {
    mountSmall(archive.directory, ROOM);
    // Too little is left for any.
    writeFileSync(join(archive.directory, 'filler'), Buffer.alloc(MB));
    const { status, stderr } = await push(NAMED);
    expect(status).toBe(1);
    expect(stderr).toContain('MSG: could not store a file');
    expect(stderr).toContain('Free some space on the file system of the storage prefix.');
    expect(objects()).toEqual([]);
    expect(waiting()).toEqual([NAMED, ...NEIGHBOURS].map((name) => `${name}.ready`));
  });
});

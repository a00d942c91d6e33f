/** What is acknowledged has been synced, and so has every folder on the way to it. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFileStore } from '../../src/store/file.ts';
import { serverAccount } from '../harness/account.ts';
import { leastMembers, storeBackup } from '../harness/backup.ts';
import { createKeyring, GOLDEN_KEY, hasGpg } from '../harness/gpg.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { file, folder } from '../harness/tar.ts';

const JOURNAL = fileURLToPath(new URL('../harness/fs-journal.cjs', import.meta.url));
const MB = 1024 * 1024;
const NAME = '000000010000000000000001';
/** Longer than a folder counts as new. */
const LATER_MS = 120_000;

let scratch: string;
let prefix: string;
let walFolder: string;
let segment: string;

beforeEach(() => {
  scratch = createScratch();
  prefix = join(scratch, 'prefix');
  walFolder = join(prefix, 'wal_005');
  segment = join(scratch, NAME);
  writeFileSync(segment, segmentBytes(NAME, MB, 1));
});

interface Run {
  readonly clockAhead?: number;
  readonly uid?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

async function run(args: readonly string[], { clockAhead = 0, uid, environment }: Run = {}) {
  const journal = join(scratch, 'journal');
  rmSync(journal, { force: true });
  const result = await runProgram(args, {
    cwd: scratch,
    uid,
    environment: {
      WALE_FILE_PREFIX: `file://localhost${prefix}`,
      NODE_OPTIONS: `--require ${JOURNAL}`,
      FS_JOURNAL: journal,
      FS_CLOCK_AHEAD: String(clockAhead),
      ...environment,
    },
  });
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').filter(Boolean) : [];
  // The first start makes the code cache.
  return { ...result, lines: lines.filter((line) => !line.endsWith('.cache')) };
}

const push = (options?: Run) => run(['wal-push', '-p', '1', segment], options);
const object = () => join(walFolder, `${NAME}.lzo`);
/** Every sync that was answered after the line. */
const after = (lines: readonly string[], line: string) =>
  lines.slice(lines.indexOf(line) + 1).map((later) => later.replace(/^sync /, ''));

const isWithin = (root: string, path: string) =>
  `${realpathSync(path)}/`.startsWith(`${realpathSync(root)}/`);

describe('wal-push to a file store', () => {
  it('syncs the object before it gets its name, and the folder after it', async () => {
    mkdirSync(walFolder, { recursive: true });
    const { status, stderr, lines } = await push({ clockAhead: LATER_MS });
    expect(status, stderr).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(`^sync ${walFolder}/\\.${NAME}\\.lzo\\.[0-9a-f]{16}\\.tmp$`),
      `name ${object()}`,
      `sync ${walFolder}`,
    ]);
  });

  it.runIf(hasGpg())(
    'syncs the note that tells an encrypted object before the object gets its name',
    async () => {
      const pgWal = join(scratch, 'pg_wal');
      mkdirSync(join(pgWal, 'archive_status'), { recursive: true });
      writeFileSync(join(pgWal, NAME), segmentBytes(NAME, MB, 1));
      writeFileSync(join(pgWal, 'archive_status', `${NAME}.ready`), '');
      mkdirSync(walFolder, { recursive: true });
      const keyring = createKeyring('public');
      try {
        const environment = { GNUPGHOME: keyring.home, WALE_GPG_KEY_ID: GOLDEN_KEY };
        const { status, stderr, lines } = await run(['wal-push', join('pg_wal', NAME)], { environment });
        expect(status, stderr).toBe(0);
        const before = lines.slice(0, lines.indexOf(`name ${object()}`));
        expect(before).toEqual(
          expect.arrayContaining([
            expect.stringMatching(`^sync ${pgWal}/\\.wal-e/encrypted/${NAME}\\.[0-9a-f]{16}$`),
            `sync ${pgWal}/.wal-e/encrypted`,
            `sync ${pgWal}/.wal-e`,
            `sync ${pgWal}`,
          ]),
        );
      } finally {
        keyring.dispose();
      }
    },
  );

  it('syncs the entries of the folders that it makes', async () => {
    const { status, lines } = await push({ clockAhead: LATER_MS });
    expect(status).toBe(0);
    expect(lines.slice(0, 4)).toEqual([
      `make ${prefix}`,
      `sync ${scratch}`,
      `make ${walFolder}`,
      `sync ${prefix}`,
    ]);
  });

  it('syncs the entries of folders that another process has just made, up to one that is older', async () => {
    mkdirSync(walFolder, { recursive: true });
    const { status, lines } = await push();
    expect(status).toBe(0);
    const parents = [walFolder, prefix, scratch, dirname(scratch)];
    expect(after(lines, `name ${object()}`).slice(0, 4)).toEqual(parents);
  });

  it('syncs them, and the object, also when it is there already: another tool may not have', async () => {
    expect((await push()).status).toBe(0);
    const { status, stderr, lines } = await push();
    expect(status).toBe(0);
    expect(stderr).toContain('the file was archived before');
    expect(lines.map((line) => line.replace(/^sync /, ''))).toEqual(
      expect.arrayContaining([object(), walFolder, prefix, scratch]),
    );
  });

  // Permissions do not hold root back, so another user has to meet them.
  const asAnother = it.runIf(process.getuid?.() === 0);

  asAnother('does without the sync of a parent that it may not read', async () => {
    const { uid, gid } = serverAccount();
    mkdirSync(walFolder, { recursive: true });
    chownSync(walFolder, uid, gid);
    chmodSync(prefix, 0o711);
    writeFileSync(join(scratch, 'journal'), '');
    chmodSync(scratch, 0o777);
    const { status, stderr } = await push({ uid });
    expect(status, stderr).toBe(0);
  });

  asAnother('names the folder that cannot be synced, when the object is there already', async () => {
    expect((await push()).status).toBe(0);
    chownSync(walFolder, serverAccount().uid, 0);
    chmodSync(walFolder, 0o300);
    chmodSync(scratch, 0o777);
    const { status, stderr } = await push({ uid: serverAccount().uid });
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('MSG: could not sync a folder');
    expect(stderr).toContain(`DETAIL: "${walFolder}": EACCES`);
  });
});

describe('wal-fetch', () => {
  it('syncs the file before it gets its name', async () => {
    expect((await push()).status).toBe(0);
    const out = join(scratch, 'RECOVERYXLOG');
    const { status, stderr, lines } = await run(['wal-fetch', '-p', '0', NAME, out]);
    expect(status, stderr).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(`^sync ${scratch}/\\.RECOVERYXLOG\\.\\d+\\.wal-fetch$`),
      `name ${out}`,
    ]);
  });
});

describe('backup-fetch', () => {
  it('syncs every file and folder before pg_control gets its name, and then that', async () => {
    const more = [folder('empty'), file('base/1/1259', 'x'), file('pg_tblspc/16384/PG_14/1', 'y')];
    await storeBackup(createFileStore(prefix), {
      parts: [leastMembers(), more],
      tablespaces: new Map([['16384', '/source/one']]),
    });
    const [target, place] = [join(scratch, 'new/data'), join(scratch, 'one')];
    const words = ['backup-fetch', '--recovery-conf', '--tablespace', `16384=${place}`, target, 'LATEST'];
    const { status, stderr, lines } = await run(words);
    expect(status, stderr).toBe(0);
    const named = lines.indexOf(`name ${join(target, 'global/pg_control')}`);
    const before = new Set(lines.slice(0, named).map((line) => line.replace(/^\w+ /, '')));
    const staged: Readonly<Record<string, string>> = {
      'global/pg_control': 'global/pg_control.wal-e-restore',
      'recovery.signal': 'recovery.signal.wal-e-new',
      'postgresql.auto.conf': 'postgresql.auto.conf.wal-e-new',
    };
    for (const root of [target, place]) {
      const paths = readdirSync(root, { recursive: true, withFileTypes: true });
      const wanted = paths
        // Node 22 and later also list what is behind a link.
        .filter((entry) => !entry.isSymbolicLink() && isWithin(root, entry.parentPath))
        .map((entry) => relative(root, join(entry.parentPath, entry.name)));
      expect(wanted.length).toBeGreaterThan(1);
      for (const path of [dirname(root), root, ...wanted.map((path) => join(root, staged[path] ?? path))])
        expect(before, path).toContain(path);
    }
    expect(after(lines, lines[named] ?? '')).toEqual([join(target, 'global'), target]);
  });
});

/** Each way to say where tablespaces go, with real servers that are started where they were restored to. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ArchivedCluster, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { type Cluster, openCluster } from '../../harness/postgres.ts';
import { runProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';
import { NEWEST_POSTGRES, nodeFolder, stageProgram } from '../../harness/staging.ts';
import { TESTED_VERSIONS } from '../../harness/versions.ts';

const NAMES = ['one', 'two'] as const;
const ROWS = 3000;

interface Scene {
  readonly directory: string;
  readonly oids: readonly string[];
  /** Where each tablespace is to go. */
  readonly places: readonly string[];
}

interface How {
  readonly program?: string;
  /** In front of the command; the source's prefix when left out. */
  readonly globals?: readonly string[];
}

type Way = readonly [name: string, prepare: (scene: Scene) => string[]];

const WAYS: readonly Way[] = [
  [
    '--tablespace',
    ({ oids, places }: Scene) => places.flatMap((place, i) => ['--tablespace', `${oids[i]}=${place}`]),
  ],
  [
    'links that were prepared',
    ({ directory, oids, places }: Scene) => {
      mkdirSync(join(directory, 'pg_tblspc'), { recursive: true });
      for (const [i, place] of places.entries()) {
        mkdirSync(place);
        symlinkSync(place, join(directory, 'pg_tblspc', oids[i] ?? ''));
      }
      return [];
    },
  ],
  [
    '--restore-spec',
    ({ directory, oids, places }: Scene) => {
      const spec = join(dirname(directory), 'spec.json');
      const entries = places.map((place, i) => [oids[i], { loc: `${place}/`, link: `pg_tblspc/${oids[i]}` }]);
      writeFileSync(spec, JSON.stringify({ tablespaces: oids, ...Object.fromEntries(entries) }));
      return ['--restore-spec', spec];
    },
  ],
  ['--blind-restore', () => ['--blind-restore']],
];

describe.each(TESTED_VERSIONS)('PostgreSQL %i', (version) => {
  // Folders of the data directory instead of links: a developer's setting, but backups hold them.
  const inPlace: Readonly<Record<string, string>> = version >= 15 ? { allow_in_place_tablespaces: 'on' } : {};
  const isFull = version === NEWEST_POSTGRES || TESTED_VERSIONS.length > 2;
  let source: ArchivedCluster;
  let oids: readonly string[];
  let restored: Cluster | undefined;
  const folders: string[] = [];

  beforeAll(async () => {
    source = await createArchivedCluster({ version, tablespaces: NAMES, settings: inPlace });
    const { cluster } = source;
    await cluster.start();
    if (version >= 15) await cluster.query("create tablespace kept location ''");
    await cluster.query(`create table in_place ${version >= 15 ? 'tablespace kept' : ''} as select 7 as x`);
    for (const name of NAMES)
      await cluster.query(`create table in_${name} tablespace ${name} as
        select g, md5(g::text) m from generate_series(1, ${ROWS}) g`);
    const found = await cluster.query(
      "select oid from pg_tablespace where spcname in ('one', 'two') order by spcname",
    );
    oids = found.map(({ oid }) => oid ?? '');
    const words = ['backup-push', '--fast-checkpoint', cluster.dataDirectory];
    const pushed = await runProgram(words, { environment: source.environment });
    expect(pushed.status, pushed.stderr).toBe(0);
    await cluster.stop();
  });
  afterEach(async () => {
    await restored?.dispose();
    restored = undefined;
    for (const folder of folders.splice(0))
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  afterAll(() => source.cluster.dispose());

  function scene(): Scene {
    const folder = createScratch();
    folders.push(folder);
    return { directory: join(folder, 'data'), oids, places: NAMES.map((name) => join(folder, name)) };
  }

  /** With a program that the server's user can start too; the server is started on what backup-fetch left. */
  async function restore(
    { directory }: Scene,
    options: readonly string[],
    { program = stageProgram(), globals = [] }: How = {},
  ): Promise<Cluster> {
    const prefix = source.environment.WALE_FILE_PREFIX ?? '';
    const where = globals.length === 0 ? ['--file-prefix', prefix] : globals;
    const words = [...where, 'backup-fetch', '--recovery-conf', ...options, directory, 'LATEST'];
    execFileSync(join(nodeFolder(), 'node'), [program, ...words], {
      env: { PATH: process.env.PATH, WALE_LOG_DESTINATION: 'stderr' },
      stdio: 'pipe',
    });
    if (process.getuid?.() === 0) expectOwned(directory, source.cluster.account.uid);
    const server = await openCluster(directory, { settings: { archive_mode: 'off', ...inPlace } });
    restored = server;
    await server.start();
    await poll('the end of recovery', async () => (await server.value('select pg_is_in_recovery()')) === 'f');
    return server;
  }

  async function expectAt(server: Cluster, places: readonly string[]): Promise<void> {
    expect(await server.value('select x from in_place')).toBe('7');
    for (const [index, name] of NAMES.entries()) {
      expect(await server.value(`select count(*) from in_${name}`)).toBe(String(ROWS));
      await server.query(
        `insert into in_${name} select 0, repeat(md5(g::text), 50) from generate_series(1, 3000) g`,
      );
      await server.query(`create table more_${name} tablespace ${name} as select 1 as x`);
      expect(await server.value(`select pg_tablespace_location(${oids[index]})`)).toBe(places[index]);
      expect(readlinkSync(join(server.dataDirectory, 'pg_tblspc', oids[index] ?? ''))).toBe(places[index]);
      expect(readdirSync(places[index] ?? '')).toEqual([expect.stringMatching(/^PG_/)]);
    }
    await server.query('checkpoint');
  }

  // The oldest version differs in how recovery is set up, not in tablespaces.
  it.each(isFull ? WAYS : WAYS.slice(0, 1))(
    '%s: the server starts on the new places, and the old ones are not touched',
    async (how, prepare) => {
      const made = scene();
      const before = fingerprint(source.cluster.folder);
      const server = await restore(made, prepare(made));
      const inside = oids.map((oid) => join(made.directory, 'tablespaces', oid));
      await expectAt(server, how === '--blind-restore' ? inside : made.places);
      await server.stop();
      expect(fingerprint(source.cluster.folder)).toEqual(before);
    },
  );

  it.runIf(isFull)(
    '--restore-spec SOURCE: the server starts on the old places, once they are empty; before, it is refused',
    async () => {
      const made = scene();
      const places = NAMES.map((name) => source.cluster.tablespaceDirectory(name));
      const words = ['backup-fetch', '--restore-spec', 'SOURCE', made.directory, 'LATEST'];
      const before = fingerprint(source.cluster.folder);
      const refused = await runProgram(words, { environment: source.environment });
      expect(refused).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('is not empty: it holds PG_'),
      });
      expect(fingerprint(source.cluster.folder)).toEqual(before);
      for (const place of places) renameSync(place, `${place}.before`);
      try {
        await expectAt(await restore(made, ['--restore-spec', 'SOURCE']), places);
      } finally {
        await restored?.stop('immediate');
        for (const place of places) {
          rmSync(place, { recursive: true, force: true });
          renameSync(`${place}.before`, place);
        }
      }
    },
  );

  it('what --recovery-conf writes works from a folder, an envdir and an archive of any name', async () => {
    const made = scene();
    const odd = join(dirname(made.directory), `it's 50% "odd" $HOME \\ %f\n;`);
    const envdir = join(odd, 'env');
    mkdirSync(envdir, { recursive: true });
    cpSync(dirname(dirname(stageProgram())), join(odd, 'wal-e'), { recursive: true });
    const prefix = source.environment.WALE_FILE_PREFIX ?? '';
    writeFileSync(join(envdir, 'WALE_FILE_PREFIX'), prefix);
    writeFileSync(join(envdir, 'WALE_LOG_DESTINATION'), 'stderr');
    execFileSync('chmod', ['-R', 'a+rX', odd]);
    const program = join(odd, 'wal-e/bin/wal-e.cjs');
    const first = await restore(made, ['--blind-restore'], { program, globals: ['--envdir', envdir] });
    expect(await first.value('select count(*) from in_one')).toBe(String(ROWS));
    await first.dispose();

    const archive = join(odd, 'archive');
    cpSync(source.archive, archive, { recursive: true });
    execFileSync('chmod', ['-R', 'a+rX', archive]);
    const again = scene();
    const globals = ['--file-prefix', `file://localhost${archive}`];
    const second = await restore(again, ['--blind-restore'], { program, globals });
    expect(await second.value('select count(*) from in_two')).toBe(String(ROWS));
    expect(await second.serverLog()).toContain('complete wal restore');
  });
});

/** Every path below the folder with what a change of it would change. */
function fingerprint(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => {
      const { ino, size, ctimeMs } = lstatSync(join(folder, path));
      return [path, `${ino} ${size} ${ctimeMs}`];
    }),
  );
}

/** Everything in the directory and in its tablespaces, as backup-fetch left it, belongs to the server's user. */
function expectOwned(directory: string, uid: number): void {
  const links = readdirSync(join(directory, 'pg_tblspc'), { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map(({ name }) => readlinkSync(join(directory, 'pg_tblspc', name)));
  for (const folder of [directory, ...links]) {
    const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const others = ['.', ...paths].filter((path) => lstatSync(join(folder, path)).uid !== uid);
    expect(others, folder).toEqual([]);
  }
}

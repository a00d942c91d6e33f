/** backup-fetch in any of its ways, and the server that comes of it. */
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openCluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { stageProgram } from '../harness/staging.ts';
import { call, type Operator } from './calls.ts';
import { pick } from './kind.ts';
import { Member } from './member.ts';
import { formatLsn, type Past, type Way } from './past.ts';

export interface Restore {
  /** A name, or LATEST. */
  readonly backup: string;
  /** Besides --recovery-conf and where tablespaces go. */
  readonly options: readonly string[];
  /** Tablespaces' oids. */
  readonly oids: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  /** Of a standby: how it reaches its primary. */
  readonly streamsFrom?: string | undefined;
}

/** Not started. Where backup-fetch is killed, the same command goes on. */
export async function restore(operator: Operator, what: Restore): Promise<Member> {
  const folder = createScratch();
  const directory = join(folder, 'data');
  const placing = placeTablespaces(operator.random, directory, what.oids);
  const pool = ['--pool-size', String(1 + Math.floor(operator.random() * 4))];
  const args = ['backup-fetch', '--recovery-conf', ...pool, ...what.options, ...placing];
  operator.say([...args, what.backup].join(' '));
  for (let round = 0; ; round += 1) {
    const { status, stderr } = await call(operator, [...args, directory, what.backup], {
      mortal: round === 0,
    });
    // One that was killed at its very end had done all.
    if (status === 0 || (round > 0 && stderr.includes('it had come to its end'))) break;
    if (status !== null) throw new Error(`backup-fetch: ${stderr}`);
  }
  const version = Number(readFileSync(join(directory, 'PG_VERSION'), 'utf8'));
  const path = join(directory, version < 12 ? 'recovery.conf' : 'postgresql.auto.conf');
  useStagedProgram(path);
  if (what.streamsFrom !== undefined) appendFileSync(path, `primary_conninfo = '${what.streamsFrom}'\n`);
  return new Member(await openCluster(directory, { settings: what.settings }), folder);
}

/** Options that make recovery stop at the point, in one of the ways in which that can be said. */
export function chooseTarget(
  random: () => number,
  { backup, point }: Way,
  newestTimeline: number,
  past: Past,
): Pick<Restore, 'backup' | 'options'> {
  const targets = [
    ['--target-name', point.name],
    ['--target-lsn', formatLsn(point.lsn)],
    ['--target-time', point.time],
  ];
  const timelines = [
    ['--target-timeline', String(point.timeline)],
    ...(point.timeline === newestTimeline ? [[], ['--target-timeline', 'latest']] : []),
  ];
  const byName = [
    ...timelines,
    ...(point.timeline === backup.timeline ? [['--target-timeline', 'current']] : []),
  ];
  // LATEST may be one of another branch, which is refused where the newest timeline is asked for.
  const newest = past.backups.at(-1);
  const isLatest = newest !== undefined && past.leadsTo(newest, point) && random() < 0.6;
  const timeline = pick(random, isLatest ? timelines : byName) ?? [];
  const target = pick(random, targets) ?? [];
  return { backup: isLatest ? 'LATEST' : backup.name, options: [...target, ...timeline] };
}

function placeTablespaces(random: () => number, directory: string, oids: readonly string[]): string[] {
  if (oids.length === 0) return [];
  const places = oids.map((oid) => [oid, join(dirname(directory), `space-${oid}`)] as const);
  const ways = [
    () => ['--blind-restore'],
    () => places.flatMap(([oid, place]) => ['--tablespace', `${oid}=${place}`]),
    () => {
      const spec = join(dirname(directory), 'spec.json');
      const entries = places.map(([oid, place]) => [oid, { loc: `${place}/`, link: `pg_tblspc/${oid}` }]);
      writeFileSync(spec, JSON.stringify({ tablespaces: oids, ...Object.fromEntries(entries) }));
      return ['--restore-spec', spec];
    },
    () => {
      mkdirSync(join(directory, 'pg_tblspc'), { recursive: true });
      for (const [oid, place] of places) {
        mkdirSync(place);
        symlinkSync(place, join(directory, 'pg_tblspc', oid));
      }
      return [];
    },
  ];
  return pick(random, ways)?.() ?? [];
}

/** The server's user may not be able to read this checkout, which restore_command names. */
function useStagedProgram(path: string): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/^(restore_command = ')\S+ \S+/m, `$1${stageProgram()}`));
}

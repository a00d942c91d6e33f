/**
 * What WAL-E 1.1.1 does when it is asked to delete, after its wal_e/worker/base.py: one number for each name, whatever
 * its timeline, compared with the number of the horizon. For archives of one history, which it was made for.
 */
const SEGMENT = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})/;

export type OriginalGoal =
  | { readonly verb: 'before'; readonly name: string }
  | { readonly verb: 'retain'; readonly count: number }
  | { readonly verb: 'everything' };

export interface OriginalResult {
  /** Key and what the log calls it. */
  readonly deleted: readonly (readonly [string, string])[];
  /** Keys that are skipped with a warning, and what is said to be odd about them. */
  readonly skipped: readonly (readonly [string, string])[];
}

function numberOf(text: string): bigint {
  const [, , log, inLog] = SEGMENT.exec(text.replace(/^base_/, '')) ?? [];
  if (log === undefined || inLog === undefined) throw new Error(`no segment in ${text}`);
  return (BigInt(`0x${log}`) << 32n) + BigInt(`0x${inLog}`);
}

export function originalResult(keys: readonly string[], goal: OriginalGoal): OriginalResult {
  const backups = keys.filter((key) => key.startsWith('basebackups_005/'));
  const wal = keys.filter((key) => key.startsWith('wal_005/'));
  if (goal.verb === 'everything')
    return {
      deleted: [
        ...backups.map((key) => [key, 'part of a base backup'] as const),
        ...wal.map((key) => [key, 'part of wal logs'] as const),
      ],
      skipped: [],
    };
  const horizon = horizonOf(backups, goal);
  if (horizon === undefined) return { deleted: [], skipped: [] };
  const known = [...backups, ...wal].map((key) => ({ key, ...whatIs(key) }));
  return {
    deleted: known.flatMap(({ key, thing, number }) =>
      thing !== undefined && number !== undefined && number < horizon ? [[key, thing] as const] : [],
    ),
    skipped: known.flatMap(({ key, odd }) => (odd === undefined ? [] : [[key, odd] as const])),
  };
}

function horizonOf(
  backups: readonly string[],
  goal: Exclude<OriginalGoal, { verb: 'everything' }>,
): bigint | undefined {
  if (goal.verb === 'before') return numberOf(goal.name);
  const newestFirst = backups
    .flatMap((key) => /^basebackups_005\/base_([0-9A-F]{24})_.{8}_backup_stop_sentinel/.exec(key)?.[1] ?? [])
    .map(numberOf)
    .sort((a, b) => (a < b ? 1 : -1));
  return newestFirst.length <= goal.count ? newestFirst.at(-1) : newestFirst[goal.count - 1];
}

interface Taken {
  /** What the log calls it; undefined for what is always kept, and for what is odd. */
  readonly thing?: string;
  readonly number?: bigint;
  /** Why it is skipped. */
  readonly odd?: string;
}

function whatIs(key: string): Taken {
  const [tree, ...names] = key.split('/');
  if (tree === 'wal_005') return names.length === 1 ? inWal(names[0] ?? '') : TOO_DEEP;
  const [backup = '', second, third] = names;
  const isBackup = /^base_[0-9A-F]{24}_[0-9A-F]{8}/.test(backup);
  const number = isBackup ? numberOf(backup) : 0n;
  const taken = (matches: boolean, thing: string, pattern: string) =>
    isBackup && matches ? { thing, number } : { odd: `not to match the ${pattern} pattern` };
  if (names.length > 3) return TOO_DEEP;
  if (third !== undefined)
    return taken(second === 'tar_partitions', 'a base backup volume', 'base-backup partition');
  if (second !== undefined)
    return taken(
      second === 'extended_version.txt',
      'a extended version metadata file',
      'extended-version backup',
    );
  return taken(
    backup.endsWith('_backup_stop_sentinel.json'),
    'a base backup sentinel file',
    'base-backup sentinel',
  );
}

const TOO_DEEP = { odd: 'to be at an unexpected depth' };

function inWal(name: string): Taken {
  if (/^[0-9A-F]{8}\.history/.test(name)) return {};
  if (/^[0-9A-F]{24}\.lzo/.test(name)) return { thing: 'a wal file', number: numberOf(name) };
  if (/^[0-9A-F]{24}\.[0-9A-F]{8}\.backup\.lzo/.test(name))
    return { thing: 'a backup history file', number: numberOf(name) };
  return { odd: 'not to match the WAL file naming pattern' };
}

/** From the word after `before` to one place in the archive. */
import { parseBackupName, walKey } from '../archive/layout.ts';
import type { Policy } from '../archive/retention.ts';
import { systemOf } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import { UserError } from '../errors.ts';
import { walFileKind } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';
import { formatSome } from '../text/table.ts';

const BACKUP_START = /^base_[0-9A-F]{24}_[0-9A-F]{8}/;
const SHOWN_NAMES = 5;

/**
 * A backup by its name (text after it is ignored, as in the original, so that a sentinel's file name will do) or by the
 * beginning of a name that fits one only; or a WAL segment of the archive. Anything else is an error: nothing is guessed.
 */
export async function findTarget(
  text: string,
  backups: readonly SurveyedBackup[],
  store: Store,
  call: Call,
): Promise<Policy> {
  if (walFileKind(text) === 'segment') return segmentTarget(text, backups, store, call);
  const complete = backups.filter(({ sentinel }) => sentinel !== undefined);
  const start = BACKUP_START.exec(text)?.[0] ?? text;
  const found = text.startsWith('base_') ? complete.filter(({ name }) => name.startsWith(start)) : [];
  const [only] = found;
  if (only === undefined) throw noSuchBackup(text, parseBackupName(start), backups);
  if (found.length > 1)
    throw new UserError(`${found.length} backups match "${text}"`, {
      detail: formatSome(
        found.map(({ name }) => name),
        SHOWN_NAMES,
      ),
      hint: 'Give the whole name of the oldest backup to keep.',
    });
  return { kind: 'before-backup', name: only.name };
}

async function segmentTarget(
  segment: string,
  backups: readonly SurveyedBackup[],
  store: Store,
  call: Call,
): Promise<Policy> {
  const systems = new Set(backups.map(systemOf).filter((system) => system !== undefined));
  if (systems.size > 1)
    throw new UserError('a WAL segment does not say which system it belongs to', {
      detail: `Backups of ${systems.size} systems are under this prefix: ${formatSome([...systems], SHOWN_NAMES)}.`,
      hint: 'Give the name of the oldest backup to keep instead.',
    });
  if ((await store.head(walKey(segment), call)) === undefined)
    throw new UserError(`the archive holds no WAL segment ${segment}`, {
      hint: 'Check the name with "wal-e wal-verify", or give the name of the oldest backup to keep.',
    });
  return { kind: 'before-segment', segment };
}

function noSuchBackup(text: string, name: string | undefined, backups: readonly SurveyedBackup[]): UserError {
  const hint = 'List the names with "wal-e backup-list"; a WAL segment is named by 24 hex digits.';
  const incomplete = backups.some((backup) => backup.name === name && backup.sentinel === undefined);
  if (incomplete)
    return new UserError(`the backup ${name} is not complete`, { detail: 'It has no sentinel.', hint });
  return new UserError(`no backup or WAL segment matches "${text}"`, { hint });
}

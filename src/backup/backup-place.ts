/** The place of a backup in the archive: taken before anything is uploaded, so that no two backups mix. */
import { BACKUP_PREFIX, type BackupName, sentinelKey, versionKey } from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Store, urlOf } from '../store/store.ts';
import { objectsOf, removePage, withdraw } from './unfinished.ts';

export interface PlaceOptions {
  readonly store: Store;
  readonly versionText: string;
  /**
   * Nobody else can be writing a backup of this name, so what an interrupted one left is removed. There is that
   * certainty only on a primary, where each start has a position of its own; a standby, running or not, starts where
   * its primary did.
   */
  readonly isOurs: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function takePlace(backup: BackupName, options: PlaceOptions): Promise<void> {
  const { store, signal, isOurs } = options;
  if ((await store.head(sentinelKey(backup), { signal })) !== undefined) throw taken(backup);
  for await (const page of objectsOf(backup, store, { signal })) {
    if (!isOurs) throw unfinished(store, backup);
    options.log.warning('removing what an unfinished backup of the same name left', {
      detail: `"${urlOf(store, page[0]?.key ?? versionKey(backup))}" and others, ${page.length} in all.`,
    });
    await removePage(page, store, { signal });
  }
  const log = options.log.named('wal_e.operator.backup');
  const url = urlOf(store, versionKey(backup));
  log.info('start upload postgres version metadata', { detail: `Uploading to ${url}.` });
  const text = [Buffer.from(options.versionText, 'utf8')];
  const put = { createOnly: true, contentType: 'text/plain', signal } as const;
  const stored = await store.put(versionKey(backup), text, put).catch(async (error: unknown) => {
    if (isOurs) await withdraw(backup, store, options.log);
    throw error;
  });
  // Where nobody else can have stored it, it is our own, and the answer that said so got lost.
  if (stored === 'exists' && !isOurs) throw unfinished(store, backup);
  log.info('postgres version metadata upload complete');
}

function taken(backup: BackupName): UserError {
  return new UserError('the archive has this backup already', {
    detail: `A complete backup named ${backup} is there: there was no checkpoint since it was taken.`,
    hint: 'On a standby, make a checkpoint on its primary first. Otherwise the backup that is there is as good as a new one.',
  });
}

function unfinished(store: Store, backup: BackupName): UserError {
  return new UserError('another backup of the same name is not finished', {
    detail: `There are objects under "${urlOf(store, `${BACKUP_PREFIX}${backup}/`)}" and no sentinel.`,
    hint: 'A backup of the primary, or of another standby, may be running. If none is, delete what it left, or make a checkpoint on the primary first.',
  });
}

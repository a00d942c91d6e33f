/** The place of a backup in the archive: taken before anything is uploaded, so that no two backups mix. */
import {
  BACKUP_PREFIX,
  type BackupName,
  listedKey,
  partPrefix,
  sentinelKey,
  versionKey,
} from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Store, urlOf } from '../store/store.ts';

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
  const prefix = `${BACKUP_PREFIX}${backup}/`;
  for await (const page of store.list(prefix, { signal })) {
    if (!isOurs) throw unfinished(store, prefix);
    options.log.warning('removing what an unfinished backup of the same name left', {
      detail: `"${urlOf(store, page[0]?.key ?? prefix)}" and others, ${page.length} in all.`,
    });
    const failures = await store.remove(
      page.map(({ key }) => listedKey(key)),
      { signal },
    );
    const [failure] = failures;
    if (failure !== undefined) {
      throw new UserError('could not remove what an unfinished backup left', {
        detail: `"${urlOf(store, failure.key)}": ${failure.reason}`,
      });
    }
  }
  const log = options.log.named('wal_e.operator.backup');
  const url = urlOf(store, versionKey(backup));
  log.info('start upload postgres version metadata', { detail: `Uploading to ${url}.` });
  const text = [Buffer.from(options.versionText, 'utf8')];
  const put = { createOnly: true, contentType: 'text/plain', signal } as const;
  // Where nobody else can have stored it, it is our own, and the answer that said so got lost.
  if ((await store.put(versionKey(backup), text, put)) === 'exists' && !isOurs)
    throw unfinished(store, partPrefix(backup));
  log.info('postgres version metadata upload complete');
}

function taken(backup: BackupName): UserError {
  return new UserError('the archive has this backup already', {
    detail: `A complete backup named ${backup} is there: there was no checkpoint since it was taken.`,
    hint: 'On a standby, make a checkpoint on its primary first. Otherwise the backup that is there is as good as a new one.',
  });
}

function unfinished(store: Store, prefix: string): UserError {
  return new UserError('another backup of the same name is not finished', {
    detail: `There are objects under "${urlOf(store, prefix)}" and no sentinel.`,
    hint: 'A backup of the primary, or of another standby, may be running. If none is, delete what it left, or make a checkpoint on the primary first.',
  });
}

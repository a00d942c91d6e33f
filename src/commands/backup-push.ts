/** `wal-e backup-push`: a base backup of a live or a stopped cluster. */
import { join, resolve } from 'node:path';
import { lockDirectory } from '../backup/local-lock.ts';
import { openOffline } from '../backup/offline.ts';
import { pushBackup } from '../backup/push.ts';
import type { BackupSource } from '../backup/source.ts';
import { checkKey } from '../crypt/gpg.ts';
import { UsageError } from '../errors.ts';
import { readControlFile } from '../postgres/control-data.ts';
import { fastCheckpoint } from '../settings/backup.ts';
import { gpgKeyId } from '../settings/gpg.ts';
import { libpqSettings } from '../settings/libpq.ts';
import { notesFolder } from '../wal/notes-folder.ts';
import type { Context } from './context.ts';

export interface BackupPushArguments {
  readonly clusterDirectory: string;
  readonly poolSize: number;
  /** Bytes a second. */
  readonly clusterReadRateLimit: number | undefined;
  readonly whileOffline: boolean;
  /** undefined: as WALE_FAST_CHECKPOINT says. */
  readonly fastCheckpoint: boolean | undefined;
  readonly withConfig: boolean;
  readonly failOnChecksum: boolean;
  /** undefined: yes. */
  readonly walCheck: boolean | undefined;
  /** Seconds. */
  readonly walTimeout: number;
}

const MAX_POOL_SIZE = 64;
/** Checksums were wrong: the backup is complete, the cluster is not well. */
const DAMAGE_STATUS = 1;

export async function run(args: BackupPushArguments, context: Context): Promise<number> {
  if (args.poolSize > MAX_POOL_SIZE) {
    throw new UsageError(`argument -p/--pool-size: must be at most ${MAX_POOL_SIZE}, not ${args.poolSize}`);
  }
  const dataDirectory = resolve(args.clusterDirectory);
  const log = context.log.named('wal_e.operator.backup');
  const keyId = gpgKeyId(context.settings);
  if (keyId !== undefined) await checkKey(keyId, context.signal);
  // Says at once when this is no data directory, or one that this user may not read.
  await readControlFile(dataDirectory);
  const lock = await lockDirectory(dataDirectory);
  let source: BackupSource | undefined;
  try {
    source = await openSource(dataDirectory, args, context);
    const { damagedPageCount } = await pushBackup({
      source,
      store: await context.openStore(notesFolder(join(dataDirectory, 'pg_wal'))),
      log,
      signal: context.signal,
      poolSize: args.poolSize,
      readBytesPerSecond: args.clusterReadRateLimit,
      gpgKeyId: keyId,
      withConfig: args.withConfig,
      failOnChecksum: args.failOnChecksum,
      walLimitMs: args.walCheck === false ? undefined : args.walTimeout * 1000,
      terminal: process.stderr,
    });
    return damagedPageCount > 0 ? DAMAGE_STATUS : 0;
  } finally {
    await source?.close();
    await lock.release();
  }
}

async function openSource(
  dataDirectory: string,
  args: BackupPushArguments,
  { settings, log, signal }: Context,
): Promise<BackupSource> {
  if (args.whileOffline) return openOffline(dataDirectory);
  const { openOnline } = await import('../backup/online.ts');
  const options = {
    connection: libpqSettings(settings.environment),
    fastCheckpoint: args.fastCheckpoint ?? fastCheckpoint(settings.environment),
    needsArchiver: args.walCheck !== false,
    archiverLimitMs: args.walTimeout * 1000,
    log: log.named('wal_e.operator.backup'),
  };
  return openOnline(dataDirectory, options, signal);
}

/**
 * `wal-push PATH`, PostgreSQL's archive_command: exit 0 means that this file is durably in the archive. Segments that
 * wait beside it go along; what is done about them is in docs/wal-push.md.
 */
import { dirname } from 'node:path';
import type { Log } from '../log.ts';
import { archiveAddress } from '../settings/archive-address.ts';
import { gpgKeyId } from '../settings/gpg.ts';
import { notesFolder } from '../wal/notes-folder.ts';
import { isNoted } from '../wal/pushed-notes.ts';
import { waitingNeighbours } from '../wal/waiting.ts';
import { statWalFile, type WalFile } from '../wal/wal-file.ts';
import type { Context } from './context.ts';

export interface WalPushArguments {
  readonly walSegment: string;
  readonly poolSize: number;
  /** Tell PostgreSQL that neighbours are archived: always, never, or (undefined) where it is proven to be safe. */
  readonly markDone?: boolean | undefined;
}

const LOGGER = 'wal_e.worker.upload';

export async function run(args: WalPushArguments, context: Context): Promise<number> {
  await push(args, context);
  return 0;
}

async function push(args: WalPushArguments, context: Context): Promise<void> {
  const { settings, signal } = context;
  const log = context.log.named(LOGGER);
  const file = statWalFile(args.walSegment);
  const archive = archiveAddress(settings);
  if (isNoted(file, archive)) {
    log.info('the segment was archived together with an earlier one', {
      structured: { action: 'push-wal', seg: file.name, state: 'complete' },
    });
    return;
  }
  const neighbours = args.poolSize > 1 ? findNeighbours(file, args.poolSize - 1, archive, log) : [];
  const [{ pushWalFile }, store] = await Promise.all([
    import('../wal/push.ts'),
    context.openStore(notesFolder(dirname(file.path))),
  ]);
  let warned: Promise<void> | undefined;
  const onNewArchive = () => {
    warned ??= import('../wal/new-archive.ts').then((it) => it.warnOfNewArchive(file, store, log));
    return warned;
  };
  const target = { store, log, archive, gpgKeyId: gpgKeyId(settings), signal, onNewArchive };
  if (neighbours.length === 0) return pushWalFile(file, target);
  const { pushWithNeighbours } = await import('../wal/neighbours.ts');
  const searchPath = settings.environment.PATH;
  await pushWithNeighbours(file, neighbours, target, { markDone: args.markDone, searchPath });
}

/** Archiving along with others is a help: trouble with it must not hold up the file that was asked for. */
function findNeighbours(file: WalFile, count: number, archive: string, log: Log): readonly WalFile[] {
  try {
    return waitingNeighbours(file, count, archive);
  } catch (error) {
    log.warning('the segments that wait beside this one are not known', { detail: String(error) });
    return [];
  }
}

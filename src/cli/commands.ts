/** The verbs. Each is loaded when it is called. */
import { type Commands, command } from './command.ts';
import { integer, onOff, required } from './option.ts';

export const commands: Commands = {
  version: command({
    summary: 'print the version',
    quick: true,
    positionals: {},
    options: {},
    load: () => import('../commands/version.ts'),
  }),
  'wal-push': command({
    summary: 'archive a WAL file; for archive_command',
    epilogue: `Exit status: 0 when WAL_SEGMENT is durably in the archive, 1 when it is not.
Further segments that wait are archived along with it, up to --pool-size in all.`,
    quick: true,
    positionals: {
      walSegment: required('WAL_SEGMENT', 'path of the file: %p in archive_command'),
    },
    options: {
      poolSize: integer('N', 'files to archive by one call', { default: 32, short: 'p' }),
      markDone: onOff(
        'tell PostgreSQL that the further segments are archived; without either: only where archive_command is proven to be nothing but this command',
      ),
    },
    load: () => import('../commands/wal-push.ts'),
  }),
};

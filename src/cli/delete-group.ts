/** `delete` and its verbs. */
import { command, type Group } from './command.ts';
import { flag, integer, required, requiredInteger, text } from './option.ts';

const deletion = () => import('../commands/delete.ts');
const EXIT_STATUS = 'Exit status: 0 when all is deleted, 1 when nothing or not all was.';
const deleteOptions = {
  dryRun: flag('delete nothing, only show what would be deleted; the default, and wins over --confirm', 'n'),
  confirm: flag('really delete'),
  json: flag('print one JSON object instead of tables'),
  orphansOlderThan: text(
    'AGE',
    'also delete parts without a sentinel and interrupted uploads of this age, 7d by default; what is younger may be being made and is kept',
  ),
};

export const deleteGroup: Group = {
  kind: 'group',
  summary: 'show what is not needed any more, and with --confirm delete it',
  options: deleteOptions,
  commands: {
    before: command({
      summary: 'delete backups and WAL older than a backup or WAL segment',
      epilogue: EXIT_STATUS,
      positionals: { name: required('NAME', 'name of a backup, or of a WAL segment in the archive') },
      options: {},
      fixed: { verb: 'before' },
      group: deleteOptions,
      load: deletion,
    }),
    retain: command({
      summary: 'keep the newest backups and what they need',
      epilogue: EXIT_STATUS,
      positionals: { count: requiredInteger('N', 'number of backups to keep, at least 1') },
      options: {
        retainDays: integer('DAYS', 'also keep what is needed to restore to any time of so many days', {
          default: undefined,
        }),
      },
      fixed: { verb: 'retain' },
      group: deleteOptions,
      load: deletion,
    }),
    everything: command({
      summary: 'delete all backups and all WAL',
      epilogue: EXIT_STATUS,
      positionals: {},
      options: {},
      fixed: { verb: 'everything' },
      group: deleteOptions,
      load: deletion,
    }),
    'old-versions': command({
      summary:
        'delete what old versions of WAL-E left in their own layouts (basebackups_000 to _004, wal_000 to _004)',
      epilogue: EXIT_STATUS,
      positionals: {},
      options: {},
      fixed: { verb: 'old-versions' },
      group: deleteOptions,
      load: deletion,
    }),
  },
};

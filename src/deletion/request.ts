/** What `delete` was asked for, checked before the store is touched. */
import { UsageError } from '../errors.ts';

interface CommonArguments {
  readonly confirm: boolean;
  /** Wins over `confirm`, as in the original. */
  readonly dryRun: boolean;
  readonly json: boolean;
  /** `7d`, `36h`, `90m`, `30s`, or days without a unit; undefined: 7 days. */
  readonly orphansOlderThan: string | undefined;
}

export type DeleteArguments =
  | (CommonArguments & { readonly verb: 'before'; readonly name: string })
  | (CommonArguments & {
      readonly verb: 'retain';
      readonly count: number;
      readonly retainDays: number | undefined;
    })
  | (CommonArguments & { readonly verb: 'everything' | 'old-versions' });

/** Whoever forgot it, in a crontab say, must not take the report for what was done. */
export const DRY_LINE = 'Nothing was deleted: that takes --confirm, without --dry-run.\n';

const DEFAULT_AGE = '7d';
const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/** The earliest moment that there is a Date for: what is compared with a Date of none is never the younger one. */
const EARLIEST_MS = -8.64e15;

/** What was begun after this may still go on. */
export function youngSince(args: CommonArguments): Date {
  return new Date(Math.max(Date.now() - orphanAge(args), EARLIEST_MS));
}

/** Milliseconds. Throws UsageError. */
function orphanAge({ orphansOlderThan = DEFAULT_AGE }: CommonArguments): number {
  const match = /^(\d{1,9})([dhms]?)$/.exec(orphansOlderThan);
  if (match === null)
    throw new UsageError(`argument --orphans-older-than: invalid age: '${orphansOlderThan}'`, {
      hint: 'Give a number of days, or a number with a unit: 7d, 36h, 90m, 30s.',
    });
  const unit = (match[2] || 'd') as keyof typeof UNIT_MS;
  return Number(match[1]) * UNIT_MS[unit];
}

/** Throws UsageError for a number of backups or days that would keep nothing. */
export function checkArguments(args: DeleteArguments): void {
  orphanAge(args);
  if (args.verb !== 'retain') return;
  if (args.count < 1)
    throw new UsageError(`cannot retain ${args.count} backups`, {
      hint: 'Retain at least 1; "wal-e delete everything" deletes all of them.',
    });
  if (args.retainDays !== undefined && args.retainDays < 1)
    throw new UsageError(`cannot retain ${args.retainDays} days`, { hint: 'Retain at least 1 day.' });
}

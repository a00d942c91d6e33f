/** What delete says in the log, in the words of the original, which scripts may look for. */
import { BACKUP_PREFIX, sentinelKey } from '../archive/layout.ts';
import type { Log } from '../log.ts';
import { type Store, urlOf } from '../store/store.ts';
import { formatCount } from '../text/table.ts';
import type { Plan } from './plan.ts';

const FOREIGN_TOLD = 100;

export function sayPlan(plan: Plan, store: Store, log: Log): void {
  if (plan.goal.kind === 'retain') sayRetention(plan, store, log);
  if (plan.goal.kind !== 'everything') sayForeign(plan, store, log);
  sayDoubts(plan, log);
}

function sayRetention({ verdicts }: Plan, store: Store, log: Log): void {
  const going = verdicts.filter(({ keep }) => !keep).length;
  const oldest = verdicts.find(({ keep }) => keep)?.dated.backup.name;
  const hint =
    oldest === undefined ? undefined : `Deleting keys older than ${urlOf(store, sentinelKey(oldest))}.`;
  if (verdicts.length === 0) log.info('Not deleting any data.', { detail: 'No existing base backups.' });
  else if (going > 0)
    log.info(`Deleting ${going} oldest base backups.`, {
      detail: `Found ${verdicts.length} total base backups.`,
      hint,
    });
  else if (verdicts.length === 1) log.info('Retaining existing base backup.', { hint });
  else log.info(`Retaining all ${verdicts.length} base backups.`, { hint });
}

function sayForeign({ findings, tally }: Plan, store: Store, log: Log): void {
  const keys = [...findings.survey.foreign.keys, ...tally.foreign.keys];
  for (const key of keys.slice(0, FOREIGN_TOLD))
    log.warning("skipping non-qualifying key in 'delete before'", {
      detail: `The unexpected key is "${urlOf(store, key)}", and it appears ${whatIsOdd(key)}.`,
      hint: FOREIGN_HINT,
    });
  const rest = findings.survey.foreign.objects + tally.foreign.objects - FOREIGN_TOLD;
  if (rest > 0) log.warning('skipping more non-qualifying keys', { detail: `${rest} keys are not listed.` });
}

const FOREIGN_HINT =
  'This means an unexpected key was found in a WAL-E prefix.  It can be harmless, or the result a bug or misconfiguration.';
const BACKUP_PATTERNS = ['base-backup sentinel', 'extended-version backup', 'base-backup partition'];

/** Judged by the depth of the key, as in the original. */
function whatIsOdd(key: string): string {
  const depth = key.split('/').length - 2;
  const pattern = key.startsWith(BACKUP_PREFIX)
    ? BACKUP_PATTERNS[depth]
    : depth === 0
      ? 'WAL file naming'
      : undefined;
  return pattern === undefined ? 'to be at an unexpected depth' : `not to match the ${pattern} pattern`;
}

function sayDoubts({ findings, incomplete, goal, doubt, spareSince }: Plan, log: Log): void {
  if (doubt !== undefined) {
    const kept = formatCount(doubt.segments, 'WAL segment');
    log.warning(`keeping ${kept} that only dates show to be another system's`, {
      detail: doubt.detail,
      hint: doubt.hint,
    });
  }
  if (spareSince !== undefined)
    log.warning('keeping WAL that another server archives under this prefix', {
      detail: `Its numbers lie below what is kept, but it was archived after ${spareSince.toISOString()}.`,
      hint: 'Take a backup of that server, and give each server a prefix of its own.',
    });
  for (const error of findings.unreadable)
    log.warning('a timeline history cannot be read, so more WAL is kept', {
      detail: error.detail ?? error.message,
      hint: error.hint,
    });
  const young = incomplete.filter(({ state }) => state === 'young');
  if (goal.kind === 'everything' && young.length > 0)
    log.warning(`keeping ${formatCount(young.length, 'backup')} without a sentinel and its WAL`, {
      detail: `It may be being made: ${young.map(({ backup }) => backup.name).join(', ')}.`,
      hint: 'If no backup is running, delete it too with --orphans-older-than 0.',
    });
}

/**
 * The keys that a plan dooms, in the order in which they may go: a backup ceases to exist with its sentinel, so
 * sentinels first, then what they vouched for, then WAL, oldest first. Listed anew rather than remembered.
 */
import {
  BACKUP_PREFIX,
  type BackupName,
  classifyKey,
  OBSOLETE_PREFIXES,
  sentinelKey,
  WAL_PREFIX,
} from '../archive/layout.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';
import type { Plan } from './plan.ts';
import type { DoomedKey } from './sweep.ts';
import { walFate } from './wal-selection.ts';

/** Oldest first. */
export function doomedSentinels(plan: Plan): readonly BackupName[] {
  return plan.verdicts.filter(({ keep }) => !keep).map(({ dated }) => dated.backup.name);
}

export function sentinelOf(plan: Plan, name: BackupName): DoomedKey {
  const thing = plan.goal.kind === 'everything' ? 'part of a base backup' : 'a base backup sentinel file';
  return { key: sentinelKey(name), thing };
}

/** All objects of a backup but its sentinel; keys that are not WAL-E's stay. */
export async function* objectsOf(
  store: Store,
  plan: Plan,
  name: BackupName,
  call: Call,
): AsyncGenerator<DoomedKey> {
  const things = plan.goal.kind === 'everything' ? PARTS_OF_ALL : THINGS;
  for await (const page of store.list(`${BACKUP_PREFIX}${name}/`, call))
    for (const object of page) {
      const { kind } = classifyKey(object.key);
      if ((kind === 'version' || kind === 'part') && !isNewer(object, plan))
        yield { key: object.key, thing: things[kind] };
    }
}

const THINGS = { version: 'a extended version metadata file', part: 'a base backup volume' };
const PARTS_OF_ALL = { version: 'part of a base backup', part: 'part of a base backup' };

/** `everything`: the whole tree but sentinels, `spared`, incomplete backups, and what the plan has not seen. */
export async function* wholeBackupTree(
  store: Store,
  plan: Plan,
  spared: readonly BackupName[],
  call: Call,
): AsyncGenerator<DoomedKey> {
  const going = new Set(doomedSentinels(plan));
  for (const name of spared) going.delete(name);
  for await (const page of store.list(BACKUP_PREFIX, call))
    for (const object of page) {
      const classified = classifyKey(object.key);
      const isKept =
        'backup' in classified && (classified.kind === 'sentinel' || !going.has(classified.backup));
      if (!isKept && !isNewer(object, plan)) yield { key: object.key, thing: 'part of a base backup' };
    }
}

export async function* doomedWal(store: Store, plan: Plan, call: Call): AsyncGenerator<DoomedKey> {
  const everything = plan.goal.kind === 'everything';
  for await (const page of store.list(WAL_PREFIX, call))
    for (const object of page) {
      const { kind, remove } = walFate(object, plan.selection);
      if (!remove || isNewer(object, plan)) continue;
      const thing = kind === 'label' ? 'a backup history file' : 'a wal file';
      yield { key: object.key, thing: everything ? 'part of wal logs' : thing };
    }
}

/** All keys of the layouts before this one. */
export async function* obsoleteKeys(store: Store, call: Call): AsyncGenerator<DoomedKey> {
  for (const prefix of OBSOLETE_PREFIXES)
    for await (const page of store.list(prefix, call))
      for (const { key } of page)
        yield { key, thing: prefix.startsWith('wal') ? 'part of wal logs' : 'part of a base backup' };
}

/** Archived after the plan was made: it cannot be what the plan meant, whatever its name. */
function isNewer({ modified }: ObjectInfo, { newestSeen }: Plan): boolean {
  return modified > newestSeen;
}

/** The dates of the objects of a modelled archive: as they were stored, or as a copy of the archive or a clock left them. */
import type { MemoryStore } from '../harness/memory-store.ts';
import { DAY, type Dating, type Model } from './model-facts.ts';

interface Life {
  /** ms: when the archive began, when its last object was stored. */
  readonly first: number;
  readonly last: number;
}

/** Gives the objects of `store` other dates. */
export function copyDates(
  store: MemoryStore,
  dating: Dating,
  random: () => number,
  { first, last }: Life,
): void {
  if (dating === 'stored') return;
  const begin = first - 10 * DAY;
  const common = random() < 0.7 ? last : begin;
  const reset = between(random, first, last);
  const restored = between(random, reset, last);
  const dateOf = (own: number) => {
    if (dating === 'equal') return common;
    if (dating === 'reset') return own < reset || own > restored ? own : begin + (own - reset);
    return between(random, dating === 'newer' ? own : begin, last);
  };
  for (const [key, stored] of store.objects)
    store.objects.set(key, { ...stored, modified: new Date(dateOf(stored.modified.getTime())) });
}

function between(random: () => number, from: number, to: number): number {
  return Math.floor(from + random() * (to - from));
}

/** What the dates of its objects now say of a backup and of WAL. */
export function withDates(model: Model): Model {
  const dateOf = (key: string) => model.store.objects.get(key)?.modified.getTime();
  const keys = model.store.keys();
  const backups = model.backups.map((backup) => {
    const stored = dateOf(`basebackups_005/${backup.name}_backup_stop_sentinel.json`) ?? backup.finished;
    const dates = keys
      .filter((key) => key.startsWith(`basebackups_005/${backup.name}`))
      .flatMap((key) => dateOf(key) ?? []);
    const newest = Math.max(...(dates.length > 0 ? dates : [backup.finished]));
    const begun = Math.min(backup.started, ...dates, stored - (backup.finished - backup.started));
    const state = backup.state === 'old' && newest > model.now - 7 * DAY ? 'young' : backup.state;
    return { ...backup, stored, newest, begun, state } as const;
  });
  const wal = model.wal.map((one) => ({ ...one, archived: dateOf(one.key) ?? one.archived }));
  return { ...model, backups, wal };
}

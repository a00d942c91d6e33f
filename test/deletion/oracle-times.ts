/** When the backups of a modelled archive were finished, as far as the archive tells. */
import { DAY, type Model, type ModelBackup } from './model-facts.ts';

/** A complete backup as the archive shows it. */
export interface ShownBackup extends ModelBackup {
  /** When it was finished as far as the archive tells. */
  readonly finished: number;
  readonly source: 'sentinel' | 'label' | 'object';
  /** What its sentinel states, believed or not. */
  readonly stated: number | undefined;
}

const shown = new WeakMap<Model, readonly ShownBackup[]>();

/** Oldest first, as far as the archive tells. */
export function complete(model: Model): readonly ShownBackup[] {
  const known = shown.get(model);
  if (known !== undefined) return known;
  const all = model.backups.filter(({ state }) => state === 'complete').map(byItself);
  const isAsked = all.some((lower) => all.some((higher) => isDoubtful(lower, higher)));
  const told = isAsked ? all.map(byItsLabel) : all;
  told.sort((a, b) => a.finished - b.finished || (a.name < b.name ? -1 : 1));
  shown.set(model, told);
  return told;
}

/** Whether the dates tell the same once some of the backups are gone. */
export function isFirm(model: Model): boolean {
  return model.dating === 'stored' || complete(model).every(({ source }) => source === 'sentinel');
}

/** A sentinel that states a time long after it was stored is not believed. */
function byItself(backup: ModelBackup): ShownBackup {
  const isBelieved = backup.statesTime && backup.finished <= backup.stored + DAY;
  const stated = backup.statesTime ? backup.finished : undefined;
  return isBelieved
    ? { ...backup, stated, source: 'sentinel' }
    : { ...backup, stated, finished: backup.stored, source: 'object' };
}

function byItsLabel(backup: ShownBackup): ShownBackup {
  if (backup.source === 'sentinel' || backup.labelTime === undefined) return backup;
  return { ...backup, finished: backup.labelTime, source: 'label' };
}

/** The name that comes first has the later date, and not both dates are stated. */
function isDoubtful(lower: ShownBackup, higher: ShownBackup): boolean {
  return (
    !isVague(lower) &&
    !isVague(higher) &&
    segmentInName(lower) < segmentInName(higher) &&
    lower.finished > higher.finished &&
    !(lower.source === 'sentinel' && higher.source === 'sentinel')
  );
}

export function segmentInName({ name }: ModelBackup): string {
  return name.slice(5, 29);
}

/** Whether nothing in the archive tells where it starts but the log: what is seen of it is like a stopped server's. */
export function isVague({ name, server, sentinel }: ModelBackup): boolean {
  const isAlike = name.slice(21, 29) === name.slice(30) && name.startsWith('000000', 30);
  return isAlike && (sentinel !== 'readable' || server === 'stopped');
}

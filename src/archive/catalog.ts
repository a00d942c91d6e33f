/**
 * The base backups of an archive, from a listing of `basebackups_005/`. Keys come in ascending order, so all objects
 * of one backup follow one another and a backup is complete when the next name begins: memory holds one backup and
 * one page of the listing, however many there are.
 */
import { DataError, StoreError, UserError } from '../errors.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';
import { collect } from './bounded.ts';
import { BACKUP_PREFIX, type BackupName, classifyKey, sentinelKey } from './layout.ts';
import { MAX_SENTINEL_BYTES, type OwnFacts, parseSentinel, type Sentinel } from './sentinel.ts';

export interface ListedPart extends ObjectInfo {
  readonly number: number;
}

export interface ListedBackup {
  readonly name: BackupName;
  /** undefined: the backup is being made, has failed, or is being deleted. */
  readonly sentinel: ObjectInfo | undefined;
  readonly version: ObjectInfo | undefined;
  /** In the order of their keys. */
  readonly parts: readonly ListedPart[];
}

export type SentinelReading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly sentinel: Sentinel }
  | { readonly kind: 'unreadable'; readonly error: UserError };

export interface KnownBackup extends ListedBackup {
  readonly reading: SentinelReading;
}

/** What there is to know of a backup besides its objects. */
export type BackupHead = Pick<KnownBackup, 'name' | 'sentinel' | 'reading'>;

/** What only our own sentinels state; undefined for any other backup, or where its sentinel was not understood. */
export function ownFacts({ reading }: Pick<BackupHead, 'reading'>): OwnFacts | undefined {
  return reading.kind === 'read' ? reading.sentinel.own : undefined;
}

/** Every backup of the archive, ascending by name. Keys that belong to none are handed to `onForeign` as they pass. */
export async function* listBackups(
  store: Store,
  call: Call,
  onForeign: (object: ObjectInfo) => void = () => {},
): AsyncGenerator<ListedBackup> {
  let current: Collected | undefined;
  for await (const page of store.list(BACKUP_PREFIX, call))
    for (const object of page) {
      const kind = classifyKey(object.key);
      if (kind.kind === 'unknown' || kind.kind === 'wal') {
        onForeign(object);
        continue;
      }
      if (current?.name !== kind.backup) {
        if (current !== undefined && kind.backup < current.name)
          throw new DataError('the store lists keys out of order', {
            detail: `${kind.backup} came too late.`,
          });
        if (current !== undefined) yield current;
        current = { name: kind.backup, sentinel: undefined, version: undefined, parts: [] };
      }
      if (kind.kind === 'part') current.parts.push({ ...object, number: kind.number });
      else current[kind.kind] = object;
    }
  if (current !== undefined) yield current;
}

interface Collected extends ListedBackup {
  sentinel: ObjectInfo | undefined;
  version: ObjectInfo | undefined;
  readonly parts: ListedPart[];
}

/** The objects of one backup alone, found without listing the others; undefined when there are none. */
export async function findBackup(
  store: Store,
  name: BackupName,
  call: Call,
): Promise<KnownBackup | undefined> {
  const found: Collected = { name, sentinel: undefined, version: undefined, parts: [] };
  for await (const page of store.list(`${BACKUP_PREFIX}${name}`, call))
    for (const object of page) {
      const kind = classifyKey(object.key);
      if (kind.kind === 'part') found.parts.push({ ...object, number: kind.number });
      else if (kind.kind === 'sentinel' || kind.kind === 'version') found[kind.kind] = object;
    }
  if (found.sentinel === undefined && found.version === undefined && found.parts.length === 0)
    return undefined;
  return { ...found, reading: await readSentinel(store, found, call) };
}

/** Adds what the sentinels say, at most `width` read at a time, in the order of `backups`. */
export async function* readSentinels(
  store: Store,
  backups: AsyncIterable<ListedBackup>,
  { width, signal }: { readonly width: number; readonly signal: AbortSignal },
): AsyncGenerator<KnownBackup> {
  const waiting: Promise<KnownBackup>[] = [];
  const failure = new AbortController();
  const call = { signal: AbortSignal.any([signal, failure.signal]) };
  try {
    for await (const backup of backups) {
      const reading = readSentinel(store, backup, call).then((found) => ({ ...backup, reading: found }));
      reading.catch((error: unknown) => failure.abort(error));
      waiting.push(reading);
      const first = waiting.length >= width ? waiting.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    for (const reading of waiting) yield await reading;
  } finally {
    failure.abort();
    await Promise.allSettled(waiting);
  }
}

/** A sentinel that cannot be understood is an answer; a store that cannot be asked is a failure. */
async function readSentinel(store: Store, backup: ListedBackup, call: Call): Promise<SentinelReading> {
  if (backup.sentinel === undefined) return { kind: 'absent' };
  try {
    const text = await readSentinelText(store, backup.name, call);
    return text === undefined ? { kind: 'absent' } : { kind: 'read', sentinel: parseSentinel(text) };
  } catch (error) {
    const unavailable = call.signal.aborted || (error instanceof StoreError && error.unavailable);
    if (error instanceof UserError && !unavailable) return { kind: 'unreadable', error };
    throw error;
  }
}

export async function readSentinelText(
  store: Store,
  name: BackupName,
  call: Call,
): Promise<string | undefined> {
  const found = await store.get(sentinelKey(name), call);
  if (found === undefined) return undefined;
  return (await collect(found.body, MAX_SENTINEL_BYTES, found.key)).toString('utf8');
}

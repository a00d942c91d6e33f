/** WAL in cold storage, which wal-fetch could not read: the operator hears of it before the server does. */
import { firstCold } from '../archive/cold-storage.ts';
import { type Key, walKey } from '../archive/layout.ts';
import { type BackupPosition, segmentsAlong, type WalSpan } from '../archive/restorability.ts';
import type { Log } from '../log.ts';
import { type Call, type Store, urlOf } from '../store/store.ts';
import { segmentAt, type Wal } from './archived-wal.ts';

/** Lines for the plan. A warning only: the WAL may be brought back while the backup is restored. */
export async function warnOfColdWal(
  store: Store,
  position: BackupPosition,
  timeline: number,
  wal: Wal,
  call: Call & { readonly log: Log },
): Promise<readonly string[]> {
  const spans = segmentsAlong(position, timeline, wal.tree, wal.coverage, wal.cold);
  const first = await firstCold(store, keysOf(spans, wal), call);
  if (first === undefined) return [];
  const count = spans.reduce((sum, span) => sum + span.last - span.first + 1, 0);
  call.log.warning('WAL that recovery needs is in cold storage', {
    detail: `${urlOf(store, first.key)} (${first.place}) cannot be read before it is brought back${first.returning ? ', which was asked for' : ''}. ${count === 1 ? 'It is the only segment' : `There are ${count} segments`} on the way to the end of timeline ${timeline} that may have to be.`,
    hint: 'Bring them back (aws s3api restore-object) before the server is started: recovery stops at the first that cannot be read. docs/stores.md, "Cold storage".',
  });
  return [
    `WAL          IN COLD STORAGE: ${first.key.slice(first.key.lastIndexOf('/') + 1)} (${first.place})`,
  ];
}

function* keysOf(spans: readonly WalSpan[], { coverage }: Wal): Generator<Key> {
  for (const { timeline, first, last } of spans)
    for (let index = first; index <= last; index += 1) yield walKey(segmentAt({ timeline, index }, coverage));
}

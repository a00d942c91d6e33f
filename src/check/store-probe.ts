/** Store: every kind of request that the commands make, on one scratch object that is removed again. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { type Key, scratchKey } from '../archive/layout.ts';
import { StoreError } from '../errors.ts';
import { type Store, urlOf } from '../store/store.ts';
import { type Finding, failed, failure, limited, ok, warning } from './finding.ts';

const BYTES = 65536;
const SKEW_WARNING_SECONDS = 60;
/** S3 refuses requests whose time is more than 15 minutes off. */
const SKEW_FAILED_SECONDS = 900;

const REFUSED =
  'Check the rights of these credentials on the prefix: docs/s3-permissions.md lists what each command needs.';

interface Scratch {
  readonly store: Store;
  readonly key: Key;
  readonly content: Uint8Array;
}

/** Findings as they are made. The scratch object is removed whatever happens. */
export async function* probeStore(store: Store, signal: AbortSignal): AsyncGenerator<Finding> {
  const key = scratchKey(randomBytes(8).toString('hex'));
  const scratch = { store, key, content: randomBytes(BYTES) };
  const before = Date.now();
  const stored = await attempt('store put', signal, (limit) => put(scratch, limit));
  yield stored;
  if (stored.state === 'failed') return;
  try {
    yield await attempt('store create-only', signal, (limit) => putAgain(scratch, limit));
    yield await attempt('store get', signal, (limit) => get(scratch, limit));
    yield await attempt('store list', signal, (limit) => list(scratch, limit));
    yield await attempt('clock', signal, (limit) => clock(scratch, before, limit));
  } finally {
    // Not the command's signal: after an interrupt the scratch object is still removed.
    yield await attempt('store delete', new AbortController().signal, (limit) => remove(scratch, limit));
  }
}

type Work = (signal: AbortSignal) => Promise<Finding>;

async function attempt(name: string, signal: AbortSignal, work: Work): Promise<Finding> {
  signal.throwIfAborted();
  try {
    return await work(limited(signal));
  } catch (error) {
    signal.throwIfAborted();
    return failure(name, error, REFUSED);
  }
}

const BINARY = 'application/octet-stream';

async function put({ store, key, content }: Scratch, signal: AbortSignal): Promise<Finding> {
  await store.put(key, [content], { createOnly: true, contentType: BINARY, signal });
  return ok('store put', `stored ${urlOf(store, key)}`);
}

/** What protects an archived segment from being replaced by another cluster's. */
async function putAgain({ store, key }: Scratch, signal: AbortSignal): Promise<Finding> {
  const other = [new Uint8Array(1)];
  const result = await store.put(key, other, { createOnly: true, contentType: BINARY, signal });
  if (result === 'exists') return ok('store create-only', 'an object that is there is not replaced');
  return failed(
    'store create-only',
    'the store replaced an object that it was asked not to replace',
    'Do not let two clusters share this prefix: the store would let one overwrite the WAL of the other.',
  );
}

async function get({ store, key, content }: Scratch, signal: AbortSignal): Promise<Finding> {
  const found = await store.get(key, { signal }).catch(orCold);
  if (found === 'cold')
    return failed(
      'store get',
      'what was just stored lies in cold storage and cannot be read',
      'Set WALE_S3_STORAGE_CLASS to a class that is read at once (STANDARD_IA, GLACIER_IR), or unset it: no restore and no standby could fetch anything (docs/stores.md, "Cold storage").',
    );
  if (found !== undefined && (await buffer(found.body)).equals(content))
    return ok('store get', `${content.length} bytes came back as they were stored`);
  const what = found === undefined ? 'the object that was just stored is not there' : 'other bytes came back';
  return failed('store get', what, 'Do not archive to this store: it does not keep what it acknowledged.');
}

function orCold(error: unknown): 'cold' {
  if (error instanceof StoreError && error.cold) return 'cold';
  throw error;
}

async function list({ store, key }: Scratch, signal: AbortSignal): Promise<Finding> {
  for await (const page of store.list(key, { signal }))
    if (page.some((object) => object.key === key)) return ok('store list', 'the object is listed');
  return failed(
    'store list',
    'the object that was just stored is not listed',
    'Backups and WAL would be missing in backup-list, delete and wal-verify: the store needs to list at once what it stored.',
  );
}

async function clock({ store, key }: Scratch, before: number, signal: AbortSignal): Promise<Finding> {
  const modified = (await store.head(key, { signal }))?.modified.getTime();
  if (modified === undefined) return failed('clock', 'the object has no time', REFUSED);
  // Stores give whole seconds, so an object may look up to a second older than it is.
  const ahead = Math.max(0, modified - Date.now(), before - 1000 - modified) / 1000;
  const message = `this machine and the store differ by ${ahead === 0 ? 'less than 1' : Math.ceil(ahead)} s`;
  const remedy = 'Set this machine to network time (chrony, systemd-timesyncd).';
  if (ahead > SKEW_FAILED_SECONDS) return failed('clock', message, remedy);
  return ahead > SKEW_WARNING_SECONDS ? warning('clock', message, remedy) : ok('clock', message);
}

/** Only a warning: a machine that archives into a store where nothing can be deleted is well set up. */
async function remove({ store, key }: Scratch, signal: AbortSignal): Promise<Finding> {
  const failures = await store.remove([key], { signal });
  const left = failures.length > 0 || (await store.head(key, { signal })) !== undefined;
  if (!left) return ok('store delete', 'the object was removed');
  return warning(
    'store delete',
    `${urlOf(store, key)} could not be removed: ${failures[0]?.reason ?? 'it is still there'}`,
    'Remove it by hand. If this machine is to run "wal-e delete", allow it to delete objects; if not, all is well.',
  );
}

/** One object of the archive, read to its end: is it what its name says? */
import { createHash } from 'node:crypto';
import { historyTimeline, parseHistory } from '../archive/timeline.ts';
import type { Codec } from '../codec/codec.ts';
import { decryptIfEncrypted } from '../crypt/gpg.ts';
import { DataError, StoreError, type UserError } from '../errors.ts';
import { walFileKind } from '../postgres/segment.ts';
import { checkWalContent, MAX_TEXT_BYTES } from '../postgres/wal-content.ts';
import { readWalPage, SEGMENT_HEAD_BYTES } from '../postgres/wal-page.ts';
import type { Call, FoundObject, ObjectInfo, Store } from '../store/store.ts';
import { RECORD_BYTES } from '../tar/header.ts';

export interface Reader extends Call {
  readonly store: Store;
  readonly codec: Pick<Codec, 'decode'>;
}

/** `bytes` as stored; `systemIdentifier` of a WAL segment. */
export interface CheckedObject {
  readonly bytes: number;
  readonly systemIdentifier?: string | undefined;
  /** undefined: it is what it should be, or it is gone since it was listed. */
  readonly problem: string | undefined;
  /** It was not read: it would have to be brought back from cold storage. */
  readonly cold?: boolean;
}

/** `name`: of a file in pg_wal. */
export async function checkWal(object: ObjectInfo, name: string, reader: Reader): Promise<CheckedObject> {
  return check(object, reader, async (found) => {
    const kind = walFileKind(name);
    const isSegment = kind === 'segment' || kind === 'partial';
    const headBytes = isSegment ? SEGMENT_HEAD_BYTES : MAX_TEXT_BYTES;
    const { size, head } = await consume(plain(found, reader), headBytes);
    checkWalContent(name, size, head);
    if (isSegment) return readWalPage(head)?.systemIdentifier;
    const timeline = historyTimeline(name);
    if (timeline !== undefined) parseHistory(timeline, head.toString('latin1'));
    return undefined;
  });
}

/** `sha256`: of the object as stored, hex, where our sentinel states it. */
export async function checkPart(
  object: ObjectInfo,
  sha256: string | undefined,
  reader: Reader,
): Promise<CheckedObject> {
  return check(object, reader, async (found) => {
    const hash = createHash('sha256');
    const { size } = await consume(plain({ ...found, body: hashed(found.body, hash) }, reader), 0);
    // The records that end a tar are two.
    if (size % RECORD_BYTES !== 0 || size < 2 * RECORD_BYTES)
      throw new DataError('it does not hold a tar file');
    if (sha256 !== undefined && hash.digest('hex') !== sha256)
      throw new DataError('its SHA-256 is not that of the sentinel');
    return undefined;
  });
}

async function check(
  object: ObjectInfo,
  { store, signal }: Reader,
  read: (found: FoundObject) => Promise<string | undefined>,
): Promise<CheckedObject> {
  try {
    const found = await store.get(object.key, { signal });
    if (found === undefined) return { bytes: 0, problem: undefined };
    return { bytes: found.size, systemIdentifier: await read(found), problem: undefined };
  } catch (error) {
    if (!isAnswer(error) || signal.aborted) throw error;
    if (error instanceof StoreError && error.cold) return { bytes: 0, problem: undefined, cold: true };
    return { bytes: object.size, problem: error.detail ?? error.message };
  }
}

/** Damage is what was asked about; a store out of reach, or a key that this machine lacks, is not the object's fault. */
function isAnswer(error: unknown): error is UserError {
  return error instanceof DataError || (error instanceof StoreError && !error.unavailable);
}

function plain({ body }: FoundObject, { codec, signal }: Reader): AsyncIterable<Uint8Array> {
  return codec.decode(decryptIfEncrypted(body, { signal }));
}

/** The whole length, and the first `headBytes` bytes. */
async function consume(
  source: AsyncIterable<Uint8Array>,
  headBytes: number,
): Promise<{ size: number; head: Buffer }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    if (size < headBytes) chunks.push(chunk.slice(0, headBytes - size));
    size += chunk.length;
  }
  return { size, head: Buffer.concat(chunks) };
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: { update(chunk: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Uploads the parts of one backup: they are made by the workers, encrypted here if need be, and streamed to the store. */
import { createHash } from 'node:crypto';
import { type BackupName, partKey } from '../archive/layout.ts';
import type { PartFact } from '../archive/sentinel.ts';
import { encrypt } from '../crypt/gpg.ts';
import { DataError } from '../errors.ts';
import { parallel } from '../parallel.ts';
import type { Progress } from '../progress.ts';
import { type Store, urlOf } from '../store/store.ts';
import type { Partition } from '../tar/partition.ts';
import { UnsoundPages } from './damage.ts';
import type { PartPool } from './part-pool.ts';
import type { PackedPart, PartMember } from './part-protocol.ts';

export interface UploadOptions {
  readonly store: Store;
  readonly backup: BackupName;
  readonly pool: PartPool;
  /** LSN where the backup started; undefined when no server runs. */
  readonly start: bigint | undefined;
  /** Parts in flight. */
  readonly width: number;
  readonly gpgKeyId: string | undefined;
  readonly progress: Progress;
  /** Called after each part; may throw to stop the backup. */
  readonly packed: (part: PackedPart) => void;
}

export class PartUploads {
  readonly #options: UploadOptions;
  readonly #parts = new Map<number, PartFact>();
  readonly #tablespaceBytes = new Map<string, number>();
  readonly unsound: UnsoundPages;
  #readBefore = 0;
  #lastNumber = -1;
  vanished = 0;
  shortened = 0;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.unsound = new UnsoundPages(options.start);
  }

  /** Ascending. */
  get parts(): PartFact[] {
    return [...this.#parts.values()].sort((a, b) => a.number - b.number);
  }

  /** Oid -> bytes of its files, so far. */
  get tablespaceBytes(): ReadonlyMap<string, number> {
    return this.#tablespaceBytes;
  }

  /** Number for a further part. */
  get nextNumber(): number {
    return this.#lastNumber + 1;
  }

  async uploadAll(parts: AsyncIterable<Partition<PartMember>>, signal: AbortSignal): Promise<void> {
    await parallel(parts, this.#options.width, signal, (part, either) => this.upload(part, either));
  }

  async upload({ number, members, bytes }: Partition<PartMember>, signal: AbortSignal): Promise<void> {
    const { store, backup, pool, start, gpgKeyId, progress } = this.#options;
    this.#lastNumber = Math.max(this.#lastNumber, number);
    const mtimeSeconds = Math.trunc(Date.now() / 1000);
    const packing = await pool.pack({ members, mtimeSeconds, start }, signal);
    const plain = this.#counted(packing.chunks);
    const stored =
      gpgKeyId === undefined ? undefined : new Hashed(encrypt(copies(plain), { keyId: gpgKeyId, signal }));
    const key = partKey(backup, number);
    const url = urlOf(store, key);
    progress.note('begin uploading a base backup volume', { detail: `Uploading to "${url}".` });
    const started = performance.now();
    await store.put(key, stored?.chunks() ?? plain, {
      createOnly: false,
      contentType: 'application/octet-stream',
      expectedBytes: bytes,
      signal,
    });
    const packed = packing.packed();
    const { size, sha256 } = stored?.facts() ?? packed;
    const { members: count, expandedSize } = packed;
    this.#parts.set(number, { number, size, sha256, members: count, expandedSize });
    this.#remember(packed);
    this.#options.packed(packed);
    const rate = size / 1024 / Math.max(0.001, (performance.now() - started) / 1000);
    progress.note('finish uploading a base backup volume', {
      detail: `Uploading to "${url}" complete at ${rate.toPrecision(6)}KiB/s.`,
    });
    progress.partDone(`Uploaded "${url}", ${size} bytes.`);
  }

  #remember(packed: PackedPart): void {
    const { vanished, shortened, unsound, tablespaceBytes } = packed;
    for (const [oid, bytes] of tablespaceBytes)
      this.#tablespaceBytes.set(oid, (this.#tablespaceBytes.get(oid) ?? 0) + bytes);
    this.vanished += vanished;
    this.shortened += shortened;
    this.unsound.merge(unsound);
  }

  /** Progress counts what was read from the cluster. */
  async *#counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#count();
      yield chunk;
    }
    this.#count();
  }

  #count(): void {
    const read = this.#options.pool.bytesRead();
    this.#options.progress.add(read - this.#readBefore);
    this.#readBefore = read;
  }
}

/** For a reader that may keep chunks for longer than the next one takes. */
async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

class Hashed {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #hash = createHash('sha256');
  #size = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.#hash.update(chunk);
      this.#size += chunk.length;
      yield chunk;
    }
  }

  /** After the last chunk. */
  facts(): { size: number; sha256: string } {
    return { size: this.#size, sha256: this.#hash.digest('hex') };
  }
}

/** What was uploaded is there, whole, and nothing else is: a reader takes every part that it finds. Else DataError. */
export async function checkStoredParts(
  store: Store,
  prefix: string,
  expected: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<void> {
  const missing = new Map(expected);
  for await (const page of store.list(prefix, { signal })) {
    for (const { key, size } of page) {
      if (missing.get(key) !== size) {
        const wanted = expected.get(key);
        const fact = wanted === undefined ? 'does not belong to this backup' : `should have ${wanted} bytes`;
        throw badPart(`"${urlOf(store, key)}" has ${size} bytes and ${fact}.`);
      }
      missing.delete(key);
    }
  }
  const [first] = missing.keys();
  if (first !== undefined) throw badPart(`"${urlOf(store, first)}" is not there.`);
}

function badPart(detail: string): DataError {
  return new DataError('the store does not hold what was uploaded', {
    detail,
    hint: 'The backup is not complete and will not be listed. Start it again; if it happens again, mistrust the store.',
  });
}

/** The objects and uploads of the test server, in memory. */
import { createHash } from 'node:crypto';

export interface Stored {
  readonly body: readonly Buffer[];
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  readonly modified: Date;
  readonly contentType: string;
  /** Headers given back with the object: metadata, encryption, storage class, checksums. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Part {
  readonly body: readonly Buffer[];
  readonly size: number;
  readonly etag: string;
  /** As it was sent with the part. */
  readonly crc32: string | undefined;
}

export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly started: Date;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The checksum that was asked for, of the object as a whole or of the parts' checksums. */
  readonly checksum: 'FULL_OBJECT' | 'COMPOSITE' | undefined;
  readonly parts: Map<number, Part>;
}

export class Bucket {
  readonly uploads = new Map<string, Upload>();
  readonly #objects = new Map<string, Stored>();
  #sorted: string[] | undefined;

  get(key: string): Stored | undefined {
    return this.#objects.get(key);
  }

  set(key: string, object: Stored): void {
    if (!this.#objects.has(key)) this.#sorted = undefined;
    this.#objects.set(key, object);
  }

  delete(key: string): void {
    if (this.#objects.delete(key)) this.#sorted = undefined;
  }

  /** Of all objects and of the parts of uploads under way, bytes. */
  used(): number {
    const parts = [...this.uploads.values()].flatMap((upload) => [...upload.parts.values()]);
    return [...this.#objects.values(), ...parts].reduce((sum, { size }) => sum + size, 0);
  }

  /** In the order of S3: by UTF-8 bytes. */
  keys(): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return this.#sorted;
  }
}

export function md5(chunks: readonly Uint8Array[], encoding: 'hex' | 'base64' = 'hex'): string {
  const hash = createHash('md5');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest(encoding);
}

export function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

/** Bytes `from` to `to`, both included, without copying. */
export function slice(chunks: readonly Buffer[], from: number, to: number): Buffer[] {
  const picked: Buffer[] = [];
  let position = 0;
  for (const chunk of chunks) {
    const start = Math.max(from - position, 0);
    const end = Math.min(to + 1 - position, chunk.length);
    if (start < end) picked.push(chunk.subarray(start, end));
    position += chunk.length;
  }
  return picked;
}

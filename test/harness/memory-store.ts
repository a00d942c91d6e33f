/** A store in memory whose objects have whatever date and size a test gives them; fulfils the contract of all stores. */
import { type Key, listedKey } from '../../src/archive/layout.ts';
import { skippedFolder } from '../../src/store/skipped-folder.ts';
import type { Body, Leftover, ListOptions, ObjectInfo, RemoveFailure, Store } from '../../src/store/store.ts';

interface Stored {
  readonly bytes: Uint8Array;
  /** Given where the object only pretends to have so many bytes. */
  readonly size?: number;
  readonly modified: Date;
}

const PAGE_KEYS = 1000;

export class MemoryStore implements Store {
  readonly url = 'memory://test';
  readonly objects = new Map<string, Stored>();
  readonly uploads: Leftover[] = [];
  /** Keys that cannot be removed. */
  readonly stubborn = new Set<string>();
  /** Called before each key is removed; what it throws ends the call there. */
  beforeRemove: (key: string) => void = () => {};

  set(
    key: string,
    modified: Date,
    content: { readonly bytes?: Uint8Array; readonly size?: number } = {},
  ): void {
    const { bytes = new Uint8Array(), size = bytes.length } = content;
    this.objects.set(key, { bytes, size, modified });
  }

  keys(): string[] {
    const keys = [...this.objects.keys()];
    return keys.every((key) => ASCII.test(key)) ? keys.sort() : keys.sort(inBytes);
  }

  async put(key: Key, body: Body, { createOnly, signal }: { createOnly: boolean; signal: AbortSignal }) {
    signal.throwIfAborted();
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) {
      chunks.push(Buffer.from(chunk));
      signal.throwIfAborted();
    }
    if (createOnly && this.objects.has(key)) return 'exists' as const;
    this.set(key, new Date(), { bytes: Buffer.concat(chunks) });
    return 'stored' as const;
  }

  async get(key: Key, { signal }: { signal: AbortSignal }) {
    signal.throwIfAborted();
    const stored = this.objects.get(key);
    if (stored === undefined) return undefined;
    const body = (async function* () {
      yield stored.bytes;
    })();
    return { ...info(key, stored), body };
  }

  async head(key: Key, { signal }: { signal: AbortSignal }): Promise<ObjectInfo | undefined> {
    signal.throwIfAborted();
    const stored = this.objects.get(key);
    return stored === undefined ? undefined : info(key, stored);
  }

  async *list(prefix: string, { signal, skip }: ListOptions) {
    const keys = this.keys().filter(
      (key) =>
        key.startsWith(prefix) && (skip === undefined || skippedFolder(key, prefix, skip) === undefined),
    );
    for (let next = 0; next < keys.length; next += PAGE_KEYS) {
      signal.throwIfAborted();
      const page = keys.slice(next, next + PAGE_KEYS).flatMap((key) => {
        const stored = this.objects.get(key);
        return stored === undefined ? [] : [info(key, stored)];
      });
      yield page;
    }
  }

  async remove(keys: readonly Key[], { signal }: { signal: AbortSignal }): Promise<RemoveFailure[]> {
    if (keys.length > PAGE_KEYS) throw new Error(`${keys.length} keys in one call`);
    const failures: RemoveFailure[] = [];
    for (const key of keys) {
      signal.throwIfAborted();
      this.beforeRemove(key);
      if (this.stubborn.has(key)) failures.push({ key, reason: 'access denied' });
      else this.objects.delete(key);
    }
    return failures;
  }

  async *leftovers(prefix: string, { signal }: { signal: AbortSignal }) {
    signal.throwIfAborted();
    const found = this.uploads.filter(({ key }) => key.startsWith(prefix));
    if (found.length > 0) yield found;
  }

  async removeLeftover({ id }: Leftover, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    const at = this.uploads.findIndex((upload) => upload.id === id);
    if (at >= 0) this.uploads.splice(at, 1);
  }

  async close(): Promise<void> {}
}

function info(key: string, { bytes, size, modified }: Stored): ObjectInfo {
  return { key: listedKey(key), size: size ?? bytes.length, modified };
}

/** Of such keys the bytes are in the order in which strings compare anyway. */
const ASCII = /^[ -~]*$/;

function inBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * The contract every object store fulfils; `test/contract/store.ts` is its executable form. Absence is an answer
 * (`undefined`), failure is a StoreError. Nothing is acknowledged before it is durable, nothing is left behind by a
 * call that failed or was aborted, and no reader ever sees a part of an object.
 */
import { type Key, shownKey } from '../archive/layout.ts';

/** Every call takes the command's signal; when it aborts, the call rejects with `signal.reason`. */
export interface Call {
  readonly signal: AbortSignal;
}

/**
 * Bytes in memory (kept unchanged by the caller until the put settles, so that it can be repeated), or a stream of
 * unknown length, whose chunks are the store's only until it asks for the next: their memory may be used again then.
 */
export type Body = readonly Uint8Array[] | AsyncIterable<Uint8Array>;

export interface ListOptions extends Call {
  /**
   * Keys in the folders below the prefix (`a/`, `a/b/`) for which it says true are left out, and as little of them is
   * read as the store allows; it is asked from the top down, in the order of the keys. A page may then be empty.
   */
  readonly skip?: ((folder: string) => boolean) | undefined;
}

export interface GetOptions extends Call {
  /** The caller is done with a chunk of the body when it asks for the next: its memory may be used again. */
  readonly oneAtATime?: boolean;
  /** false: the body was given up, though what it is made of may not be closed while a call hangs. */
  readonly isWanted?: () => boolean;
}

export interface PutOptions extends Call {
  /** true: one atomic operation that never replaces an object. false: replaces what is there. */
  readonly createOnly: boolean;
  readonly contentType: 'application/octet-stream' | 'application/json' | 'text/plain';
  /** For a stream: the most it is thought to give. Stores that cut streams in parts choose their size by it. */
  readonly expectedBytes?: number | undefined;
  /** Waited for before the key's folder is made, where there is none; stores without folders never call it. Must not reject. */
  readonly onNewFolder?: (() => Promise<void>) | undefined;
}

/** `exists`: createOnly was asked, an object with that key is there (content unknown), and it was left as it is. */
export type PutResult = 'stored' | 'exists';

export interface ObjectInfo {
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
  /** true: the store is known to keep it, as an older version, when it is removed. Told by `get` and `head` only. */
  readonly keepsVersions?: boolean;
  /**
   * The store's name for where it is, when that is cold storage, from which objects may have to be brought back before
   * they can be read: `cold` tells whether. Told by `list` only.
   */
  readonly coldClass?: string;
}

/** An object that cannot be read before it is brought back from cold storage. */
export interface ColdObject {
  readonly key: Key;
  /** The store's name for where it is. */
  readonly place: string;
  /** It was asked for, and is not there yet. */
  readonly returning: boolean;
}

export interface FoundObject extends ObjectInfo {
  /** Read at most once; must be consumed or destroyed (leaving a `for await` early destroys it). A short or altered body throws. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface RemoveFailure {
  readonly key: Key;
  readonly reason: string;
}

/** What an interrupted put left in the store: an incomplete multipart upload, or a temporary file of the file store. */
export interface Leftover {
  /** The key that was being written. */
  readonly key: string;
  readonly started: Date;
  /** Opaque to everybody but the store that made it. */
  readonly id: string;
}

export interface Store {
  /** For messages: `file://localhost/abs/path` or `s3://bucket/prefix`; never carries credentials; no trailing slash. */
  readonly url: string;
  /** A stream costs a put no more than bytes do: it is stored while it is made. */
  readonly streams?: boolean;

  put(key: Key, body: Body, options: PutOptions): Promise<PutResult>;
  get(key: Key, options: GetOptions): Promise<FoundObject | undefined>;
  head(key: Key, call: Call): Promise<ObjectInfo | undefined>;
  /** Pages of at most 1000, keys ascending by their UTF-8 bytes, all keys that start with `prefix` (a plain string prefix). */
  list(prefix: string, options: ListOptions): AsyncIterable<readonly ObjectInfo[]>;
  /** At most 1000 keys. An absent key counts as removed. Keys that could not be removed are returned, the rest is done. */
  remove(keys: readonly Key[], call: Call): Promise<readonly RemoveFailure[]>;
  /** Those of the keys, in their order, whose objects cannot be read before they are brought back. Stores without cold storage do not have it. */
  cold?(keys: readonly Key[], call: Call): Promise<readonly ColdObject[]>;
  leftovers(prefix: string, call: Call): AsyncIterable<readonly Leftover[]>;
  removeLeftover(leftover: Leftover, call: Call): Promise<void>;
  /** Closes idle connections, so that the process can end. */
  close(): Promise<void>;
}

/** For whoever has to make room in a store. */
export const DELETE_HINT = '"wal-e delete" removes backups and WAL that are not needed any more.';

/** Full address of an object, for messages. */
export function urlOf(store: Store, key: string): string {
  return `${store.url}/${shownKey(key)}`;
}

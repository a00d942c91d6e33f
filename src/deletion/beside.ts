/**
 * What lies under the prefix beside the archive's own trees: counted for the report, never touched. The trees are not
 * read again for that, nor those of other archives (a prefix within another one's); and what never ends is not counted
 * to its end.
 */
import { archiveAround, isOwnBesideTrees, OBSOLETE_PREFIXES } from '../archive/layout.ts';
import { StoreError } from '../errors.ts';
import type { Call, Store } from '../store/store.ts';

export interface Beside {
  /** That WAL-E does not know. */
  readonly objects: number;
  readonly bytes: number;
  /** `part`: there may be more of everything here. */
  readonly counted: 'all' | 'part';
  /** Why only a part; null when all was counted. */
  readonly problem: string | null;
  /** Folders with trees of their own, by which they are archives; what their trees hold is not counted. */
  readonly otherArchives: readonly string[];
  /** Trees of older layouts, which `old-versions` deletes. */
  readonly olderLayouts: readonly string[];
}

/** Pages of the listing, of a thousand keys or fewer: a minute or two on a store that is far away. */
const MOST_PAGES = 1000;
const MOST_ARCHIVES = 1000;
/** Of the file system's own. */
const LOST_AND_FOUND = 'lost+found/';

/** A store that does not let us look is no reason not to delete. */
export async function countBeside(store: Store, call: Call, mostPages = MOST_PAGES): Promise<Beside> {
  const count = new Count();
  try {
    let pages = 0;
    for await (const page of store.list('', { ...call, skip: (folder) => count.skips(folder) })) {
      if (pages === mostPages || count.isFull) return count.result('counting ended there');
      pages += 1;
      for (const { key, size } of page) count.add(key, size);
    }
    return count.result(count.isFull ? 'counting ended there' : null);
  } catch (error) {
    if (!(error instanceof StoreError) || error.unavailable || call.signal.aborted) throw error;
    return count.result(error.detail ?? error.message);
  }
}

class Count {
  readonly #archives = new Set<string>();
  readonly #older: string[] = [];
  #objects = 0;
  #bytes = 0;

  get isFull(): boolean {
    return this.#archives.size > MOST_ARCHIVES;
  }

  /** Notes the trees as they come. */
  skips(folder: string): boolean {
    const around = archiveAround(folder);
    if (around === undefined) return folder === LOST_AND_FOUND;
    if (around !== '' && !this.isFull) this.#archives.add(around);
    const isOlder = OBSOLETE_PREFIXES.includes(folder);
    if (isOlder && this.#older.at(-1) !== folder) this.#older.push(folder);
    return true;
  }

  /** A key that ends the prefix itself is the mark that consoles make of a folder. */
  add(key: string, size: number): void {
    if (key === '' || isOwnBesideTrees(key)) return;
    this.#objects += 1;
    this.#bytes += size;
  }

  result(problem: string | null): Beside {
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      counted: problem === null ? 'all' : 'part',
      problem,
      otherArchives: [...this.#archives].slice(0, MOST_ARCHIVES),
      olderLayouts: this.#older,
    };
  }
}

/** The named segment with its neighbours, and what is done about those once they are archived. */
import { dirname } from 'node:path';
import { isStoreFull, UserError } from '../errors.ts';
import { markDone } from '../postgres/archive-status.ts';
import { otherArchiveWork } from '../postgres/archiver-process.ts';
import { type PoolOptions, pushPool } from './pool.ts';
import { type PushContext, pushWalFile } from './push.ts';
import { writeNote } from './pushed-notes.ts';
import type { WalFile } from './wal-file.ts';

export interface NeighbourPolicy {
  /** `.ready` becomes `.done`: always, never, or (undefined) where this process is proven to be all of archive_command. */
  readonly markDone: boolean | undefined;
  /** PATH. */
  readonly searchPath: string | undefined;
}

/** Resolves when `named` is durable; rejects with its failure, in a full store only after it was tried alone. */
export async function pushWithNeighbours(
  named: WalFile,
  neighbours: readonly WalFile[],
  context: PushContext,
  policy: NeighbourPolicy,
): Promise<void> {
  const { log, signal } = context;
  const books = new Books(named, neighbours, context, policy);
  try {
    await pushPool(named, neighbours, context, books);
  } catch (error) {
    if (signal.aborted || !isStoreFull(error)) throw error;
    log.warning('the archive has no room for the segment and its neighbours', {
      detail: `${named.name} is tried once more, alone. ${error.detail ?? error.message}`,
      hint: error.hint,
    });
    await pushWalFile(named, context);
    books.namedPushed();
  } finally {
    books.close();
  }
}

/**
 * PostgreSQL is told in its own order: a segment counts as archived when all that it asks for before are, the named one
 * first. So whoever waits for the last segment only (pg_backup_stop does) waits for all. What is archived and did not get its
 * turn is noted at the end.
 */
class Books implements PoolOptions {
  readonly #named: WalFile;
  readonly #context: PushContext;
  readonly #policy: NeighbourPolicy;
  /** Of which PostgreSQL is not told, in its order. */
  readonly #left: WalFile[];
  readonly #pushed = new Set<WalFile>();
  #isNamedPushed = false;
  #mark: boolean | undefined;

  constructor(named: WalFile, neighbours: readonly WalFile[], context: PushContext, policy: NeighbourPolicy) {
    this.#named = named;
    this.#left = [...neighbours];
    this.#context = context;
    this.#policy = policy;
    this.#mark = policy.markDone;
  }

  namedPushed(): void {
    this.#isNamedPushed = true;
    this.#tell();
  }

  pushed(neighbour: WalFile): void {
    this.#pushed.add(neighbour);
    if (this.#mayMark()) this.#tell();
    else this.#note(neighbour);
  }

  /** Nothing more will be archived. After `kill -9` nothing is noted: the neighbours are compared with the archive then. */
  close(): void {
    if (this.#mark !== true) return;
    for (const neighbour of this.#left) if (this.#pushed.has(neighbour)) this.#note(neighbour);
  }

  failed(neighbour: WalFile, error: unknown): void {
    const { message, detail, hint } = error instanceof UserError ? error : { message: String(error) };
    this.#context.log.warning('a neighbour was not archived', {
      detail: `${neighbour.name}: ${[message, detail].filter(Boolean).join(': ')}`,
      hint,
    });
  }

  #tell(): void {
    if (!this.#isNamedPushed || this.#pushed.size === 0 || !this.#mayMark()) return;
    for (let next = this.#left[0]; next !== undefined && this.#pushed.has(next); next = this.#left[0]) {
      const { name, path } = next;
      this.#left.shift();
      this.#account(next, () => markDone(dirname(path), name));
    }
  }

  #note(neighbour: WalFile): void {
    this.#account(neighbour, () => writeNote(neighbour, this.#context.archive));
  }

  #mayMark(): boolean {
    const { searchPath } = this.#policy;
    this.#mark ??= otherArchiveWork({ name: this.#named.name, searchPath }) === undefined;
    return this.#mark;
  }

  #account(neighbour: WalFile, account: () => void): void {
    try {
      account();
    } catch (error) {
      this.#context.log.warning('a neighbour was archived, and that could not be noted', {
        detail: `${neighbour.name}: ${String(error)}`,
        hint: 'When PostgreSQL asks for it, it is compared with the archive.',
      });
    }
  }
}

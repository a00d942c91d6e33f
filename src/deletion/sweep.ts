/**
 * Removes keys as they are found, or tells which it would remove. Batches of 1000, several on their way while the
 * listing goes on; what the store refuses is counted and told, and the rest goes on.
 */
import type { BackupName, Key } from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { parallel } from '../parallel.ts';
import type { Terminal } from '../progress.ts';
import { type Call, type Leftover, type RemoveFailure, type Store, urlOf } from '../store/store.ts';
import { DeletionProgress } from './progress.ts';

export interface DoomedKey {
  readonly key: Key;
  /** What the original calls it in its log. */
  readonly thing: string;
}

export interface Outcome {
  /** Objects and left-overs removed, or that would be. */
  readonly removed: number;
  readonly failed: number;
  /** At most a thousand of those that failed. */
  readonly failures: readonly { readonly key: string; readonly reason: string }[];
  /** Backups that were completed, and had to be deleted all the same. */
  readonly lost: readonly BackupName[];
}

export interface SweepOptions extends Call {
  readonly dryRun: boolean;
  readonly log: Log;
  readonly now: () => Date;
  readonly terminal: Terminal;
}

const BATCH_KEYS = 1000;
const BATCHES_AT_ONCE = 4;
const FAILURES_TOLD = 1000;
const DRY_RUN_HINT = 'This is only a dry run -- no actual data is being deleted';

export class Sweep {
  readonly #store: Store;
  readonly #options: SweepOptions;
  readonly #log: Log;
  readonly #failures: { key: string; reason: string }[] = [];
  readonly #lost: BackupName[] = [];
  #failed = 0;
  #removed = 0;
  readonly #progress: DeletionProgress;

  constructor(store: Store, options: SweepOptions) {
    this.#store = store;
    this.#options = options;
    this.#log = options.log.named('wal_e.worker.base');
    const { log, terminal } = options;
    this.#progress = new DeletionProgress({ log, terminal, now: () => performance.now() });
  }

  get outcome(): Outcome {
    return { removed: this.#removed, failed: this.#failed, failures: this.#failures, lost: this.#lost };
  }

  lose(backup: BackupName): void {
    this.#lost.push(backup);
  }

  /** For the progress: how many keys there will be in all. */
  expect(keys: number): void {
    this.#progress.expect(keys);
  }

  /** Takes the progress off the terminal: before anything is logged, and in the end. */
  clear(): void {
    this.#progress.clear();
  }

  /** `refused` hears of each key that is still there because the store would not remove it. */
  async keys(
    doomed: AsyncIterable<DoomedKey> | Iterable<DoomedKey>,
    refused: (key: Key) => void = () => {},
  ): Promise<void> {
    await parallel(batches(doomed), BATCHES_AT_ONCE, this.#options.signal, async (batch, signal) => {
      for (const { key, thing } of batch) this.#tell(thing, key);
      const failures = this.#options.dryRun
        ? []
        : await this.#store.remove(
            batch.map(({ key }) => key),
            { signal },
          );
      for (const failure of failures) {
        refused(failure.key);
        this.#fail(failure);
      }
      this.#done(batch.length - failures.length);
    });
  }

  /** The store has said that it removed this key. */
  isStillThere(key: Key): void {
    this.#removed -= 1;
    this.#fail({ key, reason: 'still there after it was removed' });
  }

  async leftovers(leftovers: readonly Leftover[]): Promise<void> {
    await parallel(leftovers, BATCHES_AT_ONCE, this.#options.signal, async (leftover, signal) => {
      this.#tell('the remains of an interrupted upload', leftover.key);
      try {
        if (!this.#options.dryRun) await this.#store.removeLeftover(leftover, { signal });
        this.#done(1);
      } catch (error) {
        if (signal.aborted || !(error instanceof UserError)) throw error;
        this.#fail({ key: leftover.key, reason: error.detail ?? error.message });
      }
    });
  }

  #tell(thing: string, key: string): void {
    this.#progress.clear();
    this.#log.info(`deleting ${thing}`, {
      detail: `The key being deleted is ${urlOf(this.#store, key)}.`,
      hint: this.#options.dryRun ? DRY_RUN_HINT : undefined,
    });
  }

  #fail(failure: RemoveFailure | { readonly key: string; readonly reason: string }): void {
    this.#failed += 1;
    if (this.#failures.length < FAILURES_TOLD)
      this.#failures.push({ key: failure.key, reason: failure.reason });
  }

  #done(count: number): void {
    this.#removed += count;
    if (!this.#options.dryRun) this.#progress.add(count);
  }
}

async function* batches(
  doomed: AsyncIterable<DoomedKey> | Iterable<DoomedKey>,
): AsyncGenerator<readonly DoomedKey[]> {
  let batch: DoomedKey[] = [];
  for await (const key of doomed) {
    batch.push(key);
    if (batch.length < BATCH_KEYS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

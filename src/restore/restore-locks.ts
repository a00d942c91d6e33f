/** The folders that one restore writes to, and no other one of this machine meanwhile. */
import { realpath } from 'node:fs/promises';
import { UserError } from '../errors.ts';
import { type FolderLock, lockFolder } from '../folder-lock.ts';
import type { Log } from '../log.ts';

export class RestoreLocks {
  readonly #log: Log;
  readonly #held: FolderLock[] = [];
  /** Without symbolic links. */
  readonly #taken = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Throws UserError when another restore has it. `who` says more of that one, if anybody knows. */
  async take(folder: string, who: () => Promise<string> = async () => 'Another process'): Promise<void> {
    let real = folder;
    let lock: FolderLock | undefined;
    try {
      real = await realpath(folder);
      if (this.#taken.has(real)) return;
      lock = await lockFolder('backup-fetch', real);
    } catch (error) {
      // A confined process may be allowed no sockets: better a restore whose marker alone keeps others away than none.
      this.#log.warning('could not lock a directory of the restore', {
        detail: `"${folder}": ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Make sure that nobody else restores into it.',
      });
      return;
    }
    if (lock === undefined) throw busy(`${await who()} restores into "${folder}".`);
    this.#held.push(lock);
    this.#taken.add(real);
  }

  async release(): Promise<void> {
    this.#taken.clear();
    await Promise.all(this.#held.splice(0).map((lock) => lock.release()));
  }
}

export function busy(detail: string): UserError {
  return new UserError('another backup-fetch is restoring into the same directory', {
    detail,
    hint: 'Wait for it, or stop it; the same command then goes on where it stopped.',
  });
}

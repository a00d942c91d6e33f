/** Where notes that outlive a call are kept: beside the WAL, and so with the server's own user and rights. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isWalDirectory } from '../postgres/archive-status.ts';
import { OWN_FOLDER } from '../program.ts';

/** undefined for a folder that is no server's: nobody would ever look at the notes again, or remove them. */
export function notesFolder(walDirectory: string): string | undefined {
  return isWalDirectory(walDirectory) ? join(walDirectory, OWN_FOLDER) : undefined;
}

/** Names of the notes in a folder; none in one that cannot be read. */
export function notesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

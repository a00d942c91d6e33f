/** Where the built program's own files are (worker entries, the codec), from the bundle and from the tests alike. */
import { join } from 'node:path';

/** Replaced by the build; the tests run the sources. */
declare const __WALE_VERSION__: string | undefined;

/** Folder beside a server's WAL for what the program notes or fetches there. Backups leave it out. */
export const OWN_FOLDER = '.wal-e';

const FROM_SOURCE = '0.0.0-source';

export const VERSION = typeof __WALE_VERSION__ === 'string' ? __WALE_VERSION__ : FROM_SOURCE;

/** Absolute path of a file in dist/. */
export function programFile(name: string): string {
  return join(import.meta.dirname, VERSION === FROM_SOURCE ? '../dist' : '', name);
}

/** The words that start this program again, for a command line that somebody else runs: absolute, whatever PATH is. */
export function programCommand(): readonly string[] {
  return [process.execPath, process.argv[1] ?? ''];
}

/** Where the built program's own files are (worker entries, the codec), from the bundle and from the tests alike. */
import { fileURLToPath } from 'node:url';

/** Replaced by the build; the tests run the sources. */
declare const __WALE_VERSION__: string | undefined;

export const VERSION = typeof __WALE_VERSION__ === 'string' ? __WALE_VERSION__ : '0.0.0-source';

/** Absolute path of a file in dist/. */
export function programFile(name: string): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(here.endsWith('.ts') ? `../dist/${name}` : name, here));
}

/** The words that start this program again, for a command line that somebody else runs: absolute, whatever PATH is. */
export function programCommand(): readonly string[] {
  return [process.execPath, process.argv[1] ?? ''];
}

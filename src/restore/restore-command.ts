/** The restore_command of a restored server: this very program, with the settings it was called with. */
import { resolve } from 'node:path';
import { prefixText } from '../settings/prefix.ts';
import type { Settings } from '../settings/settings.ts';
import { shellWord } from '../text/shell.ts';

/** Variables without which wal-fetch would not reach, or not be able to read, an archive in S3; in files. */
const NEEDED_FOR_S3 = /^(WALE_S3_(?!PREFIX$)|AWS_|GNUPGHOME$|NODE_EXTRA_CA_CERTS$|https?_proxy$|no_proxy$)/i;
const NEEDED_FOR_FILES = /^GNUPGHOME$/;

/** `program`: the words that start this program. With an envdir nothing else is needed; secrets are never put in. */
export function restoreCommand(program: readonly string[], settings: Settings): string {
  const { envdir, gpgKeyId } = settings.options;
  const words = [...program];
  if (envdir !== undefined) words.push('--envdir', resolve(envdir));
  else words.push(prefixOption(prefixText(settings)));
  if (gpgKeyId !== undefined) words.push('--gpg-key-id', gpgKeyId);
  // PostgreSQL replaces %f and %p, and takes %% for %.
  return `${words.map((word) => shellWord(word).replaceAll('%', '%%')).join(' ')} wal-fetch "%f" "%p"`;
}

/** Names of the variables that the server's environment must have, in order. */
export function neededVariables(settings: Settings): readonly string[] {
  const { environment, options } = settings;
  if (options.envdir !== undefined) return [];
  const needed = prefixText(settings).startsWith('file:') ? NEEDED_FOR_FILES : NEEDED_FOR_S3;
  return Object.keys(environment)
    .filter((name) => needed.test(name) && environment[name] !== '')
    .sort();
}

function prefixOption(url: string): string {
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase();
  return `--${scheme}-prefix=${url}`;
}

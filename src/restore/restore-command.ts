/** The restore_command of a restored server: this very program, with the settings it was called with. */
import { resolve } from 'node:path';
import { prefixText } from '../settings/prefix.ts';
import type { Environment, Settings } from '../settings/settings.ts';

/** Variables without which wal-fetch would not find or not read the archive. */
const NEEDED = /^(WALE_|AWS_|GNUPGHOME$|NODE_EXTRA_CA_CERTS$|https?_proxy$|no_proxy$)/i;
/** What PostgreSQL's own start says nothing about, and the command line of restore_command says itself. */
const SAID = /^WALE_(FILE|S3|GS|WABS|SWIFT)_PREFIX$/;

/** `program`: the words that start this program. With an envdir nothing else is needed; secrets are never put in. */
export function restoreCommand(program: readonly string[], settings: Settings): string {
  const { envdir, gpgKeyId } = settings.options;
  const words = [...program];
  if (envdir !== undefined) words.push('--envdir', resolve(envdir));
  else words.push(prefixOption(prefixText(settings)));
  if (gpgKeyId !== undefined) words.push('--gpg-key-id', gpgKeyId);
  // PostgreSQL replaces %f and %p, and takes %% for %.
  return `${words.map((word) => quoted(word).replaceAll('%', '%%')).join(' ')} wal-fetch "%f" "%p"`;
}

/** Names of the variables that the server's environment must have, in order. */
export function neededVariables(environment: Environment, envdir: string | undefined): readonly string[] {
  if (envdir !== undefined) return [];
  return Object.keys(environment)
    .filter((name) => NEEDED.test(name) && !SAID.test(name) && environment[name] !== '')
    .sort();
}

function prefixOption(url: string): string {
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase();
  return `--${scheme}-prefix=${url}`;
}

/** A word of a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

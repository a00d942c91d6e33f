/** Command lines for a POSIX shell. */

/** One word, quoted where the shell would see more in it. */
export function shellWord(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

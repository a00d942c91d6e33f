/** The running server's process: its environment is what archive_command inherits. */
import { readFile } from 'node:fs/promises';
import { readPostmasterFile } from '../postgres/postmaster-file.ts';
import type { Environment } from '../settings/settings.ts';

/** undefined when the server runs elsewhere, as another user, or on a system without /proc. */
export async function postmasterEnvironment(dataDirectory: string): Promise<Environment | undefined> {
  try {
    const postmaster = await readPostmasterFile(dataDirectory);
    if (postmaster?.pid === undefined) return undefined;
    const text = await readFile(`/proc/${postmaster.pid}/environ`, 'utf8');
    const entries = text.split('\0').filter((entry) => entry.includes('='));
    return Object.fromEntries(entries.map(split));
  } catch {
    return undefined;
  }
}

function split(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return [entry.slice(0, at), entry.slice(at + 1)];
}

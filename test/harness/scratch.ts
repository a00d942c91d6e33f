/** Temporary folders that are gone when the test process is gone, also when it was killed (see reaper.mjs). */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Account } from './account.ts';

/** Room for `/wale-XXXXXX/socket/.s.PGSQL.5432` in the 107 bytes of a socket's address. */
const LONGEST_PARENT = 70;

let reaper: Writable | undefined;

/** A new folder, readable by all and owned by `owner`; its path is short enough for unix sockets. */
export function createScratch(owner?: Account): string {
  const parent = tmpdir().length <= LONGEST_PARENT ? tmpdir() : '/tmp';
  const folder = mkdtempSync(join(parent, 'wale-'));
  removeAtExit(folder);
  chmodSync(folder, 0o755);
  if (owner !== undefined && process.getuid?.() === 0) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

/** The server of this data directory is stopped when the test process ends. */
export function stopAtExit(dataDirectory: string): void {
  tellReaper({ dataDirectory });
}

function removeAtExit(folder: string): void {
  tellReaper({ folder });
}

function tellReaper(item: { readonly dataDirectory: string } | { readonly folder: string }): void {
  reaper ??= startReaper();
  reaper.write(`${JSON.stringify(item)}\n`);
}

function startReaper(): Writable {
  const script = fileURLToPath(new URL('reaper.mjs', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  child.unref();
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref();
  return child.stdin;
}

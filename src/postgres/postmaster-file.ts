/** `postmaster.pid`: a running (or crashed) server's own note in its data directory, one fact a line (PostgreSQL: pidfile.h). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../errno.ts';

export interface PostmasterFile {
  readonly pid: number | undefined;
  readonly port: number | undefined;
  /** Folder of its first Unix socket; undefined when it has none. */
  readonly socketDirectory: string | undefined;
}

/** undefined when there is none: no server runs on this data directory. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const [pid, , , port, socketDirectory] = text.split('\n');
  return {
    pid: wholeNumber(pid),
    port: wholeNumber(port),
    socketDirectory: socketDirectory === '' ? undefined : socketDirectory,
  };
}

function wholeNumber(line: string | undefined): number | undefined {
  return line !== undefined && /^\d+$/.test(line.trim()) ? Number(line) : undefined;
}

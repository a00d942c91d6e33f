/** What PostgreSQL waits to have archived, without a server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of `pg_wal` with the status file that asks for it. */
export function addWaiting(pgWal: string, name: string, content: Uint8Array): void {
  mkdirSync(join(pgWal, 'archive_status'), { recursive: true });
  writeFileSync(join(pgWal, name), content);
  writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
}
